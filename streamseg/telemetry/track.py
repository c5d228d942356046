"""Where the vehicle was at any time of a film: the readings of a receiver, interpolated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streamseg.core.scene import Fix
from streamseg.telemetry.readings import Reading

__all__ = ["Track"]

APART = 5.0
"""Seconds: between two readings that are farther apart nothing is known (a tunnel)."""
BEYOND = 1.0
"""Seconds for which the first and the last reading hold outside of the log."""
STANDS = 1.5
"""Metres a second: below it the way over ground tells no direction."""
_WINDOW = 1.0
"""Seconds over which a speed is taken from positions, at least: of shorter ways the receiver's noise is too large a part."""
_METERS = np.radians(6_371_008.8)
"""Of a degree of latitude."""

FloatArray = npt.NDArray[np.float64]


class Track:
    """Readings on the clock of a film. It is read only, and may be asked from several threads."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        """`readings`: by rising `at`, which all have, as `readings.believed` gives them."""
        self._time = _column(readings, "at")
        self._latitude = _column(readings, "latitude")
        self._longitude = np.degrees(np.unwrap(np.radians(_column(readings, "longitude"))))
        self._altitude = _column(readings, "altitude")
        self._utc = _filled(self._time, _column(readings, "utc"))
        self._accuracy = _column(readings, "accuracy")
        speed, heading = self._over_ground()
        told = _column(readings, "speed")
        self._speed = np.where(np.isnan(told), speed, told)
        told = _column(readings, "heading")
        told = np.where(self._speed < STANDS, np.nan, told)
        self._heading = np.where(np.isnan(told), heading, told)

    def __len__(self) -> int:
        return len(self._time)

    @property
    def span(self) -> tuple[float, float]:
        """Seconds of the film of the first and of the last reading."""
        return float(self._time[0]), float(self._time[-1])

    def at(self, seconds: float) -> Fix | None:
        """Where the vehicle was at a time of the film; None: not known."""
        time = self._time
        if not len(time):
            return None
        if not time[0] - BEYOND <= seconds <= time[-1] + BEYOND:
            return None
        seconds = float(np.clip(seconds, time[0], time[-1]))
        after = int(np.searchsorted(time, seconds))
        before = max(0, after - 1)
        if time[after] - time[before] > APART:
            near = before if seconds - time[before] <= BEYOND else after if time[after] - seconds <= BEYOND else None
            if near is None:
                return None
            before = after = near
        span = time[after] - time[before]
        part = float((seconds - time[before]) / span) if span > 0 else 0.0

        def between(values: FloatArray) -> float | None:
            return _mixed(float(values[before]), float(values[after]), part)

        latitude, longitude = between(self._latitude), between(self._longitude)
        assert latitude is not None
        assert longitude is not None
        return Fix(
            latitude,
            (longitude + 180) % 360 - 180,
            between(self._altitude),
            between(self._speed),
            _turned(float(self._heading[before]), float(self._heading[after]), part),
            between(self._accuracy),
            between(self._utc),
        )

    def _over_ground(self) -> tuple[FloatArray, FloatArray]:
        """Speed and heading from the positions at least half a window before and after each; NaN where they do not tell."""
        time, n = self._time, len(self._time)
        before = np.maximum(np.searchsorted(time, time - _WINDOW / 2, "right") - 1, 0) if n else np.zeros(0, np.int64)
        after = np.minimum(np.searchsorted(time, time + _WINDOW / 2, "left"), max(0, n - 1))
        span = time[after] - time[before]
        north = (self._latitude[after] - self._latitude[before]) * _METERS
        east = (self._longitude[after] - self._longitude[before]) * _METERS * np.cos(np.radians(self._latitude))
        known = (span > 0) & (span <= 2 * APART)
        speed = np.where(known, np.hypot(north, east) / np.where(known, span, 1), np.nan)
        heading = np.where(known & (speed >= STANDS), np.degrees(np.arctan2(east, north)) % 360, np.nan)
        return speed, heading


def _column(readings: Sequence[Reading], name: str) -> FloatArray:
    values = (getattr(reading, name) for reading in readings)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _filled(time: FloatArray, utc: FloatArray) -> FloatArray:
    """UTC of all readings, where some tell it: it goes on as the film does."""
    known = ~np.isnan(utc)
    return time + np.interp(time, time[known], (utc - time)[known]) if known.any() else utc


def _mixed(a: float, b: float, part: float) -> float | None:
    """Between two numbers of which one may not be known; None: neither is."""
    value = a + (b - a) * part
    if np.isnan(value):
        value = a if not np.isnan(a) else b
    return None if np.isnan(value) else float(value)


def _turned(a: float, b: float, part: float) -> float | None:
    """Between two directions, the shorter way round; None: neither is known."""
    if np.isnan(a) or np.isnan(b):
        return _mixed(a, b, part)
    return float((a + ((b - a + 180) % 360 - 180) * part) % 360)
