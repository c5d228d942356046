"""What an event is in messages to other systems: plain data, with the names that results files use."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from streamseg.live.news import Happened

__all__ = ["as_data", "as_json", "utc_text"]


def as_data(news: Happened) -> dict[str, Any]:
    """The event as a dict for JSON. `id` is the same for nothing else: who gets a message twice knows it by that."""
    event = news.event
    data: dict[str, Any] = {
        "id": news.id,
        "camera": news.camera,
        "event": event.kind,
        "utc": utc_text(news.utc),
        "time": round(event.time, 6),
        "frame": news.frame,
        "epoch": news.epoch,
        "track_id": event.track_id,
        "class": event.name,
    }
    if event.place:
        data["place"] = event.place
    if event.direction:
        data["direction"] = event.direction
    if event.seconds is not None:
        data["seconds"] = round(event.seconds, 3)
    if event.details:
        data["details"] = {name: round(value, 3) for name, value in event.details.items()}
    if news.box is not None:
        data["box"] = [round(edge, 2) for edge in news.box]
    return data


def as_json(data: dict[str, Any]) -> bytes:
    """Compact JSON in UTF-8. What JSON has no word for, as NaN, is an error: no receiver could read it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def utc_text(utc: float) -> str:
    """Seconds since 1970 as `2026-11-30T17:05:00.250Z` (RFC 3339)."""
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
