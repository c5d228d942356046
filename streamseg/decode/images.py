"""Folders, globs and printf patterns of stills, in natural order, decoded one by one without any demuxer.

A still is recognised by its first bytes and handed to that codec: libav's image demuxers would interpret `%` in its name, and
guess by the name's ending.
"""

from __future__ import annotations

import glob
import io
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av

from streamseg.decode.faults import AV_ERRORS, fault
from streamseg.decode.heif import find_grid, is_heif, is_sequence, put_together
from streamseg.decode.pages import Pages, count_png_frames, find_pages
from streamseg.decode.streams import find_video, left_out_photos
from streamseg.errors import NoVideo, SourceNotFound, StreamsegError, TooLarge, Unreadable
from streamseg.system.callbacks import Message

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

__all__ = [
    "SUFFIXES",
    "decode_image",
    "find_images",
    "is_video",
    "missing_numbers",
    "natural_key",
    "open_pages",
    "read_images",
]

SUFFIXES = frozenset(
    ".png .jpg .jpeg .bmp .tif .tiff .webp .exr .dpx .ppm .pgm .tga .jp2 .qoi .avif .heic .heif".split()  # noqa: SIM905
)
"""Endings of the stills that a folder is searched for."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "mjpeg"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"RIFF", "webp"),
    (b"v/1\x01", "exr"),
    (b"SDPX", "dpx"),
    (b"XPDS", "dpx"),
    (b"P5", "pgm"),
    (b"P6", "ppm"),
    (b"qoif", "qoi"),
    (b"\0\0\0\x0cjP  ", "jpeg2000"),
)

_PATTERN = re.compile(r"%(?:0?(?P<width>\d+))?d")


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sort key: numbers within names by their value, so that frame2 comes before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part.casefold()) for part in re.split(r"(\d+)", path.name) if part]


def find_images(path: Path) -> list[Path] | None:
    """The stills that a folder, a glob, a printf pattern or a single file means, in natural order; None if it means none of these.

    Raises SourceNotFound if a pattern matches nothing, NoVideo if a folder holds no still.
    """
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()]
        if not found:
            raise NoVideo(f"{path}: this folder holds no images ({', '.join(sorted(SUFFIXES))})")
        return sorted(found, key=natural_key)
    if path.exists():
        return [path] if path.suffix.lower() in SUFFIXES else None
    if _PATTERN.search(path.name):
        listing = path.parent.iterdir() if path.parent.is_dir() else ()
        found = [p for p in listing if _pattern(path.name).fullmatch(p.name) and p.is_file()]
    elif glob.has_magic(str(path)):
        pattern = str(Path(glob.escape(str(path.parent))) / path.name) if path.parent.is_dir() else str(path)
        found = [Path(p) for p in glob.glob(pattern) if Path(p).is_file()]
    else:
        return None
    if not found:
        raise SourceNotFound(f"{path}: no file matches")
    videos = [p.name for p in found if p.suffix.lower() not in SUFFIXES]
    if videos and len(found) > 1:
        raise SourceNotFound(f"{path}: matches {len(found)} files, some not images ({videos[0]}); give one video at a time")
    return sorted(found, key=natural_key)


def missing_numbers(images: Sequence[Path]) -> str | None:
    """A sentence if the last number in the names skips some: a render that failed, or files not copied."""
    numbers = [int(found[-1]) for found in (re.findall(r"\d+", p.stem) for p in images) if found]
    gaps = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    if len(numbers) != len(images) or not gaps:
        return None
    first = str(gaps[0][0]) if gaps[0][0] == gaps[0][1] else f"{gaps[0][0]} to {gaps[0][1]}"
    total = sum(b - a + 1 for a, b in gaps)
    return f"{images[0].parent}: {total} numbers are missing (first: {first}); the images are played without a pause"


def _pattern(name: str) -> re.Pattern[str]:
    """`frame%04d.png` as a regular expression: at least that many digits."""
    parts, end = [], 0
    for match in _PATTERN.finditer(name):
        parts += [re.escape(name[end : match.start()]), rf"\d{{{int((match['width'] or '1')[:3])},}}"]
        end = match.end()
    return re.compile("".join(parts) + re.escape(name[end:]))


def decode_image(path: Path, max_pixels: int) -> av.VideoFrame:
    """One still as a picture in its own format (rgb24, rgb48be, yuvj420p, ...), without time; of several the first.

    Raises Unreadable, TooLarge, SourceNotFound or SourceError.
    """
    return _decode(path, _bytes_of(path), max_pixels)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = fault(error, str(path), doing="this image cannot be decoded")
    raise problem


def _decode(path: Path, data: bytes, max_pixels: int) -> av.VideoFrame:
    problem: StreamsegError | None = None
    try:
        codec = next((codec for magic, codec in _MAGIC if data.startswith(magic)), None)
        if codec is None and path.suffix.lower() == ".tga":
            codec = "targa"
        if is_heif(data):
            return _first(path, _decode_heif(path, data, max_pixels))
        if codec is None:
            raise Unreadable(f"{path}: not an image of a known kind ({', '.join(sorted({c for _, c in _MAGIC}))})")
        if codec == "png" and len(data) >= 24:
            width, height = struct.unpack(">II", data[16:24])
            if width * height > max_pixels:
                raise TooLarge(f"{path}: an image of {width}x{height} exceeds the limit of {max_pixels} pixels (max_pixels)")
        context = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
        context.options = {"max_pixels": str(max_pixels)}
        context.thread_count = 1
        pictures = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.error.ArgumentError:
        problem = TooLarge(f"{path}: this image exceeds the limit of {max_pixels} pixels (max_pixels)")
    except AV_ERRORS as error:
        problem = fault(error, str(path), doing="this image cannot be decoded")
    if problem:
        raise problem
    return _first(path, pictures)


def _first(path: Path, pictures: list[av.VideoFrame]) -> av.VideoFrame:
    if not pictures:
        raise Unreadable(f"{path}: this image is cut off")
    return pictures[0]


def read_images(
    paths: Sequence[Path], rate: Fraction, first: int, max_pixels: int, on_message: Message
) -> Iterator[av.VideoFrame]:
    """The stills from number `first` on; pts is the number, in units of 1 / rate. Of a file of several pictures the first is taken,
    and `on_message` hears of it once.
    """
    told = False
    for number in range(first, len(paths)):
        path, data = paths[number], _bytes_of(paths[number])
        pages = find_pages(path, data, max_pixels, _still(path, max_pixels))
        count = pages.count if pages else count_png_frames(data)
        notes = [f"holds {count} pictures, of which only the first is taken in a sequence; give it alone for all of them"]
        if count == 1:
            notes = _notes(data) if is_heif(data) else []
        if not told:
            for note in notes:
                on_message(f"{path}: {note}")
        told = told or bool(notes)
        picture = next(pages.read(0)).picture if pages else _decode(path, data, max_pixels)
        picture.pts, picture.time_base = number, 1 / rate
        yield picture


def is_video(path: Path) -> bool:
    """Whether FFmpeg reads it as a video: an animated PNG, a sequence in AVIF. False where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(1 << 20)
        return (is_heif(data) and is_sequence(data)) or count_png_frames(data) > 1
    except OSError:
        return False


def open_pages(path: Path, max_pixels: int) -> Pages | None:
    """The pictures of a file that holds several (animated WebP, TIFF of many pages); None of any other. Raises SourceError."""
    return find_pages(path, _bytes_of(path), max_pixels, _still(path, max_pixels))


def _decode_heif(path: Path, data: bytes, max_pixels: int) -> list[av.VideoFrame]:
    with av.open(io.BytesIO(data), "r", format="mov") as container:
        if (grid := find_grid(data, str(path))) is not None:
            return [put_together(container, grid, str(path), max_pixels)]
        stream = find_video(container)
        if stream is None:
            return []
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > max_pixels:
            raise TooLarge(f"{path}: an image of {width}x{height} exceeds the limit of {max_pixels} pixels (max_pixels)")
        stream.codec_context.options = {"max_pixels": str(max_pixels)}
        return list(islice(container.decode(stream), 1))


def _notes(data: bytes) -> list[str]:
    """What to say of an image file that holds more than what is read of it."""
    try:
        with av.open(io.BytesIO(data), "r", format="mov") as container:
            return left_out_photos(container)
    except AV_ERRORS:
        return []  # who decodes it says why


def _still(path: Path, max_pixels: int) -> Callable[[bytes], av.VideoFrame]:
    return lambda data: _decode(path, data, max_pixels)
