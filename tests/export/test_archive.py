"""What a trustworthy export ZIP is: honest ones read whole, damaged and hostile ones refused by name."""

import gc
import stat
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import archives
import pytest
from archives import APP, DAY, Entry, by_hand, end_record, export, flips, hour_export, name, write, zipped

from pipeline.errors import ArchiveError
from pipeline.export.archive import Archive, parse_name
from pipeline.export.gunzip import PIECE
from pipeline.settings import Settings

TEXT = archives.lines('{"uuid":"a"}', '{"uuid":"b"}')
GZ = zipped(TEXT)
SMALL = export({name(0): GZ, name(7, 3): zipped(b'{"uuid":"c"}\n')})


def read(path, **settings):
    """Opens, checks and reads a ZIP as a download does; returns its members' JSON by name."""
    with Archive(path, Settings(**settings)) as archive:
        return {member.name: b"".join(archive.json(member)[1]) for member in archive.of_day(DAY, range(24))}


@pytest.fixture
def refused(tmp_path):
    """Returns a function that says with which words a ZIP is refused, and that nothing was written for it."""

    def words(data, **settings):
        path = write(tmp_path / "export.zip", data)
        with pytest.raises(ArchiveError) as error:
            read(path, **settings)
        assert [p for p in tmp_path.rglob("*") if p != path] == []
        return str(error.value)

    return words


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_an_honest_export_is_read_whole(tmp_path, method):
    parts = {name(23): zipped(b'{"z":1}\n'), name(0, 7): GZ, name(0): zipped(b"")}
    assert read(write(tmp_path / "a.zip", export(parts, method))) == {
        name(0): b"", name(0, 7): TEXT, name(23): b'{"z":1}\n',
    }  # fmt: skip


def test_the_members_are_told_by_hour_and_part(tmp_path):
    shuffled = {name(hour, part): GZ for hour, part in [(10, 0), (2, 11), (2, 3), (0, 1)]}
    with Archive(write(tmp_path / "a.zip", export(shuffled)), Settings()) as archive:
        assert [(member.hour, member.part) for member in archive.members] == [(0, 1), (2, 3), (2, 11), (10, 0)]


def test_directory_entries_are_ignored(tmp_path):
    path = write(tmp_path / "a.zip", by_hand([Entry(f"{APP}/".encode()), Entry(name(1).encode(), GZ)]))
    assert read(path) == {name(1): TEXT}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (name(5), (APP, DAY, 5, 0)),
        (f"{APP}/{APP}_2026-01-15_05#12.json.gz", (APP, DAY, 5, 12)),
        (name(23), (APP, DAY, 23, 0)),
        (name(24), None),
        (f"{APP}/{APP}_2026-02-30_5#0.json.gz", None),
        (f"{APP}/{APP}_2026-1-15_5#0.json.gz", None),
        (f"{APP}/1_2026-01-15_5#0.json.gz", None),
        (f"{APP}_2026-01-15_5#0.json.gz", None),
        (f"x/{name(5)}", None),
        (f"{name(5)}\n", None),
        (f"{APP}/{APP}_2026-01-15_\u0665#0.json.gz", None),
        (f"{APP}/{APP}_2026-01-15_5#0.json", None),
    ],
)
def test_a_member_is_named_by_project_day_hour_and_part(said, expected):
    assert parse_name(said) == expected


def test_A1_every_truncation_is_refused(tmp_path):
    path = tmp_path / "export.zip"
    for length in range(len(SMALL)):
        write(path, SMALL[:length])
        with pytest.raises(ArchiveError):
            read(path)


def test_A2_every_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    path = write(tmp_path / "export.zip", SMALL)
    whole, unchanged = read(path), 0
    for flipped in flips(SMALL):
        write(path, flipped)
        try:
            assert read(path) == whole
            unchanged += 1
        except ArchiveError:
            continue
    assert unchanged < len(SMALL) * 8 / 4


def test_A3_entries_that_vanish_behind_a_length_field_are_missed(refused):
    place = SMALL.rindex(b"PK\x01\x02", 0, SMALL.rindex(b"PK\x01\x02"))
    second = SMALL.rindex(b"PK\x01\x02")
    swallowed = bytearray(SMALL)
    struct.pack_into("<H", swallowed, place + 32, SMALL.rindex(b"PK\x05\x06") - second)  # the first one's comment
    assert "lists 1 files, its end record 2" in refused(bytes(swallowed))


def test_A4_an_empty_zip_is_refused(refused):
    assert "does not begin as a ZIP with a file in it" in refused(end_record(0, 0, 0))


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("../../etc/x", id="A5_up"),
        pytest.param(f"../{name(1)}", id="A5_up_to_an_honest_name"),
        pytest.param(f"{APP}/../{name(1)}", id="A5_through"),
        pytest.param("/etc/x", id="A6_absolute"),
        pytest.param("C:\\x", id="A6_drive"),
        pytest.param("..\\..\\x", id="A6_backslash"),
        pytest.param(f"{name(1)}\0.txt", id="A7_nul"),
        pytest.param("x" * 300, id="A8_long"),
        pytest.param("d/" * 2048 + "x", id="A8_deep"),
        pytest.param(f"{APP}/a", id="A14_below_a_file"),
        pytest.param("README.md", id="A25_stranger"),
        pytest.param("__MACOSX/._x", id="A25_macosx"),
        pytest.param(f"{APP}/{APP}_2026-01-15_1#0.zip", id="A22_nested_zip"),
    ],
)
def test_A5_A6_A7_A8_A14_A22_A25_a_name_that_is_no_exports_refuses_the_archive(refused, hostile):
    said = refused(by_hand([Entry(name(0).encode(), GZ), Entry(hostile.encode(), GZ)]))
    assert "it is no file of an Amplitude export" in said or "names are no export's" in said
    assert len(said) < 400


@pytest.mark.parametrize("evil", ["a\nERROR  all is lost", "\x1b[2Ja", "a\u202egz.nosj"])
def test_A9_a_name_with_control_or_bidi_characters_is_shown_escaped_on_one_line(refused, evil):
    said = refused(by_hand([Entry(evil.encode(), GZ, flags=0x800)]))
    assert said.isprintable()
    assert "\\" in said


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(stat.S_IFLNK, id="A10_symlink"),
        pytest.param(stat.S_IFIFO, id="A11_fifo"),
        pytest.param(stat.S_IFCHR, id="A11_device"),
    ],
)
def test_A10_A11_a_special_file_is_refused(refused, kind):
    assert "it is no plain file" in refused(by_hand([Entry(name(0).encode(), GZ, attributes=(kind | 0o777) << 16)]))


def test_A11_setuid_bits_mean_nothing(tmp_path):
    entry = Entry(name(0).encode(), GZ, attributes=(stat.S_IFREG | 0o4777) << 16)
    assert read(write(tmp_path / "a.zip", by_hand([entry]))) == {name(0): TEXT}


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param(name(5), id="A12_the_same_name"),
        pytest.param(f"{APP}/{APP}_2026-01-15_05#0.json.gz", id="A13_a_padded_hour"),
        pytest.param(f"{APP}/{APP}_2026-01-15_5#00.json.gz", id="A13_a_padded_part"),
        pytest.param(f"0{APP}/0{APP}_2026-01-15_5#0.json.gz", id="A13_a_padded_project"),
    ],
)
def test_A12_A13_the_same_hour_and_part_twice_is_refused(refused, twin):
    others = [Entry(name(hour).encode(), GZ) for hour in (0, 6)]
    twins = [Entry(name(5).encode(), GZ), Entry(twin.encode(), GZ)]
    assert "it is there twice" in refused(by_hand([twins[0], *others, twins[1]]))


@pytest.mark.parametrize(
    "other",
    [name(5).upper(), name(5).replace("json", "JSON"), f"{APP}//{name(5)[len(str(APP)) + 1 :]}", f"./{name(5)}"],
)
def test_A13_a_name_that_is_another_but_for_case_or_slashes_is_refused(refused, other):
    said = refused(by_hand([Entry(name(5).encode(), GZ), Entry(other.encode(), GZ)]))
    assert "it is no file of an Amplitude export" in said


def test_A15_an_encrypted_member_is_refused(refused):
    assert "it is encrypted" in refused(by_hand([Entry(name(0).encode(), GZ, flags=1)]))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_A16_another_compression_method_is_refused(refused, method):
    assert f"its compression method is {method}" in refused(by_hand([Entry(name(0).encode(), GZ, method=method)]))


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"size": 5}, "its two lengths differ"),
        ({"size": 1 << 30}, "its two lengths differ"),
        ({"size": 5, "stored": 5}, "do not match the ZIP's CRC"),
        ({"stored": 1 << 30}, "it overlaps the ZIP's directory"),
        ({"crc": 7}, "do not match the ZIP's CRC"),
    ],
)
def test_A17_a_wrong_declared_size_is_refused(refused, lie, words):
    assert words in refused(by_hand([Entry(name(0).encode(), GZ, **lie)]))


@pytest.mark.parametrize("size", [5, len(GZ) - 1, len(GZ) + 1, 1 << 30])
def test_A17_a_deflated_member_of_another_size_than_declared_is_refused(refused, size):
    deflated = zlib.compress(GZ, wbits=-15)
    said = refused(by_hand([Entry(name(0).encode(), deflated, method=8, size=size, crc=zlib.crc32(GZ))]))
    assert "length" in said


def test_A17_bytes_behind_the_end_of_a_deflated_member_are_refused(refused):
    deflated = zlib.compress(GZ, wbits=-15) + b"x" * 300_000
    said = refused(by_hand([Entry(name(0).encode(), deflated, method=8, size=len(GZ), crc=zlib.crc32(GZ))]))
    assert "not of the length that it declares" in said


@pytest.mark.parametrize("names", [[name(0)] * 50, [name(0), *(name(0, part) for part in range(1, 50))]])
def test_A18_entries_that_share_one_block_are_refused(refused, names):
    first = Entry(names[0].encode(), GZ)
    shared = [Entry(other.encode(), GZ, at=0) for other in names[1:]]
    said = refused(by_hand([first, *shared]))
    assert "it overlaps another file of the ZIP" in said or "its local header has another name" in said


def quoted_overlap(files, kernel_size):
    """Fifield's: each file's deflate stream quotes the next one's local header, and all end in one kernel."""
    body, content = b"", bytes(kernel_size)
    compressed, place, starts = zlib.compress(content, 9, wbits=-15), 0, []
    crc, size, stored = zlib.crc32(content), kernel_size, len(compressed)
    for number in range(files):
        entry = Entry(name(0, number).encode(), method=8, crc=crc, size=size, stored=stored)
        head = entry.local()
        body = head + (body or compressed)
        starts.append((entry, len(body)))
        quote = struct.pack("<BHH", 0, len(head), len(head) ^ 0xFFFF)
        content = head + content
        crc, size, stored = zlib.crc32(content), size + len(head), stored + len(head) + len(quote)
        body = quote + body if number < files - 1 else body
    place = len(body)
    directory = b"".join(entry.central(place - length) for entry, length in reversed(starts))
    return body + directory + end_record(files, len(directory), place)


def test_A19_a_quoted_overlap_is_refused(tmp_path, refused):
    bomb = quoted_overlap(files=100, kernel_size=1_000_000)
    with zipfile.ZipFile(write(tmp_path / "export.zip", bomb)) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) > 100_000_000 > 5_000 * len(bomb)
    assert "it overlaps another file of the ZIP" in refused(bomb)


@pytest.mark.parametrize(
    ("limits", "cap"),
    [({}, None), ({"max_member_bytes": 3_000_000}, 3_000_000), ({"max_ratio": 2}, None)],
    ids=["ratio", "one_file", "low_ratio"],
)
def test_A20_a_bomb_stops_within_a_mebibyte_of_its_cap_with_flat_memory(tmp_path, limits, cap):
    bomb = zipped(bytes(200_000_000))
    path = write(tmp_path / "a.zip", export({name(0): bomb}))
    conf = Settings(**limits)
    expanded = 0
    tracemalloc.start()
    try:
        with Archive(path, conf) as archive, pytest.raises(ArchiveError, match="becomes more than") as error:  # noqa: PT012
            for piece in archive.json(archive.members[0])[1]:
                expanded += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert expanded <= (cap or len(bomb) * conf.max_ratio + (1 << 20))
    assert peak < 16 << 20
    assert "PIPELINE_MAX_RATIO" in str(error.value)


def test_a_deflated_member_is_read_whole_where_a_piece_ends_inside_its_last_match(tmp_path):
    for extra in range(1, 260, 4):
        padded = GZ + bytes(PIECE + extra - len(GZ))
        path = write(tmp_path / "a.zip", export({name(0): padded}, zipfile.ZIP_DEFLATED))
        assert read(path) == {name(0): TEXT}


def test_A20_a_bomb_of_deflate_stops_at_what_it_declares(tmp_path):
    deflated = zlib.compress(GZ + bytes(100_000_000), wbits=-15)
    path = write(
        tmp_path / "a.zip", by_hand([Entry(name(0).encode(), deflated, method=8, size=len(GZ), crc=zlib.crc32(GZ))])
    )
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="not of the length that it declares"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_A21_more_entries_than_the_cap_are_refused_before_they_are_listed(tmp_path):
    entry = Entry(name(0).encode(), GZ)
    head = entry.local() + GZ
    directory = entry.central(0) * 60_000
    path = write(tmp_path / "a.zip", head + directory + end_record(60_000, len(directory), len(head)))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"lists 60000 files.*PIPELINE_MAX_ENTRIES"):
            read(path, max_entries=50_000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_A21_a_million_entries_are_refused_before_they_are_listed(tmp_path):
    count, path = 1_000_000, write(tmp_path / "a.zip", Entry(name(0).encode(), GZ).local() + GZ)
    start, length = path.stat().st_size, count * 90
    with path.open("r+b") as file:
        file.truncate(start + length)  # the directory, a hole in a sparse file
        file.seek(0, 2)
        file.write(struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, start))
        file.write(
            struct.pack("<4sIQI", b"PK\x06\x07", 0, start + length, 1) + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        )
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"lists 1000000 files.*PIPELINE_MAX_ENTRIES"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
        path.unlink()


def test_A21_more_entries_than_the_end_record_admits_are_refused_before_they_are_listed(tmp_path):
    entry = Entry(name(0).encode(), GZ)
    head = entry.local() + GZ
    directory = entry.central(0) * 60_000
    path = write(tmp_path / "a.zip", head + directory + end_record(1, len(directory), len(head)))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"lists 1 files in \d+ bytes"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_A22_a_gzip_in_a_gzip_is_data(tmp_path):
    assert read(write(tmp_path / "a.zip", export({name(0): zipped(GZ)}))) == {name(0): GZ}


@pytest.mark.parametrize("gigabytes", [3, 5])
def test_A23_an_honest_zip64_of_gigabytes_is_read(tmp_path, gigabytes):
    path = tmp_path / "a.zip"
    with path.open("w+b") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name(0), GZ)
        archive.start_dir = gigabytes << 30  # a hole in a sparse file
        archive.writestr(name(1), GZ)
    try:
        assert read(path) == {name(0): TEXT, name(1): TEXT}
    finally:
        path.unlink()


@pytest.mark.parametrize(
    "joined",
    [
        pytest.param(b"junk" + SMALL, id="junk_before"),
        pytest.param(SMALL + b"\0", id="junk_behind"),
        pytest.param(SMALL + hour_export(1), id="two"),
        pytest.param(SMALL[:200] + SMALL, id="partial_and_whole"),
        pytest.param(SMALL[:-2] + b"\x04\0junk", id="a_comment"),
        pytest.param(b"<html>login</html>", id="a_page"),
    ],
)
def test_A24_a_zip_with_anything_before_or_behind_it_is_refused(refused, joined):
    said = refused(joined)
    assert any(words in said for words in ("begin as a ZIP", "end as a ZIP", "was put before or into it"))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (name(5, app=7), "are of two projects"),
        (name(5, date="2026-01-16"), f"is not of {DAY}, hours 0 to 5"),
        (name(6), f"is not of {DAY}, hours 0 to 5"),
    ],
)
def test_A26_a_member_of_another_project_day_or_hour_is_refused(tmp_path, other, words):
    path = write(tmp_path / "a.zip", export({name(0): GZ, other: GZ}))
    with Archive(path, Settings()) as archive, pytest.raises(ArchiveError, match=words):
        archive.of_day(DAY, range(6))


@pytest.mark.parametrize("local", [name(1), "x", name(0) + "x"])
def test_A27_another_name_in_the_local_header_is_refused(refused, local):
    said = refused(by_hand([Entry(name(0).encode(), GZ, local_name=local.encode())]))
    assert "its local header has another name" in said


def test_a_directory_that_points_past_the_files_is_refused(refused):
    said = refused(by_hand([Entry(name(0).encode(), GZ), Entry(name(1).encode(), GZ, at=1 << 20)]))
    assert "points past the files" in said


def test_a_refused_archive_is_closed(tmp_path):
    path = write(tmp_path / "a.zip", SMALL[:-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ArchiveError):
            Archive(path, Settings())
        gc.collect()
    assert not [warning for warning in caught if warning.category is ResourceWarning]
