"""Driving scenes that the tests of drawing share: road users on a flat road, with the numbers that are true of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Hidden, Horizon, Scene, Turn
from streamseg.core.types import Activity, Frame, Instances
from tests.unit.pictures import ellipse, noise

NAMES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
CAR = 2


def users(places: list[tuple[int, float, float]], width: int, height: int) -> Instances:
    """One road user for each (label, metres ahead, metres to the right): as a camera 1.3 m above the road sees them."""
    sizes = {0: (0.6, 1.75), 1: (0.7, 1.7), 2: (1.8, 1.5), 3: (0.8, 1.6), 4: (2.5, 3.0), 5: (2.5, 3.2)}
    focal, boxes = 0.9 * width, []
    for label, ahead, right in places:
        wide, high = (side * focal / ahead for side in sizes[label])
        x, foot = width / 2 + focal * right / ahead, 0.5 * height + focal * 1.3 / ahead
        boxes.append([x - wide / 2, foot - high, x + wide / 2, foot])
    n = len(places)
    low, high_ = np.zeros(4), np.array([width, height, width, height], float)
    return Instances(
        np.clip(np.array(boxes).reshape(n, 4), low, high_).astype(np.float32),
        np.linspace(0.9, 0.6, n).astype(np.float32),
        np.array([label for label, _, _ in places], np.int64),
        np.repeat(ellipse()[None], n, 0),
        NAMES,
        np.arange(1, n + 1, dtype=np.int64),
    )


def scene(places: list[tuple[int, float, float]], width: int, height: int, closing: float = 8.0, **changes: Any) -> Scene:
    """All that is known of them where all come nearer at `closing` m/s, and the camera drives."""
    n, focal, horizon = len(places), 0.9 * width, 0.5 * height
    ahead = np.array([each[1] for each in places], np.float32)
    right = np.array([each[2] for each in places], np.float32)
    ttc = ahead / np.float32(closing)
    far = np.linspace(4, 40, 9)
    left, along = width / 2 - 1.7 * focal / far, horizon + 1.3 * focal / far
    corridor = np.stack([np.r_[left, width - left[::-1]], np.r_[along, along[::-1]]], 1)
    inside = (np.abs(right) < 1.7).astype(np.float32)
    alert = np.where((inside > 0) & (ttc < 2.4), 2, np.where((inside > 0) & (ttc < 4), 1, 0)).astype(np.uint8)
    leads = np.flatnonzero(inside)
    known = Scene(
        growth=1 / ttc,
        growth_std=0.1 / ttc,
        ttc=ttc,
        ttc_std=np.float32(0.1) * ttc,
        distance=ahead,
        distance_std=np.float32(0.06) * ahead,
        lateral=right,
        lateral_std=np.full(n, 0.3, np.float32),
        speed=np.full(n, -closing, np.float32),
        speed_std=np.full(n, 1.0, np.float32),
        in_path=inside,
        alert=alert,
        lead=int(leads[np.argmin(ahead[leads])]) + 1 if len(leads) else 0,
        hidden=(Hidden(99, "person", 1, (0.7 * width, 0.4 * height, 0.75 * width, 0.55 * height), 0.0),),
        corridor=np.clip(corridor, 0, [width, height]).astype(np.float32),
        horizon=Horizon(horizon, x=width / 2),
        turn=Turn(0.0, 0.0, 0.0, 0.001, moving=1.0),
        camera=CameraModel(width, height, focal, focal, width / 2, horizon, mounted=1.3, source="given"),
        own_speed=13.4,
    )
    return replace(known, **changes)


STREET = [(CAR, 14.0, 0.2), (0, 22.0, 3.0), (5, 30.0, -4.0), (1, 9.0, 2.4), (4, 45.0, 3.6)]


def frames(
    fmt: str = "yuv420p",
    width: int = 640,
    height: int = 360,
    places: list[tuple[int, float, float]] = STREET,
    count: int = 3,
    picture: av.VideoFrame | None = None,
    **changes: Any,
) -> Iterator[Result]:
    """`count` frames, 40 ms apart, in which all come nearer; `changes`: fields of each frame's scene."""
    shown = noise(fmt, width, height) if picture is None else picture
    for i in range(count):
        now = [(label, max(1.5, ahead - 0.32 * i), right) for label, ahead, right in places]
        found = users(now, width, height)
        counts = {name: found.names.count(name) for name in set(found.names)}
        yield Result(
            Frame(shown, i, i, Fraction(1, 25)),
            found,
            activity=Activity(counts, counts, {}, {}),
            scene=scene(now, width, height, **changes),
        )


def unknown(found: Instances) -> Scene:
    """Nothing is known, but that the camera drives."""
    return replace(Scene.unknown(len(found)), turn=Turn(0.0, 0.0, 0.0, 0.001, moving=1.0), own_speed=13.4)
