"""A moving picture whose soft matte is known exactly: a figure with hair and edges out of focus, in front of a made-up street.

The figure (a trunk, a head, two arms that swing, some hundred strands of hair) is drawn four times as large as it is seen, averaged
down, and blurred by the lens; so is its own picture. What a pixel shows is alpha x figure + (1 - alpha) x ground, rounded to codes:
the compositing equation holds, and alpha is what a perfect matte is.

    for truth, alpha in fringed():       # a tests.scenes.Truth (its masks: alpha above one half), and float32 [H, W] in 0..1
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from tests.scenes import PERSON, Truth, ground, texture

FINER = 4
FOCUS = 1.2
"""Pixels, standard deviation: of the lens's blur."""


def fringed(
    frames: int = 12,
    width: int = 640,
    height: int = 480,
    size: float = 300,
    speed: float = 4,
    strands: int = 120,
    seed: int = 0,
) -> Iterator[tuple[Truth, npt.NDArray[np.float32]]]:
    """One figure, `size` pixels high, that goes `speed` pixels a frame to the right and sways."""
    rng = np.random.default_rng(seed)
    street = cv2.GaussianBlur(ground(width, height, seed), (0, 0), 1).astype(np.float32)
    own = cv2.resize(texture((70, 60, 110), seed + 1, 18), (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    hairs = np.stack([rng.uniform(-2.7, -0.4, strands), rng.uniform(0.13, 0.19, strands), rng.normal(0, 0.35, strands)], 1)
    for i in range(frames):
        alpha = _alpha(i, hairs, (width, height), size, speed)
        shifted = np.roll(own, round(speed * i), axis=1)
        picture = alpha[..., None] * shifted + (1 - alpha[..., None]) * street + rng.normal(0, 1.5, (height, width, 1))
        whole = (alpha > 0.5)[None]
        truth = Truth(
            i,
            i / 25,
            np.clip(np.rint(picture), 0, 255).astype(np.uint8),
            np.array([1]),
            np.array([PERSON]),
            whole,
            whole,
            np.ones(1),
            np.zeros((1, 1)),
            np.ones(1),
        )
        yield truth, alpha


def _alpha(
    i: int, hairs: npt.NDArray[np.float64], frame: tuple[int, int], size: float, speed: float
) -> npt.NDArray[np.float32]:
    width, height = frame
    canvas = np.zeros((height * FINER, width * FINER), np.uint8)
    sway = 0.05 * math.sin(i / 4)
    middle = np.array([width * 0.35 + speed * i, height * 0.55])

    def at(x: float, y: float) -> tuple[int, int]:
        """Units of the figure's size, from its middle."""
        point = (middle + size * np.array([x + sway * (0.5 - y), y])) * FINER
        return round(point[0]), round(point[1])

    def ellipse(x: float, y: float, rx: float, ry: float) -> None:
        axes = (round(rx * size * FINER), round(ry * size * FINER))
        cv2.ellipse(canvas, at(x, y), axes, 0, 0, 360, 255, -1)

    ellipse(0, 0.12, 0.17, 0.36)
    ellipse(0, -0.33, 0.095, 0.12)
    swing = 0.25 * math.sin(i / 3)
    for side in (-1, 1):
        elbow = (side * 0.25, 0.05 + side * 0.1 * swing)
        hand = (side * (0.3 + 0.08 * swing), 0.27)
        thick = round(0.06 * size * FINER)
        cv2.line(canvas, at(side * 0.11, -0.16), at(*elbow), 255, thick, cv2.LINE_AA)
        cv2.line(canvas, at(*elbow), at(*hand), 255, thick, cv2.LINE_AA)
    for angle, length, bend in hairs:
        steps = np.linspace(0, 1, 8)
        turn = angle + bend * steps**2
        points = [
            at(
                0.9 * 0.095 * math.cos(angle) + (length - 0.1) * s * math.cos(a),
                -0.34 + 0.1 * math.sin(angle) + (length - 0.1) * s * math.sin(a),
            )
            for s, a in zip(steps, turn, strict=True)
        ]
        cv2.polylines(canvas, [np.array(points, np.int32)], False, 255, 3, cv2.LINE_AA)
    small = cv2.resize(canvas, frame, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(small, (0, 0), FOCUS)
