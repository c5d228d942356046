"""The colours of a cut-out: those of the object alone at its edge, so that it can be laid over something else without a rim.

At an edge a camera sees a mixture of the object and its background, and a soft or grown edge shows the background itself. There
the object's colours are taken from its inside, at least two pixels from its outline: the nearest ones, and farther out means of
many, averaged at coarser and coarser sizes and filled in from the finest that has any (pull-push; Gortler et al., The Lumigraph,
1996, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import shrink
from streamseg.composite.shape import Shape
from streamseg.pixels import planes
from streamseg.pixels.color import drawing_codes, encoding

__all__ = ["core_of", "decontaminate", "premultiply"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]

_INSIDE = 2
"""Pixels of 1080p, and at least of the picture, from an outline to where colours are the object's: chroma of 4:2:0 is as wide."""
_BEYOND = 4
"""Pixels around what is not quite transparent that get these colours, too: scaling and lossy codecs mix them in."""
_HALF = 127
_LOCAL = 4
"""Pixels up to which the nearest colour of the inside is taken; it becomes a mean of more up to twice that."""
_DEEPEST = 10
"""Times that sizes are halved: as far as an edge of 200 pixels that was moved by 200 reaches."""


def core_of(cover: ByteArray, unit: float) -> ByteArray:
    """Where colours are the object's alone.

    Args:
        cover: uint8 [height, width], how much of each pixel the object covers: no soft edge, and none moved outwards.
        unit: pixels of this picture to one of 1080p.

    Returns: uint8 [height, width], 255 there, 0 elsewhere, a short ramp between.
    """
    core = cover.copy()
    Shape(grow=-max(_INSIDE, round(_INSIDE * unit))).apply(core)
    # What is not fully covered shows something else, too.
    cv2.addWeighted(core, 4, core, 0, -3 * 255, core)
    return core


def decontaminate(picture: av.VideoFrame, core: ByteArray, alpha: Array, *, interlaced: bool) -> None:
    """Give the edges in `picture` the colours of the inside, in place; of an interlaced one in each field.

    Args:
        picture: nobody else's, of a format that `planes.views` reads.
        core: uint8 [height, width], 255 where colours are the object's alone (`core_of`).
        alpha: [height, width], 0 where nothing is kept.
    """
    kept = (alpha > 0).view(np.uint8)
    for (array, spec), colours in _colours(picture):
        here = [shrink(each, spec.shift_x, spec.shift_y, interlaced) for each in (core, kept * np.uint8(255))]
        for lines in (np.s_[0::2], np.s_[1::2]) if interlaced else (np.s_[:],):
            _fill([array[lines] if i is None else array[lines, :, i] for i, _ in colours], here[0][lines], here[1][lines])


def premultiply(picture: av.VideoFrame, alpha: Array, *, interlaced: bool) -> None:
    """Multiply the colours of `picture` by `alpha` (in its own codes), in place: towards black, whatever its code is."""
    codes, top = drawing_codes((0, 0, 0), encoding(picture)), 2 ** planes.views(picture).layout.depth - 1
    for (array, spec), colours in _colours(picture):
        # In floats, since no product of two numbers of 16 bits is one.
        share = shrink(alpha, spec.shift_x, spec.shift_y, interlaced).astype(np.float32) / np.float32(top)
        for i, component in colours:
            plane, black = array if i is None else array[..., i], np.float32(round(codes[component]))
            plane[...] = np.rint((plane - black) * share + black)


def _colours(picture: av.VideoFrame) -> list[tuple[planes.Plane, list[tuple[int | None, int]]]]:
    """Planes of one size with the colours in them: where each is in the plane (None: it is all of it), and its component."""
    found = []
    for plane in planes.views(picture).planes:
        components = [(None if plane.array.ndim == 2 else i, c) for i, c in enumerate(plane.spec.components) if c != 3]
        if components:
            found.append((plane, components))
    return found


def _fill(colours: Sequence[Array], core: ByteArray, kept: ByteArray) -> None:
    """Replace colours near what is kept by those of the core; all [height, width]."""
    side = 2 * _BEYOND + 1
    near = cv2.dilate(kept, np.ones((side, side), np.uint8))
    share = np.where(near > 0, np.uint8(255) - core, np.uint8(0))
    if not share.any() or not core.any():
        return
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    window = np.s_[max(0, rows[0] - 1) : rows[-1] + 2, max(0, columns[0] - 1) : columns[-1] + 2]
    share, core = share[window], core[window]
    parts = [plane[window] for plane in colours]
    at = np.nonzero(share)
    mixed = share[at].astype(np.float32)[:, None] / 255
    own = np.stack([part[at] for part in parts], axis=1).astype(np.float32)
    for part, values in zip(parts, (own + (_inside(parts, core, at) - own) * mixed).T, strict=True):
        part[at] = np.rint(values)


def _inside(colours: Sequence[Array], core: ByteArray, at: tuple[Array, ...]) -> Array:
    """float32 [N, C]: the colours of the core nearest to each of the N pixels `at`; far ones, means of more."""
    # Nearby only the nearest counts: dark hair keeps its colour beside a bright forehead.
    sure = np.where(core > _HALF, np.uint8(0), np.uint8(1))
    distance, labels = cv2.distanceTransformWithLabels(sure, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    weight = 1 - sure.astype(np.float32)
    mean = cv2.merge([cv2.blur(plane * weight, (3, 3), borderType=cv2.BORDER_CONSTANT) for plane in colours])
    mean = mean.reshape(-1, len(colours))
    share = cv2.blur(weight, (3, 3), borderType=cv2.BORDER_CONSTANT).reshape(-1)
    nearest = np.flatnonzero(sure == 0)[labels[at] - 1]
    local: Array = mean[nearest] / share[nearest, None]
    far = np.clip((distance[at] - _LOCAL) / _LOCAL, 0, 1)[:, None]
    if not far.any():
        return local
    small = weight[::2, ::2]
    filled = _pull_push(cv2.merge([plane[::2, ::2] * small for plane in colours] + [small]), _DEEPEST)
    # Every other pixel is a sample of the half size, those between are means of two.
    y, x = at
    below, right = np.minimum((y + 1) // 2, len(filled) - 1), np.minimum((x + 1) // 2, filled.shape[1] - 1)
    y, x = y // 2, x // 2
    wide = (filled[y, x] + filled[below, x] + filled[y, right] + filled[below, right]) / 4
    blended: Array = local + (wide - local) * far
    return blended


def _pull_push(weighted: Array, depth: int) -> Array:
    """Of colours times their weight, and the weight, float32 [height, width, channels + 1]: colours everywhere, the nearest."""
    weight = weighted[..., -1:]
    mean = weighted[..., :-1] / np.maximum(weight, np.float32(1e-6))
    height, width = weighted.shape[:2]
    if depth == 0 or min(height, width) == 1 or bool(weight.min() > 0.99):
        return mean
    even = cv2.copyMakeBorder(weighted, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    coarser: Array = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    # Four samples of which one is known are known; their mean is of that one.
    known = np.minimum(np.float32(1), 4 * coarser[..., -1:])
    coarser *= known / np.maximum(coarser[..., -1:], np.float32(1e-6))
    wide: Array = cv2.resize(_pull_push(coarser, depth - 1), (even.shape[1], even.shape[0]), interpolation=cv2.INTER_LINEAR)
    filled: Array = mean * weight + wide.reshape(*even.shape[:2], -1)[:height, :width] * (1 - weight)
    return filled
