"""Image files that hold several pictures: animated WebP and TIFF of many pages, read one picture at a time.

FFmpeg cannot read animated WebP, but it can read each of its frames as a still. They are laid over one another here, so memory
holds one canvas, however long the animation is (WebP container specification, "Animation"; RFC 9649). In a TIFF, FFmpeg finds
further pages only by a tag that many files lack; so the header is changed to point to each page in turn (TIFF 6.0, section 2).
Animated PNG and GIF need nothing of this: FFmpeg reads them as videos.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from streamseg.errors import TooLarge, Unreadable
from streamseg.pixels.planes import convert, new_frame, supported, views

__all__ = ["Page", "Pages", "count_png_frames", "find_pages"]

_NEW_SUBFILE_TYPE, _COMPRESSION = 254, 259
_SHORT = 3
_JPEG = {6, 7}
_SMALL_OR_MASK = 0b101
"""A reduced copy of another page, or a mask for one."""
_DEFAULT_DELAY = 100
"""Milliseconds of a frame whose delay is zero, as browsers show it."""

Still = Callable[[bytes], av.VideoFrame]
"""Decodes a file of one still."""


@dataclass(frozen=True, slots=True)
class Page:
    """One picture of a file."""

    picture: av.VideoFrame
    start: int
    """Milliseconds from the first; for pages without times their number."""
    duration: int


@dataclass(frozen=True, slots=True)
class _Frame:
    x: int
    y: int
    width: int
    height: int
    delay: int
    blends: bool
    disposes: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Pages:
    """The pictures of a file."""

    count: int
    seconds: float | None
    """What they last together; None: they have no times."""
    read: Callable[[int], Iterator[Page]]
    """The pictures from that number on, decoded one at a time. Raises SourceError."""


def find_pages(path: Path, data: bytes, max_pixels: int, still: Still) -> Pages | None:
    """The pictures of a WebP or TIFF file of more than one, None of any other. Raises Unreadable, TooLarge."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(path, data, max_pixels, still)
    if data[:4] in (b"II*\0", b"MM\0*"):
        places, packings = _tiff_pages(data)
        if packings & _JPEG:
            raise Unreadable(f"{path}: a TIFF packed as JPEG, which FFmpeg does not read; convert it to PNG or JPEG")
        if len(places) > 1:
            return Pages(len(places), None, partial(_tiff, still, data, places))
    return None


def count_png_frames(data: bytes) -> int:
    """Frames of an animated PNG; 1 of any other (PNG specification, third edition, 11.3.6.1: acTL comes before IDAT)."""
    at = 8
    while at + 12 <= len(data) and data[:8] == b"\x89PNG\r\n\x1a\n":
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL" and length >= 8:
            return int(struct.unpack_from(">I", data, at + 8)[0])
        if kind == b"IDAT":
            break
        at += 12 + length
    return 1


def _tiff_pages(data: bytes) -> tuple[list[int], set[int]]:
    """Where the pages that are pictures of their own are described, and how they are compressed."""
    order = "<" if data[:2] == b"II" else ">"
    found, packings, seen = list[int](), set[int](), set[int]()
    at = struct.unpack_from(f"{order}I", data, 4)[0] if len(data) >= 8 else 0
    while at and at not in seen and at + 2 <= len(data):
        seen.add(at)
        (entries,) = struct.unpack_from(f"{order}H", data, at)
        end = at + 2 + 12 * entries
        if end + 4 > len(data):
            break
        tags = dict[int, int]()
        for entry in range(at + 2, end, 12):
            tag, type_ = struct.unpack_from(f"{order}HH", data, entry)
            (tags[tag],) = struct.unpack_from(order + ("H" if type_ == _SHORT else "I"), data, entry + 8)
        if not tags.get(_NEW_SUBFILE_TYPE, 0) & _SMALL_OR_MASK:
            found.append(at)
            packings.add(tags.get(_COMPRESSION, 1))
        (at,) = struct.unpack_from(f"{order}I", data, end)
    return found, packings


def _tiff(still: Still, data: bytes, places: list[int], first: int) -> Iterator[Page]:
    order = "<" if data[:2] == b"II" else ">"
    for index in range(first, len(places)):
        yield Page(still(data[:4] + struct.pack(f"{order}I", places[index]) + data[8:]), index, 1)


def _webp(path: Path, data: bytes, max_pixels: int, still: Still) -> Pages | None:
    chunks = dict[bytes, bytes]()
    frames = []
    for kind, body in _chunks(data[12:]):
        if kind == b"ANMF" and len(body) >= 16:
            frames.append(_frame(body))
        else:
            chunks.setdefault(kind, body[:10])
    header = chunks.get(b"VP8X", b"")
    if len(header) < 10 or not header[0] & 0x02:
        return None
    width, height = 1 + _u24(header, 4), 1 + _u24(header, 7)
    if width * height > max_pixels:
        raise TooLarge(f"{path}: an image of {width}x{height} exceeds the limit of {max_pixels} pixels (max_pixels)")
    if not frames or any(f.x + f.width > width or f.y + f.height > height for f in frames):
        raise Unreadable(f"{path}: a damaged animation: it has no frame, or one that lies outside of its {width}x{height}")
    name = "rgba" if header[0] & 0x10 else "rgb24"
    seconds = sum(f.delay for f in frames) / 1000
    return Pages(len(frames), seconds, partial(_canvases, still, path, frames, (width, height), name))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _frame(body: bytes) -> _Frame:
    width, height, flags = 1 + _u24(body, 6), 1 + _u24(body, 9), body[15]
    parts = [(kind, part) for kind, part in _chunks(body[16:]) if kind in (b"ALPH", b"VP8 ", b"VP8L")]
    if parts and parts[0][0] == b"ALPH":
        extended = struct.pack("<B3x", 0x10) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        parts.insert(0, (b"VP8X", extended))
    packed = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in parts)
    data = b"RIFF" + struct.pack("<I", 4 + len(packed)) + b"WEBP" + packed
    delay = _u24(body, 12) or _DEFAULT_DELAY
    return _Frame(2 * _u24(body, 0), 2 * _u24(body, 3), width, height, delay, not flags & 2, bool(flags & 1), data)


def _canvases(still: Still, path: Path, frames: list[_Frame], size: tuple[int, int], name: str, first: int) -> Iterator[Page]:
    canvas = np.zeros((size[1], size[0], 4), np.uint8)
    start = 0
    for number, frame in enumerate(frames):
        area = canvas[frame.y : frame.y + frame.height, frame.x : frame.x + frame.width]
        drawn = views(convert(supported(still(frame.data)), "rgba")).planes[0].array
        if drawn.shape != area.shape:
            raise Unreadable(f"{path}: a damaged animation: frame {number} is not as large as it says")
        area[...] = _over(area, drawn) if frame.blends else drawn
        if number >= first:
            picture = new_frame(*size, name)
            views(picture).planes[0].array[...] = canvas[:, :, : 4 if name == "rgba" else 3]
            yield Page(picture, start, frame.delay)
        start += frame.delay
        if frame.disposes:
            area[...] = 0


def _over(below: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`above` over `below`, straight alpha."""
    if (above[..., 3] == 255).all():
        return above
    alpha, under = above[..., 3:].astype(np.float32), below[..., 3:].astype(np.float32)
    rest = under * (255 - alpha) / 255
    total = alpha + rest
    mixed = (above[..., :3] * alpha + below[..., :3] * rest) / np.maximum(total, 1)
    made: npt.NDArray[np.uint8] = np.rint(np.concatenate([mixed, total], axis=2)).astype(np.uint8)
    return made
