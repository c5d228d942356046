"""Moves masks and boxes from one frame to the next along optical flow, all instances of a frame at once."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.masks import AT_BORDER
from streamseg.core.types import Instances
from streamseg.temporal.flow import MOST_ROWS, Flow, pick

__all__ = ["cells", "coarse", "look_up", "moved_boxes", "shapes"]

FloatArray = npt.NDArray[np.float32]

# Cells around a grid: a cubic needs two.
_PAD = 2
# So many cells a side say enough of how a box moves, and of how alike two masks are.
_COARSE = 14
# Sum of weights, of cells, below which too little of an object can be followed.
_LEAST_SEEN = 4.0
# So many cells a side are traced one by one; of finer grids every so many: flow is no finer.
_TRACED, _COARSELY = 40, 28
# Cells looked up at a time: enough, and what they take stays in the cache.
_AT_A_TIME = 16384
_ROUNDS = 3
# Squares of frame pixels: points are never expected to agree better than this, nor worse than that.
_LEAST_OFF, _MOST_OFF = 0.25, 400.0
# Change of size a frame that is believed.
_MOST_GROWTH = 1.25


def coarse(side: int) -> int:
    """The step n for masks of `side` cells a side: every nth cell along x and y is enough to tell how an object moves."""
    return max(1, round(side / _COARSE))


def shapes(instances: Instances) -> FloatArray:
    """[N, M, M], 0..255, to follow instances by: their masks; of what has none, or whose mask is its whole box, the box, filled."""
    if instances.has_shapes:
        return instances.masks.astype(np.float32)
    return np.full((len(instances), _COARSE, _COARSE), 255, np.float32)


def cells(boxes: FloatArray, side: int, skip: int = 1) -> FloatArray:
    """The centres of the mask cells of each box: float32 [N, side, side, 2], (x, y) in frame pixels.

    Args:
        boxes: float32 [N, 4], xyxy in frame pixels.
        side: cells a side of a mask.
        skip: take only every `skip`th cell along x and y.
    """
    steps = (np.arange(0, side, skip, dtype=np.float32) + 0.5) / side
    points = np.empty((len(boxes), len(steps), len(steps), 2), np.float32)
    size = boxes[:, 2:] - boxes[:, :2]
    points[..., 0] = (boxes[:, 0, None] + steps * size[:, 0, None])[:, None, :]
    points[..., 1] = (boxes[:, 1, None] + steps * size[:, 1, None])[:, :, None]
    return points


def traced(flow: Flow, boxes: FloatArray, side: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The centres of the `side` x `side` cells of each box of the flow's target frame, and where they were: see `Flow.at`.

    Returns: `cells(boxes, side)`; these points in the source frame; and float32 [N, side, side], how alike both are.
    """
    points = cells(boxes, side)
    if side <= _TRACED:
        return points, *flow.at(points)
    coarse_points = cells(boxes, _COARSELY)
    sources, alike = flow.at(coarse_points)
    sources -= coarse_points
    moved, likeness = np.empty_like(points), np.empty(points.shape[:3], np.float32)
    for step, like, to, into in zip(sources, alike, moved, likeness, strict=True):
        cv2.resize(step, (side, side), to, interpolation=cv2.INTER_LINEAR)
        cv2.resize(like, (side, side), into, interpolation=cv2.INTER_LINEAR)
    moved += points
    return points, moved, likeness


def look_up(masks: npt.NDArray[np.float32], boxes: FloatArray, points: FloatArray, width: int, height: int) -> FloatArray:
    """The values of soft masks at points. Outside of the box they are 0, except where the frame's border cuts the object off.

    Args:
        masks: float32 [N, M, M], 0..255.
        boxes: float32 [N, 4] xyxy, frame pixels: what the grids span.
        points: float32 [N, r, c, 2] (x, y), frame pixels.
        width: the frame's, pixels.
        height: the frame's, pixels.

    Returns: float32 [N, r, c].
    """
    n, rows, columns = points.shape[:3]
    values = np.empty((n, rows, columns), np.float32)
    tile = masks.shape[-1] + 2 * _PAD
    most = max(1, min(MOST_ROWS // tile, _AT_A_TIME // (rows * columns)))
    for first in range(0, n, most):
        part = slice(first, first + most)
        _look_up(masks[part], boxes[part], points[part], (width, height), values[part])
    return values


def _look_up(masks: FloatArray, boxes: FloatArray, points: FloatArray, frame: tuple[int, int], values: FloatArray) -> None:
    """As `look_up`, into `values`; of so few that OpenCV takes them at once."""
    (n, rows, columns), side, (width, height) = values.shape, masks.shape[-1], frame
    tile = side + 2 * _PAD
    stacked = np.zeros((n, tile, tile), np.float32)
    inner = slice(_PAD, -_PAD)
    stacked[:, inner, inner] = masks
    stacked[:, :, :_PAD] = stacked[:, :, _PAD, None] * (boxes[:, 0, None, None] < AT_BORDER)
    stacked[:, :, -_PAD:] = stacked[:, :, -_PAD - 1, None] * (boxes[:, 2, None, None] > width - AT_BORDER)
    stacked[:, :_PAD] = stacked[:, _PAD, None] * (boxes[:, 1, None, None] < AT_BORDER)
    stacked[:, -_PAD:] = stacked[:, -_PAD - 1, None] * (boxes[:, 3, None, None] > height - AT_BORDER)
    rate = (side / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)).astype(np.float32)
    start = np.float32(_PAD - 0.5) - boxes[:, :2] * rate
    place = np.empty(points.shape, np.float32)
    # x and y one after the other: numpy's innermost loop would run over these two.
    for axis in (0, 1):
        of = place[..., axis]
        np.multiply(points[..., axis], rate[:, axis, None, None], of)
        of += start[:, axis, None, None]
    # All grids lie below each other in one picture; nothing may reach into the next one.
    np.clip(place, _PAD - 1, _PAD + side, out=place)
    place[..., 1] += (np.arange(n, dtype=np.float32) * tile)[:, None, None]
    # Cubic: a mask that is looked up again in each frame would grow ever softer by bilinear interpolation.
    found = pick(stacked.reshape(n * tile, tile), place.reshape(n * rows, columns, 2), cv2.INTER_CUBIC)
    np.clip(found.reshape(values.shape), 0, 255, out=values)


def moved_boxes(boxes: FloatArray, points: FloatArray, sources: FloatArray, weights: FloatArray) -> FloatArray:
    """Where boxes of the source frame are now: moved and scaled as the objects' points are, without turning or shearing.

    Iteratively reweighted least squares with Geman and McClure's weights, so that points which move unlike the rest count for
    little. A box stays where it was if too few of its points can be followed.

    Args:
        boxes: float32 [N, 4] xyxy in the source frame.
        points: float32 [N, r, c, 2] of the target frame.
        sources: the same points in the source frame (`Flow.at`).
        weights: float32 [N, r, c], 0 where a point is not the object's.

    Returns: float32 [N, 4] in the target frame, not clipped.
    """
    # x and y apart, [2, N, P]: sums run over what lies side by side in memory.
    now, then = (np.ascontiguousarray(np.moveaxis(a.reshape(len(boxes), -1, 2), 2, 0)) for a in (points, sources))
    weight = weights.reshape(len(boxes), -1)
    total = np.maximum(weight.sum(1), 1e-6)
    enough = total >= _LEAST_SEEN
    step, trust = now - then, weight / total[:, None]
    for _ in range(_ROUNDS):
        off = step - np.einsum("np,knp->kn", trust, step)[..., None]
        squares = off[0] * off[0] + off[1] * off[1]
        usual = np.einsum("np,np->n", trust, np.minimum(squares, _MOST_OFF)) + _LEAST_OFF
        trust = weight / np.square(1 + squares / usual[:, None])
        trust /= np.maximum(trust.sum(1, keepdims=True), 1e-6)
    centre_then, centre_now = (np.einsum("np,knp->kn", trust, a) for a in (then, now))
    dt, dn = then - centre_then[..., None], now - centre_now[..., None]
    # One scale for both axes: a few cells say too little for two.
    spread = np.einsum("np,knp->n", trust, dt * dt)
    scale = np.where(spread > 0, np.einsum("np,knp->n", trust, dt * dn) / np.maximum(spread, 1e-6), 1.0)
    scale = np.clip(scale, 1 / _MOST_GROWTH, _MOST_GROWTH)[:, None]
    moved = (boxes - np.tile(centre_then.T, 2)) * scale + np.tile(centre_now.T, 2)
    return np.where(enough[:, None], moved, boxes).astype(np.float32)
