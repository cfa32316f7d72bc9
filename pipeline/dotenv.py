"""`.env`, read by python-dotenv without interpolation, and refused where it would be misread."""

from pathlib import Path

from dotenv import parser
from loguru import logger

from pipeline.errors import ConfigError, storage_errors

_OTHERS = 0o077


def read(path: Path) -> dict[str, str]:
    """Reads a `.env` file.

    Args:
        path: The file; one that is missing is an empty one.

    Returns:
        The values by name, each exactly as it is written: `${HOME}` stays `${HOME}`.

    Raises:
        ConfigError: A line is no `NAME=value`, or a quote does not end.
    """
    if not path.is_file():
        return {}
    with storage_errors(path), path.open(encoding="utf-8-sig") as stream:
        try:
            bindings = list(parser.parse_stream(stream))
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not UTF-8 text", "Save it as UTF-8.") from None
    values = {}
    for binding in bindings:
        if binding.error or (binding.key and binding.value is None):
            said = binding.original.string
            blank = said[: len(said) - len(said.lstrip())].count("\n")  # before it, and counted with it
            raise ConfigError(
                f"{path}, line {binding.original.line + blank}, cannot be read",
                "Write NAME=value there; a value with spaces, quotes or # goes between single quotes.",
            )
        if binding.key:
            values[binding.key] = binding.value or ""
    return values


def warn_if_open(path: Path) -> None:
    """Warns when others of this machine may read the file."""
    if path.is_file() and path.stat().st_mode & _OTHERS:
        logger.warning("{} can be read by others of this machine. Close it with: chmod 600 {}", path, path)
