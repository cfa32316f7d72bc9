"""The command line behind the Makefile: `python -m pipeline --help`."""

import signal
import sys

from pipeline import luigicfg
from pipeline.errors import ConfigError

WRONG_SETTING = 40
"""The exit status, as `tasks.runs` has it, which cannot be imported then."""


def main() -> int:
    """Runs a command; returns the exit status, as `commands.cli` says."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the imports take a while, and nothing is begun: no traceback
    try:
        luigicfg.refuse_broken()
    except ConfigError as error:
        print(f"ConfigError: {error}", file=sys.stderr)  # noqa: T201 - there are no settings yet to set a log up by
        return WRONG_SETTING
    from pipeline.commands import cli  # noqa: PLC0415 - it imports Luigi, which parses luigi.cfg

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
