"""NMEA 0183: what receivers say as text, in side files, in subtitles, and in BlackVue's films.

pynmea2 takes the sentences apart and checks their sums; the numbers are read here, since it fails for second 60 (a leap second)
and for coordinates without decimals. Recorders put their own time in front, in milliseconds: [1629874404069]$GPRMC,...
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from streamseg.errors import MissingExtra
from streamseg.telemetry.readings import Reading, of_dilution

__all__ = ["looks_like_nmea", "read_nmea"]

_SENTENCE = re.compile(r"(?:\[(?P<stamp>\d{10,14})\]\s*)?\$(?P<body>G[A-Z][A-Z]{3},[^$\[\r\n]*)")
_KNOT = 1852 / 3600
_DAY = 86400.0
_TAKEN = ("RMC", "GGA", "GLL", "GNS", "VTG", "ZDA")


def looks_like_nmea(data: bytes) -> bool:
    """Whether text, or the payload of a track, holds a sentence of a satellite receiver."""
    return re.search(rb"\$G[A-Z](?:RMC|GGA|GLL|GNS),", data[:65536]) is not None


@dataclass(slots=True)
class _Epoch:
    """What several sentences say of one moment."""

    of_day: float
    """Seconds since midnight UTC."""
    stamp: float | None
    said: dict[str, Any] = field(default_factory=dict)


def read_nmea(text: str, most: int = 2_000_000) -> list[Reading]:
    """The readings of all sentences; lines that are none, or whose sum is wrong, are passed over. `most`: sentences read.

    `at` is there where the recorder put its time in front: seconds from the first sentence. Raises MissingExtra.
    """
    return list(_dated(_epochs(_sentences(text, most))))


def _sentences(text: str, most: int) -> Iterator[tuple[float | None, Any]]:
    try:
        import pynmea2
    except ImportError as error:
        raise MissingExtra("pynmea2", "drive") from error
    for number, match in enumerate(_SENTENCE.finditer(text)):
        if number >= most:
            return
        if match["body"][2:5] not in _TAKEN:
            continue
        try:
            message = pynmea2.parse("$" + match["body"].strip())
        except ValueError:  # pynmea2.ParseError is one
            continue
        yield None if match["stamp"] is None else int(match["stamp"]) / 1000, message


def _epochs(sentences: Iterable[tuple[float | None, Any]]) -> Iterator[_Epoch]:
    """Sentences of one moment put together. VTG tells no time: it belongs to the sentence before it."""
    now: _Epoch | None = None
    for stamp, message in sentences:
        of_day = _of_day(_raw(message, "timestamp"))
        if of_day is not None and (now is None or abs(of_day - now.of_day) > 1e-3):
            if now is not None:
                yield now
            now = _Epoch(of_day, stamp)
        if now is not None:
            _READERS[message.sentence_type](message, now.said)
    if now is not None:
        yield now


def _dated(epochs: Iterable[_Epoch]) -> Iterator[Reading]:
    """Readings with the day: that of the last sentence that told it, and of midnights since; before, that of the first to tell.

    A log that tells no day is taken for one of 1970-01-01: only its times of day are known.
    """
    all_ = list(epochs)
    days, day, last = list[float](), 0.0, None
    for epoch in all_:
        if last is not None and epoch.of_day < last - _DAY / 2:
            day += _DAY
        if last is not None and epoch.of_day > last + _DAY / 2:
            day -= _DAY
        last = epoch.of_day
        days.append(day)
    first = next((i for i, epoch in enumerate(all_) if "day" in epoch.said), None)
    shift = 0.0 if first is None else all_[first].said["day"] - days[first]
    begin = next((epoch.stamp for epoch in all_ if epoch.stamp is not None), None)
    for epoch, own in zip(all_, days, strict=True):
        if "day" in epoch.said:
            shift = epoch.said["day"] - own
        said = epoch.said
        yield Reading(
            said.get("latitude", float("nan")),
            said.get("longitude", float("nan")),
            at=None if epoch.stamp is None or begin is None else epoch.stamp - begin,
            utc=shift + own + epoch.of_day,
            altitude=said.get("altitude"),
            speed=said.get("speed"),
            heading=said.get("heading"),
            accuracy=of_dilution(said.get("dilution")),
            valid=said.get("valid", False),
        )


def _rmc(message: Any, said: dict[str, Any]) -> None:
    _place(message, said, valid=_raw(message, "status") == "A")
    _way(said, _number(_raw(message, "spd_over_grnd")), _number(_raw(message, "true_course")))
    date = _raw(message, "datestamp")
    if re.fullmatch(r"\d{6}", date):
        _day(said, int(date[4:]) + (2000 if int(date[4:]) < 80 else 1900), int(date[2:4]), int(date[:2]))


def _gga(message: Any, said: dict[str, Any]) -> None:
    _place(message, said, valid=_raw(message, "gps_qual") in ("1", "2", "3", "4", "5", "9"))
    said["altitude"], said["dilution"] = _number(_raw(message, "altitude")), _number(_raw(message, "horizontal_dil"))


def _gns(message: Any, said: dict[str, Any]) -> None:
    mode = _raw(message, "mode_indicator")
    _place(message, said, valid=bool(set(mode) & set("ADPRF")))
    said["altitude"], said["dilution"] = _number(_raw(message, "altitude")), _number(_raw(message, "hdop"))


def _gll(message: Any, said: dict[str, Any]) -> None:
    _place(message, said, valid=_raw(message, "status") == "A")


def _vtg(message: Any, said: dict[str, Any]) -> None:
    _way(said, _number(_raw(message, "spd_over_grnd_kts")), _number(_raw(message, "true_track")))


def _zda(message: Any, said: dict[str, Any]) -> None:
    day, month, year = (_raw(message, name) for name in ("day", "month", "year"))
    if day.isdecimal() and month.isdecimal() and year.isdecimal():
        _day(said, int(year), int(month), int(day))


_READERS = {"RMC": _rmc, "GGA": _gga, "GNS": _gns, "GLL": _gll, "VTG": _vtg, "ZDA": _zda}


def _place(message: Any, said: dict[str, Any], valid: bool) -> None:
    """A sentence with a fix goes before one without; where two have one, the first."""
    latitude, longitude = _degrees(message, "lat", "NS"), _degrees(message, "lon", "EW")
    if latitude is None or longitude is None or not valid or said.get("valid"):
        said.setdefault("valid", False)
        return
    said.update(latitude=latitude, longitude=longitude, valid=True)


def _way(said: dict[str, Any], knots: float | None, course: float | None) -> None:
    if knots is not None:
        said["speed"] = knots * _KNOT
    if course is not None:
        said["heading"] = course


def _day(said: dict[str, Any], year: int, month: int, day: int) -> None:
    if 1980 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= 31:
        said["day"] = float(calendar.timegm((year, month, day, 0, 0, 0)))


def _raw(message: Any, name: str) -> str:
    """A field as it was written; empty where the sentence is shorter."""
    at = message.name_to_idx.get(name)
    return str(message.data[at]).strip() if at is not None and at < len(message.data) else ""


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,9}(\.\d*)?|-?\.\d+", text) else None


def _of_day(text: str) -> float | None:
    """Seconds since midnight of hhmmss.sss; second 60 is a leap second."""
    match = re.fullmatch(r"(\d\d)(\d\d)(\d\d(?:\.\d*)?)", text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or float(match[3]) >= 61:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _degrees(message: Any, name: str, sides: str) -> float | None:
    """Of ddmm.mmmm or dddmm.mmmm and a side."""
    match = re.fullmatch(r"(\d{1,3}?)(\d\d(?:\.\d*)?)", _raw(message, name))
    side = _raw(message, f"{name}_dir")
    if match is None or side not in sides or not side or float(match[2]) >= 60:
        return None
    return (int(match[1]) + float(match[2]) / 60) * (1 if side == sides[0] else -1)
