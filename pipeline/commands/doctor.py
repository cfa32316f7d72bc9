"""doctor: what is wrong before a run says so.

A program of its own, for of the other commands none begins where a setting is wrong or the log cannot be written.
"""

import sys

from loguru import logger

from pipeline import terminal
from pipeline.operations import findings
from pipeline.operations.doctor import examine

_STOPPED = 130  # the shell's status for Ctrl-C


def main() -> int:
    """Prints what is found; returns the exit status: 1 where something is wrong."""
    logger.remove()  # all that there is to say are the findings
    try:
        return findings.FOUND if findings.show(examine(), terminal.Output()) else 0
    except KeyboardInterrupt:
        return _STOPPED


if __name__ == "__main__":
    sys.exit(main())
