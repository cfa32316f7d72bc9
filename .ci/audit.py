"""`make audit`: known holes in the locked packages, and their list (SBOM, CycloneDX) in sbom.json.

pip-audit says "no known vulnerabilities" and exits 0 also where it could look up none of the packages; here that is
a skip, and said so. Exit status: 0 no hole is known, or skipped; 1 a hole is known, some packages were left out, or
pip-audit failed or looked at none.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = "requirements.txt"
SBOM = "sbom.json"
_UNREACHED = re.compile(
    r"^([\w.]*\.)?((New)?Connection(Refused|Reset)?Error|(Connect|Read)Timeout(Error)?|ProxyError|NameResolutionError)(:|$)"
    r"|Max retries exceeded|Could not connect|your network may be blocking this service"
)
"""What the last line of requests, urllib3 or pip-audit says of a network that does not lead there."""


def write_sbom(lock: str, sbom: str) -> int:
    """Writes the list of the locked packages, with their hashes; returns how many there are."""
    command = ("cyclonedx_py", "requirements", lock, "--pyproject", "pyproject.toml", "--output-reproducible")
    subprocess.run((sys.executable, "-m", *command, "--of", "JSON", "-o", sbom), check=True, stderr=subprocess.DEVNULL)
    return len(json.loads(Path(sbom).read_text(encoding="utf-8"))["components"])


def audit(lock: str) -> tuple[int, list[str]]:
    """Looks each locked package up in PyPI's advisories; returns the exit status and what is to be said."""
    command = ("pip_audit", "-r", lock, "--require-hashes", "--disable-pip", "-f", "json", "--progress-spinner", "off")
    done = subprocess.run((sys.executable, "-m", *command), capture_output=True, text=True, check=False)
    return judged(done.stdout, done.stderr)


def judged(stdout: str, stderr: str) -> tuple[int, list[str]]:
    """Judges what pip-audit printed, JSON if it came to an end; returns the exit status and what is to be said."""
    try:
        found = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reason = stderr.strip().rpartition("\n")[2][:300]
        if _UNREACHED.search(reason):
            return 0, [f"skipped: the advisory database cannot be reached ({reason})"]
        return 1, [f"pip-audit failed: {reason}"]
    return verdict(found) if found else (1, ["pip-audit looked up no package"])


def verdict(found: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """Judges what pip-audit found.

    Args:
        found: Its packages: name, and version with vulns, or skip_reason.
    """
    left_out = [f"{each['name']}: not audited ({each['skip_reason']})" for each in found if "skip_reason" in each]
    if len(left_out) == len(found):
        return 0, [f"skipped: the advisory database has none of the {len(found)} packages", *left_out[:1]]
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}."
        " Type: make lock"
        for each in found
        for hole in each.get("vulns", ())
    ]
    summary = f"{len(found) - len(left_out)} of {len(found)} packages audited, {len(holes)} known holes"
    return int(bool(holes or left_out)), [*holes, *left_out, summary]


def main() -> int:
    """Writes the SBOM and audits; returns the exit status."""
    print(f"{SBOM}: {write_sbom(LOCK, SBOM)} packages, CycloneDX")
    status, lines = audit(LOCK)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
