"""Logs that lie beside a film under its name: GPX, NMEA, subtitles."""

from __future__ import annotations

import re
from pathlib import Path

from streamseg.errors import ConfigError, SourceNotFound, Unreadable
from streamseg.errors.describe import brief
from streamseg.telemetry.gpx import read_gpx
from streamseg.telemetry.nmea import looks_like_nmea, read_nmea
from streamseg.telemetry.readings import Log
from streamseg.telemetry.subtitles import read_srt

__all__ = ["ENDINGS", "find_beside", "holds_positions", "read_beside"]

ENDINGS = (".gpx", ".nmea", ".nme", ".gps", ".log", ".txt", ".srt")
"""In the order in which they are looked for; the last ones only count if they hold positions."""
_ANYTHING = (".log", ".txt", ".srt")
"""Endings of which most files hold no positions."""
_MOST = 64 << 20
"""Bytes: a day of GPX with a point a second is 15 MB."""
_BLACKVUE = re.compile(r"(\d{8}_\d{6}_[A-Z]{1,2})[FRI][SL]?")
"""Stem of a BlackVue's film; one log serves all its cameras, and is called without their letter."""


def find_beside(film: Path) -> list[Path]:
    """The files of the film's name that may be its log, the likeliest first."""
    stems = [film.stem]
    if (match := _BLACKVUE.fullmatch(film.stem)) is not None:
        stems.append(match[1])
    try:
        there = {path.name.lower(): path for path in film.parent.iterdir() if path.suffix.lower() in ENDINGS}
    except OSError:
        return []
    names = (f"{stem}{ending}".lower() for ending in ENDINGS for stem in stems)
    return [there[name] for name in names if name in there and there[name].is_file()]


def holds_positions(path: Path) -> bool:
    """Whether a text that only has the film's name, such as its subtitles or a transcript, is a log."""
    if path.suffix.lower() not in _ANYTHING:
        return True
    try:
        with path.open("rb") as file:
            data = file.read(65536)
    except OSError:
        return False
    text = data.decode("utf-8", "replace")
    return looks_like_nmea(data) or "<gpx" in text or ("-->" in text and bool(read_srt(text)))


def read_beside(path: Path) -> Log:
    """What a log holds, whatever its name ends in. Raises SourceNotFound, Unreadable, ConfigError, MissingExtra."""
    try:
        size = path.stat().st_size
        if size > _MOST:
            raise ConfigError(f"{path}: {size >> 20} MB is no log of positions; {_MOST >> 20} MB are allowed")
        data = path.read_bytes()
    except FileNotFoundError:
        raise SourceNotFound(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise Unreadable(
            f"telemetry {brief(str(path))}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    if "<gpx" in text[:4096]:
        return Log("GPX", path.name, read_gpx(text, str(path)))
    if "-->" in text[:4096]:
        return Log("subtitles", path.name, read_srt(text))
    if looks_like_nmea(text.encode()):
        return Log("NMEA", path.name, read_nmea(text))
    raise Unreadable(
        f"{path}: holds no positions that can be read; known are GPX, NMEA 0183 and subtitles (SRT) with positions"
    )
