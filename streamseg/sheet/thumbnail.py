"""Thumbnails: an object cut out of a frame with some of what is around it, its mask outlined."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core import masks
from streamseg.core.types import Instances

__all__ = ["thumbnail"]

ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]
_MARGIN = 0.14
"""Of the object's longer side, on each side of it."""
_LEAST = 24.0
"""Pixels of the frame that are shown at least, from side to side."""
_OUTSIDE: RGB = (38, 38, 38)
_DARK: RGB = (0, 0, 0)


def thumbnail(picture: ByteArray, found: Instances, side: int, colour: RGB, aspect: float = 1.0) -> ByteArray:
    """A square picture of the one instance in `found`: uint8 [side, side, 3], RGB.

    Args:
        picture: the whole frame, RGB [height, width, 3].
        found: the instance.
        side: pixels.
        colour: of the outline.
        aspect: width of one of the frame's pixels, where its height is 1.
    """
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = _square(found.boxes[0].tolist(), aspect, width, height)
    left, top, right, bottom = (int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1)))
    around = (max(0, left), max(0, top), min(width, right), min(height, bottom))
    scale_x, scale_y = side / (right - left), side / (bottom - top)
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = _OUTSIDE
    place = tuple(round(v) for v in ((around[0] - left) * scale_x, (around[1] - top) * scale_y,
                                     (around[2] - left) * scale_x, (around[3] - top) * scale_y))  # fmt: skip
    size = (max(1, place[2] - place[0]), max(1, place[3] - place[1]))
    crop = picture[around[1] : around[3], around[0] : around[2]]
    way = cv2.INTER_AREA if scale_x < 1 else cv2.INTER_CUBIC
    canvas[place[1] : place[1] + size[1], place[0] : place[0] + size[0]] = cv2.resize(crop, size, interpolation=way)
    if found.has_masks:
        _outline(canvas, _mask(found, width, height, (left, top, right, bottom), side), colour)
    else:
        corners = found.boxes[0] - np.array([left, top, left, top], np.float32)
        corners = np.round(corners * np.array([scale_x, scale_y, scale_x, scale_y], np.float32)).astype(int)
        _lines(
            canvas, [np.array([[corners[[0, 1]]], [corners[[2, 1]]], [corners[[2, 3]]], [corners[[0, 3]]]], np.int32)], colour
        )
    return canvas


def _square(box: list[float], aspect: float, width: int, height: int) -> tuple[float, float, float, float]:
    """A square around a box as it is seen, in the frame's pixels; as far within the frame as there is room."""
    x0, y0, x1, y1 = box
    half = max(_LEAST, max((x1 - x0) * aspect, y1 - y0) * (1 + 2 * _MARGIN)) / 2
    x, y = _within((x0 + x1) / 2, half / aspect, width), _within((y0 + y1) / 2, half, height)
    return x - half / aspect, y - half, x + half / aspect, y + half


def _within(middle: float, half: float, length: int) -> float:
    """The middle, moved so that what is `half` on either side lies within `length`; in its middle, where that is too short."""
    return length / 2 if 2 * half >= length else min(max(middle, half), length - half)


def _mask(found: Instances, width: int, height: int, square: masks.Region, side: int) -> ByteArray:
    """[side, side] the instance's mask within the square, 0 to 255."""
    (x0, y0, x1, y1), soft = masks.paste(found.grids[0], found.boxes[0], width, height)
    left, top, right, bottom = square
    whole = np.zeros((bottom - top, right - left), np.uint8)
    if x1 > x0 and y1 > y0:
        whole[y0 - top : y1 - top, x0 - left : x1 - left] = soft
    return cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA if side < len(whole) else cv2.INTER_LINEAR)  # type: ignore[return-value]


def _outline(canvas: ByteArray, mask: ByteArray, colour: RGB) -> None:
    found, _ = cv2.findContours((mask >= 128).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    _lines(canvas, list(found), colour)  # type: ignore[arg-type]


def _lines(canvas: ByteArray, lines: list[npt.NDArray[np.int32]], colour: RGB) -> None:
    """In the colour, between dark ones: seen on any ground. A pixel and a half wide, so that a small object is not covered."""
    double = cv2.resize(canvas, (0, 0), fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    twice = [2 * line for line in lines]
    cv2.polylines(double, twice, True, _DARK, 6, cv2.LINE_AA)
    cv2.polylines(double, twice, True, colour, 3, cv2.LINE_AA)
    cv2.resize(double, canvas.shape[1::-1], canvas, interpolation=cv2.INTER_AREA)
