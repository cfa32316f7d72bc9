"""Defects of how a day is published, and of how its stages know each other."""

import contextlib
from collections.abc import Callable

from patching import replace

from pipeline.store import manifest, partition, publish
from pipeline.store.days import Stages
from pipeline.store.paths import SUCCESS, Layout


def in_place() -> None:
    """The ZIP and the events are written where they are read."""
    Layout.raw_part = Layout.raw_zip
    Layout.events_part = Layout.events_dir
    replace(publish.publish_directory, lambda _part, _final: None)


def marker_first() -> None:
    """A partition's marker stands before the files that it names."""

    def publish_partition(layout, record, part):
        final = layout.parquet_dir(record.date)
        publish.make_dirs(final)
        marker = part / SUCCESS
        marker.write_bytes(manifest.encode(record))
        publish.publish_file(marker, final / SUCCESS)
        for file in record.files:
            (part / file.name).rename(final / file.name)
        if record.rejected:
            partition._publish_rejected(layout, record.date, part / record.rejected.name)

    replace(partition.publish_partition, publish_partition)


def stale_staging() -> None:
    """What an earlier run left is in the way of the next."""
    replace(publish.staging, lambda _part: contextlib.nullcontext())


def no_chain() -> None:
    """A stage is done when it stands, whatever it was made from."""
    Stages.is_of_the_zip = property(lambda _: True)
    Stages.is_loaded = property(lambda self: self.load is not None and self._answers(self.load.redo))


DEFECTS: dict[str, Callable[[], None]] = {
    "staging": in_place,
    "marker-last": marker_first,
    "stale-staging": stale_staging,
    "chain-of-ids": no_chain,
}
