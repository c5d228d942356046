"""A frame's luma at full, half, quarter ... size: what the scene's parts look at."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame
from streamseg.temporal.flow import as_bytes, luma

__all__ = ["Grey", "Greys"]

SMALL = 320
"""The small picture is halved until it is no wider than 1.5 times this."""
LARGEST = 2000
"""Pixels: what is wider is halved before crops are taken from it."""

ByteArray = npt.NDArray[np.uint8]


class Grey:
    """Made once a frame; it keeps the picture's memory alive, so that nobody keeps it for longer."""

    def __init__(self, frame: Frame) -> None:
        """Raises Unreadable for a pixel format that nothing here can convert."""
        grey, self._depth = luma(frame)
        self._size = frame.width, frame.height
        while grey.shape[1] > LARGEST and grey.shape[0] >= 4:
            grey = _half(grey)
        self._levels: list[npt.NDArray[Any]] = [grey]
        while self._levels[-1].shape[1] > 1.5 * SMALL and self._levels[-1].shape[0] >= 4:
            self._levels.append(_half(self._levels[-1]))
        self.small = as_bytes(self._levels[-1], self._depth)
        """uint8 [h, w]."""
        self.scale = np.array([frame.width / self.small.shape[1], frame.height / self.small.shape[0]])
        """[2] frame pixels to one of the small picture, along x and y."""

    def crop(self, center: tuple[float, float], step: float, cells: int) -> npt.NDArray[np.float32]:
        """`cells` x `cells` samples around `center`, `step` apart (both frame pixels), as codes of 255; beyond the border its last.

        They come from the level whose pixels are the largest that are no larger than `step`.
        """
        level, (width, height) = 0, self._size
        while level + 1 < len(self._levels) and self._levels[level + 1].shape[1] * step >= width:
            level += 1
        picture = self._levels[level]
        if picture.ndim != 2 or picture.dtype not in (np.uint8, np.uint16):
            picture = np.ascontiguousarray(picture)
        x, y = picture.shape[1] / width, picture.shape[0] / height
        first = [value - step * (cells - 1) / 2 for value in center]
        place = np.array([[step * x, 0, first[0] * x - 0.5], [0, step * y, first[1] * y - 0.5]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        taken = cv2.warpAffine(picture, place, (cells, cells), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return taken.astype(np.float32) if self._depth <= 8 else taken.astype(np.float32) / np.float32(1 << self._depth - 8)


class Greys:
    """Gives the grey picture of the frame at hand; parts that share one of these have it made once."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._grey: Grey | None = None

    def __call__(self, frame: Frame) -> Grey:
        """Of this frame."""
        if self._grey is None or frame is not self._frame:
            self._frame, self._grey = frame, Grey(frame)
        return self._grey


def _half(grey: npt.NDArray[Any]) -> npt.NDArray[Any]:
    height, width = grey.shape[:2]
    return cv2.resize(grey, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
