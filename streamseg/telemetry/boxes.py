"""What dash cameras hide in boxes of their MP4 files, beside the tracks: BlackVue's NMEA, and the positions of Novatek's chips.

Many makes have those chips (Viofo, 70mai, Rexing and others). Their `moov` holds a box `gps ` with places and sizes of blocks that
lie among the pictures, each `freeGPS ` with one position, a second apart.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from streamseg.telemetry.nmea import read_nmea
from streamseg.telemetry.readings import Log, Reading

__all__ = ["read_boxes"]

_MOST = 32 << 20
"""Bytes of a box that are read: an hour of NMEA is 2 MB."""
_MOST_BOXES = 100_000
_KNOT = 1852 / 3600
_BLOCK = 96
"""Bytes of a block that are read."""


def read_boxes(path: Path) -> Log | None:
    """Positions in boxes of a film; None: it has none. An OSError passes through. Raises MissingExtra for NMEA."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        for kind, at, end in _walk(file, 0, size):
            if kind == b"free" and (found := _find(file, at, end, b"gps ")) is not None:
                text = _read(file, *found).decode("latin-1")
                return Log("BlackVue", path.name, read_nmea(text), inside=True)
            if kind == b"moov" and (found := _find(file, at, end, b"gps ")) is not None:
                return Log("Novatek", path.name, list(_novatek(file, _read(file, *found), size)), inside=True)
    return None


def _walk(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, where the content begins, where it ends) of each box within bytes of a file."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        length, begin = int.from_bytes(head[:4], "big"), at + 8
        if length == 1:
            length, begin = int.from_bytes(head[8:16], "big"), at + 16
        if length == 0:
            length = end - at
        if at + length < begin or at + length > end:
            return
        yield head[4:8], begin, at + length
        at += length


def _find(file: BinaryIO, at: int, end: int, kind: bytes) -> tuple[int, int] | None:
    return next(((begin, stop) for found, begin, stop in _walk(file, at, end) if found == kind), None)


def _read(file: BinaryIO, begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(min(end - begin, _MOST))


def _novatek(file: BinaryIO, table: bytes, size: int) -> Iterator[Reading]:
    """One reading a block, a second apart: the table has the place and the size of each behind 8 bytes."""
    for second, at in enumerate(range(8, len(table) - 7, 8)):
        place, length = struct.unpack_from(">II", table, at)
        if not place or place + length > size or length < _BLOCK:
            continue
        file.seek(place)
        block = file.read(_BLOCK)
        if block[4:12] == b"freeGPS " and (reading := _block(block, float(second))) is not None:
            yield reading


def _block(block: bytes, second: float) -> Reading | None:
    """Time as six numbers, active (A), sides (N E), latitude and longitude as ddmm.mmmm, knots, degrees; little-endian.

    The time is the local one of the zone that the recorder is set to, which it does not tell: it is no UTC, and left out.
    """
    hour, minute, sec, _, month, day = struct.unpack_from("<6I", block, 48)
    active, north, east = block[72:73], block[73:74], block[74:75]
    latitude, longitude, knots, course = struct.unpack_from("<4f", block, 76)
    if active not in (b"A", b"V") or not (month <= 12 and day <= 31 and hour < 24 and minute < 60 and sec < 61):
        return None
    valid = active == b"A" and north in (b"N", b"S") and east in (b"E", b"W") and month > 0
    return Reading(
        _degrees(latitude, -1 if north == b"S" else 1),
        _degrees(longitude, -1 if east == b"W" else 1),
        at=second,
        speed=knots * _KNOT,
        heading=course,
        valid=valid,
    )


def _degrees(told: float, side: int) -> float:
    if not math.isfinite(told):
        return math.nan
    whole = math.floor(told / 100)
    return side * (whole + (told - 100 * whole) / 60)
