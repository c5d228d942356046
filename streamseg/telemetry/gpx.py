"""GPX: tracks as phones, watches and navigation devices write them, read with gpxpy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from streamseg.errors import MissingExtra, Unreadable
from streamseg.errors.describe import brief
from streamseg.telemetry.readings import Reading, of_dilution

__all__ = ["read_gpx"]


def read_gpx(text: str, name: str) -> list[Reading]:
    """The points that have a time, of all tracks; without one a point cannot be put on a film. `name`: for errors.

    Raises Unreadable, MissingExtra.
    """
    try:
        import gpxpy
        from gpxpy.gpx import GPXException
    except ImportError as error:
        raise MissingExtra("gpxpy", "drive") from error
    try:
        parsed = gpxpy.parse(text)
    except (GPXException, ValueError, LookupError, TypeError, OverflowError) as error:
        raise Unreadable(f"{name}: is no GPX that can be read: {brief(str(error))}") from None
    points = [point for track in parsed.tracks for segment in track.segments for point in segment.points]
    return [_reading(point) for point in points if point.time is not None]


def _reading(point: Any) -> Reading:
    time = point.time if point.time.tzinfo is not None else point.time.replace(tzinfo=UTC)
    try:
        utc = time.timestamp()
    except (OverflowError, ValueError):
        utc = math.nan
    more = _more(point.extensions)
    return Reading(
        _number(point.latitude) or 0.0,
        _number(point.longitude) or 0.0,
        utc=utc,
        altitude=_number(point.elevation),
        speed=_number(point.speed if point.speed is not None else more.get("speed")),
        heading=_number(point.course if point.course is not None else more.get("course")),
        accuracy=of_dilution(_number(point.horizontal_dilution)),
        valid=point.type_of_gpx_fix != "none",
    )


def _more(elements: Iterable[Any]) -> dict[str, str]:
    """Speed (m/s) and course of an extension, as Garmin's TrackPointExtension has them, whatever its name space is."""
    found = dict[str, str]()
    for element in elements:
        for each in element.iter():
            name = str(each.tag).rpartition("}")[2].lower()
            if name in ("speed", "course") and each.text:
                found.setdefault(name, each.text.strip())
    return found


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
