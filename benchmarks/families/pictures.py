"""Photos as both sides of a comparison get them.

Needs numpy and OpenCV alone, which the environments of the other packages have too.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""[H, W, 3]; the colours' order is that of who reads it."""


def read_bgr(path: Path) -> Picture:
    """A photo as uint8 [H, W, 3] BGR."""
    photo: Picture = cv2.imread(str(path))
    return photo


def read(path: Path) -> Picture:
    """A photo as uint8 [H, W, 3] RGB."""
    return np.ascontiguousarray(read_bgr(path)[:, :, ::-1])


def stretched(photo: Picture, height: int, width: int) -> Picture:
    """A photo over the whole of an input of `height` x `width`."""
    return np.ascontiguousarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA))


def letterboxed(photo: Picture, height: int, width: int) -> Picture:
    """A photo in its own shape in the middle of an input of `height` x `width`, the rest 114."""
    scale = min(height / photo.shape[0], width / photo.shape[1])
    small = cv2.resize(photo, (round(photo.shape[1] * scale), round(photo.shape[0] * scale)))
    picture = np.full((height, width, 3), 114, np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture
