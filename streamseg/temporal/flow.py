"""Dense optical flow between two frames, computed on small grey pictures: for each pixel of one frame, where it was in the other.

DIS flow (Kroeger et al., ECCV 2016), from the later frame back to the earlier one. With it, anything known about the earlier frame,
a mask for example, is looked up for each pixel of the later one ("backward warping"), so that every pixel gets an answer. Flow is
computed only for the part of the picture that holds the objects asked for.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.masks import Region
from streamseg.core.types import Frame
from streamseg.pixels import fields

__all__ = ["Flow", "FlowCache", "flow", "small_luma"]

WIDTH = 256
"""The longer side of the small picture is at most this; it is not made larger than the frame."""
STRIDE = 6
"""Small pixels from one patch of 8 x 8 to the next."""
LEAST_SIDE = 32
"""Smaller pictures are enlarged to this: the coarsest patches must fit in."""
NOISE = 8.0
"""Codes of 255 by which the same surface may differ between frames: confidence is 1 / e there."""
MARGIN = 24
"""Small pixels added around what is asked for, so that motion by so much is found and coarse patches see some surroundings."""
LEAST_REGION = 64
"""Least width and height, in small pixels: with less, DIS leaves out its coarsest levels, which find large motions."""

_LIKENESS = np.exp(-np.square(np.arange(256, dtype=np.float32) / NOISE))
"""How alike two pixels are (0..1), by the difference of their codes."""

MOST_ROWS = 32766
"""Rows of a picture, or of points, that OpenCV can look up at once."""

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Flow:
    """From the pixels of one frame, the target, back to those of an earlier one, the source."""

    field: FloatArray
    """[r, c, 2] float32 (x, y): source position - target position, in small pixels, over `region`."""
    target: ByteArray
    """[h, w] the target's small grey picture."""
    source: ByteArray
    scale: tuple[float, float]
    """Frame pixels to a small pixel, along x and y."""
    region: Region
    """The small pixels for which motion was computed; elsewhere the motion of the nearest one of them is taken."""

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Where points of the target frame were in the source frame.

        Args:
            points: float32 [N, r, c, 2] (x, y) in frame pixels; points outside of the frame take the nearest pixel's motion.

        Returns: the points there, same shape and unit; and float32 [N, r, c] in 0..1, how alike the pictures are at the two points
            (photometric consistency; 0 where the point came from outside of the frame).
        """
        shape = points.shape[:3]
        flat = points.reshape(shape[0] * shape[1], shape[2], 2)
        small, there = np.empty(flat.shape, np.float32), np.empty(flat.shape, np.float32)
        # x and y one after the other: numpy's innermost loop would run over these two.
        for axis in (0, 1):
            of = small[..., axis]
            np.divide(flat[..., axis], np.float32(self.scale[axis]), of)
            of -= np.float32(0.5)  # OpenCV counts from the centre of the first pixel
            np.subtract(of, np.float32(self.region[axis]), there[..., axis])
        moved = pick(self.field, there)
        moved += small
        now, then = pick(self.target, small), pick(self.source, moved)
        likeness = _LIKENESS.take(cv2.absdiff(now, then))
        h, w = self.target.shape
        x, y = moved[..., 0], moved[..., 1]
        likeness[(x < -0.5) | (x > w - 0.5) | (y < -0.5) | (y > h - 0.5)] = 0
        moved += np.float32(0.5)
        x *= np.float32(self.scale[0])
        y *= np.float32(self.scale[1])
        return moved.reshape(points.shape), likeness.reshape(shape)


def pick(picture: npt.NDArray[Any], points: FloatArray, method: int = cv2.INTER_LINEAR) -> npt.NDArray[Any]:
    """The values of `picture` at `points` [r, c, 2] (x, y), counted from the centre of its first pixel; outside the nearest."""
    if len(points) > MOST_ROWS:
        parts = [points[i : i + MOST_ROWS] for i in range(0, len(points), MOST_ROWS)]
        return np.concatenate([pick(picture, part, method) for part in parts])
    # x and y are in one map; the type stubs want two.
    return cv2.remap(picture, points, None, method, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload,no-any-return]


def flow(source: ByteArray, target: ByteArray, scale: tuple[float, float] = (1.0, 1.0), region: Region | None = None) -> Flow:
    """Flow between two grey pictures [h, w] uint8 of one size, over a `region` of them or the whole."""
    left, top, right, bottom = region = region or (0, 0, target.shape[1], target.shape[0])
    now, then = (np.ascontiguousarray(picture[top:bottom, left:right]) for picture in (target, source))
    # At the pictures' own resolution and without variational refinement: on real clips more exact than the presets that refine a
    # coarser field, at half their time.
    estimator = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_ULTRAFAST)
    estimator.setFinestScale(0)
    estimator.setPatchStride(STRIDE)
    field = np.zeros((*now.shape, 2), np.float32)
    return Flow(estimator.calc(now, then, field), target, source, scale, region)  # type: ignore[arg-type]


class FlowCache:
    """The flow between frames of one run. Each is computed once, for whoever asks first; stages in different threads share a cache.

    Keeps the small pictures and fields of the last few frames only.
    """

    def __init__(self, keep: int = 4) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._lumas: OrderedDict[int, ByteArray] = OrderedDict()
        self._flows: OrderedDict[tuple[int, int], Flow] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def between(self, source: Frame, target: Frame, boxes: FloatArray | None = None) -> Flow | None:
        """The flow from `target` back to `source`; None over a change of epoch, where the two have nothing in common.

        boxes: [N, 4] xyxy, frame pixels. With them the flow is computed at least in and around these boxes, and motion by up to
        MARGIN small pixels is found.
        """
        if source.epoch != target.epoch or (source.width, source.height) != (target.width, target.height):
            return None
        key = (source.index, target.index)
        with self._lock:
            before, now = self._luma(source), self._luma(target)
            height, width = now.shape
            scale = (target.width / width, target.height / height)
            region = _around(boxes, scale, width, height)
            known = self._flows.get(key)
            if known is None or not _holds(known.region, region):
                self._flows[key] = known = flow(before, now, scale, region)
                while len(self._flows) > self._keep:
                    self._flows.popitem(last=False)
            return known

    def _luma(self, frame: Frame) -> ByteArray:
        if frame.index not in self._lumas:
            self._lumas[frame.index] = small_luma(frame)
            while len(self._lumas) > self._keep:
                self._lumas.popitem(last=False)
        return self._lumas[frame.index]


def _around(boxes: FloatArray | None, scale: tuple[float, float], width: int, height: int) -> Region:
    """The part of a small picture that holds all boxes (frame pixels) with their surroundings; the whole without boxes."""
    if boxes is None or not len(boxes):
        return 0, 0, width, height
    (left, right), (top, bottom) = (
        _span(float(boxes[:, k].min()) / scale[k], float(boxes[:, k + 2].max()) / scale[k], side)
        for k, side in enumerate((width, height))
    )
    return left, top, right, bottom


def _span(low: float, high: float, side: int) -> tuple[int, int]:
    """From `low` to `high` with a margin, and not less than LEAST_REGION, inside of 0..side."""
    missing = max(0.0, LEAST_REGION - (high - low + 2 * MARGIN)) / 2
    start, stop = math.floor(low - MARGIN - missing), math.ceil(high + MARGIN + missing)
    start = max(0, min(start, side - LEAST_REGION))
    return start, min(side, max(stop, start + LEAST_REGION))


def _holds(outer: Region, inner: Region) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def small_luma(frame: Frame) -> ByteArray:
    """The frame's luma (green of RGB) as 8 bits, [h, w], its longer side at most WIDTH.

    Shrunk by exact averages of 2x2 as long as that is enough, then bilinear: the whole takes 0.1 ms at 720p.
    """
    grey, depth = luma(frame)
    height, width = frame.height, frame.width
    ratio = min(1.0, WIDTH / max(width, height))
    size = tuple(max(LEAST_SIDE, round(side * ratio)) for side in (width, height))
    while grey.shape[1] >= 2 * size[0] and grey.shape[0] >= 2 * size[1]:
        grey = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if grey.shape[::-1] != size:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
    return as_bytes(grey, depth)


def luma(frame: Frame) -> tuple[npt.NDArray[Any], int]:
    """The plane of luma (green of RGB) at full size, [H, W], and how many bits a sample takes; shares the picture's memory."""
    picture = fields.one_moment(frame.picture, frame.field_order)
    wanted = 1 if picture.layout.family == "rgb" else 0
    plane = next(p for p in picture.planes if wanted in p.spec.components)
    grey = plane.array if plane.array.ndim == 2 else plane.array[:, :, plane.spec.components.index(wanted)]
    return grey, picture.layout.depth + picture.layout.lsb


def as_bytes(grey: npt.NDArray[Any], depth: int) -> ByteArray:
    """Samples of `depth` bits as 8."""
    if grey.dtype == np.uint8:
        return np.ascontiguousarray(grey)
    return (grey >> (depth - 8)).astype(np.uint8)
