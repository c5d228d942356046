"""GPMF, the telemetry of GoPro cameras: the positions of GPS5 (to HERO10) and GPS9 (from HERO11).

A payload is a tree of items: key (4 bytes), type, size of an element, number of elements, data padded to 4 bytes, all big-endian
(github.com/gopro/gpmf-parser). Only the streams with positions are read: those of the sensors are a hundred times as long.
"""

from __future__ import annotations

import calendar
import re
import struct
from collections.abc import Iterator

from streamseg.telemetry.readings import Reading, of_dilution

__all__ = ["looks_like_gpmf", "read_gpmf"]

_FORMATS = {"b": "b", "B": "B", "s": "h", "S": "H", "l": "i", "L": "I", "f": "f", "d": "d", "j": "q", "J": "Q"}
"""Types of GPMF -> those of `struct`."""
_FROM_2000 = float(calendar.timegm((2000, 1, 1, 0, 0, 0)))
_DEEPEST = 8


def looks_like_gpmf(payload: bytes) -> bool:
    """Whether the payload of a track is GPMF."""
    return payload[:4] == b"DEVC" and len(payload) > 8


def read_gpmf(payload: bytes, at: float, lasts: float) -> list[Reading]:
    """The positions of one payload, spread over the time that it is for.

    at, lasts: seconds of the film. What is cut off or damaged is passed over.
    """
    for stream in _streams(payload, 0):
        items = dict(_items(stream))
        found = _gps9(items) or _gps5(items)
        if found:
            step = lasts / len(found)
            return [_at(reading, at + step * number) for number, reading in enumerate(found)]
    return []


def _at(reading: Reading, at: float) -> Reading:
    return Reading(
        reading.latitude,
        reading.longitude,
        at,
        reading.utc,
        reading.altitude,
        reading.speed,
        None,
        reading.accuracy,
        reading.valid,
    )


_Item = tuple[str, int, int, bytes]
"""Type, size of an element, number of elements, data."""


def _items(data: bytes) -> Iterator[tuple[bytes, _Item]]:
    at = 0
    while at + 8 <= len(data):
        key, kind, size, count = struct.unpack_from(">4scBH", data, at)
        length = size * count
        if at + 8 + length > len(data):
            return
        yield key, (kind.decode("latin-1"), size, count, data[at + 8 : at + 8 + length])
        at += 8 + length + -length % 4


def _streams(data: bytes, depth: int) -> Iterator[bytes]:
    """The data of all STRM items, those of the first device first."""
    for key, (kind, _, _, inner) in _items(data):
        if key == b"STRM":
            yield inner
        elif kind == "\0" and depth < _DEEPEST:
            yield from _streams(inner, depth + 1)


def _rows(item: _Item | None, kinds: str | None = None) -> list[tuple[float, ...]]:
    """The elements of an item as numbers; `kinds`: types of the parts of a complex one."""
    if item is None:
        return []
    kind, size, count, data = item
    width = struct.calcsize(">" + _FORMATS.get(kind, "x"))
    text = (
        "".join(_FORMATS.get(each, "?") for each in kinds or "")
        if kind == "?"
        else _FORMATS.get(kind, "?") * (size // max(1, width))
    )
    if not text or "?" in text or struct.calcsize(">" + text) != size:
        return []
    return [struct.unpack_from(">" + text, data, number * size) for number in range(count)]


def _scales(items: dict[bytes, _Item], count: int) -> list[float]:
    """What each number is divided by; empty where that is not told."""
    scales = [row[0] for row in _rows(items.get(b"SCAL"))]
    scales = scales * count if len(scales) == 1 else scales
    return scales if len(scales) == count and all(scales) else []


def _gps5(items: dict[bytes, _Item]) -> list[Reading]:
    """Latitude, longitude, altitude, speed over ground, speed in space; fix, dilution and UTC are told once for all."""
    scales = _scales(items, 5)
    if not scales:
        return []
    fix, dilution, utc = _one(items, b"GPSF"), _one(items, b"GPSP"), _utc(items)
    accuracy, valid = of_dilution(None if dilution is None else dilution / 100), fix is None or fix >= 2
    found = []
    for row in _rows(items.get(b"GPS5")):
        if len(row) == 5:
            latitude, longitude, altitude, speed, _ = (value / scale for value, scale in zip(row, scales, strict=True))
            found.append(Reading(latitude, longitude, None, utc, altitude, speed, None, accuracy, valid))
            utc = None  # it is that of the first of them
    return found


def _gps9(items: dict[bytes, _Item]) -> list[Reading]:
    """As GPS5, and for each position days since 2000, seconds since midnight, dilution and fix."""
    scales = _scales(items, 9)
    kinds = items.get(b"TYPE")
    if not scales or kinds is None:
        return []
    found = []
    for row in _rows(items.get(b"GPS9"), kinds[3].decode("latin-1")):
        if len(row) == 9:
            latitude, longitude, altitude, speed, _, days, seconds, dilution, fix = (
                value / scale for value, scale in zip(row, scales, strict=True)
            )
            utc = _FROM_2000 + days * 86400 + seconds
            found.append(Reading(latitude, longitude, None, utc, altitude, speed, None, of_dilution(dilution), valid=fix >= 2))
    return found


def _one(items: dict[bytes, _Item], key: bytes) -> float | None:
    rows = _rows(items.get(key))
    return rows[0][0] if rows and rows[0] else None


def _utc(items: dict[bytes, _Item]) -> float | None:
    """GPSU: yymmddhhmmss.sss."""
    item = items.get(b"GPSU")
    match = None if item is None else re.match(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d(?:\.\d+)?)", item[3])
    if match is None or not 1 <= int(match[2]) <= 12 or not 1 <= int(match[3]) <= 31:
        return None
    year, month, day, hour, minute = (int(match[i]) for i in range(1, 6))
    return calendar.timegm((2000 + year, month, day, hour, minute, 0)) + float(match[6])
