"""An event as a row of a table: the same columns in the CSV of events, the index of clips and the Parquet of events."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamseg.core.types import Event

__all__ = ["COLUMNS", "DETAILS", "event_row"]

DETAILS = (
    *("ttc", "ttc_std", "distance", "distance_std", "lateral", "lateral_std", "speed", "speed_std"),
    *("in_path", "pet", "pet_std"),
)
"""Numbers at the time of the event that have a column of their own: seconds, metres, metres a second; `pet`: the time between that
one left a place and another came to it (post-encroachment time)."""
COLUMNS = ("time", "utc", "frame", "kind", "track", "name", "class", "place", "direction", "seconds", *DETAILS, "details")


def event_row(event: Event, frame: int, name: str | None) -> dict[str, Any]:
    """All of `COLUMNS`, None where nothing is known. `utc` is seconds since 1970; `details` a dict of the numbers without a column.

    `frame`: with which it became certain; `name`: which a person gave its track.
    """
    known = {key: float(value) for key, value in event.details.items() if isfinite(value)}
    row: dict[str, Any] = {
        "time": round(event.time, 6),
        "utc": event.utc,
        "frame": frame,
        "kind": event.kind,
        "track": event.track_id or None,
        "name": name,
        "class": event.name,
        "place": event.place or None,
        "direction": event.direction or None,
        "seconds": event.seconds,
    }
    row |= {key: known.pop(key, None) for key in DETAILS}
    if event.seconds is None:
        row["seconds"] = known.pop("seconds", None)
    return row | {"details": known}
