"""Makes loaded days, as quickly as a core can: generated, imported, extracted and loaded by the pipeline's own code.

python bench/makeyear.py EVENTS FOLDER DATE...
"""

import datetime as dt
import os
import sys
import zipfile
from pathlib import Path

from loguru import logger

from bench.project import per_hour
from pipeline.export.extract import write_events
from pipeline.export.imports import import_day
from pipeline.sandbox import generator
from pipeline.settings import load
from pipeline.store import manifest
from pipeline.store.paths import SUCCESS, Layout
from pipeline.warehouse.load import load_day


def make(date: dt.date, events: int, folder: Path) -> None:
    """Makes a day; its JSON becomes holes of the same size, which is what a finished day is asked for."""
    settings = load()
    export = folder / f"{date}.zip"
    with zipfile.ZipFile(export, "w") as archive:
        for member in generator.members(date, range(24), per_hour(events, date)):
            archive.writestr(member.name, member.data)
    import_day(date, export, settings)
    export.unlink()
    layout = Layout(settings.data_dir)
    directory = layout.events_dir(date)
    directory.mkdir(parents=True)
    record = write_events(layout.raw_zip(date), date, directory, settings, lambda *_: None, durable=False)
    (directory / SUCCESS).write_bytes(manifest.encode(record))
    load_day(date, settings, lambda *_: None)
    for file in record.files:
        os.truncate(directory / file.name, 0)
        os.truncate(directory / file.name, file.bytes)


if __name__ == "__main__":
    logger.disable("pipeline")  # an hour of the night without events is none to warn of here
    for day in sys.argv[3:]:
        make(dt.date.fromisoformat(day), int(sys.argv[1]), Path(sys.argv[2]))
