"""One cheap request that tells whether Amplitude is reached, and takes the credentials."""

import datetime as dt
import tempfile
from pathlib import Path

from pipeline.export.client import Answer, Client
from pipeline.export.windows import Window
from pipeline.settings import Credentials, Settings

_BEFORE = dt.date(2012, 1, 1)
"""A day before there was an Amplitude: its answer is "no data", and Amplitude has no ZIP to build for it."""


def probe(settings: Settings, credentials: Credentials, seconds: float) -> Answer:
    """Asks once for an hour of which there can be no events.

    Source: Amplitude's Export API answers 404 where no data has been collected in the time asked for, and 401 or 403
    to wrong credentials before it looks for data.

    Args:
        settings: Whom to ask.
        credentials: The project's.
        seconds: How long it may take.

    Returns:
        The answer; it has the server's time.

    Raises:
        PipelineError: As `Client.fetch_window` says.
    """
    client = Client(settings, credentials)
    try:
        with tempfile.TemporaryDirectory(prefix="probe-") as folder:
            return client.fetch_window(_BEFORE, Window(0, 0), Path(folder, "probe.zip"), lambda _bytes: None, seconds)
    finally:
        client.close()
