"""The picture of one frame at full, half, quarter ... size, and crops of it on small grids: what refinement looks at."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame
from streamseg.pixels import fields

__all__ = ["Pyramid"]

Array = npt.NDArray[Any]

_LEAST_SIDE = 4
"""Pixels; what is smaller is not halved."""


class Pyramid:
    """Each size is made when it is needed, with all channels in one array: a crop of four costs little more than one of one.

    Subsampled chroma joins at half size, whatever its own size is; what samples the full size takes the luma alone from there.
    """

    def __init__(self, frame: Frame) -> None:
        """Raises Unreadable for a pixel format that nothing here can convert."""
        picture = fields.one_moment(frame.picture, frame.field_order)
        self._picture = frame.picture  # the views do not keep its memory alive
        self._width, self._height = picture.width, picture.height
        self.unit = 1 / (2 ** (picture.layout.depth + picture.layout.lsb) - 1)
        """1 / the largest code."""
        self._full: dict[int, Array] = {}
        self._chroma: dict[int, Array] = {}
        for array, spec in picture.planes:
            where = self._chroma if spec.shift_x or spec.shift_y else self._full
            parts = [array] if array.ndim == 2 else cv2.split(array)
            where.update((c, part) for c, part in zip(spec.components, parts, strict=True) if c < 3)
        self._levels: dict[int, Array] = {}

    def crop(self, box: npt.NDArray[np.float32], cells: int, margin: int = 0) -> Array:
        """The picture at the centres of a grid of `cells` a side on `box` (xyxy, frame pixels), and `margin` more cells around it.

        Returns: [cells + 2 margin, as many, 4] in the picture's codes: its three channels, 0 where it has none, and a fourth of 1.
        """
        x0, y0 = float(box[0]), float(box[1])
        step_x, step_y = (float(box[2]) - x0) / cells, (float(box[3]) - y0) / cells
        level = 0
        while step_x * step_y >= 4 << 2 * level and min(self._width, self._height) >> level >= _LEAST_SIDE:
            level += 1
        size, corner = cells + 2 * margin, (x0 - margin * step_x, y0 - margin * step_y)
        if level or len(self._full) == 3:
            return _warp(self._level(level), level, size, corner, (step_x, step_y))
        part = _warp(self._level(1), 1, size, corner, (step_x, step_y))
        for component, channel in self._full.items():
            cv2.insertChannel(_warp(channel, 0, size, corner, (step_x, step_y)), part, component)
        return part

    def _level(self, level: int) -> Array:
        """All channels, halved `level` times: [h, w, 4]; not at full size if chroma is subsampled."""
        if level not in self._levels:
            self._levels[level] = self._joined(level) if level < 2 else _half(self._level(level - 1))
        return self._levels[level]

    def _joined(self, level: int) -> Array:
        if level and len(self._full) == 3:
            return _half(self._level(0))
        channels = {c: _half(array) if level else array for c, array in self._full.items()}
        size = next(iter(channels.values())).shape[::-1]
        channels |= {c: array if array.shape[::-1] == size else _resized(array, size) for c, array in self._chroma.items()}
        like = next(iter(channels.values()))
        return cv2.merge([*(channels[c] if c in channels else np.zeros_like(like) for c in range(3)), np.ones_like(like)])


def _warp(picture: Array, level: int, size: int, corner: tuple[float, float], steps: tuple[float, float]) -> Array:
    """`size` x `size` samples in `steps` (frame pixels) from half a step behind `corner`, of a picture halved `level` times."""
    shrink = 1 / (1 << level)
    place = [
        [step * shrink * (axis == k) for k in (0, 1)] + [(corner[axis] + 0.5 * step) * shrink - 0.5]
        for axis, step in enumerate(steps)
    ]
    return cv2.warpAffine(
        picture,
        np.array(place, np.float32),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _half(array: Array) -> Array:
    h, w = array.shape[:2]
    return cv2.resize(array, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)


def _resized(array: Array, size: tuple[int, int]) -> Array:
    shrinks = array.shape[1] >= size[0] and array.shape[0] >= size[1]
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
