"""Numpy views on the planes of a decoded picture.

A decoded picture is seldom RGB. It is Y, U and V in separate or interleaved planes, chroma often at half size, 8 to 16 bits a
sample. `views` gives the planes as numpy arrays that share the picture's memory; `pixels.color` says what their codes mean.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from streamseg.errors import StreamsegError, Unreadable
from streamseg.pixels.color import SWS_COLORSPACE, Encoding, Matrix, encoding
from streamseg.pixels.filters import Filter

if TYPE_CHECKING:
    from streamseg.pixels.picture import AnyPicture

__all__ = [
    "Encoding",
    "Layout",
    "Plane",
    "PlaneSpec",
    "Planes",
    "convert",
    "copy_frame",
    "copy_tags",
    "encoding",
    "layout",
    "nearest_layout",
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
_UNSPECIFIED = 2
_thread = threading.local()


class PlaneSpec(NamedTuple):
    """One plane of a layout."""

    components: tuple[int, ...]
    """What each sample of a pixel is: 0, 1, 2 = Y, U, V or R, G, B; 3 = alpha or padding. More than one when interleaved."""
    shift_x: int
    """The plane is the picture's width / 2**shift_x, rounded up."""
    shift_y: int


class Layout(NamedTuple):
    """How a pixel format keeps its samples."""

    name: str
    family: Literal["yuv", "rgb", "gray"]
    depth: int
    """Bits of a sample, 8 to 16."""
    lsb: int
    """Zero bits below the sample within its 16-bit word: 6 for p010, 0 for nearly all."""
    planes: tuple[PlaneSpec, ...]
    alpha: bool

    @property
    def dtype(self) -> npt.DTypeLike:
        """uint8 up to 8 bits, little-endian uint16 above."""
        return np.uint8 if self.depth <= 8 else np.dtype("<u2")


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


def _layouts() -> dict[str, Layout]:
    """Every pixel format whose samples numpy can view in place."""
    table: dict[str, Layout] = {}

    def add(
        name: str, family: Literal["yuv", "rgb", "gray"], depth: int, planes: list[PlaneSpec], lsb: int = 0, alpha: bool = False
    ) -> None:
        table[name] = Layout(name, family, depth, lsb, tuple(planes), alpha)

    subsampling = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
    for depth in (8, 9, 10, 12, 14, 16):
        bits = "" if depth == 8 else f"{depth}le"
        for sub, (x, y) in subsampling.items():
            planes = [PlaneSpec((0,), 0, 0), PlaneSpec((1,), x, y), PlaneSpec((2,), x, y)]
            add(f"yuv{sub}p{bits}", "yuv", depth, planes)
            add(f"yuva{sub}p{bits}", "yuv", depth, [*planes, PlaneSpec((3,), 0, 0)], alpha=True)
            if depth == 8:
                add(f"yuvj{sub}p", "yuv", depth, planes)
        add(f"gray{bits}", "gray", depth, [PlaneSpec((0,), 0, 0)])
        green_first = [PlaneSpec((1,), 0, 0), PlaneSpec((2,), 0, 0), PlaneSpec((0,), 0, 0)]
        add(f"gbrp{bits}", "rgb", depth, green_first)
        add(f"gbrap{bits}", "rgb", depth, [*green_first, PlaneSpec((3,), 0, 0)], alpha=True)
    for name, chroma, (x, y), depth in (
        ("nv12", (1, 2), (1, 1), 8),
        ("nv21", (2, 1), (1, 1), 8),
        ("nv16", (1, 2), (1, 0), 8),
        ("nv24", (1, 2), (0, 0), 8),
        ("p010le", (1, 2), (1, 1), 10),
        ("p012le", (1, 2), (1, 1), 12),
        ("p016le", (1, 2), (1, 1), 16),
        ("p210le", (1, 2), (1, 0), 10),
        ("p410le", (1, 2), (0, 0), 10),
    ):
        add(name, "yuv", depth, [PlaneSpec((0,), 0, 0), PlaneSpec(chroma, x, y)], lsb=0 if depth == 8 else 16 - depth)
    order = {"r": 0, "g": 1, "b": 2, "a": 3, "0": 3}
    for name in ("rgb", "bgr", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"):
        packed = [PlaneSpec(tuple(order[c] for c in name), 0, 0)]
        add(name + ("24" if len(name) == 3 else ""), "rgb", 8, packed, alpha="a" in name)
        if name in ("rgb", "bgr", "rgba", "bgra"):
            add(name + ("48le" if len(name) == 3 else "64le"), "rgb", 16, packed, alpha="a" in name)
    return table


_LAYOUTS = _layouts()


def layout(name: str) -> Layout | None:
    """The layout of the pixel format `name`, or None where numpy cannot view it (packed 4:2:2, palettes, big-endian, hardware)."""
    return _LAYOUTS.get(name)


def nearest_layout(name: str) -> str:
    """The format with a layout of at least the depth, chroma resolution and alpha of the pixel format `name`."""
    return name if name in _LAYOUTS else _nearest(av.VideoFormat(name))


def views(picture: av.VideoFrame) -> Planes:
    """The planes of `picture` as numpy arrays sharing its memory.

    Raises Unreadable for a format `layout` does not know: pass the picture through `supported` first.
    """
    known = _LAYOUTS.get(picture.format.name)
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
    if name in _LAYOUTS and picture.planes[0].line_size > 0:
        return picture
    target = name if name in _LAYOUTS else _nearest(picture.format)
    return convert(picture, target)


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

    Safe while other threads read the picture, which `VideoFrame.reformat` is not: that keeps one swscale context inside the picture
    (two outputs using it at a time crash), and takes its transfer and primaries off meanwhile.
    `exact` interpolates chroma and rounds as well as swscale can; without, it is several times faster and a code or two off.
    """
    own = encoding(picture)
    source = picture
    tagged = (int(picture.color_trc), int(picture.color_primaries)) != (_UNSPECIFIED, _UNSPECIFIED)
    if tagged and picture.format.name in _LAYOUTS and picture.planes[0].line_size > 0:
        source = copy_frame(picture)
    full = av.VideoFormat(name, 16, 16).is_rgb or (own.full_range if full_range is None else full_range)
    return _scaler().reformat(
        source,
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


def _nearest(form: av.VideoFormat) -> str:
    """The supported format of at least the same depth, chroma resolution and alpha as `form`."""
    parts = form.components
    alpha = any(part.is_alpha for part in parts) or form.has_palette
    bits = next((b for b in (8, 10, 12, 16) if b >= max((part.bits for part in parts), default=8)), 16)
    if form.has_palette:
        return "rgba"
    if form.is_rgb or form.is_bayer:
        return ("rgba" if alpha else "rgb24") if bits == 8 else ("rgba64le" if alpha else "rgb48le")
    suffix = "" if bits == 8 else f"{bits}le"
    chroma = sum(not part.is_alpha for part in parts) >= 3
    if not chroma and not alpha:
        return "gray" + suffix
    # chroma_width/height of a probe size tell the subsampling without a shift field.
    x = 64 // form.chroma_width(64) if chroma else 1
    y = 64 // form.chroma_height(64) if chroma else 1
    sub = {(2, 2): "420", (2, 1): "422"}.get((x, y), "444")
    return f"yuv{'a' if alpha else ''}{sub}p{suffix}"


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
