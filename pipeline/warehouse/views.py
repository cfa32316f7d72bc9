"""The views of the DuckDB file: what each shows, and its SQL.

None of them depends on the session: times are UTC and carry no zone, and where nulls stand in an order is said.
"""

import dataclasses
import datetime as dt
from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.warehouse import events, repeats


@dataclasses.dataclass(frozen=True)
class View:
    """A view: its name, what it shows, and its SQL."""

    name: str
    what: str
    sql: str

    def statements(self) -> list[str]:
        """Returns what makes the view and says in the database what it is."""
        comment = self.what.replace("'", "''")
        return [f"CREATE VIEW {self.name} AS {self.sql}", f"COMMENT ON VIEW {self.name} IS '{comment}'"]


def of_events(files: Mapping[dt.date, Collection[Path]], repeated: Collection[dt.date]) -> View:
    """Returns the view of all events.

    Args:
        files: The files of each loaded day.
        repeated: Days that hold a row which another day's row stands for. They alone are joined with the table of
            such rows; of the others the uuid is not even read.
    """
    columns = ", ".join(events.quoted(column.name) for column in events.ROW)
    plain = [path for date, paths in files.items() if date not in repeated for path in paths]
    joined = [path for date, paths in files.items() if date in repeated for path in paths]
    parts = []
    if plain:
        parts.append(f"SELECT {columns} FROM {repeats.scan(plain)}")
    if joined:
        parts.append(
            f"SELECT {columns} FROM {repeats.scan(joined)} AS event"
            f" ANTI JOIN (SELECT uuid, date FROM {repeats.TABLE} WHERE NOT kept) AS other USING (uuid, date)"
        )
    if not parts:
        nulls = ", ".join(f"NULL::{column.kind.value} AS {events.quoted(column.name)}" for column in events.ROW)
        parts.append(f"SELECT {nulls} WHERE false")
    return View(
        "events",
        "every event that is loaded, each uuid once; date is the upload day, event_time is when it happened",
        " UNION ALL ".join(parts),
    )


_DEDUPLICATED = """
WITH repeated AS (
    SELECT device_id, "$insert_id" FROM events
    WHERE device_id IS NOT NULL AND "$insert_id" IS NOT NULL GROUP BY ALL HAVING count(*) > 1
)
SELECT * FROM events ANTI JOIN repeated USING (device_id, "$insert_id")
UNION ALL BY NAME
SELECT * FROM (SELECT * FROM events SEMI JOIN repeated USING (device_id, "$insert_id")) AS suspect
WINDOW same AS (
    PARTITION BY device_id, "$insert_id" ORDER BY server_upload_time NULLS FIRST, date, uuid NULLS FIRST
)
QUALIFY NOT coalesce(server_upload_time - lag(server_upload_time) OVER same < INTERVAL 7 DAYS, false)
"""

_SESSIONS = """
SELECT
    device_id,
    session_id,
    arg_max(amplitude_id, moment) AS amplitude_id,
    arg_max(user_id, moment) AS user_id,
    min(event_time) AS started_at,
    max(event_time) AS ended_at,
    epoch(max(event_time) - min(event_time)) AS seconds,
    count(*) AS events,
    arg_min(event_type, moment) AS first_event_type,
    arg_max(event_type, moment) AS last_event_type,
    arg_min(platform, moment) AS platform,
    arg_min(country, moment) AS country,
    arg_min(version_name, moment) AS version_name
FROM (
    SELECT *,
        CASE WHEN event_time IS NOT NULL THEN row(event_time, event_id, uuid) END AS moment,
        CASE WHEN device_id IS NULL THEN amplitude_id END AS without_device
    FROM events WHERE session_id <> -1
) AS event
GROUP BY device_id, without_device, session_id
"""

_SEEN = """
WITH known AS (
    SELECT amplitude_id, max(user_id) AS known_as FROM events
    WHERE user_id IS NOT NULL AND amplitude_id IS NOT NULL GROUP BY amplitude_id
), seen AS (
    SELECT event_type, event_time, event_time::DATE AS day, platform, country,
        coalesce(user_id, known_as, 'amplitude_id ' || amplitude_id, 'device_id ' || device_id) AS person
    FROM events LEFT JOIN known USING (amplitude_id)
)"""

_DAILY_USERS = f"""{_SEEN}, active AS (
    SELECT day, person, platform, country, count(*) AS events FROM seen WHERE day IS NOT NULL GROUP BY ALL
), first AS (
    SELECT person, min(day) AS first_day FROM active WHERE person IS NOT NULL GROUP BY person
)
SELECT
    day AS date,
    CASE WHEN grouping(platform) = 0 THEN 'platform' WHEN grouping(country) = 0 THEN 'country' ELSE 'all' END AS split,
    platform,
    country,
    count(DISTINCT person) AS active_users,
    count(DISTINCT person) FILTER (WHERE day = first_day) AS new_users,
    sum(events)::BIGINT AS events
FROM active LEFT JOIN first USING (person)
GROUP BY GROUPING SETS ((day), (day, platform), (day, country))
"""

_EVENT_TYPES = f"""{_SEEN}
SELECT
    event_type,
    count(*) AS events,
    count(DISTINCT person) AS users,
    min(event_time) AS first_seen,
    max(event_time) AS last_seen,
    count(DISTINCT day) AS days
FROM seen GROUP BY event_type
"""

# A key is read by its JSON Pointer, which has a form for every key; in a JSON path a quote within a key has none.
_PROPERTIES = """
WITH total AS (
    SELECT event_type AS of_type, count(*) AS total FROM events GROUP BY event_type
), named AS (
    SELECT event_type, event_time, {column} AS object, unnest(list_distinct(json_keys({column}))) AS key FROM events
), property AS (
    SELECT event_type, event_time, key,
        json_extract(object, '/' || replace(replace(key, '~', '~0'), '/', '~1')) AS value
    FROM named
), counted AS (
    SELECT
        event_type,
        key,
        list_sort(list(DISTINCT CASE json_type(value)
            WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null'
            WHEN 'ARRAY' THEN 'array' WHEN 'OBJECT' THEN 'object' ELSE 'number'
        END)) AS types,
        count(*) AS events,
        coalesce(
            max(left(value::VARCHAR, 100)) FILTER (WHERE json_type(value) <> 'NULL'),
            'null'
        ) AS example
    FROM property GROUP BY event_type, key
)
SELECT event_type, key, types, events, events / total AS share, example
FROM counted JOIN total ON event_type IS NOT DISTINCT FROM of_type
"""

VIEWS = (
    View(
        "events_deduplicated",
        "events by the rule of Amplitude itself: of rows of one device_id and $insert_id, those are left out that"
        " entered within 7 days of the one before; the first stays, and every row without one of the two",
        _DEDUPLICATED,
    ),
    View(
        "sessions",
        "one row a session: a session_id of a device (of an amplitude_id where there is no device), for a login in the"
        " middle of a session changes the user and not the device; events without a session (-1) are left out; user_id"
        " is the last one known",
        _SESSIONS,
    ),
    View(
        "daily_users",
        "active and new users by UTC day of event_time; users do not add up over platforms or countries, so say which"
        " rows are meant: split = all (the day), platform or country; a user is a user_id: without one, the user_id"
        " that the same amplitude_id has elsewhere, else the amplitude_id; new is on the first day that is loaded of"
        " them; a wrong clock makes days in the past and in the future",
        _DAILY_USERS,
    ),
    View(
        "event_types",
        "one row an event type: events, users (as in daily_users), first and last event_time, days with it",
        _EVENT_TYPES,
    ),
    View(
        "event_properties",
        "one row an event type and key of event_properties: the JSON types seen, the events that have it, their share"
        " of the events of that type, and an example as JSON, cut at 100 characters",
        _PROPERTIES.format(column="event_properties"),
    ),
    View(
        "user_properties",
        "as event_properties, of the user_properties that came with the events",
        _PROPERTIES.format(column="user_properties"),
    ),
)
"""The views over `events`, each of which may read those before it."""
