"""Interlaced clips: a bar that has moved between the two fields of each frame, so that mixing their lines shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from streamseg.pixels import planes
from streamseg.pixels.fields import FieldOrder, Marker
from tests import clips

CODED_AS_FIELDS = int(Flags.interlaced_dct | Flags.interlaced_me)
WIDTH, HEIGHT, BAR, STEP = 96, 64, 16, 4


def moment(number: int, pix_fmt: str = "yuv420p", width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    """The scene at field time `number`: a bar, light and coloured, `STEP` pixels further each time."""
    picture = av.VideoFrame(width, height, pix_fmt)
    whole = planes.views(picture)
    left = 8 + STEP * number % (width - BAR - 8)
    for array, spec in whole.planes:
        low, high = (60, 220) if spec.components == (0,) else (100, 180)
        scale = 1 << (whole.layout.depth - 8 + whole.layout.lsb)
        array[...] = low * scale
        array[:, left >> spec.shift_x : (left + BAR) >> spec.shift_x] = high * scale
    return picture


def frame(
    number: int, order: FieldOrder = "tff", pix_fmt: str = "yuv420p", width: int = WIDTH, height: int = HEIGHT
) -> av.VideoFrame:
    """Frame `number`: the lines of moments 2 n and 2 n + 1, flagged."""
    first, second = moment(2 * number, pix_fmt, width, height), moment(2 * number + 1, pix_fmt, width, height)
    for into, of in zip(planes.views(first).planes, planes.views(second).planes, strict=True):
        parity = 1 if order == "tff" else 0
        into.array[parity::2] = of.array[parity::2]
    return Marker()(first, order)


def write(
    path: Path,
    codec: str = "libx264",
    order: FieldOrder = "tff",
    frames: int = 6,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    options: dict[str, str] | None = None,
    progressive: tuple[int, ...] = (),
    rotation: int = 0,
) -> Path:
    """Frames of 1/25 s, the first codes of the clip interlaced but for those of the numbers `progressive`."""
    base = {"libx264": {"preset": "veryfast", "crf": "8", "threads": "1"}, "mpeg2video": {"b": "6000000"}}.get(codec, {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=base | (options or {}))
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= CODED_AS_FIELDS
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            still = number in progressive
            picture = moment(2 * number, pix_fmt, *size) if still else frame(number, order, pix_fmt, *size)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def write_fields(path: Path, order: FieldOrder = "tff", frames: int = 4) -> Path:
    """H.265 whose pictures are one field each, 50 a second, half as high."""
    options = {"preset": "ultrafast", "crf": "8", "x265-params": f"log-level=none:pools=1:interlace={order}"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=50, options=options)
        stream.width, stream.height = WIDTH, HEIGHT // 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 50)
        for number in range(2 * frames):
            whole = planes.views(moment(number)).planes
            half = av.VideoFrame(WIDTH, HEIGHT // 2, "yuv420p")
            parity = number % 2 if order == "tff" else 1 - number % 2
            for into, of in zip(planes.views(half).planes, whole, strict=True):
                into.array[...] = of.array[parity::2]
            half.pts, half.time_base = number, Fraction(1, 50)
            container.mux(stream.encode(half))
        container.mux(stream.encode(None))
    return path


def orders(path: Path) -> list[FieldOrder | None]:
    """What the pictures of a clip say of themselves, decoded by PyAV alone."""
    from streamseg.pixels.fields import OrderReader

    read = OrderReader()
    return [read(picture) for picture in clips.decoded(path)]


def bar(lines: np.ndarray) -> float:
    """Where the bar begins in a field's luma, in pixels: the mean over its lines."""
    return float(np.argmax(lines > 140, axis=1).mean())
