"""Calibration: whether a score of 0.7 means that seven of ten such detections are right.

Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599, for detections as in Küppers et al. 2020, arXiv
2004.13546: a detection is right if its box overlaps that of an object of its class by an IoU of at least 0.5 and no detection
with a higher score has taken that object. The expected calibration error is the mean distance, over all detections, between the
score and the share of right ones in ten bins of equal width. What lies in a crowd is left out. Scores that the graph did not let
through are not looked at, so the lowest bin holds only its upper part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as rle_tools
from scipy.optimize import minimize

from streamseg.datasets.segments import Case
from streamseg.evaluate.region_ap import judge

__all__ = ["Calibration", "best_confidence", "expected_error", "scaling"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BINS = 10
IOU = 0.5
_COLDEST, _HOTTEST, _FARTHEST = 0.1, 10.0, 10.0
_LEAST = 20  # with fewer detections, right or wrong, a temperature would be chance


class Calibration:
    """Collects photos, then compares scores with the share of right detections."""

    def __init__(self, categories: Mapping[int, str]) -> None:
        self._categories = categories
        self._rows: list[tuple[float, bool]] = []
        self._objects = 0

    def add(self, case: Case) -> None:
        """One photo."""
        for category in self._categories:
            truths = [t for t in case.photo.truths if t.category_id == category]
            found = [d for d in case.detections if d.category_id == category]
            self._objects += sum(not t.crowd for t in truths)
            iou = np.zeros((len(found), len(truths)))
            if found and truths:
                boxes = [np.array([each.box for each in side], np.float64) for side in (found, truths)]
                iou = np.asarray(rle_tools.iou(*boxes, [int(t.crowd) for t in truths]))
            verdicts = judge(iou, np.array([t.crowd for t in truths], bool), IOU)
            self._rows += [(d.score, v) for d, v in zip(found, verdicts, strict=True) if v is not None]

    def result(self) -> dict[str, Any]:
        """error: the expected calibration error in percent; temperature and shift: see `scaling`; bins: for each that holds any,
        [from, to, detections, mean score, share of right ones], the last two in percent; conf and f1: see `best_confidence`."""
        scores, right = np.array([s for s, _ in self._rows], np.float64), np.array([r for _, r in self._rows], bool)
        error, bins = expected_error(scores, right)
        temperature, shift = scaling(scores, right)
        conf, f1 = best_confidence(scores, right, self._objects)
        return {"error": error, "temperature": temperature, "shift": shift, "bins": bins, "conf": conf, "f1": f1}


def expected_error(scores: FloatArray, right: BoolArray) -> tuple[float | None, list[list[float]]]:
    """The expected calibration error in percent, and the bins that it was computed from; None without detections."""
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    bins: list[list[float]] = []
    total = 0.0
    for place in np.unique(places):
        inside = places == place
        mean, share = float(scores[inside].mean()), float(right[inside].mean())
        bins.append([place / BINS, (place + 1) / BINS, int(inside.sum()), 100 * mean, 100 * share])
        total += abs(mean - share) * int(inside.sum())
    return (100 * total / len(scores) if len(scores) else None), bins


def best_confidence(scores: FloatArray, right: BoolArray, objects: int) -> tuple[float | None, float | None]:
    """The score from which detections are best shown, by the F1 of all classes together, and that F1 in percent.

    F1 is the harmonic mean of precision and recall where `objects` were to be found. None where nothing right was found.
    """
    if not right.any():
        return None, None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(scores) + 1) + objects)
    f1[:-1][np.diff(scores[order]) == 0] = 0  # one threshold takes all of one score
    best = int(f1.argmax())
    return float(scores[order][best]), float(100 * f1[best])


def scaling(scores: FloatArray, right: BoolArray) -> tuple[float | None, float | None]:
    """The temperature T and shift b for which logit(score) / T - b are the likeliest log odds of being right (Platt 1999).

    T is above 1 where scores differ too much. A network that saw objects far more often in training than it does in pictures, as
    the second stage of a Mask R-CNN does, finds all of them too likely: b is above 0. None where there is too little to tell. The
    score of a detection is taken for that of a choice between its class and all others.
    """
    if min(int(right.sum()), int((~right).sum())) < _LEAST:
        return None, None
    safe = np.clip(scores, 1e-6, 1 - 1e-6)
    logits = np.log(safe / (1 - safe))
    signs = np.where(right, 1.0, -1.0)

    def loss(parameters: FloatArray) -> float:
        return float(np.logaddexp(0, -signs * (logits / np.exp(parameters[0]) - parameters[1])).mean())

    best = minimize(
        loss, np.zeros(2), method="L-BFGS-B", bounds=[(np.log(_COLDEST), np.log(_HOTTEST)), (-_FARTHEST, _FARTHEST)]
    )
    return float(np.exp(best.x[0])), float(best.x[1])
