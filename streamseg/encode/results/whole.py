"""What the driving formats ask of an object beyond its mask: its whole extent, how much of that is seen, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from streamseg.core.result import Result

__all__ = ["Whole", "Wholes", "wholes"]


class Whole(NamedTuple):
    """One object as a whole. None: not known."""

    box: tuple[float, float, float, float]
    """xyxy, frame pixels, of the whole object, hidden parts included, as far as it lies inside the frame."""
    visible: float | None
    """0 to 1: the share of what lies inside the frame that nothing hides."""
    outside: float | None
    """0 to 1: the share of its extent beyond the frame."""
    at_border: bool | None
    """It touches the frame's border."""


Wholes = list[Whole]


def wholes(result: Result) -> Wholes:
    """Of each instance, what is known of it as a whole; where occlusion was not estimated, its box as it was found."""
    frame, found, hidden = result.frame, result.instances, result.occlusion
    if hidden is None:
        return [Whole(_four(box), None, None, None) for box in found.boxes]
    size = np.array([frame.width, frame.height] * 2, np.float32)
    # At least what was seen is part of it: an estimate of the extent may lag behind.
    low, high = np.minimum(hidden.extents[:, :2], found.boxes[:, :2]), np.maximum(hidden.extents[:, 2:], found.boxes[:, 2:])
    extents = np.hstack([low, high])
    inside = np.clip(extents, 0, size)
    area = _areas(extents)
    outside = np.where(area > 0, 1 - _areas(inside) / np.maximum(area, 1e-6), 0.0)
    told = zip(inside, hidden.visible, outside, hidden.at_border, strict=True)
    return [Whole(_four(box), float(seen), float(beyond), bool(border)) for box, seen, beyond, border in told]


def _areas(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas: npt.NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas


def _four(box: npt.NDArray[np.float32]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(value), 2) for value in box)
    return x0, y0, x1, y1
