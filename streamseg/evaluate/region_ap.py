"""AP^r: average precision of regions at one overlap of masks.

Hariharan et al. 2014, "Simultaneous Detection and Segmentation", arXiv 1407.1808: a detection is right if its mask overlaps that of
an object of its class by an IoU of at least the threshold and no detection with a higher score has taken that object; the average
precision is the area under the precision-recall curve, made monotone (PASCAL VOC from 2010 on, Everingham et al. 2015). As in VOC,
a detection goes to the object that it overlaps most, and is a false one if that is taken. What lies in a crowd by the threshold
(as a share of the detection, as in COCO) is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.datasets.segments import Case, overlaps

__all__ = ["RegionAP", "area_under_curve", "judge"]


class RegionAP:
    """Collects photos, then gives AP^r per class, in percent."""

    def __init__(self, categories: Mapping[int, str], thresholds: Sequence[float] = (0.5, 0.7)) -> None:
        self._categories = categories
        self._thresholds = tuple(thresholds)
        self._objects: Counter[int] = Counter()
        self._judged: dict[tuple[int, float], list[tuple[float, bool]]] = {
            (category, threshold): [] for category in categories for threshold in self._thresholds
        }

    def add(self, case: Case) -> None:
        """One photo."""
        for category in self._categories:
            truths = [t for t in case.photo.truths if t.category_id == category]
            found = [d for d in case.detections if d.category_id == category]
            self._objects[category] += sum(not t.ignored for t in truths)
            iou = overlaps(found, truths)
            ignored = np.array([t.ignored for t in truths], bool)
            for threshold in self._thresholds:
                verdicts = judge(iou, ignored, threshold)
                rows = [(d.score, v) for d, v in zip(found, verdicts, strict=True) if v is not None]
                self._judged[category, threshold] += rows

    def result(self) -> dict[str, Any]:
        """{"50": mean over classes, "70": ..., "per_class": {name: {"50": ..., "70": ...}}}; None without objects."""
        keys = {threshold: f"{100 * threshold:g}" for threshold in self._thresholds}
        per_class = {
            name: {key: self._one(category, threshold) for threshold, key in keys.items()}
            for category, name in self._categories.items()
        }
        means: dict[str, Any] = {}
        for key in keys.values():
            known = [v for row in per_class.values() if (v := row[key]) is not None]
            means[key] = float(np.mean(known)) if known else None
        return {**means, "per_class": per_class}

    def _one(self, category: int, threshold: float) -> float | None:
        if not self._objects[category]:
            return None
        judged = sorted(self._judged[category, threshold], key=lambda row: -row[0])
        return 100 * area_under_curve(np.array([right for _, right in judged], bool), self._objects[category])


def judge(iou: npt.NDArray[np.float64], ignored: npt.NDArray[np.bool_], threshold: float) -> list[bool | None]:
    """Right, wrong or (None) left out, for the detections of one class in one photo, by falling score."""
    taken = np.zeros(len(ignored), bool)
    verdicts: list[bool | None] = []
    for row in iou:
        real = np.where(ignored, -1.0, row)
        best = int(real.argmax()) if len(real) else -1
        if best >= 0 and real[best] >= threshold:
            verdicts.append(not taken[best])
            taken[best] = True
        else:
            verdicts.append(None if (ignored & (row >= threshold)).any() else False)
    return verdicts


def area_under_curve(right: npt.NDArray[np.bool_], objects: int) -> float:
    """The average precision, 0 to 1, of detections in order of falling score, where `objects` were to be found."""
    hits = np.cumsum(right)
    recall = np.concatenate(([0.0], hits / objects))
    precision = hits / np.arange(1, len(right) + 1)
    # The best precision at this recall or any higher one.
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * monotone).sum())
