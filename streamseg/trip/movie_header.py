"""When an MP4 or MOV was recorded and how long it lasts, from its header alone, and whether it has one (ISO/IEC 14496-12, `mvhd`).

A recorder writes the index last: a file without is being written, or its recorder lost power.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["MovieHeader", "read_movie_header"]

_FROM_1904 = 2_082_844_800
"""Seconds from 1904, which files count from, to 1970."""
_SET = 946_684_800
"""2000-01-01: a clock that says less was never set."""
_MOST_BOXES, _READ = 10_000, 4096
_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp")
"""What an MP4 begins with."""
_UNFINISHED = "is not finished: its index is missing (it is being written, or the recorder lost power)"


@dataclass(frozen=True, slots=True)
class MovieHeader:
    """What a file says of itself."""

    why_not: str = ""
    """Why it cannot be read; empty: nothing is known to be wrong."""
    created: float | None = None
    """Seconds since 1970; None: not told."""
    lasts: float | None = None
    """Seconds; None: not told, as in a film of fragments."""


def read_movie_header(path: Path) -> MovieHeader:
    """The header of a film; of another container than MP4 nothing is known."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                return MovieHeader("is empty (0 bytes)")
            return _read(file)
    except OSError as error:
        return MovieHeader(f"cannot be read: {error.strerror or error}")


def _read(file: BinaryIO) -> MovieHeader:
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack_from(">I4s", head)
        if at == 0 and kind not in _FIRST:
            return MovieHeader()
        begin = 8
        if length == 1 and len(head) == 16:
            length, begin = int.from_bytes(head[8:], "big"), 16
        if length < begin:
            break
        if kind == b"moov":
            file.seek(at + begin)
            return _of(file.read(min(length - begin, _READ)))
        if kind == b"moof":
            return MovieHeader()
        at += length
    return MovieHeader(_UNFINISHED)


def _of(movie: bytes) -> MovieHeader:
    """From the beginning of a `moov`, of which `mvhd` is the first box."""
    at = movie.find(b"mvhd")
    if at < 0 or len(movie) < at + 36:
        return MovieHeader()
    if movie[at + 4] == 1:
        created, _, scale, lasts = struct.unpack_from(">QQIQ", movie, at + 8)
    else:
        created, _, scale, lasts = struct.unpack_from(">IIII", movie, at + 8)
    since = created - _FROM_1904
    known = 0 < lasts < 0xFFFFFFFF and scale > 0
    return MovieHeader("", float(since) if since > _SET else None, lasts / scale if known else None)
