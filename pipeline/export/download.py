"""A day, from the Export API to one published ZIP."""

import contextlib
import datetime as dt
import itertools
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait

from pipeline import __version__, threads
from pipeline.errors import ConfigError, CredentialsError, StorageError
from pipeline.export import windows
from pipeline.export.admission import Admission
from pipeline.export.archive import Archive
from pipeline.export.client import Client
from pipeline.export.merge import Source, publish_day
from pipeline.export.settled import refuse_unsettled
from pipeline.export.staging import Staging
from pipeline.export.tries import Tries
from pipeline.export.windows import Window
from pipeline.progress import Progress, Report
from pipeline.settings import Credentials, Settings, load_credentials
from pipeline.store import days, locks, records, room
from pipeline.store.paths import Layout
from pipeline.store.records import EMPTY, EXPORTED, ExportRecord, Hour

_TELL_EVERY = 1.0  # seconds
_NEAR = 7  # days whose refusals are remembered
_ALMOST = 0.99  # what a guess may say at the most

_admission = Admission()


def fetch_day(
    date: dt.date,
    settings: Settings,
    report: Report,
    *,
    into: Layout | None = None,
    since: dt.datetime | None = None,
) -> ExportRecord:
    """Fetches a day's 24 upload hours and publishes them as one verified ZIP.

    Args:
        date: The upload day, UTC.
        settings: How to ask, and where the data lies.
        report: Told how far it is.
        into: Where the ZIP goes, and its windows until then; the data folder's own place unless given. The lock of the
            API, the project, and the size of the windows are the data folder's in any case.
        since: Windows of an earlier run that were asked for before are fetched anew; None takes any.

    Returns:
        The record that the ZIP begins with.

    Raises:
        NotReadyError: The day is not settled, by this machine's clock or by the server's.
        ConfigError: Credentials are missing, or the data folder is another project's.
        StorageError: The disk is too small for it by what is known, or refused.
        PipelineError: It could not be fetched; verified windows stay for the next run.
    """
    refuse_unsettled(date, settings)
    credentials = load_credentials()
    layout = Layout(settings.data_dir)
    into = into or layout
    redo = days.redo_asked(layout, date)
    project = days.project(layout, date)
    _refuse_other_host(project, settings)
    key = credentials.fingerprint
    staging = Staging(layout, settings, date, redo=redo, project=project, key=key, into=into, since=since)
    # One process at a time asks the API: together, cron and a backfill stay inside the project's allowance.
    with locks.hold(layout.lock("api")):
        staging.resume()
        if staging.missing():
            room.refuse_small_disk(layout, date, into)
            _ask(layout, settings, credentials, staging, date, report)
    with contextlib.ExitStack() as stack:
        archives = [stack.enter_context(Archive(path, settings)) for path in staging.zips()]
        sources = [Source.of(archive, member) for archive in archives for member in archive.members]
        filled = {source.hour for source in sources}
        record = publish_day(into, settings, _record(date, settings, redo, staging, filled), sources)
    staging.clear()
    return record


def _ask(
    layout: Layout, settings: Settings, credentials: Credentials, staging: Staging, date: dt.date, report: Report
) -> None:
    """Fetches the windows that are missing; the first of a run goes alone, to learn whether the keys are taken."""
    alone = not _admission.is_known(settings, credentials)
    client = Client(settings, credentials)
    try:
        near = _near(layout, date)
        fetch = _Fetch(client, settings, staging, date, report, expected=near[0][0] if near else 0)
        fetch.run(windows.largest_size(near, settings.window_bytes), alone=alone)
    except CredentialsError:
        _admission.refuse(settings, credentials)
        raise
    finally:
        client.close()
    _admission.accept(settings, credentials)


class _Fetch:
    """The windows of a day under way: some at once, halved where they are refused."""

    def __init__(
        self, client: Client, settings: Settings, staging: Staging, date: dt.date, report: Report, *, expected: int
    ) -> None:
        self._expected = expected  # bytes of the day, as the nearest stored one has them
        self._settings = settings
        self._staging = staging
        self._client = client
        self._stop = threading.Event()
        self._progress = Progress(report, "waiting for Amplitude to prepare the export")
        self._tries = Tries(client, settings, staging, date, received=self._progress.add, stop=self._stop)
        self._running: dict[Future[records.FetchedWindow], Window] = {}
        self._size = windows.HOURS

    def run(self, size: int, *, alone: bool) -> None:
        """Fetches what is missing, in windows of `size` hours; the first goes alone where `alone` says so."""
        probing, probe = alone, None
        try:
            while self._staging.missing() or self._running:
                self._size = min(size, self._staging.largest_allowed())
                if not probing:
                    self._send(self._settings.concurrency)
                elif probe is None:
                    probe = self._send(len(self._running) + 1)
                ended = self._collect()
                if probe in ended:
                    probing, probe = False, None
                # One window is followed down before its siblings are sent: they would be refused as it was.
                probing = probing or any(answer.status in windows.REFUSED for answer in ended.values())
        finally:
            self._stop.set()

    def _send(self, at_once: int) -> Future[records.FetchedWindow] | None:
        """Sends windows until so many are under way; returns the last that it sent."""
        busy = {hour for window in self._running.values() for hour in window.hours}
        sent = None
        for window in windows.cut(self._staging.missing() - busy, self._size):
            if len(self._running) >= at_once:
                break
            sent = threads.start(self._tries.fetch, window)
            self._running[sent] = window
        return sent

    def _collect(self) -> dict[Future[records.FetchedWindow], records.FetchedWindow]:
        """Waits a moment for windows that end; returns their answers, or raises what one failed with."""
        wait(self._running, timeout=_TELL_EVERY, return_when=FIRST_COMPLETED)
        ended = [future for future in self._running if future.done()]
        for future in ended:
            del self._running[future]
        failures = [error for future in ended if (error := future.exception())]
        if failures:
            self._end_after(failures)
        self._tell()
        return {future: future.result() for future in ended}

    def _end_after(self, failures: list[BaseException]) -> None:
        """Lets windows under way come home once the day has failed, unless they cannot, then raises."""
        self._stop.set()
        if any(isinstance(failure, CredentialsError | StorageError) for failure in failures):
            self._client.close()
        wait(self._running, timeout=self._settings.read_timeout)
        self._client.close()
        ended = wait(self._running, timeout=_TELL_EVERY).done
        failures = [*failures, *(error for future in ended if (error := future.exception()))]
        # A refusal of the credentials goes before all: nothing more may be sent after it.
        raise next((failure for failure in failures if isinstance(failure, CredentialsError)), failures[0])

    def _tell(self) -> None:
        there = sum(answer.status not in windows.REFUSED for _, answer in self._staging.answers)
        missing = self._staging.missing()
        of = there + len(windows.cut(missing, self._size))
        share = 1 - len(missing) / windows.HOURS
        if missing and self._expected:
            share = max(share, min(self._progress.bytes / self._expected, _ALMOST))
        self._progress.set(share, f"window {there} of {of}")


def _near(layout: Layout, date: dt.date) -> list[tuple[int, list[records.FetchedWindow]]]:
    """Returns the bytes and the windows of the nearest stored days, the nearest first."""
    found = itertools.islice(days.nearest(layout, date), _NEAR)
    return [(layout.raw_zip(day).stat().st_size, record.windows) for day, record in found]


def _refuse_other_host(project: days.Project, settings: Settings) -> None:
    if project.host not in (None, settings.host):
        raise ConfigError(
            f"{settings.data_dir}/ holds days of {project.host}, and {settings.host} is to be asked",
            "Give each project a folder of its own: set PIPELINE_DATA_DIR (or mend AMP_REGION, AMP_BASE_URL).",
        )


def _record(date: dt.date, settings: Settings, redo: str | None, staging: Staging, filled: set[int]) -> ExportRecord:
    answers = sorted((answer for _, answer in staging.answers), key=lambda answer: (answer.requested_at, answer.first))
    return ExportRecord(
        id=days.new_id(),
        date=date,
        app=None,
        host=settings.host,
        source="api",
        redo=redo,
        windows=answers,
        hours=[Hour(hour=hour, status=EXPORTED if hour in filled else EMPTY) for hour in range(windows.HOURS)],
        pipeline=__version__,
    )
