"""Keeps what was generated, so that a retry or the next run of a benchmark does not pay for it again."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.sandbox.generator import Member, Part


class Cache:
    """The members used last, in memory, up to ``limit`` bytes."""

    def __init__(self, limit: int = 256 << 20) -> None:
        self._limit = limit
        self._held = 0
        self._members: OrderedDict[Part, Member] = OrderedDict()
        self._lock = Lock()

    def member(self, part: Part) -> Member:
        """The member of ``part``, made now if it is not at hand. Any number of threads may ask."""
        with self._lock:
            if part in self._members:
                self._members.move_to_end(part)
                return self._members[part]
        member = part.member()  # outside the lock: windows that are asked for at once do not wait for each other
        with self._lock:
            if part not in self._members:
                self._members[part] = member
                self._held += len(member.data)
            while self._held > self._limit:
                _, oldest = self._members.popitem(last=False)
                self._held -= len(oldest.data)
        return member
