"""What detectors share that answer with thousands of overlapping boxes: the best class of each, and of many boxes the best."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.detect.heads.base import Candidates
from streamseg.detect.heads.yolo_rows import Found, suppress

__all__ = ["best_class", "boxes_alone", "corners", "decided"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_ANY = 2**31
"""Beyond all labels."""


def best_class(scores: FloatArray) -> tuple[FloatArray, IntArray]:
    """Of scores [N, C] the highest of each row, float32 [N], and its label [N]; NaN where a row holds one."""
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32), np.zeros(len(scores), np.int64)
    labels = scores.argmax(axis=1)
    return scores[np.arange(len(scores)), labels].astype(np.float32), labels.astype(np.int64)


def corners(boxes: FloatArray) -> FloatArray:
    """Boxes [N, 4] of centre x, centre y, width, height as xyxy."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def decided(boxes: FloatArray, scores: FloatArray, labels: IntArray, overlap: float, most: int, low: int) -> Candidates:
    """Candidates of boxes xyxy [K, 4]: of those of a class that overlap the best (`suppress`); `low` were left out before."""
    found = suppress(Found(boxes, scores, labels, np.zeros((len(boxes), 0), np.float32), low), overlap, most)
    return boxes_alone(found.boxes, found.scores, found.labels, low)


def boxes_alone(boxes: npt.NDArray[Any], scores: npt.NDArray[Any], labels: npt.NDArray[Any], low: int = 0) -> Candidates:
    """Candidates without masks of boxes xyxy [N, 4], scores [N] and labels [N] of any type; a label that cannot be one is -1."""
    if labels.dtype.kind == "f":
        labels = np.where(np.abs(labels) < _ANY, np.rint(labels), -1)
    return Candidates(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        labels.astype(np.int64),
        np.ones(len(scores), bool),
        None,
        low,
    )
