"""Numpy views on the planes of a decoded picture.

A decoded picture is seldom RGB. It is Y, U and V in separate or interleaved planes, chroma often at half size, 8 to 16 bits a
sample. `views` gives the planes as numpy arrays that share the picture's memory; `pixels.color` says what their codes mean.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from streamseg.errors import StreamsegError, Unreadable
from streamseg.pixels.color import SWS_COLORSPACE, Matrix, encoding
from streamseg.pixels.filters import Filter
from streamseg.pixels.layouts import Layout, PlaneSpec, layout, nearest_layout

if TYPE_CHECKING:
    from streamseg.pixels.picture import AnyPicture

__all__ = [
    "Plane",
    "Planes",
    "convert",
    "copy_frame",
    "copy_tags",
    "new_frame",
    "on_host",
    "reformat",
    "supported",
    "views",
    "with_chroma",
]

Array = npt.NDArray[Any]

_EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
_FULL_RANGE = 2
_LIMITED_RANGE = 1
_thread = threading.local()


class Plane(NamedTuple):
    """One plane of one picture."""

    array: Array
    """[h, w] or, interleaved, [h, w, components]; shares the picture's memory; rows may be padded, samples of a row are not."""
    spec: PlaneSpec


class Planes(NamedTuple):
    """All planes of one picture."""

    layout: Layout
    width: int
    height: int
    planes: tuple[Plane, ...]


def views(picture: av.VideoFrame) -> Planes:
    """The planes of `picture` as numpy arrays sharing its memory.

    Raises Unreadable for a format `layout` does not know: pass the picture through `supported` first.
    """
    known = layout(picture.format.name)
    if known is None:
        raise Unreadable(f"pixel format {picture.format.name!r} has no plain planes; convert it with planes.supported() first")
    width, height = picture.width, picture.height
    dtype = np.dtype(known.dtype)
    planes = []
    for spec, plane in zip(known.planes, picture.planes, strict=False):
        w, h = -(-width >> spec.shift_x), -(-height >> spec.shift_y)
        line, samples = plane.line_size, len(spec.components)
        shape = (h, w) if samples == 1 else (h, w, samples)
        strides = (line, dtype.itemsize * samples, dtype.itemsize)[: len(shape)]
        planes.append(Plane(np.ndarray(shape, dtype, memoryview(plane), 0, strides), spec))
    return Planes(known, width, height, tuple(planes))


def on_host(picture: AnyPicture) -> av.VideoFrame:
    """`picture` in host memory: itself, or downloaded, once for all who ask, from the GPU that it lives on."""
    return picture if isinstance(picture, av.VideoFrame) else picture.host()


def supported(picture: AnyPicture) -> av.VideoFrame:
    """`picture` itself if `views` can read it, else a copy that swscale converted to the nearest format that it can.

    Nearest: at least the same depth, chroma resolution and alpha; packed 4:2:2 becomes planar 4:2:2, big-endian little-endian, a
    palette RGBA, Bayer RGB. Matrix and range stay. One on a GPU is downloaded. Raises Unreadable when swscale cannot.
    """
    picture = on_host(picture)
    name = picture.format.name
    if layout(name) is not None and picture.planes[0].line_size > 0:
        return picture
    return convert(picture, nearest_layout(name))


def convert(picture: AnyPicture, name: str) -> av.VideoFrame:
    """`picture` in another pixel format by swscale, in its own matrix and range (full where the format is RGB), tags kept.

    The picture itself when it has that format already. Raises Unreadable when swscale cannot.
    """
    picture = on_host(picture)
    if picture.format.name == name and picture.planes[0].line_size > 0:
        return picture
    tags = encoding(picture)
    full = tags.full_range or av.VideoFormat(name, 16, 16).is_rgb
    source = picture
    if tags.family == "gray" and not tags.full_range and picture.format.name != name:
        source = with_chroma(supported(picture))
    try:
        converted = reformat(source, name)
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(f"pixel format {picture.format.name!r} cannot be converted to {name!r}: {error}") from error
    copy_tags(picture, converted)
    converted.color_range = _FULL_RANGE if full else _LIMITED_RANGE
    return converted


def reformat(
    picture: av.VideoFrame,
    name: str,
    *,
    width: int | None = None,
    height: int | None = None,
    matrix: Matrix | None = None,
    full_range: bool | None = None,
    exact: bool = True,
) -> av.VideoFrame:
    """Another pixel format or size by swscale, in the picture's own matrix and range unless others are given.

    Safe while other threads read the picture, which PyAV's ways are not: `VideoFrame.reformat` keeps one swscale context inside the
    picture (two outputs using it at a time crash), and all of them write other tags into it meanwhile (seen: an encoder that
    was opened in that moment wrote them into its file).
    `exact` interpolates chroma and rounds as well as swscale can; without, it is several times faster and a code or two off.
    """
    own = encoding(picture)
    full = av.VideoFormat(name, 16, 16).is_rgb or (own.full_range if full_range is None else full_range)
    return _scaler().reformat(
        _with_own_tags(picture),
        width=width,
        height=height,
        format=name,
        src_colorspace=SWS_COLORSPACE[own.matrix if own.family == "yuv" else matrix or own.matrix],
        dst_colorspace=SWS_COLORSPACE[matrix or own.matrix],
        src_color_range=_FULL_RANGE if own.full_range else _LIMITED_RANGE,
        dst_color_range=_FULL_RANGE if full else _LIMITED_RANGE,
        interpolation=_EXACT if exact else Interpolation.BILINEAR,
        threads=1,
    )


def _with_own_tags(picture: av.VideoFrame) -> av.VideoFrame:
    """The same pixels, in the same memory, as a picture whose tags may be changed.

    It is flagged progressive: swscale scales flagged fields apart, and who wants that parts them before (`fields.convert`).
    """
    if not hasattr(_thread, "sharer"):
        _thread.sharer = Filter(("setfield", "prog"))
    sharer: Filter = _thread.sharer
    try:
        shared = sharer(picture)
    except (av.FFmpegError, ValueError, MemoryError):
        del _thread.sharer  # what cannot be told apart is converted as it is: the conversion says why, if it cannot either
        return picture
    assert shared is not None  # the filter lets every picture through
    copy_tags(picture, shared)
    return shared


def _scaler() -> VideoReformatter:
    if not hasattr(_thread, "scaler"):
        _thread.scaler = VideoReformatter()
    scaler: VideoReformatter = _thread.scaler
    return scaler


def with_chroma(picture: av.VideoFrame) -> av.VideoFrame:
    """Grey as 4:2:0 with neutral chroma: swscale takes grey for full range, whatever its tag says."""
    grey = views(picture)
    depth = next(d for d in (8, 10, 12, 16) if d >= grey.layout.depth)
    made = new_frame(picture.width, picture.height, "yuv420p" if depth == 8 else f"yuv420p{depth}le")
    copy_tags(picture, made)
    luma, *chroma = views(made).planes
    np.left_shift(grey.planes[0].array, depth - grey.layout.depth, out=luma.array)
    for plane in chroma:
        plane.array[...] = 1 << (depth - 1)
    return made


def new_frame(width: int, height: int, name: str) -> av.VideoFrame:
    """A picture of undefined content. Raises StreamsegError when there is no memory or no such format."""
    try:
        return av.VideoFrame(width, height, name)
    except (ValueError, MemoryError, av.FFmpegError) as error:
        raise StreamsegError(f"cannot make a {width}x{height} picture of format {name!r}: {error}") from error


def copy_tags(source: av.VideoFrame, target: av.VideoFrame) -> None:
    """Give `target` the time and the colour description of `source`."""
    target.pts = source.pts
    target.dts = source.dts
    if source.time_base is not None:
        target.time_base = source.time_base
    target.colorspace = source.colorspace
    target.color_range = source.color_range
    target.color_primaries = source.color_primaries
    target.color_trc = source.color_trc


def copy_frame(picture: av.VideoFrame) -> av.VideoFrame:
    """A deep copy with planes of its own, the same time, colour tags and side data (captions, ICC profile, HDR metadata).

    By libavfilter: PyAV cannot give a picture that was made here any side data. Safe while other threads do the same.
    """
    if not hasattr(_thread, "copier"):
        _thread.copier = Filter(("copy", ""))
    copier: Filter = _thread.copier
    try:
        copy = copier(picture)
    except (av.FFmpegError, ValueError, MemoryError) as error:
        del _thread.copier
        raise StreamsegError(
            f"cannot copy a picture of {picture.width}x{picture.height} {picture.format.name}: {error}"
        ) from error
    assert copy is not None  # the filter lets every picture through
    copy_tags(picture, copy)
    return copy
