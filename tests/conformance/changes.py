"""What is done to a file after it was written, to make what no muxer writes: seams, packets without a time, edits."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.conformance.clip import Clip

__all__ = ["CHANGES", "SKIPPED"]

Change = Callable[[Clip, Path, Path, Callable[[Clip, Path], Path]], None]
SKIPPED = 3
"""Pictures that the edit of `edit` leaves out."""
_TS = 188


def _nothing(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """As it is."""


def _joined(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """The same film once more behind it: the clock jumps back to where it began."""
    path.write_bytes(path.read_bytes() * 2)


def _joined_later(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """The same film an hour later behind it: the clock jumps ahead."""
    later = make(replace(clip, change="", begin=clip.begin + 3600, sound_begin=clip.sound_begin + 3600), root)
    path.write_bytes(path.read_bytes() + later.read_bytes())


def _untimed(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """Every second picture of a transport stream loses its times (PES header, ISO/IEC 13818-1, 2.4.3.6)."""
    data = bytearray(path.read_bytes())
    pictures = 0
    for at in range(0, len(data) - _TS + 1, _TS):
        body = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        if data[at + 1] & 0x40 and data[body : body + 3] == b"\0\0\1" and data[body + 3] & 0xF0 == 0xE0:
            pictures += 1
            if pictures % 2 == 0:
                data[body + 7] &= 0x3F
                data[body + 9 : body + 9 + data[body + 8]] = b"\xff" * data[body + 8]
    path.write_bytes(data)


def _edit(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """The movie's edit list leaves out the first `SKIPPED` pictures (ISO/IEC 14496-12, 8.6.6)."""
    data = bytearray(path.read_bytes())
    box, scale_at = data.index(b"elst"), data.index(b"mdhd")
    scale = struct.unpack_from(">I", data, scale_at + 16)[0]
    movie = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    length, media = struct.unpack_from(">Ii", data, box + 12)
    skipped = SKIPPED / clip.rate
    struct.pack_into(">Ii", data, box + 12, length - round(skipped * movie), media + round(skipped * scale))
    path.write_bytes(data)


def _no_index(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """An AVI file that was cut before its index."""
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])


def _back(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """From its middle on a Matroska file's clock begins anew, where no key frame stands (Cluster, Timestamp: RFC 9559, 5.1.3.1)."""
    data = bytearray(path.read_bytes())
    clusters = [found.end() for found in re.finditer(rb"\x1f\x43\xb6\x75.{1,8}?\xe7(?=[\x81-\x88])", data, re.DOTALL)]
    late = [(at + 1, at + 1 + (data[at] & 0x7F)) for at in clusters[len(clusters) // 2 :]]
    origin = int.from_bytes(data[slice(*late[0])], "big")
    for begin, end in late:
        data[begin:end] = (int.from_bytes(data[begin:end], "big") - origin).to_bytes(end - begin, "big")
    path.write_bytes(data)


def _png(clip: Clip, path: Path, root: Path, make: Callable[[Clip, Path], Path]) -> None:
    """Only its name is another: see `sources.make`."""


CHANGES: dict[str, Change] = {
    "": _nothing,
    "joined": _joined,
    "joined-later": _joined_later,
    "untimed": _untimed,
    "edit": _edit,
    "no-index": _no_index,
    "back": _back,
    "png": _png,
}
