"""The commands that look after what is stored: clean."""

import os
from pathlib import Path

import click
from loguru import logger

from pipeline import settings
from pipeline.operations.clean import clean as remove_leftovers


@click.command()
def clean() -> int:
    """Removes leftovers of unfinished runs, caches and the demo; never a published day or a log."""
    removed = remove_leftovers(settings.load(), Path.cwd())
    for path in removed:
        logger.info("removed {}", os.path.relpath(path))
    logger.info("{} removed. Published days and logs are untouched.", len(removed) or "Nothing to be")
    return 0
