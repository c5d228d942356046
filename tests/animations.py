"""Image files of several pictures, and HEIF photos, written for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests import clips

DELAYS = (100, 40, 250, 100, 20)
"""Milliseconds; no two neighbours alike."""
STARTS = (0, 100, 140, 390, 490)


def arrays(count: int = len(DELAYS), alpha: bool = False) -> list[np.ndarray]:
    """BGR or BGRA pictures of 96x64 whose bar code tells their number, with a square that moves."""
    made = []
    for index in range(count):
        grey = clips.gray(index)
        picture = np.dstack([grey, grey, grey])
        picture[40:56, 8 + 6 * index : 40 + 6 * index] = (30, 60, 200)
        if alpha:
            opacity = np.full(grey.shape, 255, np.uint8)
            opacity[44:, :48] = 0
            opacity[40:56, 8 + 6 * index : 24 + 6 * index] = 128
            picture = np.dstack([picture, opacity])
        made.append(picture)
    return made


def write(path: Path, pictures: Sequence[np.ndarray] | None = None, delays: Sequence[int] = DELAYS) -> Path:
    """An animation of the kind of its suffix, by OpenCV; WebP without loss."""
    animation = cv2.Animation()
    animation.frames = list(arrays(len(delays)) if pictures is None else pictures)
    animation.durations = np.array(delays)
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if path.suffix == ".webp" else []
    assert cv2.imwriteanimation(str(path), animation, options)
    return path


def exif(orientation: int) -> bytes:
    """A TIFF structure of one tag, 274 (EXIF 2.32, 4.6.4)."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 274, 3, 1, orientation, 0, 0)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, bytes([version]) + flags.to_bytes(3, "big"), *parts)


def _coded(picture: av.VideoFrame, folder: Path) -> tuple[bytes, bytes]:
    """One H.265 picture as MP4 keeps it, and its configuration box."""
    path = folder / "tile.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:pools=1", "crf": "6"})
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        for packet in [*stream.encode(picture), *stream.encode(None)]:
            packet.dts = packet.pts  # x265 leaves what lay in its memory there
            container.mux(packet)
    (packet,) = clips.packets(path, "video")
    data = path.read_bytes()
    at = data.index(b"hvcC") - 4
    return packet[2], data[at : at + struct.unpack_from(">I", data, at)[0]]


def heic(
    path: Path, tiles: Sequence[av.VideoFrame], columns: int = 1, size: tuple[int, int] | None = None, turn: int = 0
) -> Path:
    """A HEIF photo (ISO/IEC 23008-12) of one H.265 picture or, as phones write it, of a grid of them.

    `size` is what is shown, before it is turned counter-clockwise by `turn` quarters; of 0 `columns` there is no grid, but many
    photos.
    """
    coded = [_coded(tile, path.parent) for tile in tiles]
    grid = len(tiles) > 1 and columns > 0
    numbers = list(range(1, len(tiles) + 1))
    width, height = tiles[0].width, tiles[0].height
    rows = len(tiles) // max(1, columns)
    whole = size or (width * columns, height * rows)
    items = [(n, b"hvc1", data) for n, (data, _) in zip(numbers, coded, strict=True)]
    items += [(99, b"grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *whole))] if grid else []
    infos = [
        _full(b"infe", struct.pack(">HH4sx", n, 0, kind), version=2, flags=int(grid and kind != b"grid"))
        for n, kind, _ in items
    ]
    properties = [coded[0][1], _full(b"ispe", struct.pack(">II", width, height)), _full(b"ispe", struct.pack(">II", *whole))]
    properties.append(_box(b"irot", bytes([turn])))
    own = {b"grid": bytes([2, 3, 0x84]), b"hvc1": bytes([2, 0x81, 2])}
    uses = [struct.pack(">H", n) + own[kind] for n, kind, _ in items]
    first = _box(b"ftyp", b"heic", struct.pack(">I", 0), b"mif1heic")

    def meta(at: int) -> bytes:
        places = b""
        for number, _, data in items:
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        return _full(
            b"meta",
            _full(b"hdlr", b"\0" * 4, b"pict", b"\0" * 13),
            _full(b"pitm", struct.pack(">H", 99 if grid else 1)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)), places),
            _full(b"iinf", struct.pack(">H", len(items)), *infos),
            *([_full(b"iref", _box(b"dimg", struct.pack(f">HH{len(tiles)}H", 99, len(tiles), *numbers)))] if grid else []),
            _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">I", len(items)), *uses)),
        )

    start = len(first) + len(meta(0)) + 8
    path.write_bytes(first + meta(start) + _box(b"mdat", *(data for _, _, data in items)))
    return path
