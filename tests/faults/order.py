"""The order in which data became durable, judged from an strace log: what a power cut would find at any moment.

A name is *final* where a reader, or a later run, believes what stands there. Nothing may come to a final name whose bytes
could still be lost; nothing that rests on it may follow, and nothing that it replaces may go, before the name itself cannot.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

TRACED = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,ftruncate,truncate,fallocate,"
    "fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat"
)
STRACE = ("strace", "-f", "--seccomp-bpf", "-y", "-s", "0", "-e", f"trace={TRACED}")
"""The command, to be followed by `-o LOG` and the program; every descriptor is shown with its path."""

MARKER = "_SUCCESS"
_NO_FINAL = {"quarantine"}  # kept to be looked at; no run believes it

_LINE = re.compile(r"(?P<pid>\d+)\s+(?P<rest>.*)")
_DONE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<status>-?\d+)(?:<(?P<opened>.*?)>)?(?: .*)?")
_BEGUN = re.compile(r"(?P<begun>.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<resumed>.*)")
_ARGUMENT = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"(?:\.\.\.)?|(?P<fd>AT_FDCWD|\d+)<(?P<path>[^>]*)>|[^\s,][^,]*')

_WRITES = {
    "write": 0,
    "pwrite64": 0,
    "writev": 0,
    "pwritev": 0,
    "pwritev2": 0,
    "ftruncate": 0,
    "fallocate": 0,
    "sendfile": 0,
}
_WRITES |= {"copy_file_range": 2}


@dataclasses.dataclass(frozen=True)
class Call:
    """A system call that succeeded.

    Attributes:
        name: Which.
        arguments: As the log has them; a descriptor as its path, a path beside a directory's descriptor joined to it.
        opened: The path of the descriptor that it returned.
        began: The line of the log on which it began.
        ended: The line on which it had ended.
    """

    name: str
    arguments: tuple[str, ...]
    opened: str
    began: int
    ended: int


def calls(log: Iterable[str]) -> Iterator[Call]:
    """Yields the calls that succeeded, in the order of their ends."""
    unfinished: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(log, 1):
        whole = _LINE.match(line)
        if not whole:
            continue
        pid, rest, began = whole["pid"], whole["rest"], number
        if half := _BEGUN.fullmatch(rest):
            unfinished[pid] = number, half["begun"]
            continue
        if half := _RESUMED.fullmatch(rest):
            if pid not in unfinished:
                continue
            began, head = unfinished.pop(pid)
            rest = head + half["resumed"]
        done = _DONE.fullmatch(rest)
        if done and int(done["status"]) >= 0:
            yield Call(done["name"], _arguments(done["arguments"]), done["opened"] or "", began, number)


def _arguments(text: str) -> tuple[str, ...]:
    found: list[str] = []
    folder = ""
    for match in _ARGUMENT.finditer(text):
        if match["fd"]:
            folder = match["path"]
            found.append(folder)
        elif match["text"] is not None and folder and found[-1:] == [folder]:
            found[-1] = str(Path(folder, match["text"]))
        else:
            found.append(match["text"] if match["text"] is not None else match[0])
    return tuple(found)


def problems(done: Iterable[Call], root: Path) -> list[str]:
    """Returns what a power cut could have broken below a data folder, each in a line; nothing where the order is right.

    Args:
        done: The calls, as `calls` gives them.
        root: The data folder, absolute.
    """
    order = _Order(str(root))
    for call in done:
        order.see(call)
    return [*order.found, *(f"{path}: its name was never synced" for path in order.unsynced)]


class _Order:
    """What is not durable yet, call by call."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.found: list[str] = []
        self.unsynced: dict[str, int] = {}
        """Final names, and directories, whose parent was not synced since; the line from which on that does."""
        self._dirty: dict[str, int] = {}
        """Files with bytes, and directories with entries, that were not synced; since which line."""
        self._clean: dict[str, int] = {}
        """Those that were; since which line."""

    def see(self, call: Call) -> None:
        if call.name in ("fsync", "fdatasync"):
            self._sync(call)
        elif call.name in _WRITES:
            self._write(call.arguments[_WRITES[call.name]], call)
        elif call.name in ("open", "openat", "creat"):
            if call.name == "creat" or "O_CREAT" in call.arguments[1] or "O_TRUNC" in call.arguments[1]:
                self._enter(call.opened, call)
                self._write(call.opened, call)
        elif call.name in ("mkdir", "mkdirat"):
            self._make(call.arguments[0], call)
        elif call.name.startswith("rename"):
            self._rename(call)
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self._remove(call.arguments[0], call)
        elif call.name == "truncate":
            self._write(call.arguments[0], call)
        elif self._is_ours(call.arguments[-1]) or any(map(self._is_ours, call.arguments)):
            self._say(call, call.arguments[-1], f"{call.name} is not judged here")

    def _sync(self, call: Call) -> None:
        path = call.arguments[0]
        if self._dirty.get(path, 0) < call.began:
            self._dirty.pop(path, None)
            self._clean[path] = call.ended
        for name in [name for name, since in self.unsynced.items() if _parent(name) == path and since < call.began]:
            del self.unsynced[name]

    def _write(self, path: str, call: Call) -> None:
        if not self._is_ours(path):
            return
        self._dirty[path] = call.ended
        if self._is_final(path):
            self._say(call, path, "it is written in place")

    def _enter(self, path: str, call: Call) -> None:
        if self._is_ours(_parent(path)):
            self._dirty[_parent(path)] = call.ended

    def _make(self, path: str, call: Call) -> None:
        if not self._is_ours(path):
            return
        self._enter(path, call)
        self._clean[path] = call.ended
        if self._is_final(path):
            self.unsynced[path] = call.ended

    def _rename(self, call: Call) -> None:
        source, final = call.arguments[:2]
        if not self._is_ours(final):
            return
        if self._is_final(final):
            self._judge(source, final, call)
        exchanged = any("RENAME_EXCHANGE" in each for each in call.arguments)
        for states in (self._dirty, self._clean):
            back = _taken(states, final)
            states.update({final + rest: since for rest, since in _taken(states, source).items()})
            if exchanged:
                states.update({source + rest: since for rest, since in back.items()})
        for path in (source, final):
            self._enter(path, call)
        if self._is_final(final):
            self.unsynced[final] = call.ended

    def _judge(self, source: str, final: str, call: Call) -> None:
        for path in [path for path in self._dirty if _below(path, source)]:
            self._say(call, final, f"{path} was not synced before it was renamed")
        for path, since in self._clean.items():
            if _below(path, source) and since > call.began:
                self._say(call, final, f"{path} was not synced yet when it was renamed")
        for path in self._behind(call):
            if _parent(path) != _parent(final) or final.endswith(f"/{MARKER}"):
                self._say(call, final, f"the name of {path} was not synced before")

    def _remove(self, path: str, call: Call) -> None:
        if not self._is_ours(path):
            return
        for other in self._behind(call):
            self._say(call, path, f"it is removed before the name of {other} was synced")
        for states in (self._dirty, self._clean):
            _taken(states, path)
        self._enter(path, call)
        self.unsynced.pop(path, None)

    def _behind(self, call: Call) -> list[str]:
        return [path for path, since in self.unsynced.items() if since <= call.ended]

    def _is_ours(self, path: str) -> bool:
        return _below(path, self._root)

    def _is_final(self, path: str) -> bool:
        first, *rest = Path(path).relative_to(self._root).parts or ("",)
        if first == ".redo":
            first = ""
        return first not in _NO_FINAL and not any(part.startswith(".") for part in (first, *rest))

    def _say(self, call: Call, path: str, what: str) -> None:
        self.found.append(f"line {call.began}: {call.name} {path}: {what}")


def _parent(path: str) -> str:
    return str(Path(path).parent)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _taken(states: dict[str, int], folder: str) -> dict[str, int]:
    """Takes a folder's states out; returns them by what follows the folder in their paths."""
    return {path[len(folder) :]: states.pop(path) for path in [path for path in states if _below(path, folder)]}
