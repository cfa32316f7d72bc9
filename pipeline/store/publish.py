"""Publishing: nothing imperfect is ever visible, and what was called done outlives a power cut.

The order is restic's and borg's: write to a hidden sibling, fsync the files, fsync the staging directory, rename,
fsync the parent. A failed fsync is never repeated: the kernel may have dropped the data and say "done" the next time.
"""

import contextlib
import ctypes
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def sync(path: Path) -> None:
    """Makes a file's bytes, or a directory's entries, outlive a power cut."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def make_dirs(path: Path) -> None:
    """Makes a directory and its parents, each entry synced in its own parent."""
    if path.is_dir():
        return
    make_dirs(path.parent)
    path.mkdir(exist_ok=True)
    _close_to_others(path)
    sync(path.parent)


@contextlib.contextmanager
def staging(part: Path) -> Iterator[None]:
    """Clears a staging place before it is written, and again when the writing fails: a full disk gets its room back.

    Args:
        part: A file or a directory; it is for the caller to make. Once it is published, it is the caller's no more.
    """
    remove(part)
    try:
        yield
    except Exception:
        with contextlib.suppress(OSError):  # the cause says more
            remove(part)
        raise


def place_file(part: Path, final: Path) -> None:
    """Moves a staged file to its final place; that it stands there is for `sync` of its directory to make last.

    Args:
        part: The whole file, on the same file system as `final`.
        final: Its place.

    Raises:
        OSError: The file system refused; then `final` is what it was before.
    """
    _close_to_others(part)
    sync(part)
    part.replace(final)


def publish_file(part: Path, final: Path) -> None:
    """Moves a staged file to its final place, over what stands there.

    Args:
        part: The whole file, in the same directory as `final`.
        final: Its place.

    Raises:
        OSError: The file system refused; then `final` is what it was before, or the new file if only the last sync,
            of the rename itself, failed.
    """
    place_file(part, final)
    sync(final.parent)


def publish_directory(part: Path, final: Path) -> None:
    """Moves a staged directory, whose files are synced, to its final place; one that stands there is exchanged.

    Args:
        part: The whole directory, beside `final`; afterwards it is gone.
        final: Its place. Readers see the old directory or the new one, where the system can exchange two names;
            elsewhere there is a moment without either, under the day's lock.

    Raises:
        OSError: The file system refused; then `final` is what it was before, or the new directory if only the last
            sync, of the rename itself, failed.
    """
    aside = part.with_suffix(".old.tmp")
    for path in (part, *part.iterdir()):
        _close_to_others(path)
    sync(part)
    if not os.path.lexists(final):
        part.rename(final)
    elif not _exchange(part, final):
        remove(aside)
        final.rename(aside)
        try:
            part.rename(final)
        except OSError:
            aside.rename(final)
            raise
    sync(final.parent)
    for old in (part, aside):
        remove(old)


def remove(path: Path) -> None:
    """Removes a file or a directory; one that is missing is removed already."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            _remove_tree(path)
        else:
            path.unlink()


def _remove_tree(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        error.filename = str(path)  # it knows what is inside by its last name alone
        raise


def _close_to_others(path: Path) -> None:
    """Takes the right to write from everybody who is neither owner nor group, whatever the umask."""
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH:
        path.chmod(mode & ~stat.S_IWOTH)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names in one step (renameat2); False where the system has no such call."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    return bool(
        renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0
    )
