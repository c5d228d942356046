"""A picture as a still holds it: full-range RGB or grey, 8 bit, or 16 bit for everything deeper; alpha kept.

What was cut out of a source of 8 bits is YUV of 10, as ProRes 4444 takes it: a still of it has 8.

swscale turns limited-range YUV deeper than 8 bit into RGB with white at 65283 of 65535, and full-range YUV and alpha with the top
bits shifted in: white of 10 bit becomes 65472. Both are put right here by a table.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamseg.pixels.color import encoding
from streamseg.pixels.fields import full_chroma
from streamseg.pixels.layouts import layout
from streamseg.pixels.planes import copy_tags, new_frame, reformat, supported, views

__all__ = ["frame_of", "to_still"]

_WHITE = 65535
_WHITE_OF_LIMITED = 65283

Array = npt.NDArray[Any]


def to_still(
    picture: av.VideoFrame, *, big_endian: bool, interlaced: bool = False, source_depth: int | None = None
) -> av.VideoFrame:
    """`picture` in gray, gray16, rgb24, rgb48, rgba or rgba64; itself if it is that already.

    source_depth: bits of the source's samples, where they may be fewer than those of a picture that got an alpha.
    """
    picture = full_chroma(supported(picture)) if interlaced else supported(picture)
    known, tags = layout(picture.format.name), encoding(picture)
    assert known is not None
    deep = known.depth > 8
    if picture.format.name == "gray" and tags.full_range:
        return picture
    if tags.family == "gray":
        array = _gray(views(picture).planes[0].array, known.depth, tags.full_range)
        return frame_of(picture, array, f"gray16{'be' if big_endian else 'le'}" if deep else "gray")
    if not deep:
        return reformat(picture, "rgba" if known.alpha else "rgb24")
    if known.alpha and tags.family == "yuv" and source_depth is not None and source_depth <= 8:
        return _eight_bits(picture)
    name = "rgba64" if known.alpha else "rgb48"
    made = reformat(picture, f"{name}le")
    array = views(made).planes[0].array
    if tags.family == "yuv":
        top = ((1 << known.depth) - 1) << (16 - known.depth) if tags.full_range else _WHITE_OF_LIMITED
        array = (
            _table(top)[array[..., :3]]
            if not known.alpha
            else np.concatenate([_table(top)[array[..., :3]], _straight_alpha(picture)[..., None]], axis=2)
        )
    return frame_of(picture, array, name + ("be" if big_endian else "le"))


def _eight_bits(picture: av.VideoFrame) -> av.VideoFrame:
    made = reformat(picture, "rgba")
    copy_tags(picture, made)
    made.color_range = 2
    views(made).planes[0].array[..., 3] = np.rint(_straight_alpha(picture) * (255 / _WHITE))
    return made


def _table(white: int) -> npt.NDArray[np.uint16]:
    table: npt.NDArray[np.uint16] = np.minimum(np.rint(np.arange(_WHITE + 1) * (_WHITE / white)), _WHITE).astype(np.uint16)
    return table


def _straight_alpha(picture: av.VideoFrame) -> npt.NDArray[np.uint16]:
    planes = views(picture)
    plane = next(p for p in planes.planes if 3 in p.spec.components)
    top = (1 << planes.layout.depth) - 1
    alpha: npt.NDArray[np.uint16] = np.rint(np.arange(top + 1) * (_WHITE / top)).astype(np.uint16)[plane.array]
    return alpha


def _gray(luma: Array, depth: int, full_range: bool) -> Array:
    low, high = (0, (1 << depth) - 1) if full_range else (16 << (depth - 8), 235 << (depth - 8))
    top = 255 if depth == 8 else _WHITE
    codes = (np.arange(1 << depth) - low) * (top / (high - low))
    gray: Array = np.clip(np.rint(codes), 0, top).astype(np.uint8 if depth == 8 else np.uint16)[luma]
    return gray


def frame_of(picture: av.VideoFrame, array: Array, name: str) -> av.VideoFrame:
    """`array` [height, width] or [height, width, channels] as a full-range picture of the packed format `name`, with the tags of
    `picture`.
    """
    made = new_frame(array.shape[1], array.shape[0], name)
    copy_tags(picture, made)
    plane = made.planes[0]
    dtype = array.dtype.newbyteorder(">" if name.endswith("be") else "<")
    strides = (plane.line_size, array.itemsize * int(np.prod(array.shape[2:], dtype=int)), array.itemsize)[: array.ndim]
    np.ndarray(array.shape, dtype, memoryview(plane), 0, strides)[...] = array
    made.color_range = 2
    return made
