"""Points of the ground, one a cell of a grid, and where they went from frame to frame."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.scene.grey import ByteArray, Grey

__all__ = ["CELLS", "FlowPoints"]

COLUMNS, ROWS = 12, 8
CELLS = COLUMNS * ROWS
MOST = 64
WINDOW, LEVELS, STEPS = 11, 3, 8
LEAST_CORNER = 2e-4
"""Least eigenvalue of the gradient matrix (as OpenCV scales it) at which a point can be followed."""
MARGIN = 2
"""Small pixels around road users in which no point is taken."""
JUMP = 0.06
"""Share by which the mean brightness may differ from frame to frame before it is made equal."""

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


class FlowPoints:
    """Call it once a frame, in order."""

    def __init__(self) -> None:
        self._before: ByteArray | None = None
        self._cells: Indices = np.zeros(0, np.intp)
        self._places = np.zeros((0, 2), np.float32)

    def forget(self) -> None:
        """The next frame has nothing to do with the last."""
        self._before = None

    def __call__(self, grey: Grey, boxes: npt.NDArray[np.float32]) -> tuple[Indices, Doubles, Doubles] | None:
        """The cells of the points that could be followed from the frame before [n], where they were and are [n, 2].

        boxes: [N, 4] xyxy of road users, frame pixels. Returns pixels of the small picture, from its corner; None: nothing before.
        """
        before, cells, places = self._before, self._cells, self._places
        now = grey.small
        hidden = _within(now.shape, boxes, grey.scale)
        self._before = now
        self._cells, self._places = _corners(now, hidden)
        if before is None or before.shape != now.shape:
            return None
        if len(places) == 0:
            return np.zeros(0, np.intp), np.zeros((0, 2)), np.zeros((0, 2))
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            _as_bright(before, now),
            now,
            places,
            np.empty_like(places),
            winSize=(WINDOW, WINDOW),
            maxLevel=LEVELS,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, 0.02),
        )
        height, width = now.shape
        at = np.clip(np.rint(moved), 0, (width - 1, height - 1)).astype(np.intp)
        good = (status.ravel() > 0) & ((moved >= 0) & (moved <= (width - 1, height - 1))).all(1) & ~hidden[at[:, 1], at[:, 0]]
        return cells[good], places[good].astype(np.float64) + 0.5, moved[good].astype(np.float64) + 0.5


def _within(shape: tuple[int, ...], boxes: npt.NDArray[np.float32], scale: Doubles) -> npt.NDArray[np.bool_]:
    hidden = np.zeros(shape, bool)
    small = boxes / np.tile(scale, 2)
    low = np.maximum(np.floor(small[:, :2]) - MARGIN, 0).astype(int)
    high = (np.ceil(small[:, 2:]) + MARGIN).astype(int)
    for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True):
        hidden[y0:y1, x0:x1] = True
    return hidden


def _corners(grey: ByteArray, hidden: npt.NDArray[np.bool_]) -> tuple[Indices, npt.NDArray[np.float32]]:
    """The best corner of each cell, where it is one: cells [n] and places [n, 2] (from the centre of the first pixel)."""
    height, width = grey.shape
    half = cv2.resize(grey, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    strength = cv2.cornerMinEigenVal(half, 3, ksize=3)
    strength[hidden[: 2 * half.shape[0] : 2, : 2 * half.shape[1] : 2][: half.shape[0], : half.shape[1]]] = 0
    high, wide = half.shape[0] // ROWS, half.shape[1] // COLUMNS
    if min(high, wide) < 2:
        return np.zeros(0, np.intp), np.zeros((0, 2), np.float32)
    blocks = strength[: high * ROWS, : wide * COLUMNS].reshape(ROWS, high, COLUMNS, wide).transpose(0, 2, 1, 3)
    flat = blocks.reshape(CELLS, high * wide)
    best = flat.argmax(1)
    value = flat[np.arange(CELLS), best]
    cells = np.flatnonzero(value > LEAST_CORNER)
    if len(cells) > MOST:
        cells = np.sort(cells[np.argsort(-value[cells])[:MOST]])
    rows, columns = cells // COLUMNS * high + best[cells] // wide, cells % COLUMNS * wide + best[cells] % wide
    return cells, np.stack([2 * columns + 0.5, 2 * rows + 0.5], 1).astype(np.float32)


def _as_bright(before: ByteArray, now: ByteArray) -> ByteArray:
    """The picture before, brightened or darkened as the exposure was since."""
    was, is_now = cv2.mean(before)[0], cv2.mean(now)[0]
    if abs(is_now - was) <= JUMP * max(was, 1.0):
        return before
    return np.asarray(cv2.convertScaleAbs(before, alpha=is_now / max(was, 1.0)), np.uint8)
