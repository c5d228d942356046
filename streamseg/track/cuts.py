"""Whether two pictures in a row belong to different shots.

It is a cut if three signs come together: no common motion of the ground is found, fine structure is in other places, and brightness
is spread differently. Each alone also happens within a shot: a fast pan moves the structure but keeps the brightness, a flash
changes the brightness but not the structure, and something large that passes hides the ground.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SUPPORT", "Thumbnail", "is_cut"]

SIZE = (48, 27)
SUPPORT = 0.35
"""Where at least this share of the ground's points agrees on one motion, the shot goes on."""
STRUCTURE = 0.3
LAYOUT = 0.75
SPREAD = 0.8
CHANGED = 12.0
"""Codes by which a spot must differ to count as changed."""
SAME = 0.35
"""Where a smaller share of the picture changed than this, the shot goes on, whatever moves in it."""
FLAT = 2.0
"""Codes; a picture whose brightness varies by less (standard deviation) is noise: a covered lens, a night."""


class Thumbnail(NamedTuple):
    """What is kept of a picture to compare it with the next."""

    layout: npt.NDArray[np.float32]
    """[27 x 48] brightness, mean 0 and length 1, or less where there is next to none."""
    structure: npt.NDArray[np.float32]
    """The same for fine structure: what a blur would take away."""
    grey: npt.NDArray[np.float32]
    """[27, 48] brightness in codes."""
    spread: npt.NDArray[np.float32]
    """[32] histogram of the brightness, sum 1."""

    @classmethod
    def of(cls, grey: npt.NDArray[np.uint8]) -> Self:
        """From a grey picture [h, w]."""
        # Whole steps first: averaging at a fractional factor costs several times more.
        step = max(1, grey.shape[1] // (2 * SIZE[0]))
        size = (grey.shape[1] // step, max(1, grey.shape[0] // step))
        coarse = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
        small = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_LINEAR).astype(np.float32)
        fine = small - cv2.blur(small, (9, 9))
        counts = np.bincount(np.right_shift(coarse, 3).ravel(), minlength=32).astype(np.float32)
        return cls(_unit(small), _unit(fine), small, counts / max(1.0, float(counts.sum())))


def _unit(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = (picture - picture.mean()).ravel()
    return np.asarray(centred / max(FLAT * centred.size**0.5, float(np.linalg.norm(centred))), np.float32)


def is_cut(before: Thumbnail, now: Thumbnail, support: float) -> bool:
    """`support`: the share of the ground's points that agree on one motion of the camera; 0 where that is not known."""
    if support >= SUPPORT or float(before.structure @ now.structure) >= STRUCTURE:
        return False
    if float(np.mean(np.abs(before.grey - now.grey) > CHANGED)) < SAME:
        return False
    same_spread = float(np.sqrt(before.spread * now.spread).sum()) >= SPREAD
    flat = min(float(t.structure @ t.structure) for t in (before, now)) < 0.5
    same_layout = flat or float(before.layout @ now.layout) >= LAYOUT
    return not (same_layout and same_spread)
