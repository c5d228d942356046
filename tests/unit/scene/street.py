"""A small street by ray casting, for a camera whose rotation and way are known: a road, walls, a far end, the back of a car."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances

TICKS = 90_000
NAMES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")


def frame_of(grey: np.ndarray, seconds: float, index: int, epoch: int = 0) -> Frame:
    return Frame(av.VideoFrame.from_ndarray(grey, "gray"), index, round(seconds * TICKS), Fraction(1, TICKS), epoch=epoch)


def rotation(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """From the camera's axes to the street's: right-handed about x, y, z (small angles are those of `Turn`, one after another)."""
    vector = np.array([pitch, yaw, roll], float)
    return cv2.Rodrigues(vector)[0]


@dataclass
class Street:
    width: int = 640
    height: int = 360
    focal: float = 512.0
    seed: int = 0
    noise: float = 2.0
    """Codes of 255."""
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        octaves = [self.rng.normal(0, 1, (n, n)).astype(np.float32) for n in (16, 32, 64, 128, 256)]
        rough = sum(cv2.resize(part, (512, 512), interpolation=cv2.INTER_CUBIC) for part in octaves) / 1.6
        self.textures = [
            np.clip(128 + 30 * (cv2.blur(rough, (k, k)) if k > 1 else rough), 5, 250) for k in (1, 2, 4, 8, 16, 32)
        ]
        y, x = np.mgrid[0 : self.height, 0 : self.width] + 0.5
        self.rays = np.stack([(x - self.width / 2) / self.focal, (y - self.height / 2) / self.focal, np.ones_like(x)], -1)

    def picture(
        self, z: float = 0.0, turned: np.ndarray | None = None, car: tuple[float, float, float, float] | None = None
    ) -> np.ndarray:
        """uint8 [height, width]. Camera `z` along the street, 1.4 m high; `car`: of its back, left, width, height, distance."""
        rays = self.rays if turned is None else self.rays @ turned.T
        dx, dy, dz = rays[..., 0], rays[..., 1], rays[..., 2]
        with np.errstate(divide="ignore"):
            road = np.where(dy > 1e-6, 1.4 / dy, np.inf)
            wall = 7.0 / np.maximum(np.abs(dx), 1e-9)
        far = 150.0
        hit = np.minimum(np.minimum(road, wall), far / np.maximum(dz, 1e-6))
        px, py, pz = dx * hit, dy * hit, dz * hit + z
        at_wall, at_end = (wall <= road) & (wall <= hit + 1e-9), hit >= far / np.maximum(dz, 1e-6) - 1e-9
        u = np.where(at_wall, pz * 16, np.where(at_end, px * 4, px * 16))
        v = np.where(at_wall, py * 16 + 99, np.where(at_end, py * 4, pz * 16))
        # What a pixel spans of the texture, along its longer side; sharper than that would alias.
        spans = 16 * hit / self.focal * np.where(at_end, 0.25, np.sqrt(np.maximum(1, np.where(at_wall, hit / 7, hit / 1.4))))
        grey = self._look_up(u, v, np.clip(np.log2(np.maximum(spans, 1)), 0, 5))
        if car is not None:
            left, width, high, away = car
            cx, cy = dx / dz * away, dy / dz * away
            on = (cx >= left) & (cx < left + width) & (cy < 1.4) & (cy >= 1.4 - high)
            spans = np.full(cx.shape, np.log2(max(60 * away / self.focal, 1)))
            back = self._look_up((cx - left) * 60 + 200, (cy + 5) * 60, np.minimum(spans, 5))
            grey = np.where(on, np.clip(back * 0.8 + 20, 0, 255), grey)
        grey = grey + self.rng.normal(0, self.noise, grey.shape)
        return np.clip(np.rint(grey), 0, 255).astype(np.uint8)

    def _look_up(self, u: np.ndarray, v: np.ndarray, level: np.ndarray) -> np.ndarray:
        at = (u % 511).astype(np.float32), (v % 511).astype(np.float32)
        whole, part = np.floor(level).astype(int), level - np.floor(level)
        looked = np.stack([cv2.remap(texture, *at, cv2.INTER_LINEAR) for texture in (*self.textures, self.textures[-1])])
        near, far = (np.take_along_axis(looked, (whole + k)[None], 0)[0] for k in (0, 1))
        return near * (1 - part) + far * part

    def box(self, car: tuple[float, float, float, float]) -> np.ndarray:
        """[4] of the car in a picture that is not turned."""
        left, width, high, away = car
        x0, x1, y1 = left / away, (left + width) / away, 1.4 / away
        y0 = (1.4 - high) / away
        return np.array([x0, y0, x1, y1]) * self.focal + np.array([self.width, self.height] * 2) / 2


def instances(boxes: Sequence[np.ndarray], ids: Sequence[int], label: int = 2, side: int = 28) -> Instances:
    """With full masks."""
    n = len(boxes)
    at = np.array(boxes, np.float32).reshape(n, 4)
    masks = np.full((n, side, side), 255, np.uint8)
    return Instances(
        at, np.full(n, 0.9, np.float32), np.full(n, label, np.int64), masks, NAMES, np.array(ids, np.int64).reshape(n)
    )


def result_of(
    grey: np.ndarray, seconds: float, index: int, boxes: Sequence[np.ndarray] = (), ids: Sequence[int] = ()
) -> Result:
    return Result(frame_of(grey, seconds, index), instances(boxes, ids))
