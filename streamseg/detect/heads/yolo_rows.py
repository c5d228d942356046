"""The rows in which YOLO networks answer: of thousands of boxes those with a high score are read, and of many of a thing the best.

[B, 4 + C + E, N]   `columns`: v8, v9, 11, 12: centre x, centre y, width, height in pixels, a score of each class, E numbers more
[B, N, 4 + C + E]   `plain`: the same, transposed
[B, N, 5 + C + E]   `objectness`: v5, v7: a score of there being anything stands before those of the classes, which it multiplies
[B, N, 6 + E]       `finished`: YOLO26, and exports with NMS: x0, y0, x1, y1 in pixels, score, label; rows of zeros for nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["ROWS", "Found", "anchors", "read_rows", "suppress"]

ROWS = ("columns", "plain", "objectness", "finished")

_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64))
"""Pixels between the cells of each level, of the usual networks and of those with a level more."""

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """K rows with a score that is high enough, or is no number."""

    boxes: FloatArray
    """[K, 4] xyxy, pixels of the input."""
    scores: FloatArray
    """[K]"""
    labels: IntArray
    """[K]"""
    extra: FloatArray
    """[K, E] what else stands in each row."""
    low: int
    """How many more there were."""

    def __getitem__(self, rows: npt.NDArray[np.intp]) -> Found:
        return Found(self.boxes[rows], self.scores[rows], self.labels[rows], self.extra[rows], self.low)


def anchors(height: int, width: int) -> frozenset[int]:
    """How many boxes a network with one a cell may answer for an input of this size."""
    return frozenset(sum((-(-height // s)) * (-(-width // s)) for s in strides) for strides in _STRIDES)


def read_rows(array: npt.NDArray[Any], rows: str, classes: int, least: float) -> Found:
    """What scores `least` or more, or NaN, in one picture's array, laid out as `rows` says; nothing is decoded of what does not."""
    if rows == "finished":
        return _finished(array, least)
    table = array.T if rows == "columns" else array  # [N, 4 + C + E]
    first = 5 if rows == "objectness" else 4
    if rows == "objectness":
        near = np.flatnonzero(~(table[:, 4] < least))  # a product with a probability is no larger
        scores = table[near, 5 : 5 + classes] * table[near, 4:5]
        high = ~(scores.max(axis=1) < least)
        near, scores = near[high], scores[high]
    else:
        # Along the memory: 20 times as fast as the highest, and which it is, of each row.
        best = array[4 : 4 + classes].max(axis=0) if rows == "columns" else table[:, 4 : 4 + classes].max(axis=1)
        near = np.flatnonzero(~(best < least))
        scores = table[near, 4 : 4 + classes]
    labels = scores.argmax(axis=1) if classes else np.zeros(len(near), np.intp)
    picked = table[near]
    centres, half = picked[:, :2], picked[:, 2:4] / 2
    return Found(
        np.concatenate([centres - half, centres + half], axis=1),
        scores[np.arange(len(near)), labels],
        labels.astype(np.int64),
        picked[:, first + classes :],
        len(table) - len(near),
    )


def _finished(array: npt.NDArray[Any], least: float) -> Found:
    real = np.flatnonzero(array[:, :6].any(axis=1))
    near = real[~(array[real, 4] < least)]
    picked = array[near]
    labels = picked[:, 5]
    whole = np.isfinite(labels) & (np.abs(labels) < 1 << 31)
    labels = np.where(whole, labels, -1).astype(np.int64)
    return Found(picked[:, :4], picked[:, 4], labels, picked[:, 6:], len(real) - len(near))


def suppress(found: Found, overlap: float, most: int) -> Found:
    """Of boxes of one class with an IoU above `overlap` the one with the highest score; at most `most` in all, by falling score.

    Rows of nonsense (not finite, or inverted) suppress nothing; of them, too, at most `most` stay, for whoever counts it.
    """
    sound = np.isfinite(found.boxes).all(axis=1) & np.isfinite(found.scores)
    sound &= (found.boxes[:, 2:] >= found.boxes[:, :2]).all(axis=1)
    rows, broken = np.flatnonzero(sound), np.flatnonzero(~sound)
    if len(rows):
        boxes = found.boxes[rows].astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        labels = found.labels[rows].astype(np.int32)
        kept = cv2.dnn.NMSBoxesBatched(boxes, found.scores[rows], labels, 0.0, overlap)  # type: ignore[arg-type]
        rows = rows[np.asarray(kept, np.intp).reshape(-1)[:most]]
    return found[np.concatenate([rows, broken[:most]])]
