"""What a satellite receiver said, one `Reading` at a time, and what of it cannot be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["FASTEST", "Log", "Reading", "believed", "meters_between", "of_dilution"]

FASTEST = 120.0
"""Metres a second (432 km/h): no road vehicle goes on for longer at more; a position that asks for it is wrong."""
_EARTH = 6_371_008.8
"""Metres: mean radius of the Earth (IUGG)."""
_RANGE_ERROR = 3.0
"""Metres, one standard deviation: of the range to a satellite. A dilution of precision makes of it the error of a position."""
_DRIVES, _LEAST = 8, 3
"""How many drives a reading may belong to are looked at, and readings that make one."""
_NOWHERE = 1e-5
"""Degrees, 1 m: receivers without a position say 0, 0."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One line of a log."""

    latitude: float
    longitude: float
    """Degrees, WGS 84."""
    at: float | None = None
    """Seconds on the clock of the film that it was recorded with; None: the log only tells `utc`."""
    utc: float | None = None
    """Seconds since 1970."""
    altitude: float | None = None
    """Metres."""
    speed: float | None = None
    """Metres a second over ground."""
    heading: float | None = None
    """Degrees clockwise from true north."""
    accuracy: float | None = None
    """Metres, one standard deviation."""
    valid: bool = True
    """The receiver had a fix."""

    @property
    def time(self) -> float:
        """Seconds, on the film's clock where it is known, else since 1970; NaN: neither is."""
        return next((t for t in (self.at, self.utc) if t is not None), math.nan)


@dataclass(frozen=True, slots=True)
class Log:
    """All that one place says."""

    kind: str
    """For people: GoPro, CAMM, BlackVue, Novatek, NMEA, GPX, subtitles."""
    name: str
    """The file that holds it."""
    readings: Sequence[Reading]
    inside: bool = False
    """It lies in the film itself."""


def of_dilution(dilution: float | None) -> float | None:
    """An accuracy in metres from a horizontal dilution of precision; None where it is none."""
    return None if dilution is None or not 0 < dilution < 50 else dilution * _RANGE_ERROR


def meters_between(a: Reading, b: Reading) -> float:
    """Along the ground; exact to a thousandth for what a vehicle covers between two readings."""
    mean = math.radians((a.latitude + b.latitude) / 2)
    east = math.remainder(b.longitude - a.longitude, 360) * math.cos(mean)
    return math.radians(math.hypot(east, b.latitude - a.latitude)) * _EARTH


def believed(readings: Sequence[Reading]) -> tuple[list[Reading], list[str]]:
    """Those that can be, in the order of their times, and what was left out, in words.

    Left out are: what was said without a fix, numbers that are none, 0/0, a second reading for the same time, and positions that
    no neighbour could have been driven to.
    """
    there = [tidy for reading in readings if (tidy := _tidy(reading)) is not None]
    said = []
    if lost := len(readings) - len(there):
        said.append(f"{lost} of {len(readings)} readings have no fix")
    there.sort(key=lambda reading: reading.time)
    once = [r for i, r in enumerate(there) if i == 0 or r.time - there[i - 1].time > 1e-6]
    if twice := len(there) - len(once):
        said.append(f"{twice} repeat a time")
    kept = _driven(once)
    if leapt := len(once) - len(kept):
        said.append(f"{leapt} leap away from all others")
    return kept, said


def _tidy(reading: Reading) -> Reading | None:
    """A reading without numbers that cannot be; None: nothing is left of it."""
    latitude, longitude = reading.latitude, reading.longitude
    if not (reading.valid and math.isfinite(latitude) and math.isfinite(longitude) and math.isfinite(reading.time)):
        return None
    if abs(latitude) > 90 or abs(longitude) > 180 or (abs(latitude) < _NOWHERE and abs(longitude) < _NOWHERE):
        return None
    return replace(
        reading,
        altitude=_within(reading.altitude, -1000, 20_000),
        speed=_within(reading.speed, 0, FASTEST),
        heading=None if (turn := _within(reading.heading, -360, 720)) is None else turn % 360,
        accuracy=_within(reading.accuracy, 0, 1e5),
        utc=_within(reading.utc, 0, 2**33),
    )


def _within(value: float | None, least: float, most: float) -> float | None:
    return value if value is not None and least <= value <= most else None


def _driven(readings: list[Reading]) -> list[Reading]:
    """Those that lie on one drive, or on several, one after the other: a jump that lasts (after a tunnel) begins another."""
    drives = list[list[Reading]]()
    for reading in readings:
        joined = next((drive for drive in reversed(drives[-_DRIVES:]) if _follows(reading, drive[-1])), None)
        if joined is None:
            drives.append([reading])
        else:
            joined.append(reading)
    kept = list[list[Reading]]()
    for drive in sorted(drives, key=len, reverse=True):
        apart = all(drive[-1].time < other[0].time or drive[0].time > other[-1].time for other in kept)
        if not kept or (apart and len(drive) >= _LEAST):
            kept.append(drive)
    return sorted((reading for drive in kept for reading in drive), key=lambda reading: reading.time)


def _follows(reading: Reading, before: Reading) -> bool:
    return meters_between(before, reading) <= 50 + FASTEST * (reading.time - before.time)
