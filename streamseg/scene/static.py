"""What never moves in the picture while the vehicle does: its own bonnet, dirt on the glass, text and logos burned in.

Of a picture that moves, the gradients at a place point anywhere in the course of time, and their mean fades; of what is fixed to
the camera they stay. So the length of the mean gradient, as a share of the mean length, tells one from the other. Gradients are
taken without their strength, which changes with the light. What is far away stays, too, as long as the camera does not turn: so
only what is seen while it turns counts, and nothing is told before it has turned this way and that. An edge that stays, in the
lower part and across most of the picture, is that of the own car: all below it is the car's, though what is reflected there moves.
"""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.scene import Turn
from streamseg.core.types import Instances
from streamseg.scene.grey import Grey, Greys

__all__ = ["Static"]

CELL = 8
"""Pixels of the small picture, along each side of a cell."""
EVERY = 0.6
"""Seconds between two looks."""
LEAST = 30
"""Looks, while it moves and turns, before anything is told: 18 s at least."""
MEMORY = 120
"""Looks after which what was seen has faded to a third: a minute or more, so that a cleaned glass is clean."""
TURNED = 1.0
"""Pixels of the small picture by which it must have turned since the look before for a look to count: less may be an error."""
SPREAD = 6.0
"""Pixels: standard deviation of where it looked, over all looks, from which on what stays is known to be fixed to it."""
FOCAL = 0.8
"""Focal length, in widths of the picture: near enough to tell how far a turn moves it."""
MOVES = 0.8
"""Probability from which on the vehicle moves."""
STAYS = 0.85
"""Share of the mean gradient from which on a pixel's stays."""
EDGED = 0.08
"""Mean gradient, of 1, of the pixels of a cell that stay, from which on the cell does."""
SOFT = 6.0
"""Codes of 255 for each pixel: a gradient of that counts half."""
LOWER, ACROSS, STEEP = 0.55, 0.7, 2
"""The own car's edge begins below this share of the height, is seen in this share of the columns, and steps by so many cells."""
WHOLLY = 0.85
"""Share of an instance that must lie there."""
BOTTOM = 0.98
"""What reaches below this share of the height may be the own car: it is looked at, too; other instances are left out."""

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


class Static:
    """Learns from frames in the order of their times; another size begins anew, a new epoch does not: the camera is the same."""

    def __init__(self, greys: Greys) -> None:
        """`greys`: gives the frames' grey pictures."""
        self._greys = greys
        self._shape = (0, 0)
        self._forget((0, 0))

    def _forget(self, shape: tuple[int, int]) -> None:
        self._shape, self._looks, self._last = shape, 0.0, -np.inf
        self._turned = np.zeros(2)
        """Pixels since the last look, across and down."""
        self._place, self._places = np.zeros(2), np.zeros((2, 2))
        """Where it looks, as far as its larger turns tell; sums of that and of its squares."""
        self._sums = np.zeros((4, *shape), np.float32)
        """[4, h, w] of the small picture: sums of the gradients along x, along y, of their lengths, and of those along x alone."""
        self.grid: BoolArray = np.zeros((-(-shape[0] // CELL), -(-shape[1] // CELL)), bool)
        """[rows, columns] of cells: what never moves."""

    def learn(self, result: Result, turn: Turn | None) -> None:
        """Look at a frame. turn: how the camera turned since the one before; None: not known."""
        if turn is None:
            return
        grey, time = self._greys(result.frame), result.frame.time
        small = grey.small
        if small.shape != self._shape:
            self._forget((small.shape[0], small.shape[1]))
        if time < self._last:
            self._last = -np.inf
        self._turned += np.array([turn.yaw, turn.pitch]) * FOCAL * self._shape[1]
        if (turn.moving or 0.0) < MOVES or time - self._last < EVERY:
            return
        turned, self._turned = self._turned, np.zeros(2)
        self._last = time
        if float(np.hypot(*turned)) < TURNED:
            return
        self._place = self._place + turned
        fade = 1 - 1 / MEMORY
        self._places = self._places * fade + np.stack([self._place, self._place**2])
        picture = cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32)
        x, y = (cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, ksize=3) / 8 for dx in (1, 0))
        length = np.hypot(x, y)
        weight = 1 / (length + SOFT)
        looked = np.stack([x * weight, y * weight, length * weight, np.abs(x) * weight])
        seen = self._seen(result.instances, grey)
        self._sums = np.where(seen, self._sums * fade + looked, self._sums)
        self._looks = self._looks * fade + 1
        mean, square = self._places / self._looks
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        if self._looks >= LEAST and float(np.hypot(*spread)) >= SPREAD:
            self.grid = self._told(sideways=bool(spread[0] >= SPREAD))

    def without(self, result: Result) -> Result:
        """`result` without the instances that lie wholly in what never moves."""
        found = result.instances
        drop = self.holds(found, result.frame.width, result.frame.height)
        if not drop.any():
            return result
        hidden = result.occlusion
        if hidden is not None:
            kept = {each.name: getattr(hidden, each.name)[~drop] for each in fields(hidden)}
            kept["order"] = np.argsort(np.argsort(kept["order"]))
            kept["occluded_by"] = np.where(np.isin(kept["occluded_by"], found.track_ids[drop]), 0, kept["occluded_by"])
            hidden = replace(hidden, **kept)
        return replace(result, instances=found[~drop], occlusion=hidden)

    def _seen(self, found: Instances, grey: Grey) -> BoolArray:
        """[h, w] of the small picture: not covered by a road user."""
        seen = np.ones(self._shape, bool)
        if len(found):
            boxes = found.boxes / np.tile(grey.scale, 2)
            for left, top, right, bottom in boxes.tolist():
                if bottom < BOTTOM * self._shape[0]:
                    seen[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = False
        return seen

    def _told(self, sideways: bool) -> BoolArray:
        """What stays. Above the road only edges count that a turn to the side moves, and if it was seen: a bank of clouds stays."""
        found = self._stays(np.hypot(self._sums[0], self._sums[1]), self._sums[2])
        upper = self._stays(np.abs(self._sums[0]), self._sums[3]) if sideways else np.zeros_like(found)
        first = int(LOWER * found.shape[0])
        found[:first] = upper[:first]
        return found | self._own_car(found)

    def _stays(self, mean: FloatArray, length: FloatArray) -> BoolArray:
        return np.asarray(_in_cells(np.where(mean > STAYS * length, length, np.float32(0))) > EDGED * self._looks, bool)

    @staticmethod
    def _own_car(found: BoolArray) -> BoolArray:
        """[rows, columns] what lies below an edge that stays, in the lower part and across the picture."""
        first = int(LOWER * found.shape[0])
        lower = found[first:]
        there = lower.any(axis=0)
        rows = first + lower.argmax(axis=0)
        steps = np.abs(np.diff(rows[there]))
        car = np.zeros_like(found)
        if there.mean() >= ACROSS and float(np.mean(steps <= STEEP)) >= 0.8:
            edge = np.interp(np.arange(found.shape[1]), np.flatnonzero(there), rows[there])
            car = np.arange(found.shape[0])[:, None] >= np.round(edge)[None, :]
        return np.asarray(car, bool)

    def holds(self, found: Instances, width: int, height: int) -> BoolArray:
        """[N] which instances lie wholly in what never moves; width, height: of the frame, pixels."""
        inside = np.zeros(len(found), bool)
        if not len(found) or not self.grid.any():
            return inside
        masks = found.mask_or_box > 127
        at = (np.arange(masks.shape[-1]) + 0.5) / masks.shape[-1]
        step_x, step_y = (CELL * side / small for side, small in ((width, self._shape[1]), (height, self._shape[0])))
        for i, (left, top, right, bottom) in enumerate(found.boxes.tolist()):
            columns = np.clip((left + at * (right - left)) // step_x, 0, self.grid.shape[1] - 1).astype(int)
            rows = np.clip((top + at * (bottom - top)) // step_y, 0, self.grid.shape[0] - 1).astype(int)
            covered = self.grid[rows[:, None], columns][masks[i]]
            inside[i] = len(covered) > 0 and covered.mean() >= WHOLLY
        return inside


def _in_cells(values: FloatArray) -> FloatArray:
    """Means over cells; cells at the right and lower border may be smaller."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % CELL), (0, -width % CELL)), mode="edge")
    rows, columns = padded.shape[0] // CELL, padded.shape[1] // CELL
    return np.asarray(padded.reshape(rows, CELL, columns, CELL).mean(axis=(1, 3)), np.float32)
