"""Semantic measures of the merged masks: pixel accuracy, IoU and Dice of each class.

Each pixel gets the class of the best instance that covers it, or "background". With n_ij the pixels of class i taken for class j,
over all photos (Long et al. 2015, arXiv 1411.4038; Everingham et al. 2015; Dice 1945):

    pixel accuracy = Σ n_ii / Σ n_ij
    IoU_i = n_ii / (Σ_j n_ij + Σ_j n_ji − n_ii)
    Dice_i = 2 n_ii / (Σ_j n_ij + Σ_j n_ji)

Pixels of crowds are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from streamseg.evaluate.flat import Flat

__all__ = ["BACKGROUND", "Semantic"]

BACKGROUND = "background"


class Semantic:
    """Collects photos, then gives the measures in percent."""

    def __init__(self, categories: Mapping[int, str]) -> None:
        self._names = (BACKGROUND, *categories.values())
        self._index = {category: i for i, category in enumerate(categories, 1)}
        self._confusion = np.zeros((len(self._names), len(self._names)), np.int64)

    def add(self, flat: Flat) -> None:
        """One photo."""
        true_class = np.array([0, *(self._index[t.category_id] for t in flat.truths)])
        found_class = np.array([0, *(self._index[d.category_id] for d in flat.detections)])
        seen = ~flat.void()
        truth, found = true_class[flat.truth_map[seen]], found_class[flat.found_map[seen]]
        n = len(self._names)
        self._confusion += np.bincount(truth * n + found, minlength=n * n).reshape(n, n)

    def result(self) -> dict[str, Any]:
        """pixel_accuracy, mean_iou, mean_dice (of the object classes that occur in truth), mean_iou_with_background, per_class."""
        both, true, found = self._confusion.diagonal(), self._confusion.sum(1), self._confusion.sum(0)
        per_class: dict[str, dict[str, float | None]] = {}
        for i, name in enumerate(self._names):
            sizes = int(true[i] + found[i])
            known = true[i] > 0
            per_class[name] = {
                "iou": 100 * float(both[i] / (sizes - both[i])) if known else None,
                "dice": 100 * float(2 * both[i] / sizes) if known else None,
            }
        objects = [row for name, row in per_class.items() if name != BACKGROUND]
        total = int(true.sum())
        return {
            "pixel_accuracy": 100 * float(both.sum() / total) if total else None,
            "mean_iou": _mean([row["iou"] for row in objects]),
            "mean_dice": _mean([row["dice"] for row in objects]),
            "mean_iou_with_background": _mean([row["iou"] for row in per_class.values()]),
            "per_class": per_class,
        }


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
