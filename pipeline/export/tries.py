"""A window, tried until it is there and verified, or refused for good."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

import tenacity
from loguru import logger

from pipeline.errors import ArchiveError, LimitError, PipelineError, TooLargeError, TransientError
from pipeline.export.client import Answer, Client
from pipeline.export.staging import Staging
from pipeline.export.windows import Window
from pipeline.settings import Settings
from pipeline.store import records

_TIMEOUTS_THAT_HALVE = 2  # a first 504 may pass; a second says that the window is too much


class Tries:
    """Fetches the windows of one day, each with its tries; for several threads at once."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        staging: Staging,
        date: dt.date,
        *,
        received: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._settings = settings
        self._staging = staging
        self._date = date
        self._received = received
        self._stop = stop

    def fetch(self, window: Window) -> records.FetchedWindow:
        """Fetches a window, verifies it and keeps its answer.

        Returns:
            The answer: 200 or 404, or 400 or 504 where the window must be halved.

        Raises:
            PipelineError: It could not be fetched; the last error, with the number of tries.
        """
        run = _Run()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self._settings.tries), tenacity.stop_before_delay(self._settings.deadline)
            ),
            wait=self._wait,
            retry=tenacity.retry_if_exception_type((TransientError, ArchiveError))
            & tenacity.retry_if_exception(self._goes_on),
            before_sleep=lambda state: self._say(window, state),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer = retrying(self._once, window, run)
            kept = run.answer(window, answer.status, answer.bytes, answer.requested_at, answer.seconds)
            self._staging.keep(window, kept)
        except TooLargeError as error:
            return self._refused(window, run, error)
        except (TransientError, ArchiveError) as error:
            raise self._given_up(window, run, error) from None
        except PipelineError as error:
            raise type(error)(f"hours {window.name}: {error.what}", error.todo) from None
        finally:
            self._staging.discard(window)
        return kept

    def _once(self, window: Window, run: "_Run") -> Answer:
        run.tries += 1
        part = self._staging.part(window)
        left = max(self._settings.deadline - (time.monotonic() - run.started), 1.0)
        try:
            answer = self._client.fetch_window(self._date, window, part, self._received, left)
        except TransientError as error:
            run.timeouts += error.status == HTTPStatus.GATEWAY_TIMEOUT
            if run.timeouts >= _TIMEOUTS_THAT_HALVE and len(window.hours) > 1:
                raise TooLargeError(error.what, error.todo, status=HTTPStatus.GATEWAY_TIMEOUT) from None
            raise
        if answer.status == 200:  # noqa: PLR2004
            self._staging.verify(window, part)
        return answer

    def _refused(self, window: Window, run: "_Run", error: TooLargeError) -> records.FetchedWindow:
        if len(window.hours) == 1:
            raise TooLargeError(
                f"hour {window.first}: {error.what}",
                f"{error.todo} One hour is the smallest window: bring its files by Amplitude's S3 export, then"
                f" make import DATE={self._date} FROM=the folder.",
            ) from None
        logger.warning("hours {}: {}. It is asked for in halves", window.name, error.what)
        kept = run.answer(window, error.status, 0, run.at, round(time.monotonic() - run.started, 3))
        self._staging.keep(window, kept)
        return kept

    def _given_up(self, window: Window, run: "_Run", error: PipelineError) -> PipelineError:
        times = "once" if run.tries == 1 else f"{run.tries} times"
        what, todo = f"hours {window.name}, tried {times}: {error.what}", error.todo
        part = self._staging.part(window)
        if isinstance(error, ArchiveError) and part.is_file():
            kept = self._staging.put_aside(window, error.what)
            return type(error)(f"{what}; the ZIP is kept as {kept}", todo)
        if run.timeouts and len(window.hours) == 1:
            todo = (
                f"{todo} If it stays so, bring the hour by Amplitude's S3 export, then"
                f" make import DATE={self._date} FROM=the folder."
            )
        return type(error)(what, todo)

    def _goes_on(self, error: BaseException) -> bool:
        return not (self._stop.is_set() or isinstance(error, LimitError))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked: float | None = getattr(error, "retry_after", None)
        if asked is not None:
            return min(asked, self._settings.retry_after_cap)
        settings = self._settings
        backoff = tenacity.wait_exponential_jitter(
            multiplier=settings.backoff, max=settings.backoff_cap, jitter=settings.backoff
        )
        seconds: float = backoff(state)
        return seconds

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise TransientError("the run was stopped before the next try")

    def _say(self, window: Window, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        what = error.what if isinstance(error, PipelineError) else error
        logger.warning(
            "hours {}, try {} of {}: {}. Trying again in {:.0f} s",
            window.name, state.attempt_number, self._settings.tries, what, state.upcoming_sleep,
        )  # fmt: skip


class _Run:
    """What happened to a window so far."""

    def __init__(self) -> None:
        self.tries = 0
        self.timeouts = 0
        self.started = time.monotonic()
        self.at = dt.datetime.now(dt.UTC)

    def answer(self, window: Window, status: int, size: int, at: dt.datetime, seconds: float) -> records.FetchedWindow:
        return records.FetchedWindow(
            first=window.first,
            last=window.last,
            status=status,
            tries=self.tries,
            bytes=size,
            requested_at=at,
            seconds=seconds,
        )
