"""Hostile archives through the real command: refused in one line, nothing written beside staging, what stood there stands."""

import stat
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import archives
import pytest
from archives import APP, DATE, Entry, by_hand, export, name, zipped
from commands import Commands, pipeline
from memory import measured
from projects import left_in
from truth import FULL, complete, of_zip

HONEST = export({name(hour): zipped(archives.lines(f'{{"app":{APP},"uuid":"00000000-0000-0000-0000-0000000000{hour}",'
    f'"event_type":"a","event_time":"2026-01-15 09:00:00.000000","server_upload_time":"2026-01-15 {hour}:30:00.000000"}}'))
    for hour in (10, 11)})  # fmt: skip
GZ = zipped(b'{"uuid":"a"}\n')
BOMB = bytes(100_000_000)
FLAT = 40 << 20
"""Bytes of memory that a refusal may take beyond those of an honest import."""


def deflated_bomb() -> bytes:
    """Returns a ZIP with a member that says that it is small."""
    body = zlib.compress(GZ + BOMB, wbits=-15)
    return by_hand([Entry(name(0).encode(), body, 8, crc=zlib.crc32(GZ), size=len(GZ))])


def overlap() -> bytes:
    """Returns a ZIP whose entries are all one block: 100 kB that become 3 GB, where the standard library lets them."""
    body = zlib.compress(BOMB, wbits=-15)
    honest = {"method": 8, "crc": zlib.crc32(BOMB), "size": len(BOMB)}
    others = (Entry(name(0, part).encode(), stored=len(body), at=0, **honest) for part in range(1, 30))
    return by_hand([Entry(name(0).encode(), body, **honest), *others])


def named(bad: str, kind: int = 0) -> bytes:
    """Returns a ZIP with an honest member and another of this name and kind."""
    return by_hand([Entry(name(0).encode(), GZ), Entry(bad.encode(), GZ, attributes=kind << 16)])


NO_EXPORT = "it is no file of an Amplitude export"
HOSTILE = {
    "A20_bomb": (lambda: export({name(0): zipped(BOMB)}), "the gzip becomes more than"),
    "A20_bomb_of_deflate": (deflated_bomb, "not of the length that it declares"),
    "A18_overlap": (overlap, "its local header has another name"),
    "A5_up": (lambda: named("../../../../outside"), NO_EXPORT),
    "A5_up_to_an_honest_name": (lambda: named(f"{APP}/../../{APP}_{DATE}_1#0.json.gz"), NO_EXPORT),
    "A6_absolute": (lambda: named("/tmp/outside"), NO_EXPORT),
    "A7_nul": (lambda: named(f"{name(1)}\0.txt"), NO_EXPORT),
    "A8_long": (lambda: named("x" * 300), NO_EXPORT),
    "A9_forged_line": (lambda: named(f"a\n{DATE}  LoadEvents  all is well"), NO_EXPORT),
    "A10_symlink": (lambda: named(name(1), stat.S_IFLNK | 0o777), "it is no plain file"),
    "A12_twice": (lambda: named(name(0)), "it is there twice"),
}


def imported(commands: Commands, source: Path) -> tuple[subprocess.CompletedProcess[str], int]:
    return measured(commands, *pipeline("import", "--date", DATE, "--from", str(source), "--replace"))


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Returns every file, folder and link below a folder, with its kind and content; logs and locks change rightly."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
        if not {"logs", "peak", ".locks"} & set(path.parts)
    }


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Iterator[tuple[Commands, int]]:
    """A project with a day that was imported, and the memory that this took."""
    ground = tmp_path_factory.mktemp("ground")
    commands = Commands(ground / "a" / "project")
    commands.path.mkdir(parents=True)
    done, memory = imported(commands, archives.write(ground / "export.zip", HONEST))
    assert done.returncode == 0, done.stderr
    yield commands, memory
    assert not left_in(ground)


@pytest.mark.parametrize("kind", HOSTILE if FULL else list(HOSTILE)[::2])
def test_G14_a_hostile_archive_is_refused_and_leaves_nothing_behind(honest, tally, kind):
    commands, enough = honest
    ground = commands.path.parent.parent
    make, words = HOSTILE[kind]
    source = archives.write(ground / "export.zip", make())
    before = tree(ground)
    refused, memory = imported(commands, source)

    assert refused.returncode == 30
    (line,) = (refused.stdout + refused.stderr).splitlines()
    assert words in line
    assert line.isprintable()
    assert memory < enough + FLAT
    assert tree(ground) == before
    assert not Path("/tmp/outside").exists()
    damage = complete(commands.data, DATE, of_zip(HONEST))
    tally.injected(1, damage)
    assert not damage
