"""How large each instance is in the picture, by what is seen of it: width, height, and the root of the mask's area."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Instances

__all__ = ["AREA", "BORDER", "HEIGHT", "LONG", "WIDTH", "log_sizes"]

WIDTH, HEIGHT, AREA = 0, 1, 2
BORDER = 1.5
"""Pixels from the frame's border at which a side may be cut."""
HIDDEN, MOST_HIDDEN = 0.015, 0.08
"""Share of a side that is hidden which doubles its variance, and with which it says nothing."""
SQUAT = 0.7
"""Height in widths, from which on the widest part of what is cut off below or above is surely in the picture."""
TOUCH, MOST_OF = 0.04, 0.4
"""Shares of a side: how near another is to it, and how much of it that covers, for the end to be perhaps hidden."""
SMALLEST = 4.0
"""Pixels."""

Doubles = npt.NDArray[np.float64]


LONG = frozenset({"car", "bus", "truck", "train", "boat", "trailer", "van"})
"""Classes of which one end is much nearer than the other."""


def _long(found: Instances) -> npt.NDArray[np.bool_]:
    return np.asarray(np.array([name in LONG for name in found.class_names])[found.labels], bool)


def _covered(boxes: Doubles) -> npt.NDArray[np.bool_]:
    """[N, 4] for left, top, right, bottom: a nearer box lies over that side, so that the end may be hidden behind it.

    Nearer is what stands lower in the picture.
    """
    covered = np.zeros((len(boxes), 4), bool)
    if len(boxes) < 2:
        return covered
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    for side in range(4):
        axis, along = side % 2, 1 - side % 2
        at = boxes[:, None, side]
        reach = TOUCH * (boxes[:, None, axis + 2] - boxes[:, None, axis])
        over = (boxes[None, :, axis] < at + reach) & (boxes[None, :, axis + 2] > at - reach)
        shared = np.minimum(boxes[:, None, along + 2], boxes[None, :, along + 2]) - np.maximum(
            boxes[:, None, along], boxes[None, :, along]
        )
        length = boxes[:, None, along + 2] - boxes[:, None, along]
        covered[:, side] = (nearer & over & (shared > MOST_OF * length)).any(1)
    return covered


def log_sizes(result: Result) -> tuple[Doubles, Doubles]:
    """Logarithms of width, height and root of area [N, 3], frame pixels; and how much more variance each has than it usually has.

    The latter is 1 where the whole object is seen, more where a part of it may be hidden, infinite where that is so.
    """
    found, frame = result.instances, result.frame
    boxes = found.boxes.astype(np.float64)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    share = found.mask_or_box.reshape(len(found), -1).mean(1, dtype=np.float64) / 255 if len(found) else np.zeros(0)
    sizes = np.empty((len(found), 3))
    sizes[:, :2] = np.log(sides)
    sizes[:, AREA] = 0.5 * np.log(np.maximum(share, 1e-6)) + sizes[:, :2].mean(1)
    free = np.concatenate([boxes[:, :2] > BORDER, boxes[:, 2:] < np.array([frame.width, frame.height]) - BORDER], 1)
    whole = free[:, :2] & free[:, 2:] & (sides > SMALLEST)
    # What comes in from below or above shows its widest part last.
    whole[:, WIDTH] &= (free[:, 1] & free[:, 3]) | (sides[:, 1] > SQUAT * sides[:, 0])
    whole[:, HEIGHT] &= (free[:, 0] & free[:, 2]) | ~_long(found)  # of these the nearest end left first
    covered = _covered(boxes)
    whole &= ~(covered[:, :2] | covered[:, 2:])
    doubt = np.ones((len(found), 3))
    hidden = np.zeros((len(found), 3))
    if result.occlusion is not None:
        more = np.abs(result.occlusion.extents - found.boxes)
        hidden[:, :2] = (more[:, :2] + more[:, 2:]) / sides
        hidden[:, AREA] = np.maximum(0.5 * (1 - result.occlusion.visible), hidden[:, :2].max(1, initial=0))
    doubt[:, AREA] = doubt[:, :2].max(1, initial=1)
    doubt += np.square(hidden / HIDDEN)
    doubt[:, :2][~whole | (hidden[:, :2] > MOST_HIDDEN)] = np.inf
    doubt[:, AREA][~whole.all(1) | (hidden[:, AREA] > MOST_HIDDEN)] = np.inf
    if not found.has_shapes:
        doubt[:, AREA] = np.inf
    return sizes, doubt
