"""Photos of tiles in HEIF files (HEIC, AVIF), as phones write them: laid side by side, cut to size and turned upright.

FFmpeg decodes each tile as a stream of its own. How they lie PyAV does not tell, but the file's boxes do (ISO/IEC 14496-12, 8.11;
ISO/IEC 23008-12, 6.6.2.3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer

from streamseg.errors import TooLarge, Unreadable
from streamseg.pixels.orient import TURNS, turn
from streamseg.pixels.planes import copy_tags, new_frame, supported, views

__all__ = ["Grid", "find_grid", "is_heif", "is_sequence", "put_together"]

_SEQUENCES = {b"avis", b"hevc", b"hevx", b"msf1", b"vvcs"}


@dataclass(frozen=True, slots=True)
class Grid:
    """How the tiles of the primary photo lie."""

    columns: int
    rows: int
    width: int
    """Of the photo, before it is turned."""
    height: int
    tiles: tuple[int, ...]
    """Ids of the items, row by row; FFmpeg's streams have the same."""
    degrees: int
    """Counter-clockwise, to be upright."""


def is_heif(data: bytes) -> bool:
    """Whether a file of boxes begins here (ISO/IEC 14496-12, 4.3)."""
    return data[4:8] == b"ftyp"


def is_sequence(data: bytes) -> bool:
    """Whether it holds, beside a cover, pictures with times."""
    size = struct.unpack_from(">I", data)[0] if len(data) >= 16 else 0
    brands = data[8:12] + data[16 : min(size, len(data))]
    return any(brands[at : at + 4] in _SEQUENCES for at in range(0, len(brands), 4))


def find_grid(data: bytes, name: str) -> Grid | None:
    """The grid that the primary item is, None if it is another kind of item. Raises Unreadable for one that cannot be followed."""
    try:
        return _grid(data, name)
    except (struct.error, IndexError, KeyError, StopIteration) as error:
        raise Unreadable(f"{name}: a damaged photo of tiles: its boxes do not say how they lie") from error


def _grid(data: bytes, name: str) -> Grid | None:
    found = next((body for kind, body in _boxes(data) if kind == b"meta"), None)
    if found is None:
        return None
    meta = dict(_boxes(found[4:]))
    primary = int.from_bytes(meta[b"pitm"][4 : 6 if meta[b"pitm"][0] == 0 else 8], "big")
    if _types(meta[b"iinf"]).get(primary) != b"grid":
        return None
    layout = _place(meta, primary, data)
    rows, columns = layout[2] + 1, layout[3] + 1
    width, height = struct.unpack_from(">II" if layout[1] & 1 else ">HH", layout, 4)
    tiles = next(ids for kind, owner, ids in _references(meta[b"iref"]) if kind == b"dimg" and owner == primary)
    degrees = 0
    for kind, body in _properties(meta[b"iprp"], primary):
        if kind == b"imir":
            raise Unreadable(f"{name}: a mirrored photo of tiles, which is not read; convert it to JPEG or PNG")
        if kind == b"irot":
            degrees = body[0] % 4 * 90
    if len(tiles) != rows * columns:
        raise Unreadable(f"{name}: a damaged photo of tiles: it has {len(tiles)} for {rows} rows of {columns}")
    return Grid(columns, rows, width, height, tiles, degrees)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return
        yield kind, data[at + head : at + size]
        at += size


def _types(iinf: bytes) -> dict[int, bytes]:
    found = {}
    for _, body in _boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        number, at = (int.from_bytes(body[4:6], "big"), 8) if body[0] < 3 else (int.from_bytes(body[4:8], "big"), 10)
        found[number] = body[at : at + 4]
    return found


def _references(iref: bytes) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """(kind, from which item, to which)."""
    letter, size = ("H", 2) if iref[0] == 0 else ("I", 4)
    for kind, body in _boxes(iref[4:]):
        owner, count = struct.unpack_from(f">{letter}H", body)
        yield kind, owner, struct.unpack_from(f">{count}{letter}", body, size + 2)


def _place(meta: dict[bytes, bytes], item: int, data: bytes) -> bytes:
    """The bytes of an item, in one piece."""
    iloc = meta[b"iloc"]
    version, sizes = iloc[0], (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if iloc[0] else 0)
    at, wide = 6, 4 if version == 2 else 2

    def take(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(iloc[at - size : at], "big")

    for _ in range(take(wide)):
        number, method = take(wide), take(2) & 15 if version else 0
        take(2)
        base = take(sizes[2])
        extents = [(take(sizes[3]), take(sizes[0]), take(sizes[1])) for _ in range(take(2))]
        if number == item:
            _, offset, length = extents[0]
            source = meta[b"idat"] if method == 1 else data
            return source[base + offset : base + offset + length]
    raise KeyError(item)


def _properties(iprp: bytes, item: int) -> Iterator[tuple[bytes, bytes]]:
    boxes = list(_boxes(iprp))
    known = list(_boxes(next(body for kind, body in boxes if kind == b"ipco")))
    for ipma in (body for kind, body in boxes if kind == b"ipma"):
        number_size, wide, at = 2 if ipma[0] == 0 else 4, bool(ipma[3] & 1), 8
        for _ in range(int.from_bytes(ipma[4:8], "big")):
            number, count = int.from_bytes(ipma[at : at + number_size], "big"), ipma[at + number_size]
            at += number_size + 1
            for _ in range(count):
                index = int.from_bytes(ipma[at : at + 1 + wide], "big") & (0x7FFF if wide else 0x7F)
                at += 1 + wide
                if number == item and 0 < index <= len(known):
                    yield known[index - 1]


def put_together(container: InputContainer, grid: Grid, name: str, max_pixels: int) -> av.VideoFrame:
    """The photo, upright. Raises TooLarge, Unreadable, and libav's errors."""
    streams = {stream.id: stream for stream in container.streams.video}
    missing = [tile for tile in grid.tiles if tile not in streams]
    if missing or not grid.width or not grid.height:
        raise Unreadable(f"{name}: a damaged photo of tiles: {len(missing)} of {len(grid.tiles)} are missing")
    first = streams[grid.tiles[0]].codec_context
    size = (first.width, first.height)
    width, height = first.width * grid.columns, first.height * grid.rows
    if max(width * height, grid.width * grid.height) > max_pixels:
        raise TooLarge(f"{name}: an image of {grid.width}x{grid.height} exceeds the limit of {max_pixels} pixels (max_pixels)")
    if grid.width > width or grid.height > height:
        raise Unreadable(f"{name}: a damaged photo of tiles: they make {width}x{height}, not {grid.width}x{grid.height}")
    wanted = [streams[tile] for tile in dict.fromkeys(grid.tiles)]
    decoded: dict[int, av.VideoFrame] = {}
    for stream in wanted:
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
    for packet in container.demux(wanted):
        for found in packet.decode():
            if isinstance(found, av.VideoFrame):
                decoded[packet.stream.id] = supported(found)
    whole: av.VideoFrame | None = None
    for number, tile in enumerate(grid.tiles):
        image = decoded.get(tile)
        if image is not None and whole is None:
            whole = new_frame(grid.width, grid.height, image.format.name)
            copy_tags(image, whole)
        if image is None or whole is None or (image.width, image.height, image.format.name) != (*size, whole.format.name):
            raise Unreadable(f"{name}: a damaged photo: tile {number + 1} of {len(grid.tiles)} is missing or of another kind")
        _paste(image, whole, number % grid.columns * first.width, number // grid.columns * first.height)
    assert whole is not None  # a grid has a tile
    return turn(whole, TURNS[grid.degrees])


def _paste(tile: av.VideoFrame, whole: av.VideoFrame, left: int, top: int) -> None:
    for into, of in zip(views(whole).planes, views(tile).planes, strict=True):
        target = into.array[top >> into.spec.shift_y :, left >> into.spec.shift_x :]
        rows, columns = min(target.shape[0], of.array.shape[0]), min(target.shape[1], of.array.shape[1])
        target[:rows, :columns] = of.array[:rows, :columns]
