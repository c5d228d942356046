"""Positions in subtitles: NMEA sentences, or what DJI and others write, as [latitude: 22.5] or GPS(113.9, 22.5).

A text holds for a moment of the film, so that no clock needs to be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from streamseg.telemetry.nmea import looks_like_nmea, read_nmea
from streamseg.telemetry.readings import Reading

__all__ = ["read_srt", "read_texts"]

_NUMBER = r"\s*([+-]?\d{1,9}(?:\.\d{1,12})?)"
_NAMED = re.compile(rf"\b(lat|latitude|lon|long|longitude|longtitude|abs_alt|altitude)\b\s*[:=]{_NUMBER}", re.IGNORECASE)
_GPS = re.compile(rf"\bGPS\s*\({_NUMBER}\s*,{_NUMBER}(?:\s*,{_NUMBER})?", re.IGNORECASE)
_CUE = re.compile(
    r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*\d+:\d\d:\d\d[,.]\d{1,3}[^\n]*\n(.*?)(?=\n\s*\n|\n\d+\s*\n\d+:\d\d:\d\d[,.]|\Z)",
    re.DOTALL,
)


def read_srt(text: str) -> list[Reading]:
    """The readings of a SubRip file."""
    return read_texts(_cues(text.replace("\r\n", "\n")))


def _cues(text: str) -> Iterator[tuple[float, str]]:
    for match in _CUE.finditer(text):
        hours, minutes, seconds, thousandths = match[1], match[2], match[3], match[4].ljust(3, "0")
        yield int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(thousandths) / 1000, match[5]


def read_texts(texts: Iterable[tuple[float, str]]) -> list[Reading]:
    """The readings of pairs of a time, in seconds of the film, and a text. Raises MissingExtra for NMEA without pynmea2."""
    texts = list(texts)
    if any(looks_like_nmea(text.encode()) for _, text in texts[:200]):
        return _of_nmea(texts)
    return [reading for at, text in texts if (reading := _told(at, text)) is not None]


def _of_nmea(texts: list[tuple[float, str]]) -> list[Reading]:
    """Several texts may be parts of one moment's sentences; the date is told once a while: all are read as one log."""
    stamped = "\n".join(
        f"[{round((at + _LATER) * 1000)}]{line.strip()}" for at, text in texts for line in text.splitlines() if "$G" in line
    )
    begin = next((at for at, text in texts if "$G" in text), 0.0)
    return [replace(r, at=None if r.at is None else r.at + begin) for r in read_nmea(stamped)]


_LATER = 1e9
"""Seconds that make a film's time one of the recorder's clock, which `read_nmea` takes from the front of a line."""


def _told(at: float, text: str) -> Reading | None:
    named = {match[1].lower()[:3]: float(match[2]) for match in _NAMED.finditer(text)}
    if "lat" in named and "lon" in named:
        altitude = named.get("abs", named.get("alt"))
        return Reading(named["lat"], named["lon"], at=at, altitude=altitude)
    if (match := _GPS.search(text)) is not None:
        # DJI says the longitude first.
        return Reading(float(match[2]), float(match[1]), at=at)
    return None
