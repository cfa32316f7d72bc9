"""A ZIP's end record: damage is told from a disk that does not read."""

import os
import struct
import zipfile

import pytest
from archives import end_record, write

from pipeline.store.endrecord import read_end_record


def ended(path):
    with path.open("rb") as file:
        return read_end_record(file.fileno())


@pytest.mark.parametrize("place", [2**63 - 1, 2**64 - 1, 2**40])
def test_A2_a_place_that_no_file_has_is_damage(tmp_path, place):
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, place, 1)
    path = write(tmp_path / "a.zip", locator + end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))
    with pytest.raises(zipfile.BadZipFile, match="does not end as a ZIP"):
        ended(path)


def test_F7_a_disk_that_does_not_read_is_no_damage_of_the_zip():
    file = os.open("/proc/self/mem", os.O_RDONLY)  # its first byte is an I/O error
    try:
        with pytest.raises(OSError, match="Input/output error"):
            read_end_record(file)
    finally:
        os.close(file)
