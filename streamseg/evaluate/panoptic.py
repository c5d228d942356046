"""Panoptic quality of the objects: PQ = SQ x RQ.

Kirillov et al. 2019, "Panoptic Segmentation", arXiv 1801.00868, section 4. Masks must not overlap, so detections are taken by
falling score, each keeping the pixels not yet taken; one that keeps less than half of its own is dropped. A detection and an object
of one class match if their IoU is above 0.5, which makes the pairs unique. For each class, over all photos,

    SQ = Σ IoU of matches / TP     RQ = TP / (TP + FP / 2 + FN / 2)     PQ = SQ x RQ

and the mean over the classes that occur. Everything else is background: there are no "stuff" classes here. An unmatched detection
more than half of which lies in a crowd of its class is not counted (ibid., 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.evaluate.flat import Flat

__all__ = ["MatchCounts", "Matching", "PanopticQuality", "match"]

_KEPT = 0.5


@dataclass(slots=True)
class MatchCounts:
    """Matches and misses of one class, or of one photo."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    iou: float = 0.0
    """Sum over the matches."""

    def quality(self) -> dict[str, float | None]:
        """{"PQ", "SQ", "RQ"} in percent; None where there was neither an object nor a detection."""
        if self.tp + self.fp + self.fn == 0:
            return {"PQ": None, "SQ": None, "RQ": None}
        sq = self.iou / self.tp if self.tp else 0.0
        rq = self.tp / (self.tp + self.fp / 2 + self.fn / 2)
        return {"PQ": 100 * sq * rq, "SQ": 100 * sq, "RQ": 100 * rq}


@dataclass(frozen=True, slots=True)
class Matching:
    """What became of the objects and detections of one photo; numbers are indices into `Flat.truths` and `Flat.detections`."""

    matches: list[tuple[int, int, float]]
    """(truth, detection, IoU)."""
    missed: list[int]
    """Truths without a match."""
    false: list[int]
    """Detections without a match, but for those in crowds and those dropped as hidden by better ones."""


class PanopticQuality:
    """Collects photos, then gives the measures in percent."""

    def __init__(self, categories: Mapping[int, str]) -> None:
        self._categories = categories
        self._tallies = {category: MatchCounts() for category in categories}

    def add(self, flat: Flat) -> float | None:
        """One photo. Returns the PQ of this photo alone, its classes counted together, in percent; None if it is rightly empty."""
        photo, matching = MatchCounts(), match(flat)
        for i, _, iou in matching.matches:
            for tally in (photo, self._tallies[flat.truths[i].category_id]):
                tally.tp += 1
                tally.iou += iou
        for i in matching.missed:
            for tally in (photo, self._tallies[flat.truths[i].category_id]):
                tally.fn += 1
        for j in matching.false:
            for tally in (photo, self._tallies[flat.detections[j].category_id]):
                tally.fp += 1
        return photo.quality()["PQ"]

    def result(self) -> dict[str, Any]:
        """{"PQ", "SQ", "RQ", "per_class": {name: {"PQ", "SQ", "RQ", "TP", "FP", "FN"}}}."""
        rows = {name: self._tallies[category] for category, name in self._categories.items()}
        seen = [tally.quality() for tally in rows.values() if tally.tp + tally.fp + tally.fn]
        means = {key: float(np.mean([row[key] for row in seen])) if seen else None for key in ("PQ", "SQ", "RQ")}
        per_class = {name: {**tally.quality(), "TP": tally.tp, "FP": tally.fp, "FN": tally.fn} for name, tally in rows.items()}
        return {**means, "per_class": per_class}


def match(flat: Flat) -> Matching:
    """Match the detections of one photo with its objects. An object wholly hidden by smaller ones is not counted."""
    kept, layers = _disjoint(flat)
    matches = _matches(flat, layers)
    truths, found = {i for i, _, _ in matches}, {j for _, j, _ in matches}
    missed = [i for i in range(len(flat.truths)) if i not in truths and (flat.truth_map == i + 1).any()]
    unmatched = [j for j in kept if j not in found]
    false = [j for j in unmatched if not _in_crowd(layers == j + 1, flat.void(flat.detections[j].category_id))]
    return Matching(matches, missed, false)


def _disjoint(flat: Flat) -> tuple[list[int], npt.NDArray[np.int32]]:
    """The detections that are kept, and int32 [height, width]: j + 1 where detection j is, 0 where none."""
    picture = np.zeros(flat.shape, np.int32)
    kept = []
    for j, crop in enumerate(flat.found_crops):
        under = crop.cut(picture)
        free = crop.mask & (under == 0)
        if crop.area and free.sum() >= _KEPT * crop.area:
            under[free] = j + 1
            kept.append(j)
    return kept, picture


def _matches(flat: Flat, found_map: npt.NDArray[np.int32]) -> list[tuple[int, int, float]]:
    """(truth, detection, IoU) of the pairs of one class above one half."""
    columns = len(flat.detections) + 1
    pairs = flat.truth_map.astype(np.int64) * columns + found_map
    shared = np.bincount(pairs.ravel(), minlength=(len(flat.truths) + 1) * columns).reshape(-1, columns)
    true_area, found_area = shared.sum(1), shared.sum(0)
    matches = []
    for i, j in zip(*np.nonzero(shared[1:, 1:]), strict=True):
        if flat.truths[i].category_id != flat.detections[j].category_id:
            continue
        both = shared[i + 1, j + 1]
        iou = both / (true_area[i + 1] + found_area[j + 1] - both)
        if iou > 0.5:
            matches.append((int(i), int(j), float(iou)))
    return matches


def _in_crowd(found: npt.NDArray[np.bool_], crowd: npt.NDArray[np.bool_]) -> bool:
    return bool((found & crowd).sum() > 0.5 * found.sum())
