"""Puts a log that only tells the time of day on the clock of a film.

What is known of a film's time of recording is doubtful: files say the local time and call it UTC, or say when the recording ended;
the log of a satellite receiver tells UTC. So the film is placed in the log where both agree, up to whole quarters of an hour (zones
of time).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamseg.errors import ConfigError
from streamseg.telemetry.readings import Reading

__all__ = ["FilmTime", "placed"]

_ZONE = 15 * 60
_ZONES = 14 * 60 * 60
"""Seconds: zones of time lie so far from UTC at most, in quarters of an hour."""
_SAME = 5.0
"""Seconds by which a log that a recorder writes with each film may last longer than it."""
_NEAR = 30.0
"""Seconds by which a film may begin before its log, or end after it."""


@dataclass(frozen=True, slots=True)
class FilmTime:
    """What is known of when a film was recorded."""

    origin: float
    """Seconds on the film's clock of its first picture."""
    duration: float | None
    created: float | None = None
    """Seconds since 1970 that the file says, in whatever zone."""
    named: float | None = None
    """The same of its name: the local time, as if it were UTC."""


def placed(readings: Sequence[Reading], film: FilmTime, offset: float | None, name: str) -> tuple[list[Reading], str]:
    """`readings`, by rising `utc`, with `at`; and how that was found, in words.

    offset: seconds of the film at which the log begins, where a person says so. Raises ConfigError where it cannot be found.
    """
    first, last = readings[0].time, readings[-1].time
    if offset is not None:
        return _moved(readings, film.origin + offset - first), f"begins {offset:g} s into the film, as given"
    length = film.duration
    if length is not None and last - first <= length + _SAME:
        return _moved(readings, film.origin - first), "begins with the film"
    for told, words in ((film.created, "its time of recording"), (film.named, "the time in its name")):
        if told is None or length is None:
            continue
        for begin, also in ((told, ""), (told - length, ", which is that of its end")):
            zone = _zone(begin, length, first, last)
            if zone is not None:
                hours = f", moved by {zone / 3600:+g} h" if zone else ""
                return _moved(readings, film.origin - begin - zone), f"placed by {words}{also}{hours}"
    raise ConfigError(
        f"{name}: the log lasts {last - first:.0f} s, and nothing tells where in it the film begins; "
        "--telemetry-offset says how many seconds into the film the log begins (less than 0: it began before)"
    )


def _zone(begin: float, length: float, first: float, last: float) -> float | None:
    """The smallest shift by whole zones that puts the film into the log; None: none does."""
    steps = range(-_ZONES // _ZONE, _ZONES // _ZONE + 1)
    fits = [
        step * _ZONE
        for step in steps
        if begin + step * _ZONE >= first - _NEAR and begin + step * _ZONE + length <= last + _NEAR
    ]
    return min(fits, key=abs) if fits else None


def _moved(readings: Sequence[Reading], by: float) -> list[Reading]:
    return [replace(reading, at=reading.time + by) for reading in readings]
