"""The nouns of an evaluation: what is truly in a photo, what was found there, and masks cut to their boxes.

Masks travel as COCO run-length encodings, {"size": [height, width], "counts": bytes}, and are decoded one at a time: those of a
whole data set, as pixels, would not fit into memory. Boxes are [x, y, width, height] in pixels of the photo, as COCO has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle_tools

from streamseg.datasets.annotations import Box, Rle

__all__ = ["BoolArray", "Box", "Case", "Crop", "Detection", "Photo", "Rle", "Truth", "overlaps"]

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Truth:
    """One annotated object or region to ignore."""

    category_id: int
    box: Box
    rle: Rle
    """Its mask; that of the whole box where `has_mask` is false."""
    area: float
    """Pixels, as COCO states it for its classes of size."""
    crowd: bool = False
    """COCO's iscrowd: many objects under one mask. What is found in there is neither right nor wrong."""
    has_mask: bool = True
    """False: only a box is known; every measure of masks treats it as a crowd."""

    @property
    def ignored(self) -> bool:
        """Whether measures of masks must leave this region out."""
        return self.crowd or not self.has_mask


@dataclass(frozen=True, slots=True)
class Detection:
    """One instance that a model found."""

    category_id: int
    box: Box
    rle: Rle
    score: float


@dataclass(frozen=True, slots=True)
class Photo:
    """One annotated photo."""

    image_id: int
    path: Path
    width: int
    height: int
    truths: tuple[Truth, ...]
    labelled: frozenset[int] | None = None
    """The categories that were looked for in it; None: all. Of the others nothing is known here."""


@dataclass(frozen=True, slots=True)
class Case:
    """A photo with what was found in it, by falling score; only categories that are labelled in the photo."""

    photo: Photo
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class Crop:
    """A mask without the empty margin around it."""

    x: int
    """Column of the photo that the crop's first column is."""
    y: int
    mask: BoolArray
    """bool [h, w]; [0, 0] for an empty mask."""

    @classmethod
    def of(cls, rle: Rle) -> Self:
        """Decode a mask."""
        x, y, w, h = (int(v) for v in rle_tools.toBbox(rle))
        return cls(x, y, rle_tools.decode(rle)[y : y + h, x : x + w].astype(bool))

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.mask.sum())

    def cut(self, picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The part of a [height, width] picture under the crop: a view."""
        h, w = self.mask.shape
        return picture[self.y : self.y + h, self.x : self.x + w]

    def window(self, x0: int, y0: int, x1: int, y1: int) -> BoolArray:
        """bool [y1 - y0, x1 - x0]: the mask within these columns and rows of the photo, x1 and y1 exclusive."""
        picture = np.zeros((y1 - y0, x1 - x0), bool)
        h, w = self.mask.shape
        left, top = max(x0, self.x), max(y0, self.y)
        right, bottom = min(x1, self.x + w), min(y1, self.y + h)
        if right > left and bottom > top:
            part = self.mask[top - self.y : bottom - self.y, left - self.x : right - self.x]
            picture[top - y0 : bottom - y0, left - x0 : right - x0] = part
        return picture


def overlaps(detections: Sequence[Detection], truths: Sequence[Truth]) -> npt.NDArray[np.float64]:
    """[detections, truths]: the intersection over union of masks; over the detection's area for truths to be ignored."""
    if not detections or not truths:
        return np.zeros((len(detections), len(truths)))
    answer = rle_tools.iou([d.rle for d in detections], [t.rle for t in truths], [int(t.ignored) for t in truths])
    return np.asarray(answer, np.float64)
