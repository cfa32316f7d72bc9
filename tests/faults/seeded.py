"""The pipeline with one safeguard taken away, to see that the fault suite finds it: `seeded.py NAME run --date D`."""

import sys
from collections.abc import Callable

import seeded_chain
import seeded_runs
import seeded_storage

from pipeline.__main__ import main

DEFECTS: dict[str, Callable[[], None]] = {
    **seeded_chain.DEFECTS,
    **seeded_storage.DEFECTS,
    **seeded_runs.DEFECTS,
}
"""What takes a safeguard away, by the defect's name."""


if __name__ == "__main__":
    DEFECTS[sys.argv.pop(1)]()
    sys.exit(main())
