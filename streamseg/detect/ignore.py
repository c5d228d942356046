"""Drops what stands in areas that are to be ignored, before it can become a track."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.events import Area, ground_points
from streamseg.events.places import in_pixels

__all__ = ["Ignore"]

MOST = 0.5
"""Share of a mask that lies in an area, from which it is the area's."""
MOST_CELLS = 14
"""Points a side of a mask that are looked at."""

BoolArray = npt.NDArray[np.bool_]


class Ignore:
    """The stage: leaves out instances whose ground point, or most of whose mask, lies in an area of their class."""

    def __init__(self, areas: Iterable[Area]) -> None:
        self._areas = tuple(areas)
        self._drawn: dict[tuple[int, int], tuple[npt.NDArray[np.uint8], ...]] = {}
        self.ignored = 0
        """Instances that were left out."""

    def __call__(self, result: Result) -> Result:
        """The result without them."""
        found = result.instances
        if not len(found):
            return result
        drop = np.zeros(len(found), bool)
        for area, picture in zip(self._areas, self._pictures(result.frame.width, result.frame.height), strict=True):
            drop |= _within(found, picture) & (np.isin(found.names, area.classes) if area.classes is not None else True)
        self.ignored += int(drop.sum())
        return replace(result, instances=found[~drop]) if drop.any() else result

    def _pictures(self, width: int, height: int) -> tuple[npt.NDArray[np.uint8], ...]:
        """[height, width] of each area: 1 inside of it."""
        if (width, height) not in self._drawn:
            drawn = []
            for area in self._areas:
                picture = np.zeros((height, width), np.uint8)
                cv2.fillPoly(picture, [np.rint(in_pixels(area.points, width, height)).astype(np.int32)], 1)
                drawn.append(picture)
            self._drawn = {(width, height): tuple(drawn)}
        return self._drawn[width, height]


def _within(found: Instances, picture: npt.NDArray[np.uint8]) -> BoolArray:
    """[N] which instances stand or lie in the area of which `picture` [height, width] is 1."""
    height, width = picture.shape
    feet = ground_points(found) - (0, 1)  # the lowest pixel itself, not the edge below it
    x, y = (np.clip(np.floor(feet[:, axis]), 0, side - 1).astype(int) for axis, side in ((0, width), (1, height)))
    inside = picture[y, x] > 0
    masks = found.mask_or_box > 127
    step = -(-masks.shape[-1] // MOST_CELLS)
    masks = masks[:, step // 2 :: step, step // 2 :: step]
    at = (np.arange(masks.shape[-1]) + 0.5) / masks.shape[-1]
    for i in np.flatnonzero(~inside):
        left, top, right, bottom = found.boxes[i].tolist()
        columns, rows = (left + at * (right - left)).astype(int), (top + at * (bottom - top)).astype(int)
        covered = picture[np.minimum(rows, height - 1)[:, None], np.minimum(columns, width - 1)][masks[i]]
        inside[i] = len(covered) > 0 and covered.mean() >= MOST
    return np.asarray(inside, bool)
