"""A detector that errs as real ones do, at rates that are set: it turns the truth of tests/scenes.py into Instances."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from streamseg.core import masks as mask_ops
from streamseg.core.result import Result
from streamseg.core.types import Instances
from tests.scenes import BUS, CAR, CLASSES, TRUCK, Truth

CONFUSED = {CAR: TRUCK, TRUCK: CAR, BUS: TRUCK}
"""What a class is taken for when it flickers; all others: the next class."""


@dataclass
class NoisyDetector:
    """Call it with a Truth. All rates are shares a frame and object; 0 everywhere (`NoisyDetector.perfect()`) tells the truth."""

    seed: int = 0
    side: int = 28
    """Cells a side of the masks."""
    jitter: float = 0.02
    """Standard deviation of each side of a box, shares of the box's size."""
    blur: float = 0.8
    """Standard deviation of the blur of the masks, cells of 28."""
    outline: float = 0.06
    """Amplitude of a wavy error of the masks' outline, shares of the probability range."""
    miss: float = 0.03
    """Objects that are in full view are missed this often, in bursts of a few frames."""
    least_visible: float = 0.25
    """What is visible to less than this share is never found; up to twice this share often missed."""
    noise: float = 0.08
    """Standard deviation of the scores."""
    flicker: float = 0.03
    false: float = 0.05
    """False positives a frame: a box anywhere."""
    copies: float = 0.05
    """How often an object is found a second time, as a part of itself, at a lower score."""
    merge: float = 0.2
    """How often two of one class whose boxes overlap by more than half are found as one."""
    low: float = 0.1
    """Scores below are not reported."""
    _missing: dict[int, int] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    @classmethod
    def perfect(cls) -> NoisyDetector:
        return cls(jitter=0, blur=0, outline=0, miss=0, least_visible=0, noise=0, flicker=0, false=0, copies=0, merge=0)

    def __call__(self, truth: Truth) -> Result:
        """What is found in the frame, with the frame's picture."""
        return Result(truth.frame(), self.instances(truth))

    def instances(self, truth: Truth) -> Instances:
        """What is found, by falling score; boxes lie around what is visible."""
        height, width = truth.image.shape[:2]
        rows: list[tuple[np.ndarray, float, int, np.ndarray]] = []
        merged: set[int] = set()
        for i, j in self._mergers(truth):
            merged |= {i, j}
            rows.append(self._row(truth.visible[i] | truth.visible[j], int(truth.labels[i]), 0.8))
        fractions = truth.visible_fraction
        for i, track in enumerate(truth.ids):
            share = float(fractions[i] * min(1.0, 2 * truth.inside[i]))
            if i in merged or truth.visible[i].sum() < 12 or self._missed(int(track), share):
                continue
            label = int(truth.labels[i])
            if self.rng.uniform() < self.flicker:
                label = CONFUSED.get(label, (label + 1) % len(CLASSES))
            rows.append(self._row(truth.visible[i], label, 0.45 + 0.47 * share**0.5))
            if self.rng.uniform() < self.copies:
                rows.append(self._copy(rows[-1]))
        rows += [self._false(width, height) for _ in range(self.rng.poisson(self.false))]
        rows = sorted((row for row in rows if row[1] >= self.low), key=lambda row: -row[1])
        if not rows:
            return Instances.empty(CLASSES)
        boxes, scores, labels, masks = (np.array(column) for column in zip(*rows, strict=True))
        clipped, levels = mask_ops.crop_to(boxes.astype(np.float32), masks.astype(np.uint8), width, height)
        keep = (clipped[:, 2:] - clipped[:, :2] >= 1).all(1)
        return Instances(clipped, scores.astype(np.float32), labels.astype(np.int64), levels, CLASSES)[keep]

    def _missed(self, track: int, share: float) -> bool:
        left = self._missing.get(track, 0)
        if left:
            self._missing[track] = left - 1
            return True
        if share < self.least_visible:
            return True
        chance = self.miss + (0.4 if share < 2 * self.least_visible else 0.0)
        if self.rng.uniform() >= chance:
            return False
        self._missing[track] = int(self.rng.integers(0, 3)) if self.miss else 0
        return True

    def _mergers(self, truth: Truth) -> list[tuple[int, int]]:
        boxes = [_box(mask) for mask in truth.visible]
        return [
            (i, j)
            for i in range(len(boxes))
            for j in range(i)
            if truth.labels[i] == truth.labels[j] and _iou(boxes[i], boxes[j]) > 0.5 and self.rng.uniform() < self.merge
        ]

    def _row(self, mask: np.ndarray, label: int, sure: float) -> tuple[np.ndarray, float, int, np.ndarray]:
        exact = _box(mask)
        size = np.tile(exact[2:] - exact[:2], 2)
        box = exact + self.rng.normal(0, 1, 4) * self.jitter * size if self.jitter else exact
        score = float(np.clip(sure + (self.rng.normal(0, self.noise) if self.noise else 0.0), 0.0, 0.99))
        return box, score, label, self._grid(mask, box)

    def _grid(self, mask: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The mask within `box` as soft levels, with the errors that are set."""
        soft = grid(mask, box, self.side).astype(np.float32)
        if self.blur:
            soft = cv2.GaussianBlur(soft, (0, 0), self.blur * self.side / 28, borderType=cv2.BORDER_CONSTANT)
        if self.outline:
            waves = cv2.resize(
                self.rng.normal(0, 1, (5, 5)).astype(np.float32), (self.side, self.side), interpolation=cv2.INTER_CUBIC
            )
            soft += 255 * self.outline * waves * ((soft > 8) & (soft < 247))
        return np.clip(np.rint(soft), 0, 255).astype(np.uint8)

    def _copy(self, row: tuple[np.ndarray, float, int, np.ndarray]) -> tuple[np.ndarray, float, int, np.ndarray]:
        """The upper or the lower part of what `row` found."""
        box, score, label, mask = row
        cut = self.rng.uniform(0.5, 0.8)
        part, rows = box.copy(), round(cut * self.side)
        if self.rng.uniform() < 0.5:
            part[3] = box[1] + cut * (box[3] - box[1])
            piece = mask[:rows]
        else:
            part[1] = box[3] - cut * (box[3] - box[1])
            piece = mask[self.side - rows :]
        return part, score * float(self.rng.uniform(0.6, 0.95)), label, cv2.resize(piece, (self.side, self.side))

    def _false(self, width: int, height: int) -> tuple[np.ndarray, float, int, np.ndarray]:
        size = self.rng.uniform(0.08, 0.35, 2) * (width, height)
        corner = self.rng.uniform(0, 1, 2) * (np.array([width, height]) - size)
        yy, xx = np.mgrid[0 : self.side, 0 : self.side] - (self.side - 1) / 2
        mask = np.where(xx**2 + yy**2 < (self.side / 2) ** 2, 220, 0)
        return np.concatenate([corner, corner + size]), float(self.rng.uniform(0.1, 0.7)), int(self.rng.integers(0, 8)), mask


def grid(mask: np.ndarray, box: np.ndarray, side: int = 28) -> np.ndarray:
    """uint8 [side, side] that spans `box` (xyxy, frame pixels): in each cell 255 x the share of it that `mask` [H, W] covers."""
    fine = 4 * side
    x, y = (box[k] + (np.arange(fine) + 0.5) / fine * (box[k + 2] - box[k]) - 0.5 for k in (0, 1))
    maps = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    levels = cv2.remap(mask.astype(np.float32) * 255, *maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.rint(cv2.resize(levels, (side, side), interpolation=cv2.INTER_AREA)).astype(np.uint8)


def _box(mask: np.ndarray) -> np.ndarray:
    """[4] xyxy around the pixels that are set; zeros if there are none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    size = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    both = float(size.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - both
    return both / union if union > 0 else 0.0
