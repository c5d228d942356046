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
    kept = (alpha > 0).astype(np.uint8) * np.uint8(255)
    for (shift_x, shift_y), planes_of in _by_size(picture).items():
        here = [shrink(each, shift_x, shift_y, interlaced) for each in (core, kept)]
        colours = [colour for colour, _ in planes_of]
        for lines in (np.s_[0::2], np.s_[1::2]) if interlaced else (np.s_[:],):
            _fill([colour[lines] for colour in colours], here[0][lines], here[1][lines])


def premultiply(picture: av.VideoFrame, alpha: Array, *, interlaced: bool) -> None:
    """Multiply the colours of `picture` by `alpha` (in its own codes), in place: towards black, whatever its code is."""
    codes, top = drawing_codes((0, 0, 0), encoding(picture)), 2 ** planes.views(picture).layout.depth - 1
    for (shift_x, shift_y), planes_of in _by_size(picture).items():
        # In floats, since no product of two numbers of 16 bits is one.
        share = shrink(alpha, shift_x, shift_y, interlaced).astype(np.float32) / np.float32(top)
        for colour, component in planes_of:
            black = np.float32(round(codes[component]))
            colour[...] = np.rint((colour - black) * share + black)


def _by_size(picture: av.VideoFrame) -> dict[tuple[int, int], list[tuple[Array, int]]]:
    """Shifts of a plane → its colours [height, width], as views, and which component each is. Alpha is none."""
    found: dict[tuple[int, int], list[tuple[Array, int]]] = {}
    for array, spec in planes.views(picture).planes:
        channels = [array] if array.ndim == 2 else [array[..., i] for i in range(array.shape[2])]
        colours = [(channel, c) for channel, c in zip(channels, spec.components, strict=True) if c != 3]
        if colours:
            found.setdefault((spec.shift_x, spec.shift_y), []).extend(colours)
    return found


def _fill(colours: Sequence[Array], core: ByteArray, kept: ByteArray) -> None:
    """Replace colours near what is kept by those of the core; all [height, width], the last two 255 or 0 at their ends."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(kept))
    window = np.s_[max(0, y - _BEYOND) : y + height + _BEYOND, max(0, x - _BEYOND) : x + width + _BEYOND]
    core, side = np.ascontiguousarray(core[window]), 2 * _BEYOND + 1
    near = cv2.dilate(np.ascontiguousarray(kept[window]), np.ones((side, side), np.uint8))
    share = cv2.bitwise_and(near, cv2.bitwise_not(core))
    points = cv2.findNonZero(share)
    if points is None or not core[::2, ::2].any():
        return
    x_of, y_of = points.reshape(-1, 2).T
    at = y_of, x_of
    parts = [plane[window] for plane in colours]
    mixed = share[at].astype(np.float32)[:, None] / 255
    own = np.stack([part[at] for part in parts], axis=1).astype(np.float32)
    small = cv2.merge([part[::2, ::2].astype(np.float32) for part in parts])
    shown = kept[window][at] > 0
    inside = _inside(small.reshape(*small.shape[:2], len(parts)), core[::2, ::2], tuple(places // 2 for places in at), shown)
    for part, values in zip(parts, (own + (inside - own) * mixed).T, strict=True):
        part[at] = np.rint(values)


def _inside(colours: Array, core: ByteArray, at: tuple[Array, ...], shown: Array) -> Array:
    """float32 [N, C]: the colours of the core nearest to each of the N pixels `at`; far ones, means of more.

    colours: float32 [height, width, C], of half the size, and so are `core` (0 to 255) and `at`. shown: bool [N], which are seen.
    """
    # Nearby only the nearest counts: dark hair keeps its colour beside a bright forehead.
    sure = cv2.threshold(core, _HALF, 255, cv2.THRESH_BINARY_INV)[1]
    if sure.all():
        sure[np.unravel_index(int(core.argmax()), core.shape)] = 0
    distance, labels = cv2.distanceTransformWithLabels(sure, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    weight = (sure == 0).astype(np.float32)
    weighted = colours * weight[..., None]
    mean, share = (cv2.blur(each, (3, 3), borderType=cv2.BORDER_CONSTANT) for each in (weighted, weight))
    nearest = np.flatnonzero(sure == 0)[labels[at] - 1]
    local: Array = mean.reshape(-1, colours.shape[2])[nearest] / share.reshape(-1, 1)[nearest]
    far = np.clip((2 * distance[at] - _LOCAL) / _LOCAL, 0, 1) * shown
    if not far.any():
        return local
    filled = _pull_push(_coarser(cv2.merge([*cv2.split(weighted), weight])), _DEEPEST)
    wide: Array = cv2.resize(filled, (2 * filled.shape[1], 2 * filled.shape[0]), interpolation=cv2.INTER_LINEAR)
    blended: Array = local + (wide.reshape(*wide.shape[:2], -1)[at] - local) * far[:, None]
    return blended


def _pull_push(weighted: Array, depth: int) -> Array:
    """Of colours times their weight, and the weight, float32 [height, width, channels + 1]: colours everywhere, the nearest."""
    weight = weighted[..., -1:]
    mean = weighted[..., :-1] / np.maximum(weight, np.float32(1e-6))
    height, width = weighted.shape[:2]
    if depth == 0 or min(height, width) == 1 or bool(weight.min() > 0.99):
        return mean
    filled = _pull_push(_coarser(weighted), depth - 1)
    wide: Array = cv2.resize(filled, (2 * filled.shape[1], 2 * filled.shape[0]), interpolation=cv2.INTER_LINEAR)
    blended: Array = mean * weight + wide.reshape(*wide.shape[:2], -1)[:height, :width] * (1 - weight)
    return blended


def _coarser(weighted: Array) -> Array:
    """The same at half the size, rounded up. Four samples of which one is known are known, as that one."""
    height, width = weighted.shape[:2]
    even = cv2.copyMakeBorder(weighted, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    coarser: Array = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    known = np.minimum(np.float32(1), 4 * coarser[..., -1:])
    made: Array = coarser * (known / np.maximum(coarser[..., -1:], np.float32(1e-6)))
    return made
