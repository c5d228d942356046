"""A picture brought into the size, the format and the colours of another: scaled to cover it or to lie in it, alpha beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.colors import RGB
from streamseg.pixels import fields, planes
from streamseg.pixels.color import Encoding, Transfer, delinear, encoding, linear, to_primaries
from streamseg.pixels.picture import AnyPicture

__all__ = ["Fit", "Fitted", "fitted"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]

Fit = Literal["cover", "contain", "stretch"]
"""Scaled until it covers the frame, and cut; until it lies inside, with bars; or to the frame's shape."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What takes the place of a picture."""

    planes: list[Array]
    """As the other picture's: of its size, in its codes."""
    alpha: ByteArray | None
    """[height, width] how much of each pixel it covers; None: all."""


def fitted(picture: AnyPicture, canvas: Canvas, fit: Fit, bars: RGB, aspect: Fraction | None) -> Fitted:
    """`picture` as it is to be shown in the place of the picture of `canvas`.

    Its matrix, range and depth become those of the canvas, and where they differ its transfer and primaries, too: SDR white is
    shown in HDR as reference white, and what is brighter in HDR than that is white in SDR. `bars`: the colour of what `contain`
    leaves free. `aspect`: the shape of its pixels, width to height.
    """
    source = planes.supported(picture)
    size, place = _placed(source, canvas, fit, float(aspect or 1))
    of, alpha = encoding(source), None
    views = planes.views(source)
    if views.layout.alpha:
        rgb, alpha = _scaled_with_alpha(source, size)
    elif (of.transfer, of.wide) != (canvas.encoding.transfer, canvas.encoding.wide):
        rgb = _rgb(_resized(planes.views(planes.convert(source, "rgb48le")).planes[0].array, size))
    else:
        rgb = source
    if rgb is not source:
        rgb = _recoloured(rgb, of, canvas.encoding)
    shown = _in_format(rgb, canvas, size)
    return _laid(shown, alpha, canvas, place, bars)


def _placed(source: av.VideoFrame, canvas: Canvas, fit: Fit, aspect: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """The size that it is scaled to, and where its left upper corner comes to lie, at whole chroma samples."""
    width, height = source.width * aspect, float(source.height)
    across, down = canvas.width / width, canvas.height / height
    if fit == "stretch":
        return (canvas.width, canvas.height), (0, 0)
    scale = max(across, down) if fit == "cover" else min(across, down)
    made = []
    for own, of, step in zip((width, height), (canvas.width, canvas.height), canvas.steps, strict=True):
        # What hangs over, or is left free, is a multiple of two chroma samples: half of it on either side.
        free = (of - own * scale) / (2 * step)
        free = math.floor(free + 1e-6) if fit == "cover" else math.ceil(max(0.0, free) - 1e-6)
        free = free if of > 2 * step * free else 0
        made.append((of - 2 * step * free, step * free))
    (across_size, left), (down_size, top) = made
    return (across_size, down_size), (left, top)


def _in_format(picture: av.VideoFrame, canvas: Canvas, size: tuple[int, int]) -> av.VideoFrame:
    """Scaled, in the format, matrix and range of the canvas; of interlaced ones chroma lies in the fields."""
    of, name = canvas.encoding, canvas.picture.format.name
    own = encoding(picture)
    if own.family == "gray" and not own.full_range:
        picture = planes.with_chroma(picture)
    between = name
    known = canvas.views().layout
    if canvas.interlaced and any(spec.shift_y for spec in known.planes):
        between = f"yuv{'a' if known.alpha else ''}444p{'' if known.depth == 8 else f'{known.depth}le'}"
    made = planes.reformat(picture, between, width=size[0], height=size[1], matrix=of.matrix, full_range=of.full_range)
    if between == name:
        return made
    planes.copy_tags(canvas.picture, made)
    return fields.convert(made, name, interlaced=True)


def _laid(shown: av.VideoFrame, alpha: ByteArray | None, canvas: Canvas, place: tuple[int, int], bars: RGB) -> Fitted:
    """Cut to the canvas, with bars where it does not reach."""
    codes = canvas.codes(bars)
    made = []
    lsb = canvas.views().layout.lsb
    for (array, spec), (like, _) in zip(planes.views(shown).planes, canvas.views().planes, strict=True):
        x, y = place[0] >> spec.shift_x, place[1] >> spec.shift_y
        if (x, y) == (0, 0) and array.shape == like.shape:
            made.append(array.copy())
            continue
        whole = np.empty(like.shape, like.dtype)
        whole[...] = np.array([round(codes[c]) << lsb for c in spec.components][: 1 if like.ndim == 2 else None], like.dtype)
        _paste(array, whole, x, y)
        made.append(whole)
    if alpha is not None:
        cover = np.zeros((canvas.height, canvas.width), np.uint8)
        if place[0] > 0 or place[1] > 0:
            cover[...] = 255  # bars
        _paste(alpha, cover, *place)
        alpha = cover
    return Fitted(made, alpha)


def _paste(part: Array, whole: Array, x: int, y: int) -> None:
    """Write `part` into `whole` with its corner at x, y, which may be negative."""
    height, width = whole.shape[:2]
    seen = part[max(0, -y) : max(0, -y) + height - max(0, y), max(0, -x) : max(0, -x) + width - max(0, x)]
    whole[max(0, y) : max(0, y) + seen.shape[0], max(0, x) : max(0, x) + seen.shape[1]] = seen


def _scaled_with_alpha(source: av.VideoFrame, size: tuple[int, int]) -> tuple[av.VideoFrame, ByteArray]:
    """RGB and alpha, scaled by how much of a pixel there is: what is transparent gives no colour to what is not."""
    rgba = planes.views(planes.convert(source, "rgba64le")).planes[0].array.astype(np.float32) / 65535
    rgba[:, :, :3] *= rgba[:, :, 3:]
    rgba = _resized(rgba, size)
    alpha = rgba[:, :, 3]
    rgba[:, :, :3] /= np.maximum(alpha, 1e-6)[:, :, None]
    codes = np.rint(np.clip(rgba[:, :, :3], 0, 1) * 65535).astype(np.uint16)
    return _rgb(codes), np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)


def _resized(array: Array, size: tuple[int, int]) -> Array:
    smaller = size[0] * size[1] < array.shape[0] * array.shape[1]
    resized: Array = cv2.resize(array, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized


def _rgb(codes: Array) -> av.VideoFrame:
    """uint16 [h, w, 3] as a picture."""
    picture = planes.new_frame(codes.shape[1], codes.shape[0], "rgb48le")
    planes.views(picture).planes[0].array[...] = codes
    return picture


_LEVELS = 1 << 16


def _recoloured(picture: av.VideoFrame, of: Encoding, into: Encoding) -> av.VideoFrame:
    """An rgb48le picture whose codes mean what `of` says, in the transfer and primaries of `into`."""
    if (of.transfer, of.wide) == (into.transfer, into.wide):
        return picture
    codes = planes.views(picture).planes[0].array
    light = _to_light(of.transfer).take(codes)
    if of.wide != into.wide:
        light = np.maximum(cv2.transform(light, to_primaries(wide=into.wide).astype(np.float32)), 0)
    peak = float(_to_light(into.transfer)[-1])
    # The fourth root: steps that are fine enough in the dark for any transfer.
    level = np.sqrt(np.sqrt(np.minimum(light / peak, 1))) * (_LEVELS - 1)
    return _rgb(_from_light(into.transfer).take(np.rint(level).astype(np.uint16)))


@lru_cache(maxsize=4)
def _to_light(transfer: Transfer) -> npt.NDArray[np.float32]:
    return linear(np.arange(_LEVELS) / (_LEVELS - 1), transfer).astype(np.float32)


@lru_cache(maxsize=4)
def _from_light(transfer: Transfer) -> npt.NDArray[np.uint16]:
    peak = float(_to_light(transfer)[-1])
    signal = delinear((np.arange(_LEVELS) / (_LEVELS - 1)) ** 4 * peak, transfer)
    return np.rint(np.clip(signal, 0, 1) * 65535).astype(np.uint16)
