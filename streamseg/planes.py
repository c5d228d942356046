"""Numpy views on the planes of a decoded picture, and what their numbers mean.

A decoded picture is seldom RGB. It is Y, U and V in separate or interleaved planes, chroma often at half size, 8 to 16 bits a
sample, with a matrix (which luma weights) and a range (which codes are black and white). `views` gives the planes as numpy arrays
that share the picture's memory; `encoding` says how to turn RGB into their codes and back.

Formulas: ITU-T H.273 (05/2024), 8.3 (codes of limited and full range, equations 20 to 31), its Table 4 (luma weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from streamseg.errors import StreamsegError, Unreadable

__all__ = [
    "Encoding",
    "Layout",
    "Plane",
    "PlaneSpec",
    "Planes",
    "copy_frame",
    "copy_tags",
    "encoding",
    "layout",
    "new_frame",
    "supported",
    "views",
]

Array = npt.NDArray[Any]
Matrix = Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc"]
Transfer = Literal["sdr", "pq", "hlg"]

# Luma weights Kr, Kb. H.273 Table 4.
_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
# H.273 MatrixCoefficients. Constant luminance (10) and ICtCp (14) are read with the plain BT.2020 weights: close, not exact.
_MATRICES: dict[int, Matrix] = {
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
    14: "bt2020",
}
_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
_BT2020_PRIMARIES = 9
_FULL_RANGE = 2
_LIMITED_RANGE = 1
_HD_HEIGHT = 720


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


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the codes of a picture mean."""

    matrix: Matrix
    full_range: bool
    transfer: Transfer
    wide: bool
    """BT.2020 primaries."""
    family: Literal["yuv", "rgb", "gray"]
    depth: int

    def from_rgb(self, rgb: Array) -> npt.NDArray[np.float64]:
        """R'G'B' [..., 3] in 0..1, in this picture's transfer and primaries, to its codes [..., 3], float64, not rounded."""
        forward, offset = _codes(self)
        return np.asarray(rgb, np.float64) @ forward.T + offset

    def to_rgb(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """M [3, 3] and b [3] of R'G'B' (0..1) = M @ codes + b."""
        return _inverse(self)


@lru_cache(maxsize=256)
def _codes(of: Encoding) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """M [3, 3] and b [3] of codes = M @ R'G'B' + b. H.273 equations 20 to 31, 38 to 40."""
    top = float(2**of.depth - 1)
    if of.family == "rgb":
        return np.eye(3) * top, np.zeros(3)
    kr, kb = _WEIGHTS[of.matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    matrix = np.stack([luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * kb), (np.array([1, 0, 0]) - luma) / (2 - 2 * kr)])
    unit = 2.0 ** (of.depth - 8)
    gain = np.array([top, top, top]) if of.full_range else np.array([219.0, 224.0, 224.0]) * unit
    offset = np.array([0.0 if of.full_range else 16.0, 128.0, 128.0]) * unit
    return matrix * gain[:, None], offset


@lru_cache(maxsize=256)
def _inverse(of: Encoding) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    forward, offset = _codes(of)
    inverse: npt.NDArray[np.float64] = np.linalg.inv(forward).astype(np.float64)
    return inverse, -inverse @ offset


def encoding(picture: av.VideoFrame) -> Encoding:
    """The encoding of `picture`, from its tags.

    Untagged matrix: BT.709 from 720 lines up, BT.601 below, as players do. Untagged range: limited for YUV, full for yuvj, grey
    (as swscale has it) and RGB.
    """
    name = picture.format.name
    known = _LAYOUTS.get(name)
    family = known.family if known else ("rgb" if picture.format.is_rgb else "yuv")
    depth = known.depth if known else 8
    fallback: Matrix = "bt709" if picture.height >= _HD_HEIGHT else "bt601"
    matrix = _MATRICES.get(int(picture.colorspace), fallback)
    tagged = int(picture.color_range)
    full = (
        family == "rgb" or name.startswith("yuvj") or tagged == _FULL_RANGE or (family == "gray" and tagged != _LIMITED_RANGE)
    )
    transfer = _TRANSFERS.get(int(picture.color_trc), "sdr")
    return Encoding(matrix, full, transfer, int(picture.color_primaries) == _BT2020_PRIMARIES, family, depth)


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


def supported(picture: av.VideoFrame) -> av.VideoFrame:
    """`picture` itself if `views` can read it, else a copy that swscale converted to the nearest format that it can.

    Nearest: at least the same depth, chroma resolution and alpha; packed 4:2:2 becomes planar 4:2:2, big-endian little-endian, a
    palette RGBA, Bayer RGB. Matrix and range stay. Raises Unreadable when swscale cannot.
    """
    name = picture.format.name
    if name in _LAYOUTS and picture.planes[0].line_size > 0:
        return picture
    target = name if name in _LAYOUTS else _nearest(picture.format)
    tags = encoding(picture)
    space = {"bt709": 1, "bt2020": 9, "smpte240m": 7, "fcc": 4}.get(tags.matrix, 5)
    span = _FULL_RANGE if tags.full_range else _LIMITED_RANGE
    try:
        converted = picture.reformat(
            format=target, src_colorspace=space, dst_colorspace=space, src_color_range=span, dst_color_range=span
        )
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(f"pixel format {name!r} cannot be converted to {target!r}: {error}") from error
    copy_tags(picture, converted)
    return converted


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
    chroma = [part for part in parts if part.is_chroma]
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
    """A deep copy with planes of its own, the same time and colour tags. Side data (captions, HDR metadata) is not copied."""
    copy = new_frame(picture.width, picture.height, picture.format.name)
    for source, target in zip(views(picture).planes, views(copy).planes, strict=True):
        np.copyto(target.array, source.array)
    copy_tags(picture, copy)
    return copy
