"""The end of a ZIP, which says where its directory is: without it the file is cut, or something was added to it."""

import errno
import os
import struct
import zipfile

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
"""What stands before each file of a ZIP: signature, ..., method, ..., lengths of its name and its extra field."""

_END_RECORD = struct.Struct("<4s4H2IH")
_ZIP64_LOCATOR = struct.Struct("<4sIQI")
_ZIP64_END = struct.Struct("<4sQ2H2I4Q")


def read_end_record(file: int) -> tuple[int, int, int]:
    """Reads a ZIP's end record, the ZIP64 one where it is past 2 GiB or 65,535 files.

    Args:
        file: The file's descriptor.

    Returns:
        The directory's entries, its length and its start in bytes; it ends where the end record begins.

    Raises:
        zipfile.BadZipFile: The file is cut, or something stands before, in or behind it.
        OSError: It cannot be read: the disk's trouble, and not the ZIP's.
    """
    size = os.fstat(file).st_size
    place = size - _END_RECORD.size
    try:
        sign, disk, cd_disk, here, entries, length, start, comment = _END_RECORD.unpack(
            os.pread(file, _END_RECORD.size, max(place, 0))
        )
        if sign != b"PK\x05\x06" or disk or cd_disk or comment or here != entries:
            raise zipfile.BadZipFile("it does not end as a ZIP: it is cut, or something follows it")
        locator = os.pread(file, _ZIP64_LOCATOR.size, max(place - _ZIP64_LOCATOR.size, 0))
        if locator[:4] == b"PK\x06\x07":
            place = _ZIP64_LOCATOR.unpack(locator)[2]
            end = _ZIP64_END.unpack(os.pread(file, _ZIP64_END.size, place))
            if (
                end[0] != b"PK\x06\x06"
                or end[6] != end[7]
                or place + _ZIP64_END.size + _ZIP64_LOCATOR.size + _END_RECORD.size != size
            ):
                raise zipfile.BadZipFile("its ZIP64 end record is damaged")
            entries, length, start = end[7:]
    except (struct.error, OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: no file has such a place
            raise
        raise zipfile.BadZipFile("it does not end as a ZIP: it is cut, or something follows it") from None
    if start + length != place:
        raise zipfile.BadZipFile("its directory is not where its end record says: something was put before or into it")
    return entries, length, start
