"""A day's windows on their way: each answer is kept, with its ZIP, until the day is published."""

import datetime as dt
from pathlib import Path

import msgspec
from loguru import logger

from pipeline.errors import ArchiveError, ConfigError, PipelineError
from pipeline.export import kept, windows
from pipeline.export.archive import Archive
from pipeline.settings import Settings
from pipeline.store import days, manifest, quarantine, records
from pipeline.store.paths import Layout
from pipeline.store.publish import make_dirs, remove
from pipeline.text import count


class Staging:
    """The windows of one day, in a hidden folder beside its final ZIP.

    Args:
        layout: Where the data lies, and a refused window is put aside.
        settings: Whom is asked; the archive's limits.
        date: The upload day, UTC.
        redo: The token that the day's ZIP will answer.
        project: Whose events they must be.
        key: Tells the credentials from others.
        into: Where the ZIP will be published; `layout` unless given.
        since: Windows that were asked for before are fetched anew; None takes any.
    """

    def __init__(
        self,
        layout: Layout,
        settings: Settings,
        date: dt.date,
        *,
        redo: str | None,
        project: days.Project,
        key: str,
        into: Layout | None = None,
        since: dt.datetime | None = None,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._date = date
        self._redo = redo
        self._project = project
        self._key = key
        self._since = since
        self._folder = (into or layout).windows_dir(date)
        self._app: int | None = None
        self._answered: dict[windows.Window, records.FetchedWindow] = {}

    @property
    def answers(self) -> list[tuple[windows.Window, records.FetchedWindow]]:
        """The answers so far, refusals included: as they stand now, for threads add to them."""
        return list(self._answered.items())

    def resume(self) -> None:
        """Takes up what an earlier run left: each ZIP is verified again, and what does not hold is removed."""
        make_dirs(self._folder)
        for path in sorted(self._folder.iterdir()):
            if path.suffix == ".json":
                self._take_up(path)
            elif path.suffix != ".zip":
                remove(path)
        if self._answered:
            logger.info("{} of an earlier run stand, and hold", count(len(self._answered), "window"))

    def part(self, window: windows.Window) -> Path:
        """Returns where a window is written while it arrives."""
        return self._folder / f"{window.name}.zip.part"

    def zip(self, window: windows.Window) -> Path:
        """Returns where a verified window stands."""
        return self._folder / f"{window.name}.zip"

    def zips(self) -> list[Path]:
        """Returns the verified windows' ZIPs."""
        return [self.zip(window) for window, answer in sorted(self.answers) if answer.status == 200]  # noqa: PLR2004

    def verify(self, window: windows.Window, path: Path) -> None:
        """Reads a window's ZIP whole: directory, names, overlap, CRCs, every gzip to its end.

        Raises:
            ArchiveError: It is damaged or hostile, or holds nothing.
            ConfigError: It is of another project than the data folder's.
        """
        with Archive(path, self._settings) as archive:
            members = archive.of_day(self._date, window.hours)
            if not members:
                raise ArchiveError("it holds no file of events")
            self._refuse_other_project(members[0].app)
            archive.verify()
            self._app = members[0].app

    def keep(self, window: windows.Window, answer: records.FetchedWindow) -> None:
        """Keeps an answer: with its verified ZIP, as empty, or as a refusal to be remembered."""
        if answer.status == 200:  # noqa: PLR2004
            self.part(window).replace(self.zip(window))
        record = kept.Staged(host=self._settings.host, key=self._key, redo=self._redo, window=answer)
        part = self._folder / f"{window.name}.json.part"
        part.write_bytes(manifest.encode(record))
        part.replace(self._folder / f"{window.name}.json")
        self._answered[window] = answer

    def discard(self, window: windows.Window) -> None:
        """Removes what came of a window that was not kept: it may be large."""
        remove(self.part(window))

    def put_aside(self, window: windows.Window, reason: str) -> Path:
        """Moves a window that was refused to the day's quarantine."""
        return quarantine.put_aside(self._layout, self._date, self.part(window), reason)

    def missing(self) -> set[int]:
        """Returns the hours that no answer covers."""
        return set(range(windows.HOURS)) - kept.covered(answer for _, answer in self.answers)

    def largest_allowed(self) -> int:
        """Returns the hours that a window may have after the refusals so far; 0 where even one hour was refused."""
        return kept.largest_allowed(answer for _, answer in self.answers)

    def clear(self) -> None:
        """Removes the folder: the day is published."""
        remove(self._folder)

    def _take_up(self, path: Path) -> None:
        try:
            staged = kept.read(path, self._settings.host, self._redo)
            window = windows.Window(staged.window.first, staged.window.last)
            self._refuse_outdated(staged)
            if staged.window.status == 200:  # noqa: PLR2004
                self.verify(window, self.zip(window))
        except (msgspec.DecodeError, ArchiveError, ConfigError, OSError) as error:
            what = error.what if isinstance(error, PipelineError) else error
            logger.info("The window {} of an earlier run is fetched anew: {}", path.stem, what)
            remove(path)
            remove(path.with_suffix(".zip"))
        else:
            self._answered[window] = staged.window

    def _refuse_other_project(self, app: int) -> None:
        self._project.refuse_other(app)
        if self._app not in (None, app):
            raise ConfigError(
                f"these events are of project {app}, and the hours fetched before are of project {self._app}",
                "Mend AMP_API_KEY and AMP_SECRET_KEY, or throw the hours away: make clean.",
            )

    def _refuse_outdated(self, staged: kept.Staged) -> None:
        if staged.key != self._key:
            raise ArchiveError("it answers another request")
        if self._since and staged.window.requested_at < self._since:
            raise ArchiveError(f"it was asked for on {staged.window.requested_at:%Y-%m-%d}")
