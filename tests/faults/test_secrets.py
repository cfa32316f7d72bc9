"""C10, C12, C15: the secret stays where it belongs, in every process of a run; and no code trusts whoever answers.

What a test prints, logs and writes is looked through by tests/conftest.py, over every fault of this suite; what the
commands print, by `Commands.execute`. Here is what neither can see.
"""

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Commands, luigi, pipeline
from processes import ROOT, members
from projects import KEY, SECRET, leaks
from truth import FULL, complete, served

from pipeline.sandbox import Sandbox

DAY = "2026-01-15"
SEVERAL_FILES = 150  # events an hour of a day that is too large to be read by one process


def read(pid: int, what: str) -> str:
    with contextlib.suppress(OSError):  # it has ended
        return Path(f"/proc/{pid}/{what}").read_bytes().replace(b"\0", b"\n").decode("utf-8", "replace")
    return ""


@pytest.mark.parametrize(
    "command",
    [pipeline("run", "--date", DAY), luigi("LoadEvents", "--date", DAY, "--workers", "2")],
    ids=["make run", "luigi with workers"],
)
def test_C10_C12_no_process_of_a_run_shows_it_and_those_that_read_do_not_have_it(tmp_path, tally, command):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    arguments: dict[int, str] = {}
    environments: dict[int, str] = {}
    with Sandbox(key=KEY, secret=SECRET, events_per_hour=SEVERAL_FILES, faults=["latency:0.1"]) as sandbox:
        truth = served(sandbox, DAY)
        commands = Commands(tmp_path, sandbox, PIPELINE_THREADS=2, TMPDIR=temporary)
        with commands.started(*command) as run:
            while run.poll() is None:
                for pid in members(run.pid):
                    arguments[pid] = read(pid, "cmdline")
                    # Its arguments before its environment: they are a process's own, once they are not its parent's.
                    if "pipeline.warehouse.worker" in arguments[pid]:
                        environments[pid] = read(pid, "environ") or environments.get(pid, "")
            _, said = run.communicate()
    assert run.returncode == 0, said
    assert len(arguments) > 2
    assert not leaks(said + "".join(arguments.values()))
    readers = [text for text in environments.values() if "PATH=" in text]
    assert readers
    assert not leaks("".join(readers))
    assert not re.search(r"^AMP_", "".join(readers), re.MULTILINE)
    damage = complete(commands.data, DAY, truth)
    tally.injected(1, damage)
    assert not damage


PLACES = [f"http://user:{KEY}@{KEY}.example/{KEY}", f"http://{KEY}.example/", KEY]


@pytest.mark.parametrize("place", PLACES if FULL else PLACES[:1])
def test_C10_a_redirect_that_says_it_back_is_not_quoted(tmp_path, place):
    with Sandbox(key=KEY, secret=SECRET, faults=[f"redirect:{place}"]) as sandbox:
        done = Commands(tmp_path, sandbox).run(DAY)  # looks through what it prints
    assert done.returncode == 30
    assert "a redirect to" in done.stderr


WORDS = (
    "CERT_NONE", "CERT_OPTIONAL", "disable_warnings", "_create_unverified_context", "_create_default_https_context",
    "PYTHONHTTPSVERIFY", "InsecureRequestWarning", "SECLEVEL=0", "--insecure", "--trusted-host", "--no-check-certificate",
)  # fmt: skip
SWITCHES = {"verify", "check_hostname", "assert_hostname", "verify_ssl", "ssl_verify", "cert_reqs", "verify_mode"}
"""What a library calls its certificate check: whatever is given to it must be true."""


def loopholes(source: str) -> list[str]:
    """Returns the lines of a module that could turn the check of a server's certificate off."""
    return [f"line {node.lineno}: {what}" for node, what in _suspicious(ast.parse(source))]


def _suspicious(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [(word.arg, word.value) for word in node.keywords]
            if isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) == 3:
                given.append((getattr(node.args[1], "value", None), node.args[2]))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            given = [(target.attr, node.value) for target in targets if isinstance(target, ast.Attribute)]
        elif isinstance(node, ast.Dict):
            given = [
                (key.value, each)
                for key, each in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            ]
        else:
            given = []
        yield from ((node, name) for name, value in given if name in SWITCHES and not _is_true(value))
        texts = [getattr(node, field, None) for field in ("id", "attr", "name", "value")]
        yield from ((node, word) for word in WORDS for text in texts if isinstance(text, str) and word in text)


def _is_true(value: ast.expr | None) -> bool:
    last = value.values[-1] if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or) else value
    return isinstance(last, ast.Constant) and last.value is True


@pytest.mark.parametrize("path", sorted(p for folder in ("pipeline", "bench") for p in (ROOT / folder).rglob("*.py")),
                         ids=lambda path: str(path.relative_to(ROOT)))  # fmt: skip
def test_C15_no_code_turns_the_certificate_check_off(path):
    assert not loopholes(path.read_text(encoding="utf-8"))


def test_C15_no_package_is_fetched_from_whoever_answers():
    for path in (ROOT / "Makefile", *ROOT.glob("*requirements*"), *ROOT.glob("bench/requirements*")):
        assert not [word for word in WORDS if word in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    "source",
    [
        "requests.get(url, verify=False)",
        "requests.get(url, verify=settings.verify)",
        "requests.get(url, **{'verify': False})",
        "session.verify = False",
        "session.verify = os.environ.get('VERIFY')",
        "setattr(session, 'verify', 0)",
        "context.check_hostname = False",
        "context.verify_mode = ssl.CERT_NONE",
        "from ssl import CERT_NONE as mode",
        "urllib3.PoolManager(cert_reqs='CERT_NONE', assert_hostname=False)",
        "urllib3.disable_warnings()",
        "ssl._create_default_https_context = ssl._create_unverified_context",
        "os.environ['PYTHONHTTPSVERIFY'] = '0'",
        "subprocess.run(['curl', '--insecure', url])",
    ],
)
def test_C15_the_scan_finds_what_would_turn_it_off(source):
    assert loopholes(source)


def test_C15_the_scan_lets_stand_what_keeps_it_on():
    assert not loopholes(
        "session.verify = os.environ.get('REQUESTS_CA_BUNDLE') or True\narchive.verify()\nf(verify=True)"
    )
