"""The colours of a cut-out: those of the object alone at its edge, so that it can be laid over something else without a rim.

At an edge a camera sees a mixture of the object and its background, and a soft or grown edge shows the background itself. Two
colours are known of each pixel there: the nearest of the object's inside and the nearest outside, each at least two pixels from the
outline. As far as the pixel's own colour lies on the way from the one to the other, it is brought back; so dark hair before a wall
stays dark, though only skin is inside. What looks like the outside gets the colour of the inside; far out, where an edge is wide, a
mean of many, averaged at coarser and coarser sizes and filled in from the finest that has any (pull-push; Gortler et al., The
Lumigraph, 1996, section 3.4).
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

__all__ = ["decontaminate", "premultiply"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]

_DEEP = 2
"""Pixels of 1080p, and at least of the picture, from an outline to where colours are the object's: chroma of 4:2:0 is as wide."""
_INSIDE, _SLOPE = 0.95, 5
"""What is covered by this share has the object's colours, what is covered by a fifth less has none of them."""
_BEYOND = 4
"""Pixels around what is not quite transparent that get these colours, too: scaling and lossy codecs mix them in."""
_AROUND = 24
"""Pixels around that in which the nearest colour of the outside is looked for."""
_ALL = 250
"""Of 255: what a mean of several pixels of a core is above where all of them are in it."""
_LOCAL = 4
"""Pixels up to which the nearest colour of the inside is taken; it becomes a mean of more up to twice that."""
_BEHIND, _SURE = 0.5, 0.9
"""Share of the way to the outside's colour from which a pixel is taken to be behind the object, more and more."""


def decontaminate(picture: av.VideoFrame, cover: ByteArray, alpha: Array, unit: float, *, interlaced: bool) -> None:
    """Take what is behind the object out of the edges in `picture`, in place; of an interlaced one in each field.

    Args:
        picture: nobody else's, of a format that `planes.views` reads.
        cover: uint8 [height, width], how much of each pixel the object covers: no soft edge, and none moved outwards.
        alpha: [height, width], 0 where nothing is kept.
        unit: pixels of this picture to one of 1080p.
    """
    marks = (_core(cover, unit), _core(np.bitwise_not(cover), unit), (alpha > 0).astype(np.uint8) * np.uint8(255))
    form = planes.views(picture).layout
    top = (2**form.depth - 1) << form.lsb
    for (shift_x, shift_y), planes_of in _by_size(picture).items():
        here = [shrink(each, shift_x, shift_y, interlaced) for each in marks]
        colours = [colour for colour, _ in planes_of]
        for lines in (np.s_[0::2], np.s_[1::2]) if interlaced else (np.s_[:],):
            core, outside, kept = (each[lines] for each in here)
            _clean([colour[lines] for colour in colours], core, outside, kept, top)


def _core(cover: ByteArray, unit: float) -> ByteArray:
    """uint8 [height, width], 255 where colours are those of what `cover` covers alone, 0 elsewhere, a short ramp between."""
    core = cover.copy()
    Shape(grow=-max(_DEEP, round(_DEEP * unit))).apply(core)
    # What is not fully covered shows something else, too.
    cv2.addWeighted(core, _SLOPE, core, 0, 255 - _SLOPE * _INSIDE * 255, core)
    return core


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


def _clean(colours: Sequence[Array], core: ByteArray, outside: ByteArray, kept: ByteArray, top: int) -> None:
    """Mend colours (codes up to `top`) near what is kept; all [height, width], the last three 255 or 0 at their ends."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(kept))
    window = np.s_[max(0, y - _AROUND) : y + height + _AROUND, max(0, x - _AROUND) : x + width + _AROUND]
    core, side = np.ascontiguousarray(core[window]), 2 * _BEYOND + 1
    near = cv2.dilate(np.ascontiguousarray(kept[window]), np.ones((side, side), np.uint8))
    share = cv2.bitwise_and(near, cv2.bitwise_not(core))
    points = cv2.findNonZero(share)
    if points is None or not core.any():
        return
    x_of, y_of = points.reshape(-1, 2).astype(np.intp).T
    whole = [np.ascontiguousarray(plane[window]) for plane in colours]  # numbers of samples are found faster than places
    at = y_of * core.shape[1] + x_of
    own = np.stack([each.reshape(-1)[at] for each in whole], axis=1).astype(np.float32)
    small = [_halved(each) for each in whole]
    shown = kept[window][y_of, x_of] > 0
    clean = inside = _nearest(small, _halved(core), y_of // 2 * small[0].shape[1] + x_of // 2, shown)
    outside = _halved(_halved(outside[window]))
    if outside.any():
        smaller = [_halved(each) for each in small]
        clean = _brought_back(own, inside, _nearest(smaller, outside, y_of // 4 * smaller[0].shape[1] + x_of // 4))
    mixed = share.reshape(-1)[at].astype(np.float32)[:, None] / 255
    for plane, each, values in zip(colours, whole, (own + (clean - own) * mixed).T, strict=True):
        each.reshape(-1)[at] = np.clip(np.rint(values), 0, top)
        plane[window] = each


def _halved(plane: Array) -> Array:
    """Means of 2 x 2; the last row and column count twice where they are odd."""
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = cv2.copyMakeBorder(np.ascontiguousarray(plane), 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(np.ascontiguousarray(plane), (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)


def _brought_back(own: Array, inside: Array, outside: Array) -> Array:
    """Colours [N, C] without what of them lies on the way from the inside's to the outside's."""
    way = outside - inside
    gone = np.clip(((own - inside) * way).sum(axis=1) / ((way * way).sum(axis=1) + 1), 0, 1)[:, None]
    back = own - gone * way
    made: Array = back + (inside - back) * np.clip((gone - _BEHIND) / (_SURE - _BEHIND), 0, 1)
    return made


def _nearest(colours: Sequence[Array], core: ByteArray, at: Array, shown: Array | None = None) -> Array:
    """float32 [N, C]: the colours of the core nearest to each of the N samples `at`; far ones that are `shown`, means of more.

    `colours` and `core` (0 to 255) are [height, width], `at` numbers of samples in them.
    """
    # Nearby only the nearest counts: dark hair keeps its colour beside a bright forehead.
    sure = cv2.threshold(np.ascontiguousarray(core), _ALL, 255, cv2.THRESH_BINARY_INV)[1]
    if sure.all():
        sure[np.unravel_index(int(core.argmax()), core.shape)] = 0
    distance, labels = cv2.distanceTransformWithLabels(sure, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.flatnonzero(sure == 0)[labels.reshape(-1)[at] - 1]
    local: Array = np.stack([each.reshape(-1)[nearest] for each in colours], axis=1).astype(np.float32)
    far = np.zeros(1) if shown is None else np.clip((2 * distance.reshape(-1)[at] - _LOCAL) / _LOCAL, 0, 1) * shown
    if not far.any():
        return local
    weight = (sure == 0).astype(np.float32)
    filled = _pull_push(*_coarser([each * weight for each in colours], weight))
    wide = np.stack([_twice(each, core.shape).reshape(-1)[at] for each in filled], axis=1)
    blended: Array = local + (wide - local) * far[:, None]
    return blended


def _pull_push(weighted: Sequence[Array], weight: Array) -> list[Array]:
    """Of colours times their weight, and the weight, all float32 [height, width]: colours everywhere, the nearest."""
    mean = [each / np.maximum(weight, np.float32(1e-6)) for each in weighted]
    if weight.size == 1 or bool(weight.min() > 0.99):
        return mean
    filled = _pull_push(*_coarser(weighted, weight))
    return [own * weight + _twice(each, weight.shape) * (1 - weight) for own, each in zip(mean, filled, strict=True)]


def _coarser(weighted: Sequence[Array], weight: Array) -> tuple[list[Array], Array]:
    """The same at half the size, rounded up. Four samples of which one is known are known, as that one."""
    height, width = weight.shape
    size = (-(-width // 2), -(-height // 2))
    means = []
    for each in (*weighted, weight):
        even = cv2.copyMakeBorder(each, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=0)
        means.append(cv2.resize(even, size, interpolation=cv2.INTER_AREA))
    known = np.minimum(np.float32(1), 4 * means[-1])
    more = known / np.maximum(means[-1], np.float32(1e-6))
    return [each * more for each in means[:-1]], known


def _twice(plane: Array, shape: tuple[int, ...]) -> Array:
    """A plane at twice its size, cut to `shape`."""
    wide: Array = cv2.resize(plane, (2 * plane.shape[1], 2 * plane.shape[0]), interpolation=cv2.INTER_LINEAR)
    return wide[: shape[0], : shape[1]]
