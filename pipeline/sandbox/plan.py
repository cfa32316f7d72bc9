"""Which faults are a request's turn."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock

from pipeline.sandbox.faults import Fault
from pipeline.sandbox.window import Window, WindowError


class Plan:
    """Counts how often each fault was met, so that ``skip`` and ``times`` end."""

    def __init__(self) -> None:
        self._met: dict[int, tuple[Fault, int]] = {}  # by identity: two equal faults each have their own count
        self._lock = Lock()

    def choose(self, faults: list[Fault | str], start: str, end: str) -> list[Fault]:
        """The faults for a request, in order: every pacing one that matches, and the first other one.

        Those behind the first are not counted as met, so that ``status:503,times=1`` and ``reset,times=1`` follow
        one after the other. Specs in ``faults`` are replaced by what they describe.

        Raises:
            FaultError: A spec makes no sense.
        """
        window = None
        with suppress(WindowError):
            window = Window.parse(start, end)
        with self._lock:
            parsed = [Fault.parse(each) if isinstance(each, str) else each for each in faults]
            faults[:] = parsed
            chosen: list[Fault] = []
            for fault in parsed:
                taken = not fault.paces and any(not other.paces for other in chosen)
                if not taken and _matches(fault, window) and self._has_turn(fault):
                    chosen.append(fault)
            return sorted(chosen, key=lambda fault: fault.paces)

    def _has_turn(self, fault: Fault) -> bool:
        _, met = self._met.get(id(fault), (fault, 0))
        self._met[id(fault)] = (fault, met + 1)  # keeps the fault, so that its id stays its own
        return met >= fault.skip and (fault.times is None or met < fault.skip + fault.times)


def _matches(fault: Fault, window: Window | None) -> bool:
    if fault.over is not None and (window is None or window.length <= fault.over):
        return False
    return fault.hour is None or (window is not None and window.has_hour_of_day(fault.hour))
