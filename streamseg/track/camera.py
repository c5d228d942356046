"""How the camera moved from one frame to the next, how each object moved, and whether there was a cut, by the picture alone.

Sparse optical flow (Lucas-Kanade on a pyramid, Bouguet 2001) on a small grey picture: at a fixed grid of points on the ground,
to which a similarity is fitted (RANSAC), as in BoT-SORT (Aharon et al., 2022), and at a few points inside each object's mask.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame
from streamseg.pixels import fields
from streamseg.track.cuts import SUPPORT, Thumbnail, is_cut
from streamseg.track.overlap import SIDE

__all__ = ["CameraChange", "CameraMotion", "small_grey"]

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

WIDTH = 320
"""The small picture is the frame halved until it is no wider than 1.5 times this."""
COLUMNS, ROWS = 12, 7
"""Points on the ground."""
OBJECT_POINTS = 4
FEW = 8
"""Points a side inside each object's box, one less when there are more than FEW objects; those on its mask count."""
LEAST_POINTS = 4
MAX_OBJECTS = 24
"""Objects whose own flow is followed; of more, the first ones."""
WINDOW = 11
LEVELS = 3
LEAST_TEXTURE = 1e-3
"""Least eigenvalue of the gradient matrix (as OpenCV scales it) at which a point can be followed at all."""
LEAST_INLIERS = 12
AGREEMENT = 1.0
"""Small pixels by which a ground point may be off the camera's motion."""
SMALLEST = 8.0
"""Small pixels: flow inside what is smaller than this sees more of the ground than of the object."""


class CameraChange(NamedTuple):
    """How one frame differs from the frame before."""

    matrix: Doubles
    """[2, 3] similarity, frame pixels: where points of the ground of the frame before are now; identity when it is not known."""
    shift: Doubles
    """[T, 2] frame pixels: how far each object moved, the camera's share included."""
    deviation: Doubles
    """[T] standard deviation of `shift`, frame pixels; infinite where the flow tells nothing."""
    cut: bool


class CameraMotion:
    """Compares each frame with the one before. Call it once a frame, in order."""

    def __init__(self) -> None:
        self._before: Grey | None = None

    def forget(self) -> None:
        """Forget the last frame: the next one has nothing to do with it."""
        self._before = None

    def __call__(self, frame: Frame, boxes: FloatArray, masks: npt.NDArray[np.bool_]) -> CameraChange:
        """What happened since the frame before, in which objects were at `boxes` [T, 4] xyxy with bordered `masks` [T, 30, 30]."""
        grey, scale = small_grey(frame)
        before, self._before = self._before, grey
        change = CameraChange(np.eye(2, 3), np.zeros((len(boxes), 2)), np.full(len(boxes), np.inf), cut=False)
        if before is None or before.shape != grey.shape:
            return change
        height, width = grey.shape
        ground = _ground_points((height, width), (boxes / np.tile(scale, 2)).astype(np.float32))
        chosen, places, valid = _object_points(grey.shape, (boxes / np.tile(scale, 2)).astype(np.float32), masks)
        points = np.concatenate([ground, places[valid]])
        moved, good = _follow(before, grey, points)
        count = len(ground)
        matrix, share = _similarity(ground, moved[:count], good[:count])
        if share < SUPPORT and is_cut(Thumbnail.of(before), Thumbnail.of(grey), share):
            return change._replace(cut=True)
        steps = np.full(places.shape, np.inf)
        steps[valid] = np.where(good[count:, None], moved[count:] - points[count:], np.inf)
        shift, deviation = _medians(steps)
        change.shift[chosen], change.deviation[chosen] = shift * scale, deviation * float(scale.max())
        # From small pixels to the frame's, whose scale may differ a little along x and y.
        matrix[0, 1] *= scale[0] / scale[1]
        matrix[1, 0] *= scale[1] / scale[0]
        matrix[:, 2] *= scale
        return change._replace(matrix=matrix)


def small_grey(frame: Frame) -> tuple[Grey, FloatArray]:
    """The frame's luma (G of RGB), 8 bits, halved until about WIDTH wide; and frame pixels to a small one, [2] along x and y."""
    picture = fields.one_moment(frame.picture, frame.field_order)
    wanted = 1 if picture.layout.family == "rgb" else 0
    plane = next(p for p in picture.planes if wanted in p.spec.components)
    grey: npt.NDArray[Any] = plane.array
    while grey.shape[1] > 1.5 * WIDTH and grey.shape[0] >= 4:
        grey = grey[:, :, plane.spec.components.index(wanted)] if grey.ndim == 3 else grey
        grey = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if grey.ndim == 3:
        grey = grey[:, :, plane.spec.components.index(wanted)]
    if grey.dtype != np.uint8:
        grey = (grey >> (picture.layout.depth + picture.layout.lsb - 8)).astype(np.uint8)
    scale = np.array([frame.width / grey.shape[1], frame.height / grey.shape[0]], np.float32)
    return np.ascontiguousarray(grey), scale


def _ground_points(shape: tuple[int, int], boxes: FloatArray) -> FloatArray:
    """[P, 2] the points of a fixed grid over the small picture that lie in no box, or all if these are too few."""
    ground = _grid(*shape)
    within = (ground[:, None] >= boxes[None, :, :2]) & (ground[:, None] <= boxes[None, :, 2:])
    free = ~np.any(within.all(2), axis=1)
    return np.asarray(ground[free] if free.sum() >= 2 * LEAST_INLIERS else ground)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> FloatArray:
    x, y = np.meshgrid((np.arange(COLUMNS) + 0.5) * (width / COLUMNS), (np.arange(ROWS) + 0.5) * (height / ROWS))
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def _object_points(
    shape: tuple[int, ...], boxes: FloatArray, masks: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], FloatArray, npt.NDArray[np.bool_]]:
    """Which objects are followed [C], points inside of their boxes [C, K, 2], small pixels, and which of these are on the mask."""
    height, width = shape
    chosen = np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) >= SMALLEST)[:MAX_OBJECTS]
    side = OBJECT_POINTS if len(chosen) <= FEW else OBJECT_POINTS - 1
    steps = ((np.arange(side) + 0.5) / side).astype(np.float32)
    cells = (steps * SIDE).astype(np.int64) + 1
    valid = masks[chosen][:, cells[:, None], cells]
    sizes = boxes[chosen, 2:] - boxes[chosen, :2]
    points = np.empty((*valid.shape, 2), np.float32)
    points[..., 0] = boxes[chosen, 0, None, None] + steps[None, None, :] * sizes[:, 0, None, None]
    points[..., 1] = boxes[chosen, 1, None, None] + steps[None, :, None] * sizes[:, 1, None, None]
    valid = valid & ((points >= 0) & (points < (width, height))).all(3)
    return chosen, points.reshape(len(chosen), side**2, 2), valid.reshape(len(chosen), side**2)


def _follow(before: Grey, now: Grey, points: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Where the points went, and which of them could be followed and are still in the picture."""
    moved, status, texture = cv2.calcOpticalFlowPyrLK(
        before,
        now,
        points - 0.5,  # OpenCV counts from the centre of the first pixel
        np.empty_like(points),
        winSize=(WINDOW, WINDOW),
        maxLevel=LEVELS,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
        flags=cv2.OPTFLOW_LK_GET_MIN_EIGENVALS,
        minEigThreshold=1e-5,
    )
    moved = moved + np.float32(0.5)
    height, width = now.shape
    good = (status.ravel() > 0) & (texture.ravel() > LEAST_TEXTURE)
    good &= ((moved >= 0) & (moved <= (width, height))).all(1)
    return moved, good


def _similarity(points: FloatArray, moved: FloatArray, good: npt.NDArray[np.bool_]) -> tuple[Doubles, float]:
    """[2, 3] the camera's motion, identity when too few points agree; and the share of all points that do."""
    identity = np.eye(2, 3)
    if good.sum() < LEAST_INLIERS:
        return identity, 0.0
    matrix, inliers = cv2.estimateAffinePartial2D(
        points[good], moved[good], method=cv2.RANSAC, ransacReprojThreshold=AGREEMENT, maxIters=200, refineIters=2
    )
    if matrix is None:
        return identity, 0.0
    count = int(inliers.sum())
    share = count / int(good.sum())
    if count < LEAST_INLIERS or share < 0.3:
        return identity, share
    return matrix.astype(np.float64), share


def _medians(steps: Doubles) -> tuple[Doubles, Doubles]:
    """Of points' shifts [C, K, 2], infinite where not known: each object's median [C, 2] and how uncertain it is [C].

    Half the points may be wrong: the median absolute deviation, not the mean, tells how well they agree.
    """
    count = np.isfinite(steps[..., 0]).sum(1)
    known = count >= LEAST_POINTS
    rows, middle = np.flatnonzero(known), (count[known] - 1) // 2
    shift, deviation = np.zeros((len(steps), 2)), np.full(len(steps), np.inf)
    shift[rows] = np.sort(steps[rows], axis=1)[np.arange(len(rows)), middle]
    away = np.abs(steps[rows] - shift[rows, None]).max(2)
    deviation[rows] = 0.3 + 1.5 * np.sort(away, axis=1)[np.arange(len(rows)), middle]
    return shift, deviation
