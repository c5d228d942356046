"""What the data base of events holds: its tables, and a row as a program sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from streamseg.live.news import Happened, Warned

__all__ = ["COLUMNS", "SCHEMA", "VERSION", "KeptEvent", "KeptFile", "event_row", "kept_event", "warning_row", "words_of"]

VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    camera TEXT NOT NULL,
    utc REAL NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    track_id INTEGER NOT NULL,
    place TEXT NOT NULL,
    direction TEXT NOT NULL,
    seconds REAL,
    frame INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    box TEXT,
    text TEXT NOT NULL,
    clip TEXT NOT NULL DEFAULT '',
    thumbnail BLOB
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (utc);
CREATE INDEX IF NOT EXISTS events_by_camera ON events (camera, utc);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    clip INTEGER NOT NULL,
    begin_utc REAL NOT NULL,
    end_utc REAL NOT NULL,
    size INTEGER NOT NULL,
    protected INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS files_by_time ON files (begin_utc);
CREATE TABLE IF NOT EXISTS gaps (camera TEXT NOT NULL, begin_utc REAL NOT NULL, end_utc REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (camera TEXT NOT NULL, since_utc REAL NOT NULL, config TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS gaps_by_time ON gaps (begin_utc);
"""
COLUMNS = (
    "id, camera, utc, kind, name, track_id, place, direction, seconds, frame, epoch, box, text, clip, thumbnail IS NOT NULL"
)
_WORDS = {
    "count": "count counted seen",
    "cross": "cross crosses crossed line",
    "enter": "enter enters entered zone",
    "leave": "leave leaves left zone",
    "dwell": "dwell dwells stays stayed zone",
    "warning": "warning",
    "alert": "alert alerts collision warned",
    "cut_in": "cut in cuts cutting",
    "crossing": "crossing crosses crossed way",
    "stop": "stop stops stopped",
    "near_miss": "near miss nearly",
    "hidden": "hidden hides behind",
    "reappear": "reappear reappears reappeared",
}
"""What people type who look for an event of a kind."""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event, or a warning, as it is kept."""

    id: str
    camera: str
    """Empty: it concerns all."""
    utc: float
    """Seconds since 1970."""
    kind: str
    """As `core.types.Event`; or `warning`."""
    name: str = ""
    """The object's class."""
    track_id: int = 0
    place: str = ""
    direction: str = ""
    seconds: float | None = None
    frame: int = 0
    epoch: int = 0
    box: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1, frame pixels."""
    text: str = ""
    """A warning's."""
    clip: str = ""
    """The clip that shows it, from the folder of recordings on; empty: none, or not finished yet."""
    has_thumbnail: bool = False


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A recording."""

    path: str
    """From the folder of recordings on, with `/`."""
    camera: str
    clip: bool
    begin_utc: float
    end_utc: float
    size: int
    """Bytes."""
    protected: bool = False
    """Never deleted."""


def event_row(happened: Happened) -> tuple[Any, ...]:
    """Values for `events`, from `id` to `text`, then the thumbnail."""
    event = happened.event
    box = None if happened.box is None else json.dumps([round(float(each), 2) for each in happened.box])
    what = (event.kind, event.name, event.track_id, event.place, event.direction, event.seconds)
    about = (happened.frame, happened.epoch, box, "", happened.thumbnail or None)
    return (happened.id, happened.camera, happened.utc, *what, *about)


def warning_row(warned: Warned) -> tuple[Any, ...]:
    """The same of a warning."""
    id = f"warning-{warned.camera}-{warned.utc:.6f}"
    return (id, warned.camera, warned.utc, "warning", "", 0, "", "", None, 0, 0, None, warned.text, None)


def words_of(row: tuple[Any, ...]) -> str:
    """What is searched for an event."""
    _, camera, _, kind, name, track_id, place, direction, *_, text, _ = row
    return " ".join(filter(None, (_WORDS.get(kind, kind), name, str(track_id or ""), place, direction, camera, text)))


def kept_event(row: tuple[Any, ...]) -> KeptEvent:
    """A row of `COLUMNS`."""
    id, camera, utc, kind, name, track, place, direction, seconds, frame, epoch, box, text, clip, seen = row
    corners = None if box is None else tuple(json.loads(box))
    what = (kind, name, track, place, direction, seconds)
    return KeptEvent(id, camera, utc, *what, frame, epoch, corners, text, clip, bool(seen))
