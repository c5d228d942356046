"""A photo without overlaps: each pixel belongs to at most one true object and to at most one detection.

Where detections overlap, the higher score is on top. Where annotated objects overlap, the smaller one is on top: an object in front
is mostly the smaller one, and annotators fill in the part of the larger one that it covers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from streamseg.datasets.segments import BoolArray, Case, Crop, Detection, Truth

__all__ = ["Flat"]


class Flat:
    """The maps of one photo; detections below `conf` are left out.

    `truth_map` and `found_map` are int32 [height, width]: 0 nothing, i + 1 for `truths[i]` or `detections[i]`. `truth_crops` and
    `found_crops` are their whole masks, in the same order.
    """

    def __init__(self, case: Case, conf: float) -> None:
        self.shape = case.photo.height, case.photo.width
        self.detections: list[Detection] = [d for d in case.detections if d.score >= conf]
        self.truths: list[Truth] = [t for t in case.photo.truths if not t.ignored]
        self.ignored: list[Truth] = [t for t in case.photo.truths if t.ignored]
        self.found_crops = [Crop.of(d.rle) for d in self.detections]
        self.truth_crops = [Crop.of(t.rle) for t in self.truths]
        self.truth_map = self._layers(
            self.truth_crops, sorted(range(len(self.truths)), key=lambda i: -self.truth_crops[i].area)
        )
        self.found_map = self._layers(self.found_crops, range(len(self.detections) - 1, -1, -1))

    def _layers(self, crops: list[Crop], order: Iterable[int]) -> npt.NDArray[np.int32]:
        """Painted one over another in this order."""
        picture = np.zeros(self.shape, np.int32)
        for i in order:
            crops[i].cut(picture)[crops[i].mask] = i + 1
        return picture

    def void(self, category_id: int | None = None) -> BoolArray:
        """bool [height, width]: in a region to ignore (of one category, or any) and on no true object."""
        picture = np.zeros(self.shape, bool)
        for truth in self.ignored:
            if category_id in (None, truth.category_id):
                crop = Crop.of(truth.rle)
                crop.cut(picture)[crop.mask] = True
        picture &= self.truth_map == 0
        return picture
