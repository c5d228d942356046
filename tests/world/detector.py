"""A detector of known noise: what a network might have found in a frame of the world."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Instances
from tests.scenes import CLASSES
from tests.world.truth import Floats, Polygon, Shape, Truth

FINE = 4
"""Points a side in each cell of a mask."""


@dataclass
class Detector:
    """Call it with each Truth in turn. The errors of a box: of its centre and of its size, shares of the size, and pixels."""

    seed: int = 0
    jitter: float = 0.01
    """Standard deviation of each side of a box, anew in each frame."""
    pixels: float = 0.4
    """The same in pixels, on top: a network works on a coarser picture."""
    drift: float = 0.01
    """Standard deviation of an error that lasts for `drift_time` (Ornstein and Uhlenbeck), of centre and of log(size)."""
    drift_time: float = 0.6
    blur: float = 0.8
    """Standard deviation of the masks' blur, cells of 28."""
    outline: float = 0.06
    """Amplitude of a wavy error of the masks' outline, shares of the range."""
    miss: float = 0.02
    """How often one in full view is missed, in bursts of one to four frames."""
    least_visible: float = 0.25
    least: float = 10.0
    """Pixels of height below which nothing is found."""
    late: float = 0.3
    """Seconds up to which something that could be found is not yet; drawn anew for each."""
    noise: float = 0.06
    """Standard deviation of the scores."""
    ids: bool = False
    """Give the true ids (for parts that are tested without a tracker)."""
    side: int = 28
    _state: dict[int, _State] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    @classmethod
    def perfect(cls, ids: bool = True) -> Detector:
        return cls(
            jitter=0, pixels=0, drift=0, blur=0, outline=0, miss=0, least_visible=0.02, least=2, late=0, noise=0, ids=ids
        )

    def __call__(self, truth: Truth) -> Result:
        """What is found, with the frame."""
        rows = []
        for i, number in enumerate(truth.ids.tolist()):
            shape = truth.shape_of(number)
            seen = visible(shape, truth.shapes)
            if seen is None or not self._found(number, truth, i, seen[1]):
                continue
            rows.append((*self._row(number, truth.time, shape, truth, seen), int(truth.labels[i]), number))
        rows.sort(key=lambda row: -row[2])
        if not rows:
            return Result(truth.frame(), Instances.empty(CLASSES, self.side))
        boxes, masks, scores, labels, ids = zip(*rows, strict=True)
        found = Instances(
            np.array(boxes, np.float32),
            np.array(scores, np.float32),
            np.array(labels, np.int64),
            np.array(masks, np.uint8),
            CLASSES,
            np.array(ids, np.int64) if self.ids else np.zeros(len(rows), np.int64),
        )
        return Result(truth.frame(), found)

    def _found(self, number: int, truth: Truth, i: int, share: float) -> bool:
        state = self._state.get(number)
        height = truth.boxes[i, 3] - truth.boxes[i, 1]
        if share < self.least_visible or height < self.least:
            return False
        if state is None:
            state = self._state[number] = _State(truth.time + float(self.rng.uniform(0, self.late)))
        if truth.time < state.first:
            return False
        if state.missing:
            state.missing -= 1
            return False
        if self.miss and self.rng.uniform() < self.miss + (0.3 if share < 2 * self.least_visible else 0.0):
            state.missing = int(self.rng.integers(0, 4))
            return False
        return True

    def _row(
        self, number: int, time: float, shape: Shape, truth: Truth, seen: tuple[Floats, float]
    ) -> tuple[Floats, npt.NDArray[np.uint8], float]:
        box, share = seen
        size = np.tile(box[2:] - box[:2], 2)
        noisy = box.copy()
        if self.drift or self.jitter or self.pixels:
            off = self._state[number].off(time, self.rng, self.drift_time) * self.drift
            noisy += size * np.concatenate([off[:2] - off[2:] / 2, off[:2] + off[2:] / 2])
            noisy += self.rng.normal(0, 1, 4) * (self.jitter * size + self.pixels)
        frame = np.tile([truth.camera.width, truth.camera.height], 2)
        noisy = np.clip(noisy, 0, frame)
        noisy = np.where((box == 0) | (box == frame), box, noisy)  # what leaves the picture is cut off where the picture ends
        if (noisy[2:] - noisy[:2]).min() < 1:
            noisy = box
        mask = self._mask(grid(shape, truth.shapes, noisy, self.side))
        score = 0.5 + 0.42 * math.sqrt(share) + (float(self.rng.normal(0, self.noise)) if self.noise else 0.0)
        return noisy, mask, min(max(score, 0.05), 0.99)

    def _mask(self, soft: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        if self.blur:
            soft = cv2.GaussianBlur(soft, (0, 0), self.blur * self.side / 28, borderType=cv2.BORDER_REPLICATE)
        if self.outline:
            waves = self.rng.normal(0, 1, (5, 5)).astype(np.float32)
            waves = cv2.resize(waves, (self.side, self.side), interpolation=cv2.INTER_CUBIC)
            soft = soft + 255 * self.outline * waves * ((soft > 8) & (soft < 247))
        return np.asarray(np.clip(np.rint(soft), 0, 255).astype(np.uint8))


@dataclass
class _State:
    first: float
    """Seconds from which it is found."""
    missing: int = 0
    time: float | None = None
    value: Floats = field(default_factory=lambda: np.zeros(4))

    def off(self, time: float, rng: np.random.Generator, lasts: float) -> Floats:
        """[4] of standard deviation 1, correlated over time."""
        keep = 0.0 if self.time is None else math.exp(-(time - self.time) / lasts)
        self.value = keep * self.value + math.sqrt(1 - keep * keep) * rng.normal(0, 1, 4)
        self.time = time
        return self.value


def visible(shape: Shape, shapes: tuple[Shape, ...], fine: int = 96) -> tuple[Floats, float] | None:
    """The box of what of it nothing hides, and the share of it inside the frame that this is; None: nothing."""
    front = _in_front(shape, shapes, shape.box)
    if not front:
        return shape.box, 1.0
    whole = _fill(shape.polygons, shape.box, fine)
    left = whole.copy()
    for other in front:
        left[_fill(other.polygons, shape.box, fine) > 0] = 0
    share = left.sum() / max(1.0, float(whole.sum()))
    rows, columns = np.flatnonzero(left.any(1)), np.flatnonzero(left.any(0))
    if not len(rows):
        return None
    size = (shape.box[2:] - shape.box[:2]) / fine
    box = np.tile(shape.box[:2], 2) + np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) * np.tile(size, 2)
    for k, edge in enumerate((columns[0] == 0, rows[0] == 0, columns[-1] == fine - 1, rows[-1] == fine - 1)):
        box[k] = shape.box[k] if edge else box[k]  # exact where nothing hides it
    return (box, float(share)) if (box[2:] - box[:2]).min() >= 2 else None


def grid(shape: Shape, shapes: tuple[Shape, ...], box: Floats, side: int = 28) -> npt.NDArray[np.float32]:
    """[side, side] over `box`: 255 x the share of each cell that shows `shape`."""
    levels = _fill(shape.polygons, box, side * FINE)
    for other in _in_front(shape, shapes, box):
        levels[_fill(other.polygons, box, side * FINE) > 0] = 0
    return np.asarray(cv2.resize(levels * np.float32(255), (side, side), interpolation=cv2.INTER_AREA))


def _in_front(shape: Shape, shapes: tuple[Shape, ...], box: Floats) -> list[Shape]:
    front = []
    x0, y0, x1, y1 = box.tolist()
    for other in shapes:  # the nearest first
        if other is shape:
            break
        a0, b0, a1, b1 = other.box.tolist()
        if a0 < x1 and x0 < a1 and b0 < y1 and y0 < b1:
            front.append(other)
    return front


def _fill(polygons: tuple[Polygon, ...], box: Floats, side: int) -> npt.NDArray[np.uint8]:
    """[side, side] over `box`: 1 where a point's centre lies in one of the polygons."""
    canvas = np.zeros((side, side), np.uint8)
    scale = side / np.maximum(box[2:] - box[:2], 1e-3)
    for polygon in polygons:
        points = np.rint(((polygon - box[:2]) * scale - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(canvas, points, 1, shift=4)
    return canvas
