"""Each setting, read once, typed: from the environment, then `.env`, then luigi.cfg, then the default."""

import configparser
import dataclasses
import difflib
import functools
import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline import dotenv, forms, luigicfg
from pipeline.errors import ConfigError
from pipeline.redaction import Secret, remember_pair

PREFIXES = {"amplitude": "AMP_", "pipeline": "PIPELINE_"}
"""The environment's prefix by section of luigi.cfg."""

_HOME = Path(__file__).parent.parent

CREDENTIALS = ("AMP_API_KEY", "AMP_SECRET_KEY")


def _setting(section: str, default: object, parse: Callable[[str], Any], what: str) -> Any:  # noqa: ANN401
    return dataclasses.field(default=default, metadata={"section": section, "parse": parse, "what": what})


@dataclasses.dataclass(frozen=True)
class Settings:
    """The one table of settings; README's comes from it."""

    region: str = _setting("amplitude", "eu", forms.region, "the region in which the project lives")
    base_url: str = _setting(
        "amplitude", "", forms.base_url, "the API's address, in place of the region's; https, or http to loopback"
    )
    concurrency: int = _setting(
        "amplitude", 4, forms.whole(1, 5), "windows fetched at once (a project's whole allowance is 5)"
    )
    window_bytes: int = _setting(
        "amplitude", 64_000_000, forms.whole(1), "bytes of ZIP that a window is meant to stay under"
    )
    tries: int = _setting("amplitude", 3, forms.whole(1, 100), "times that a window is tried")
    backoff: float = _setting(
        "amplitude", 2.0, forms.number(0), "seconds before the second try; doubled each time, with jitter"
    )
    backoff_cap: float = _setting("amplitude", 60.0, forms.number(0), "the longest such wait, in seconds")
    retry_after_cap: float = _setting(
        "amplitude", 900.0, forms.number(0), "the longest wait, in seconds, that a server's `Retry-After` is given"
    )
    connect_timeout: float = _setting("amplitude", 10.0, forms.number(0.01), "seconds to connect")
    first_byte_timeout: float = _setting(
        "amplitude", 600.0, forms.number(0.01), "seconds until the answer begins: Amplitude builds the ZIP first"
    )
    read_timeout: float = _setting(
        "amplitude", 60.0, forms.number(0.01), "seconds without a byte in the middle of an answer"
    )
    min_speed: int = _setting(
        "amplitude", 1000, forms.whole(0), "bytes a second that an answer must keep up, over `read_timeout` seconds"
    )
    deadline: float = _setting("amplitude", 7200.0, forms.number(0.01), "seconds for a window, with all its tries")
    max_window_bytes: int = _setting(
        "amplitude", 8_000_000_000, forms.whole(1), "bytes of ZIP at which a window's answer is cut off"
    )
    settle_hours: int = _setting("amplitude", 3, forms.whole(3), "hours after a UTC day's end from which it is settled")
    data_dir: Path = _setting("pipeline", Path("data"), forms.folder, "one project's data")
    logs_dir: Path = _setting("pipeline", Path("logs"), Path, "the log files")
    threads: int = _setting(
        "pipeline", 0, forms.whole(0, 256), "threads and processes that work on a day; 0 is one a core"
    )
    max_entries: int = _setting("pipeline", 200_000, forms.whole(1), "files that a ZIP may hold")
    max_member_bytes: int = _setting("pipeline", 50_000_000_000, forms.whole(1), "bytes of JSON that one file may hold")
    max_day_bytes: int = _setting("pipeline", 1_000_000_000_000, forms.whole(1), "bytes of JSON that a day may hold")
    max_ratio: int = _setting(
        "pipeline", 300, forms.whole(2), "bytes of JSON that a byte of gzip may become, past the first MiB"
    )
    max_event_bytes: int = _setting("pipeline", 16_000_000, forms.whole(1000), "bytes of JSON that one event may have")
    max_rejected: float = _setting(
        "pipeline",
        0.01,
        forms.number(0, 1),
        "share of a day's lines, 0 to 1, that may be no event before the day is refused",
    )
    load_memory: int = _setting(
        "pipeline", 600_000_000, forms.whole(100_000_000), "bytes of memory that DuckDB may take while it loads a day"
    )

    @property
    def api(self) -> str:
        """The API's address, without a slash at its end."""
        return self.base_url or forms.REGIONS[self.region]

    @property
    def is_loopback(self) -> bool:
        """Whether the API is on this machine: a sandbox."""
        return forms.is_loopback(urlsplit(self.api).hostname or "")

    @property
    def host(self) -> str:
        """The API's host name; `loopback` for each name of this machine."""
        return "loopback" if self.is_loopback else urlsplit(self.api).hostname or ""

    @property
    def cores(self) -> int:
        """Threads or processes that work on a day at once."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self.threads or cores


@dataclasses.dataclass(frozen=True)
class Credentials:
    """A project's API key and secret key; neither shows itself."""

    key: Secret
    secret: Secret

    @property
    def fingerprint(self) -> str:
        """Tells one project's key from another's, and gives neither away."""
        return hashlib.sha256(self.key.reveal().encode()).hexdigest()[:16]


def variable(field: "dataclasses.Field[Any]") -> str:
    """Returns the environment variable of a setting."""
    return PREFIXES[field.metadata["section"]] + field.name.upper()


@functools.cache
def load() -> Settings:
    """Reads the settings, once a process.

    Raises:
        ConfigError: A value has the wrong form, a name is unknown, or luigi.cfg cannot be parsed.
    """
    file = dotenv.read(Path(".env"))
    config = _config()
    if not config.has_section("retcode"):
        raise ConfigError(
            "luigi.cfg was not read, and without it a failure exits 0", f"Run it in the project's folder: cd {_HOME}"
        )
    _refuse_unknown(file, config)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        found = _found(field, file, config)
        if found is not None:
            values[field.name] = _parsed(field, *found)
    return Settings(**values)


def load_credentials() -> Credentials:
    """Reads the credentials: from the environment or `.env`, and nowhere else.

    Raises:
        ConfigError: One of them is missing or empty.
    """
    file = dotenv.read(Path(".env"))
    found = {name: _lookup(name, file) for name in CREDENTIALS}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            "Copy .env.example to .env and write the project's keys there"
            " (Amplitude: Settings, Projects, your project, General).",
        )
    key, secret = (Secret(value[0].strip()) for value in found.values() if value)
    remember_pair(key, secret)
    return Credentials(key, secret)


def given() -> list[tuple[str, str, str]]:
    """Returns what is set, and where: variable, value and source; a credential's value is `****`, whatever it is.

    Raises:
        ConfigError: A file cannot be read, or a variable is set to nothing.
    """
    file = dotenv.read(Path(".env"))
    config = _config()
    secrets = [(name, "****", found[1]) for name in CREDENTIALS if (found := _lookup(name, file))]
    fields = ((variable(field), _found(field, file, config)) for field in dataclasses.fields(Settings))
    return secrets + [(name, _shown(found[0]), found[1]) for name, found in fields if found]


def markdown_table() -> str:
    """Returns README's table of settings: environment, luigi.cfg, default, what."""
    rows = [(f"`{name}`", "-", "-", "the project's credentials; never in luigi.cfg") for name in CREDENTIALS]
    for field in dataclasses.fields(Settings):
        default = "by region" if field.name == "base_url" else f"`{field.default}`"
        place = f"`[{field.metadata['section']}] {field.name}`"
        rows.append((f"`{variable(field)}`", place, default, field.metadata["what"]))
    lines = [("environment", "luigi.cfg", "default", "what"), ("---",) * 4, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _config() -> Any:  # noqa: ANN401 - Luigi's parser has no types
    luigicfg.refuse_broken()
    import luigi.configuration  # noqa: PLC0415 - the import parses luigi.cfg

    return luigi.configuration.get_config()  # type: ignore[no-untyped-call]


def _found(
    field: "dataclasses.Field[Any]",
    file: Mapping[str, str],
    config: Any,  # noqa: ANN401 - Luigi's parser has no types
) -> tuple[str, str] | None:
    """Returns a setting's text and its source, or None where its default holds."""
    found = _lookup(variable(field), file)
    section = field.metadata["section"]
    if found is None and config.has_option(section, field.name):
        found = _from_config(config, section, field.name)
    return found


def _lookup(name: str, file: Mapping[str, str]) -> tuple[str, str] | None:
    for values, source in ((os.environ, "the environment"), (file, ".env")):
        if name in values:
            if not values[name].strip():
                over = " (the environment goes before .env)" if values is os.environ and file.get(name) else ""
                raise ConfigError(
                    f"{name} is set to nothing in {source}{over}", f"Give {name} a value there, or remove it."
                )
            return values[name], source
    return None


def _from_config(config: Any, section: str, name: str) -> tuple[str, str]:  # noqa: ANN401 - Luigi's parser has no types
    source = f"[{section}] {name} in luigi.cfg"
    try:
        return config.get(section, name), source
    except configparser.InterpolationError:
        raise ConfigError(f"{source} cannot be read", "Write % as %% there.") from None


def _shown(text: str) -> str:
    """Returns a value as it may be shown: without the password that an address can carry."""
    return re.sub(r"//.*@", "//****@", text.strip())


def _parsed(field: "dataclasses.Field[Any]", text: str, source: str) -> object:
    try:
        return field.metadata["parse"](text.strip())
    except ValueError as error:
        raise ConfigError(
            f"{variable(field)} is {_shown(text)!r}, from {source}", f"It takes {error}: {field.metadata['what']}."
        ) from None


def _refuse_unknown(file: Mapping[str, str], config: Any) -> None:  # noqa: ANN401 - Luigi's parser has no types
    fields = dataclasses.fields(Settings)
    names = [*CREDENTIALS, *map(variable, fields)]
    for name in file:
        if name.startswith(tuple(PREFIXES.values())) and name not in names:
            _refuse(name, names, ".env", least=0.0)
    for name in os.environ:
        # The environment is shared: only what is clearly meant for us is refused.
        if name.startswith(tuple(PREFIXES.values())) and name not in names:
            _refuse(name, names, "the environment", least=0.85)
    for section in config.sections():
        if section not in PREFIXES:
            _refuse(section, list(PREFIXES), "the sections of luigi.cfg", least=0.8)
            continue
        keys = [field.name for field in fields if field.metadata["section"] == section]
        for key in config.options(section):
            if PREFIXES[section] + key.replace("-", "_").upper() in CREDENTIALS:
                raise ConfigError(f"{key} stands in luigi.cfg", "Secrets stand in .env or the environment alone.")
            if key.replace("-", "_") not in keys:
                _refuse(key, keys, f"[{section}] of luigi.cfg", least=0.0)


def _refuse(name: str, known: list[str], source: str, least: float) -> None:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=least)
    if nearest:
        raise ConfigError(f"{name} in {source} is no setting", f"Did you mean {nearest[0]}? README lists them all.")
