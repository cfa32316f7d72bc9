"""The chain: `luigi --module pipeline.tasks` finds every task here. The last is LAST; its `requires()` leads back."""

import sys
import warnings

from pipeline import logs, settings
from pipeline.errors import PipelineError
from pipeline.tasks import runs, signals
from pipeline.tasks.daily import DailyTask
from pipeline.tasks.download import DownloadExport
from pipeline.tasks.extract import ExtractEvents
from pipeline.tasks.load import LoadEvents

LAST = LoadEvents
"""The end of the chain: what a run of a day means."""

__all__ = ["LAST", "DailyTask", "DownloadExport", "ExtractEvents", "LoadEvents"]

# Luigi reads [core] rpc_* without knowing that it does, and would say so in every log.
warnings.filterwarnings("ignore", r".*parameter 'rpc_\w+' .* not consumed by the task 'core'")
# Luigi imports this module before it sets its own logging up, so even its first line is ours.
try:
    logs.setup(settings.load().logs_dir)
except PipelineError as error:
    print(logs.plain(error), file=sys.stderr)  # noqa: T201
    raise SystemExit(runs.NOTHING_RUN) from None
signals.install()
