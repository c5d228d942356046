"""Upright boxes of known place and size on a flat road, as a camera of known place and turn sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene, Turn
from streamseg.core.types import Frame, Instances

CLASSES = ("person", "car", "truck", "traffic light", "bicycle")
WIDTH, HEIGHT, RATE = 1280, 720, 25
CAMERA = CameraModel(WIDTH, HEIGHT, 1000.0, 1000.0, 640.0, 360.0, mounted=1.3, source="given")
PICTURE = av.VideoFrame(WIDTH, HEIGHT, "gray")


@dataclass(frozen=True)
class Box:
    """A flat upright thing that faces the camera; metres."""

    name: str
    ahead: float
    right: float = 0.0
    tall: float = 1.53
    wide: float = 1.8
    above: float = 0.0
    """Metres between it and the road."""


def project(camera: CameraModel, point: np.ndarray, pitch: float, roll: float = 0.0) -> np.ndarray:
    """[2] pixels of `point` (right, down, ahead; metres from the camera), for a camera turned by those angles; with its lens."""
    x, y, z = point
    y, z = y * math.cos(pitch) + z * math.sin(pitch), z * math.cos(pitch) - y * math.sin(pitch)
    x, y = x * math.cos(roll) + y * math.sin(roll), y * math.cos(roll) - x * math.sin(roll)
    u, v = x / z, y / z
    k1, k2, *_ = (*camera.distortion, 0.0, 0.0)
    r2 = u * u + v * v
    bent = 1 + k1 * r2 + k2 * r2 * r2
    return np.array([camera.cx + camera.fx * u * bent, camera.cy + camera.fy * v * bent])


def seen(
    things: dict[int, Box], time: float, pitch: float = 0.0, camera: CameraModel = CAMERA, roll: float = 0.0, noise: float = 0.0
) -> Result:
    """What is found of `things` (by track id) at `time`: boxes with full masks, clipped to the picture."""
    assert camera.mounted is not None
    rng, boxes = np.random.default_rng(round(time * 1000)), []
    for box in things.values():
        low, high = camera.mounted - box.above, camera.mounted - box.above - box.tall
        corners = [
            project(camera, np.array([x, y, box.ahead]), pitch, roll)
            for x in (box.right - box.wide / 2, box.right + box.wide / 2)
            for y in (low, high)
        ]
        found = np.concatenate([np.min(corners, axis=0), np.max(corners, axis=0)]) + rng.normal(0, 1, 4) * noise
        boxes.append(np.clip(found, 0, [camera.width, camera.height] * 2))
    n = len(boxes)
    instances = Instances(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.9, np.float32),
        np.array([CLASSES.index(box.name) for box in things.values()], np.int64),
        np.full((n, 28, 28), 255, np.uint8),
        CLASSES,
        np.array(list(things), np.int64),
    )
    picture = (
        PICTURE if (camera.width, camera.height) == (WIDTH, HEIGHT) else av.VideoFrame(camera.width, camera.height, "gray")
    )
    return Result(Frame(picture, round(time * RATE), round(time * 90_000), Fraction(1, 90_000)), instances)


def scene_of(result: Result, turn: Turn | None = None, growth: Sequence[float] = ()) -> Scene:
    """What the parts before `ground` say: the camera's turn, and how fast each grows (nothing: not known)."""
    scene = replace(Scene.unknown(len(result)), turn=turn)
    if not growth:
        return scene
    return replace(scene, growth=np.array(growth, np.float32), growth_std=np.full(len(result), 0.02, np.float32))
