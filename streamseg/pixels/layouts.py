"""Layouts: in which planes a pixel format keeps its samples, and how many bits each has.

Only formats whose samples numpy can view in place have one: not packed 4:2:2, palettes, Bayer, big-endian ones, and what lies in
hardware.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt

__all__ = ["Layout", "PlaneSpec", "layout", "layouts", "nearest_layout"]

_SUBSAMPLING = {"420": (1, 1), "422": (1, 0), "444": (0, 0), "440": (0, 1), "411": (2, 0), "410": (2, 2)}
_WITH_CHROMA_IN_ONE = {
    "nv12": ((1, 2), (1, 1), 8),
    "nv21": ((2, 1), (1, 1), 8),
    "nv16": ((1, 2), (1, 0), 8),
    "nv24": ((1, 2), (0, 0), 8),
    "p010le": ((1, 2), (1, 1), 10),
    "p012le": ((1, 2), (1, 1), 12),
    "p016le": ((1, 2), (1, 1), 16),
    "p210le": ((1, 2), (1, 0), 10),
    "p410le": ((1, 2), (0, 0), 10),
}
"""Name → the components of the second plane, its shifts, bits of a sample."""
_COMPONENTS = {"r": 0, "g": 1, "b": 2, "a": 3, "0": 3}


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


def _planar() -> Iterator[Layout]:
    """A plane for each component."""
    alpha = PlaneSpec((3,), 0, 0)
    for depth in (8, 9, 10, 12, 14, 16):
        bits = "" if depth == 8 else f"{depth}le"
        for sub, (x, y) in _SUBSAMPLING.items():
            planes = (PlaneSpec((0,), 0, 0), PlaneSpec((1,), x, y), PlaneSpec((2,), x, y))
            yield Layout(f"yuv{sub}p{bits}", "yuv", depth, 0, planes, False)
            yield Layout(f"yuva{sub}p{bits}", "yuv", depth, 0, (*planes, alpha), True)
            if depth == 8:
                yield Layout(f"yuvj{sub}p", "yuv", depth, 0, planes, False)
        yield Layout(f"gray{bits}", "gray", depth, 0, (PlaneSpec((0,), 0, 0),), False)
        green_first = (PlaneSpec((1,), 0, 0), PlaneSpec((2,), 0, 0), PlaneSpec((0,), 0, 0))
        yield Layout(f"gbrp{bits}", "rgb", depth, 0, green_first, False)
        yield Layout(f"gbrap{bits}", "rgb", depth, 0, (*green_first, alpha), True)


def _interleaved() -> Iterator[Layout]:
    """Chroma, or all components, in one plane."""
    for name, (chroma, (x, y), depth) in _WITH_CHROMA_IN_ONE.items():
        planes = (PlaneSpec((0,), 0, 0), PlaneSpec(chroma, x, y))
        yield Layout(name, "yuv", depth, 0 if depth == 8 else 16 - depth, planes, False)
    for name in ("rgb", "bgr", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"):
        packed = (PlaneSpec(tuple(_COMPONENTS[c] for c in name), 0, 0),)
        yield Layout(name + ("24" if len(name) == 3 else ""), "rgb", 8, 0, packed, "a" in name)
        if name in ("rgb", "bgr", "rgba", "bgra"):
            yield Layout(name + ("48le" if len(name) == 3 else "64le"), "rgb", 16, 0, packed, "a" in name)


_LAYOUTS = {each.name: each for each in (*_planar(), *_interleaved())}


def layouts() -> tuple[Layout, ...]:
    """All that there are."""
    return tuple(_LAYOUTS.values())


def layout(name: str) -> Layout | None:
    """The layout of the pixel format `name`, or None where numpy cannot view it."""
    return _LAYOUTS.get(name)


def nearest_layout(name: str) -> str:
    """The format with a layout of at least the depth, chroma resolution and alpha of `name`; itself where it has one."""
    return name if name in _LAYOUTS else _nearest(av.VideoFormat(name))


def _nearest(form: av.VideoFormat) -> str:
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
