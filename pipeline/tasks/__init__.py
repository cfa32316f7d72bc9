"""The chain: `luigi --module pipeline.tasks` finds every task here. The last is LAST; its `requires()` leads back."""

import sys

from pipeline import logs, settings
from pipeline.errors import ConfigError
from pipeline.tasks import runs, signals
from pipeline.tasks.daily import DailyTask
from pipeline.tasks.download import DownloadExport
from pipeline.tasks.extract import ExtractEvents

LAST = ExtractEvents
"""The end of the chain: what a run of a day means."""

__all__ = ["LAST", "DailyTask", "DownloadExport", "ExtractEvents"]

# Luigi imports this module before it sets its own logging up, so even its first line is ours.
try:
    logs.setup(settings.load().logs_dir)
except ConfigError as error:
    print(logs.plain(error), file=sys.stderr)  # noqa: T201
    raise SystemExit(runs.NOTHING_RUN) from None
signals.install()
