"""Boundary F of matched instances: how well outlines agree, whatever the size of what they enclose.

Perazzi et al. 2016 (DAVIS), after Martin et al. 2004 and Csurka et al. 2013: precision is the share of the found outline within a
tolerance of the true one, recall the share of the true one within the tolerance of the found one, F their harmonic mean. The
tolerance is 0.008 of the photo's diagonal, rounded up to whole pixels. Here it is averaged over the pairs of a detection and an
object of its class that overlap by an IoU of at least 0.5, paired so that the sum of IoUs is greatest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from streamseg.datasets.segments import BoolArray, overlaps
from streamseg.evaluate.flat import Flat

__all__ = ["Boundary", "boundary_f", "outline"]

TOLERANCE = 0.008
LEAST_IOU = 0.5


class Boundary:
    """Collects photos, then gives the measures in percent."""

    def __init__(self, categories: Mapping[int, str]) -> None:
        self._categories = categories
        self._pairs: dict[int, list[tuple[float, float, float, float]]] = {category: [] for category in categories}

    def add(self, flat: Flat) -> None:
        """One photo."""
        reach = math.ceil(TOLERANCE * math.hypot(*flat.shape))
        for category in self._categories:
            truths = [i for i, t in enumerate(flat.truths) if t.category_id == category]
            found = [j for j, d in enumerate(flat.detections) if d.category_id == category]
            iou = overlaps([flat.detections[j] for j in found], [flat.truths[i] for i in truths])
            for row, column in _pair(iou):
                a, b = flat.found_crops[found[row]], flat.truth_crops[truths[column]]
                window = (
                    max(0, min(a.x, b.x) - 1),
                    max(0, min(a.y, b.y) - 1),
                    min(flat.shape[1], max(a.x + a.mask.shape[1], b.x + b.mask.shape[1]) + 1),
                    min(flat.shape[0], max(a.y + a.mask.shape[0], b.y + b.mask.shape[0]) + 1),
                )
                f, precision, recall = boundary_f(a.window(*window), b.window(*window), reach)
                self._pairs[category].append((f, precision, recall, float(iou[row, column])))

    def result(self) -> dict[str, Any]:
        """f, precision, recall, iou: means over all matched instances; matched: their number; the same per_class."""
        every = [pair for pairs in self._pairs.values() for pair in pairs]
        return {
            **_means(every),
            "tolerance": TOLERANCE,
            "per_class": {name: _means(self._pairs[category]) for category, name in self._categories.items()},
        }


def _pair(iou: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    good = np.where(iou >= LEAST_IOU, iou, 0.0)
    return [(int(r), int(c)) for r, c in zip(*linear_sum_assignment(good, maximize=True), strict=True) if good[r, c] > 0]


def _means(pairs: list[tuple[float, float, float, float]]) -> dict[str, float | int | None]:
    names = ("f", "precision", "recall", "iou")
    values = [float(v) for v in 100 * np.mean(pairs, axis=0)] if pairs else [None] * 4
    return {**dict(zip(names, values, strict=True)), "matched": len(pairs)}


def outline(mask: BoolArray) -> BoolArray:
    """bool [h, w]: the pixels that differ from the one to the right, below, or below right. The picture's border is none."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    edge: BoolArray = (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])
    return edge


def boundary_f(found: BoolArray, truth: BoolArray, reach: float) -> tuple[float, float, float]:
    """F, precision and recall, 0 to 1, of the outlines of two masks [h, w] of one picture; `reach` is in pixels.

    The picture may be cut to the masks and a pixel around them. Without any outline (a mask that fills the picture) a share is 1.
    """
    a, b = outline(found), outline(truth)
    precision, recall = _share_near(a, b, reach), _share_near(b, a, reach)
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return f, precision, recall


def _share_near(edge: BoolArray, other: BoolArray, reach: float) -> float:
    """The share of `edge` within `reach` of `other`."""
    if not edge.any():
        return 1.0
    if not other.any():
        return 0.0
    away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away[edge] <= reach + 1e-3).mean())
