"""The row's schema: Amplitude's 55 keys, typed, and two columns of ours. The one place that defines it.

Source of the keys and their types: exports of 2023 to 2026, as observed; Amplitude documents about 40 of them.
"""

import dataclasses
import enum
from collections.abc import Iterable

SCHEMA = 1
"""The schema's version; it stands in each day's manifest."""


class Kind(enum.Enum):
    """What a column holds; the value is DuckDB's type.

    A TIME is UTC with microseconds and carries no zone, so that no session's zone moves a day. JSON is the text as it
    came, exact to the byte.
    """

    TEXT = "VARCHAR"
    INTEGER = "BIGINT"
    NUMBER = "DOUBLE"
    FLAG = "BOOLEAN"
    TIME = "TIMESTAMP"
    UUID = "UUID"
    JSON = "JSON"
    DATE = "DATE"


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the row.

    Attributes:
        name: Amplitude's key.
        kind: What it holds.
        what: What it means.
        booleans: Whether a truth value fits it too, as `true` or `false`.
    """

    name: str
    kind: Kind
    what: str
    booleans: bool = False


COLUMNS = (
    Column("$insert_id", Kind.TEXT, "the client's own id of the event; not a uuid, not unique over all"),
    Column("$insert_key", Kind.TEXT, "null since early 2023"),
    Column("$schema", Kind.INTEGER, "null since early 2023, then 12 or 13"),
    Column("adid", Kind.TEXT, "Google's advertising id"),
    Column("amplitude_attribution_ids", Kind.JSON, "a list of hex texts; a text in some older exports"),
    Column("amplitude_event_type", Kind.TEXT, "null since about 2023"),
    Column("amplitude_id", Kind.INTEGER, "the user, as Amplitude merged them at that time"),
    Column("app", Kind.INTEGER, "the project's id"),
    Column("city", Kind.TEXT, "by the IP address"),
    Column("client_event_time", Kind.TIME, "when the device says that it happened"),
    Column("client_upload_time", Kind.TIME, "when the device says that it was sent"),
    Column("country", Kind.TEXT, "by the IP address"),
    Column("data", Kind.JSON, "Amplitude's notes on the ingestion"),
    Column("data_type", Kind.TEXT, "`event`"),
    Column("device_brand", Kind.TEXT, "null since about 2023"),
    Column("device_carrier", Kind.TEXT, "the mobile network"),
    Column("device_family", Kind.TEXT, "`Mac OS X`, `Apple iPhone`"),
    Column("device_id", Kind.TEXT, "the device, as its client names it"),
    Column("device_manufacturer", Kind.TEXT, "null since about 2023"),
    Column("device_model", Kind.TEXT, "null since about 2023"),
    Column("device_type", Kind.TEXT, "`Apple iPhone 15`"),
    Column("dma", Kind.TEXT, "the market area, in the United States"),
    Column("event_id", Kind.INTEGER, "a counter of the device, or a random number; not unique"),
    Column("event_properties", Kind.JSON, "free form; keys with dots, spaces, brackets and `$`"),
    Column("event_time", Kind.TIME, "when it happened: the device's time, put right by the server's"),
    Column("event_type", Kind.TEXT, "what happened"),
    Column("global_user_properties", Kind.JSON, "null since early 2023"),
    Column("group_properties", Kind.JSON, "by group type and name"),
    Column("groups", Kind.JSON, "names by group type"),
    Column("idfa", Kind.TEXT, "Apple's advertising id"),
    Column("ip_address", Kind.TEXT, "personal data"),
    Column("is_attribution_event", Kind.FLAG, "null since about 2023"),
    Column("language", Kind.TEXT, "a name: `English`"),
    Column("library", Kind.TEXT, "what sent it: `amplitude-ts/2.16.1`, `http/2.0`"),
    Column("location_lat", Kind.NUMBER, "degrees"),
    Column("location_lng", Kind.NUMBER, "degrees"),
    Column("os_name", Kind.TEXT, "on the web, the browser"),
    Column("os_version", Kind.TEXT, "`143`, `18.5`"),
    Column("partner_id", Kind.TEXT, "who sent it on"),
    Column("paying", Kind.TEXT, "`true` or `false`, sent as a text or as a truth value", booleans=True),
    Column("plan", Kind.JSON, "the tracking plan: branch, source, version"),
    Column("platform", Kind.TEXT, "`Web`, `iOS`, `Android`"),
    Column("processed_time", Kind.TIME, "when Amplitude had processed it; may be in the next hour"),
    Column("region", Kind.TEXT, "by the IP address"),
    Column("sample_rate", Kind.NUMBER, "mostly null"),
    Column("server_received_time", Kind.TIME, "when Amplitude got it"),
    Column("server_upload_time", Kind.TIME, "when it entered the upload hour that exports it"),
    Column("session_id", Kind.INTEGER, "when the session began, in milliseconds; -1 is none"),
    Column("source_id", Kind.TEXT, "mostly null"),
    Column("start_version", Kind.TEXT, "the app's version when the user began"),
    Column("user_creation_time", Kind.TIME, "null since about 2023"),
    Column("user_id", Kind.TEXT, "the user, as the project names them; null is anonymous"),
    Column("user_properties", Kind.JSON, "free form; the state at the time of the event"),
    Column("uuid", Kind.UUID, "of the row, made by Amplitude"),
    Column("version_name", Kind.TEXT, "the app's version"),
)
"""Amplitude's keys, in the order in which it writes them. A key that is absent is null."""

EXTRA = Column("extra", Kind.JSON, "unknown keys, and values that do not fit their column, with their exact text")
DATE = Column("date", Kind.DATE, "the upload day")

ROW = (*COLUMNS, EXTRA, DATE)
"""A row of the Parquet."""


def quoted(name: str) -> str:
    """Returns a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def ddl(table: str, columns: Iterable[Column] = ROW) -> str:
    """Returns the statement that makes a table of the row."""
    lines = ",\n".join(f"    {quoted(column.name)} {column.kind.value}" for column in columns)
    return f"CREATE TABLE {quoted(table)} (\n{lines}\n)"


def markdown_table() -> str:
    """Returns README's table of the columns: name, type, what."""
    rows = [(f"`{column.name}`", column.kind.value, column.what) for column in ROW]
    lines = [("column", "type", "what"), ("---",) * 3, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
