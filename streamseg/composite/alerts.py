"""Alerts: who comes near too soon, marked in the picture, and said on a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from streamseg.composite.canvas import Canvas
from streamseg.composite.drive import Drawing, DriveEffect, scene_of
from streamseg.composite.memory import SLACK, Slack
from streamseg.composite.panel import Panel, Stamp, sides
from streamseg.composite.readout import Readouts, numbers_of
from streamseg.composite.theme import Theme, alert_color
from streamseg.core.palette import text_color
from streamseg.core.scene import Scene
from streamseg.core.types import Instances
from streamseg.pixels.text import render

__all__ = ["Alerts"]

HOLD = 1.0
"""Seconds for which a mark stays after its alert ended, while the road user is in view: what comes and goes is not read."""
_WARNING = 2
_SIZE = 34  # of the band's letters, pixels of a 1080p picture


class _Raised(Drawing["Alerts"]):
    def __init__(self, effect: Alerts) -> None:
        super().__init__(effect)
        self._places = Slack[int]()
        self._held: dict[int, tuple[int, float]] = {}
        """Of each track the alert that is shown, and when it last was one."""
        self._band: tuple[object, Stamp] | None = None

    def forget(self) -> None:
        self._places.clear()
        self._held.clear()

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        scene = scene_of(canvas, instances)
        self._places.slack = SLACK * canvas.unit
        if scene is None:
            return
        raised = self._raised(canvas.time, scene, instances)
        for level, i in raised:
            track = int(instances.track_ids[i])
            box = instances.boxes[i].tolist()
            box = self._places(track, canvas.time, box) if track > 0 else box
            _brackets(
                canvas,
                box,
                self.effect.width * canvas.unit * (1 if level >= _WARNING else 0.6),
                theme.shade(alert_color(level)),
            )
        if self.effect.band and raised and raised[-1][0] >= _WARNING:
            self._say(canvas, scene, instances, raised[-1][1], theme)

    def _raised(self, time: float, scene: Scene, instances: Instances) -> list[tuple[int, int]]:
        """Alert and row of each road user that has one, the worst and soonest last."""
        found = []
        seen = {}
        for i, (track, alert) in enumerate(zip(instances.track_ids.tolist(), scene.alert.tolist(), strict=True)):
            held, since = self._held.get(track, (0, 0.0)) if track > 0 else (0, 0.0)
            level, when = (alert, time) if alert >= held else (held, since)
            if time - when > HOLD:
                level, when = alert, time
            if level:
                found.append((level, i))
                if track > 0:
                    seen[track] = level, when
        self._held = seen
        ttc = np.nan_to_num(scene.ttc, nan=np.inf)
        return sorted(found, key=lambda each: (each[0], -ttc[each[1]], -each[1]))

    def _say(self, canvas: Canvas, scene: Scene, instances: Instances, i: int, theme: Theme) -> None:
        track = int(instances.track_ids[i])
        words = instances.called[i] + (f" {track}" if track and track not in instances.track_names else "")
        soon = Readouts.of(canvas).text("ttc", track, canvas.time, *numbers_of(scene, "ttc", i))
        words += f" · {soon}" if soon else ""
        key = (words, theme, canvas.unit, canvas.encoding, canvas.views().layout, canvas.interlaced, canvas.width)
        if self._band is None or self._band[0] != key:
            self._band = key, _band(canvas, words, theme)
        stamp = self._band[1]
        left = (canvas.width - stamp.alpha.shape[1]) // 2
        stamp.lay(canvas, max(0, left // 8 * 8), round(0.045 * canvas.height / 8) * 8)


@dataclass(frozen=True)
class Alerts(DriveEffect):
    """Mark who has an alert by brackets, orange for caution, red and bolder for a warning; say the worst warning on a band."""

    width: float = 7.0
    """Of the brackets of a warning, in pixels of a 1080p picture, scaled with the frame."""
    band: bool = True
    """Say a warning in words at the top of the picture."""
    name: ClassVar[str] = "alerts"
    drawing: ClassVar = _Raised
    shows_road: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("width", 0.5, 50, "pixels")


def _brackets(canvas: Canvas, box: Sequence[float], width: float, rgb: tuple[int, int, int]) -> None:
    """Corners around a box, a little outside of it."""
    line = max(2, round(width))
    left, top = round(box[0]) - line, round(box[1]) - line
    right, bottom = round(box[2]) + line, round(box[3]) + line
    arm = max(2 * line, round(0.28 * min(right - left, bottom - top)))
    for x, y, dx, dy in ((left, top, 1, 1), (right, top, -1, 1), (left, bottom, 1, -1), (right, bottom, -1, -1)):
        canvas.fill((min(x, x + dx * arm), min(y, y + dy * line), max(x, x + dx * arm), max(y, y + dy * line)), rgb)
        canvas.fill((min(x, x + dx * line), min(y, y + dy * arm), max(x, x + dx * line), max(y, y + dy * arm)), rgb)


def _band(canvas: Canvas, words: str, theme: Theme) -> Stamp:
    """A plate with a warning sign and words."""
    rgb = theme.shade(alert_color(_WARNING))
    ink = text_color(rgb)
    size = max(12, round(_SIZE * canvas.unit))
    most = canvas.width - 4 * size
    wide = min(render(words, size).shape[1], max(size, most))
    panel = Panel.plate(canvas.encoding, sides(wide + 3.1 * size, 1.7 * size), rgb, 0.94, 0.35 * size)
    height = panel.size[1]
    x, middle, r = 1.25 * size, height / 2, 0.55 * size
    panel.area([(x, middle - r), (x + 1.1 * r, middle + 0.9 * r), (x - 1.1 * r, middle + 0.9 * r)], ink)
    panel.area(
        [
            (x - 0.13 * r, middle - 0.4 * r),
            (x + 0.13 * r, middle - 0.4 * r),
            (x + 0.09 * r, middle + 0.3 * r),
            (x - 0.09 * r, middle + 0.3 * r),
        ],
        rgb,
    )
    panel.disc((x, middle + 0.58 * r), 0.14 * r, rgb)
    panel.text((2.2 * size, (height - 1.05 * size) / 2), words, size, ink, width=most)
    return panel.stamp(canvas.views().layout, canvas.interlaced)
