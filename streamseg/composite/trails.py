"""Trails: where road users touched the ground in the last seconds, fading."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import cv2
import numpy as np

from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import checked_where, chosen
from streamseg.composite.drive import ColorBy, Drawing, DriveEffect, checked_color_by, colors
from streamseg.composite.memory import Steady
from streamseg.composite.theme import Theme
from streamseg.core.masks import region_of
from streamseg.core.types import Instances

__all__ = ["Trails"]

RGB = tuple[int, int, int]

_SUBPIXEL = 4  # bits of cv2's fixed-point coordinates
_EVERY = 1 / 12  # seconds between the points that are kept
_STEPS = 5  # of opacity along a trail
_MOST = 128  # trails kept at most; the oldest go
_SHORTEST = 24.0  # pixels of a 1080p picture that a trail must reach
_AT_BORDER = 2.0  # pixels: what is cut off by the picture's border has no foot


@dataclass(slots=True)
class _Trail:
    rgb: RGB
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Where it is, or was last."""
    points: deque[tuple[float, float, float]] = field(default_factory=deque)
    """Time, x, y of each, the oldest first."""


class _Followed(Drawing["Trails"]):
    def __init__(self, effect: Trails) -> None:
        super().__init__(effect)
        self._steady, self._trails = Steady[int](0.15), dict[int, _Trail]()

    def forget(self) -> None:
        self._steady.clear()
        self._trails.clear()

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        self._add(canvas, chosen(instances, self.effect.classes, self.effect.where))
        over = canvas.time - self.effect.seconds
        for track, trail in list(self._trails.items()):
            while trail.points and trail.points[0][0] < over:
                trail.points.popleft()
            if trail.points:
                self._paint(canvas, trail, theme)
            else:
                del self._trails[track]

    def _add(self, canvas: Canvas, shown: Instances) -> None:
        paints = colors(shown, self.effect.color_by, canvas.scene is not None)
        for track, rgb, (x0, y0, x1, y1) in zip(shown.track_ids.tolist(), paints, shown.boxes.tolist(), strict=True):
            if track <= 0 or y1 > canvas.height - _AT_BORDER or x0 < _AT_BORDER or x1 > canvas.width - _AT_BORDER:
                continue
            x, y = self._steady(track, canvas.time, ((x0 + x1) / 2, y1))
            trail = self._trails.pop(track, None) or _Trail(rgb)
            trail.rgb, trail.box = rgb, (x0, y0, x1, y1)
            self._trails[track] = trail  # the one that was seen last comes last
            if len(trail.points) > 1 and canvas.time - trail.points[-2][0] < _EVERY:
                trail.points.pop()  # the newest point always ends where the road user stands
            trail.points.append((canvas.time, x, y))
        while len(self._trails) > _MOST:
            del self._trails[next(iter(self._trails))]

    def _paint(self, canvas: Canvas, trail: _Trail, theme: Theme) -> None:
        # Who comes nearer had its foot higher in the picture: that is behind it now.
        (left, top, right, bottom), width = trail.box, max(1.0, self.effect.width * canvas.unit)
        points = [(t, x, y) for t, x, y in trail.points if not (left < x < right and top < y < bottom - width)]
        if len(points) < 2:
            return
        times, xs, ys = zip(*points, strict=True)
        left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
        if max(right - left, bottom - top) < _SHORTEST * canvas.unit:
            return
        box = [left - width - 1, top - width - 1, right + width + 1, bottom + width + 1]
        x0, y0, x1, y1 = region = region_of(box, canvas.width, canvas.height, max(4, canvas.align))
        if x1 <= x0 or y1 <= y0:
            return
        alpha = np.zeros((y1 - y0, x1 - x0), np.uint8)
        local = ((np.array([xs, ys]).T - (x0 + 0.5, y0 + 0.5)) * (1 << _SUBPIXEL)).astype(np.int32)[:, None]
        # From the oldest to the newest: what is brighter lies on top.
        begin, seconds = 0, self.effect.seconds
        for step in range(1, _STEPS + 1):
            share = step / _STEPS
            end = len(points) if step == _STEPS else bisect_left(times, canvas.time - seconds * (1 - share))
            if end - begin > (0 if begin else 1):
                thick, ink = max(1, round(width * (0.6 + 0.4 * share))), round(230 * share * theme.fill)
                cv2.polylines(alpha, [local[max(0, begin - 1) : end]], False, (ink,), thick, cv2.LINE_AA, _SUBPIXEL)
                begin = end
        canvas.paint(region, alpha, theme.shade(trail.rgb))


@dataclass(frozen=True)
class Trails(DriveEffect):
    """Draw where the foot of each road user was in the last seconds, in the picture as it is now: the camera's motion is in it."""

    seconds: float = 2.0
    """How far back they reach."""
    width: float = 5.0
    """At the newest end, in pixels of a 1080p picture, scaled with the frame."""
    color_by: ColorBy = "auto"
    """Colours by `track` or `class`; `auto`: by class in a driving scene."""
    classes: Sequence[str] | None = None
    """Names to draw; None: all."""
    where: str = "instances"
    """`instances`, or a selection of them: `person#3, largest`."""
    name: ClassVar[str] = "trails"
    drawing: ClassVar = _Followed

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "where", checked_where("trails", self.where, objects_only=True))
        checked_color_by("trails", self.color_by)
        self.check_range("seconds", 0.2, 30, "seconds")
        self.check_range("width", 0.5, 50, "pixels")
