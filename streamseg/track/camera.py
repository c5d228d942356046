"""What the picture itself tells from one frame to the next: how the camera moved, how each object moved, and whether there was
a cut.

Sparse optical flow (Lucas-Kanade on a pyramid, Bouguet 2001) on a small grey picture: at a fixed grid of points on the ground,
to which a similarity is fitted (RANSAC), as in BoT-SORT (Aharon et al., 2022), and at a few points inside each object's mask.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamseg import planes
from streamseg.track.cuts import Thumbnail, is_cut
from streamseg.types import Frame

__all__ = ["Camera", "Change", "small_grey"]

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

WIDTH = 320
"""The small picture is the frame halved until it is no wider than 1.5 times this."""
COLUMNS, ROWS = 14, 8
"""Points on the ground."""
OBJECT_POINTS = 4
"""Points a side inside each object's box; those on its mask count."""
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


class Change(NamedTuple):
    """What happened between two frames."""

    matrix: Doubles
    """[2, 3] similarity, frame pixels: where points of the ground of the frame before are now; identity when it is not known."""
    shift: Doubles
    """[T, 2] frame pixels: how far each object moved, the camera's share included."""
    deviation: Doubles
    """[T] standard deviation of `shift`, frame pixels; infinite where the flow tells nothing."""
    cut: bool


class Camera:
    """Watches the pictures go by. Call it once a frame, in order."""

    def __init__(self) -> None:
        self._before: tuple[Grey, Thumbnail] | None = None

    def forget(self) -> None:
        """Start afresh: the next frame has nothing to do with the last."""
        self._before = None

    def __call__(self, frame: Frame, boxes: FloatArray, masks: npt.NDArray[np.bool_]) -> Change:
        """What happened since the frame before, in which objects were at `boxes` [T, 4] xyxy with bordered `masks` [T, 30, 30]."""
        grey, scale = small_grey(frame)
        now = (grey, Thumbnail.of(grey))
        before, self._before = self._before, now
        change = Change(np.eye(2, 3), np.zeros((len(boxes), 2)), np.full(len(boxes), np.inf), cut=False)
        if before is None or before[0].shape != grey.shape:
            return change
        points, owner = _points(grey.shape, (boxes / np.tile(scale, 2)).astype(np.float32), masks)
        moved, good = _follow(before[0], grey, points)
        matrix, share = _similarity(points[owner < 0], moved[owner < 0], good[owner < 0])
        if is_cut(before[1], now[1], share):
            return change._replace(cut=True)
        shift, deviation = _object_shifts(len(boxes), owner, points, moved, good)
        matrix = _scaled(matrix, scale)
        return Change(matrix, shift * scale, deviation * float(scale.max()), cut=False)


def small_grey(frame: Frame) -> tuple[Grey, FloatArray]:
    """The frame's luma (G of RGB), 8 bits, halved until about WIDTH wide; and frame pixels to a small one, [2] along x and y."""
    picture = planes.views(planes.supported(frame.picture))
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


def _points(
    shape: tuple[int, ...], boxes: FloatArray, masks: npt.NDArray[np.bool_]
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Points [P, 2] in pixels of the small picture and whose they are [P]: an object's number, -1 for the ground."""
    height, width = shape
    x, y = np.meshgrid((np.arange(COLUMNS) + 0.5) * (width / COLUMNS), (np.arange(ROWS) + 0.5) * (height / ROWS))
    ground = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
    if not len(boxes):
        return ground, np.full(len(ground), -1)
    within = (ground[:, None] >= boxes[None, :, :2]) & (ground[:, None] <= boxes[None, :, 2:])
    covered = np.any(within.all(2), axis=1)
    ground = ground[~covered] if (~covered).sum() >= 2 * LEAST_INLIERS else ground
    chosen = np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(1) >= SMALLEST)[:MAX_OBJECTS]
    steps = (np.arange(OBJECT_POINTS) + 0.5) / OBJECT_POINTS
    cells = (steps * 28).astype(np.int64) + 1
    on = masks[chosen][:, cells[:, None], cells]
    sizes = boxes[chosen, 2:] - boxes[chosen, :2]
    px = boxes[chosen, 0, None, None] + steps[None, None, :] * sizes[:, 0, None, None]
    py = boxes[chosen, 1, None, None] + steps[None, :, None] * sizes[:, 1, None, None]
    own = np.stack(np.broadcast_arrays(px, py), -1)[on].astype(np.float32)
    owner = np.broadcast_to(chosen[:, None, None], on.shape)[on]
    inside = ((own >= 0) & (own < (width, height))).all(1)
    return np.concatenate([ground, own[inside]]), np.concatenate([np.full(len(ground), -1), owner[inside]])


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
        # Without texture nothing can be said, not even that the pictures differ.
        return identity, 1.0 if good.sum() < len(good) // 8 else 0.0
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


def _object_shifts(
    count: int, owner: npt.NDArray[np.int64], points: FloatArray, moved: FloatArray, good: npt.NDArray[np.bool_]
) -> tuple[Doubles, Doubles]:
    """[T, 2] the median shift of each object's points and [T] how uncertain it is, small pixels."""
    shift, deviation = np.zeros((count, 2)), np.full(count, np.inf)
    step = moved - points
    for i in np.unique(owner[good & (owner >= 0)]):
        own = step[good & (owner == i)]
        if len(own) >= 4:
            shift[i] = np.median(own, axis=0)
            # Half the points may be wrong: the median absolute deviation, not the mean, tells how well they agree.
            deviation[i] = 0.3 + 1.5 * float(np.median(np.abs(own - shift[i]).max(1)))
    return shift, deviation


def _scaled(matrix: Doubles, scale: FloatArray) -> Doubles:
    """The same motion in frame pixels."""
    up = np.diag([*scale.astype(np.float64)])
    linear = up @ matrix[:, :2] @ np.linalg.inv(up)
    return np.hstack([linear, up @ matrix[:, 2:]])
