"""The disks under a data folder: its stages may lie on several, and each must have the room for its own."""

import dataclasses
import os
import shutil
from pathlib import Path

from pipeline.errors import storage_errors
from pipeline.store.paths import Layout


@dataclasses.dataclass(frozen=True)
class Disk:
    """A file system.

    Attributes:
        place: The first of the stages' places that is on it.
        needed: Bytes that are to be free there.
        free: Bytes that are.
        is_only: Whether all stages lie on it.
    """

    place: Path
    needed: float
    free: int
    is_only: bool


def disks(layout: Layout, raw: float, events: float, parquet: float) -> dict[int, Disk]:
    """Sums up what the stages need, by the disk on which each lies.

    Args:
        layout: Where they lie, or will lie.
        raw: Bytes for ZIPs and windows.
        events: Bytes for JSON lines.
        parquet: Bytes for Parquet.

    Returns:
        The disks by device, that of the ZIPs first.

    Raises:
        StorageError: A folder is closed to us.
    """
    places: dict[int, Path] = {}
    needed: dict[int, float] = {}
    for folder, amount in (("raw", raw), ("events", events), ("parquet", parquet)):
        place = standing(layout.root / folder)
        with storage_errors(place):
            device = place.stat().st_dev
        places.setdefault(device, place)
        needed[device] = needed.get(device, 0) + amount
    is_only = len(places) == 1
    with storage_errors(layout.root):
        return {
            device: Disk(place, needed[device], shutil.disk_usage(place).free, is_only)
            for device, place in places.items()
        }


def standing(path: Path) -> Path:
    """Returns the nearest folder above a place that exists, or the place itself."""
    # os.path's, for Path.exists() itself raises where a folder is closed to us.
    return next((p for p in (path, *path.absolute().parents) if os.path.exists(p)), Path("/"))  # noqa: PTH110
