"""Bird's eye: an inset with the road users from above, in metres where these are known, else by the time to collision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.drive import ColorBy, Drawing, DriveEffect, checked_color_by, colors, finite, scene_of
from streamseg.composite.memory import Steady
from streamseg.composite.panel import Corner, Panel, checked_corner, sides, spot
from streamseg.composite.theme import CALM, Theme, alert_color
from streamseg.core.scene import Scene
from streamseg.core.types import Instances
from streamseg.errors import ConfigError

__all__ = ["Birdseye"]

RGB = tuple[int, int, int]
Without = Literal["time", "nothing"]

_WIDE = 0.72  # of the height
_KEEP = 2.0  # seconds without any distance after which metres are not known any more
_SECONDS = 10.0  # that the inset shows where there are no metres
_LENGTHS = {"car": 4.5, "truck": 8.0, "bus": 11.0}
_WIDTHS = {"car": 1.8, "truck": 2.5, "bus": 2.5}
"""Metres, of what is drawn as a rectangle; all else is a disc."""


class _Plot(NamedTuple):
    """Where the inset's places are in it."""

    x: float
    """Pixels: straight ahead."""
    y: float
    """Pixels: the vehicle itself."""
    scale: float
    """Pixels to a metre, or, up, to a second."""
    across: float
    """Pixels to the right to a metre, or to a whole width of the picture."""

    def at(self, ahead: float, right: float) -> tuple[float, float]:
        return self.x + right * self.across, self.y - ahead * self.scale


class _Mark(NamedTuple):
    """A road user in it."""

    ahead: float
    right: float
    ahead_std: float
    right_std: float
    rgb: RGB
    name: str
    alert: int
    lead: bool


class _Above(Drawing["Birdseye"]):
    def __init__(self, effect: Birdseye) -> None:
        super().__init__(effect)
        self._steady = Steady[tuple[str, int]](0.25)
        self._base: tuple[object, Panel, _Plot] | None = None
        self._metres, self._times = -np.inf, False

    def forget(self) -> None:
        self._steady.clear()
        self._metres, self._times = -np.inf, False

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        scene = scene_of(canvas, instances)
        if scene is None:
            return
        mounted = scene.camera is not None and scene.camera.mounted is not None
        if mounted or np.isfinite(scene.distance).any():
            self._metres = canvas.time
        metres = canvas.time - self._metres <= _KEEP
        self._times = self._times or bool(np.isfinite(scene.ttc).any())
        if not metres and (self.effect.without == "nothing" or not self._times):
            return
        base, plot = self._empty(canvas, theme, metres)
        panel = base.copy()
        if metres:
            _way(panel, plot, scene, theme)
        marks = list(self._marks(canvas, scene, instances, metres))
        reach = self.effect.reach if metres else _SECONDS
        for mark in sorted(marks, key=lambda each: (each.alert, -each.ahead)):
            if mark.ahead <= reach:
                _draw(panel, plot, mark._replace(rgb=theme.shade(mark.rgb)), theme, canvas.unit, metres)
        x, y, *_ = spot(canvas, panel.size, self.effect.corner)
        panel.stamp(canvas.views().layout, canvas.interlaced).lay(canvas, x, y)

    def _empty(self, canvas: Canvas, theme: Theme, metres: bool) -> tuple[Panel, _Plot]:
        """The inset without road users, kept as long as it stays the same."""
        camera = canvas.scene.camera if canvas.scene is not None else None
        view = None if camera is None else camera.width / 2 / camera.fx
        key = (theme, metres, canvas.unit, canvas.width, canvas.height, canvas.encoding, view)
        if self._base is None or self._base[0] != key:
            self._base = (key, *self._grid(canvas, theme, metres, view))
        return self._base[1], self._base[2]

    def _grid(self, canvas: Canvas, theme: Theme, metres: bool, view: float | None) -> tuple[Panel, _Plot]:
        unit = canvas.unit
        high = min(self.effect.size * unit, 0.7 * canvas.height)
        panel = Panel.plate(canvas.encoding, sides(_WIDE * high, high), theme.panel, theme.opacity, 10 * unit)
        w, h = panel.size
        font = max(11, round(17 * unit))
        reach = self.effect.reach if metres else _SECONDS
        top, bottom = 1.6 * font, h - 0.09 * h
        scale = (bottom - top) / reach
        plot = _Plot(w / 2, bottom, scale, scale if metres else 0.9 * w)
        step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200) if reach / step <= 6.5)
        for ahead in np.arange(step, reach + 0.01, step).tolist():
            y = plot.at(ahead, 0)[1]
            panel.line([(0.02 * w, y), (0.98 * w, y)], theme.faint, 1)
            if round(ahead / step) % 2 == 0:
                panel.text((0.04 * w, y + 0.1 * font), f"{ahead:g} {'m' if metres else 's'}", font, theme.faint)
        if not metres:
            panel.text((w / 2, 0.25 * font), "time to collision", font, theme.faint, anchor=0.5, width=w)
        if view is not None and metres:
            for side in (-1, 1):
                panel.line([plot.at(0, 0), plot.at(reach, side * view * reach)], theme.faint, 1)
        long, half = 0.045 * h, 0.018 * h
        x, y = plot.at(0, 0)
        panel.area([(x, y - 0.3 * long), (x + half, y + long), (x, y + 0.7 * long), (x - half, y + long)], theme.text)
        return panel, plot

    def _marks(self, canvas: Canvas, scene: Scene, instances: Instances, metres: bool) -> Iterator[_Mark]:
        paints = colors(instances, self.effect.color_by, True)
        ahead, ahead_std = (scene.distance, scene.distance_std) if metres else (scene.ttc, scene.ttc_std)
        middle = scene.horizon.x if scene.horizon is not None and scene.horizon.x is not None else canvas.width / 2
        right, right_std = scene.lateral, scene.lateral_std
        if not metres:
            right = (instances.boxes[:, [0, 2]].mean(axis=1) - np.float32(middle)) / np.float32(canvas.width)
            right_std = np.zeros_like(right)
        known = np.isfinite(ahead) & np.isfinite(right)
        places = np.stack([ahead, right, np.nan_to_num(ahead_std), np.nan_to_num(right_std)], 1).tolist()
        for i in np.flatnonzero(known).tolist():
            track, place = int(instances.track_ids[i]), places[i]
            if track > 0:
                place = list(self._steady(("m" if metres else "s", track), canvas.time, place))
            name = instances.class_names[instances.labels[i]]
            yield _Mark(
                place[0], place[1], place[2], place[3], paints[i], name, int(scene.alert[i]), track > 0 and track == scene.lead
            )


@dataclass(frozen=True)
class Birdseye(DriveEffect):
    """Draw an inset in which the road lies from above: road users with the ellipse of one standard deviation, and the way ahead.

    Where no metres are known (they need the height of the camera), it shows the seconds to a collision in their place.
    """

    reach: float = 80.0
    """Metres ahead that it shows."""
    size: float = 450.0
    """Its height, in pixels of a 1080p picture, scaled with the frame."""
    corner: Corner = "top right"
    """Where it lies."""
    without: Without = "time"
    """What it shows where metres are not known: `time` or `nothing`."""
    color_by: ColorBy = "auto"
    """Colours by `track` or `class`; `auto`: by class."""
    name: ClassVar[str] = "birdseye"
    drawing: ClassVar = _Above
    shows_road: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_corner("birdseye", self.corner)
        checked_color_by("birdseye", self.color_by)
        self.check_range("reach", 5, 500, "metres")
        self.check_range("size", 100, 1000, "pixels")
        if self.without not in get_args(Without):
            raise ConfigError(f"birdseye: without must be one of {', '.join(get_args(Without))}, got {self.without!r}")


def _way(panel: Panel, plot: _Plot, scene: Scene, theme: Theme) -> None:
    """The ego corridor, from the picture down onto the road."""
    points = _on_road(scene)
    if len(points) < 3:
        return
    worst = int(scene.alert[np.nan_to_num(scene.in_path) >= 0.5].max(initial=0))
    placed = np.stack([plot.x + points[:, 1] * plot.across, plot.y - points[:, 0] * plot.scale], 1)
    panel.area(np.clip(placed, -1e4, 1e4), theme.shade(alert_color(worst, CALM)), 0.3 * theme.fill)


def _on_road(scene: Scene) -> npt.NDArray[np.float64]:
    """[P, 2] metres ahead and to the right, of the corridor's outline, on a flat road; empty where that is not known."""
    camera, horizon, outline = scene.camera, scene.horizon, scene.corridor.astype(np.float64)
    if camera is None or camera.mounted is None or horizon is None or len(outline) < 3 or not finite(outline):
        return np.zeros((0, 2))
    below = np.maximum(outline[:, 1] - horizon.at(outline[:, 0], camera.cx), 1.0)
    ahead = camera.fy * camera.mounted / below
    straight = camera.cx if horizon.x is None else horizon.x
    return np.stack([ahead, (outline[:, 0] - straight) / camera.fx * ahead], 1)


def _draw(panel: Panel, plot: _Plot, mark: _Mark, theme: Theme, unit: float, metres: bool) -> None:
    x, y = plot.at(mark.ahead, mark.right)
    rim = alert_color(mark.alert, theme.text) if mark.alert or mark.lead else None
    line = max(1.0, 2.0 * unit)
    if metres:
        wide, high = mark.right_std * plot.across, mark.ahead_std * plot.scale
        if max(wide, high) > 2 * line:
            panel.ellipse((x, y), (max(line, wide), max(line, high)), _between(mark.rgb, theme.panel), line)
    elif mark.ahead_std > 0:
        high = mark.ahead_std * plot.scale
        panel.line([(x, max(0.0, y - high)), (x, y + high)], _between(mark.rgb, theme.panel), 2 * line)
    length = _LENGTHS.get(mark.name, 0.0) * plot.scale
    if metres and length > 6:
        half = max(3.0, _WIDTHS[mark.name] * plot.across / 2)
        shape = [(x - half, y), (x + half, y), (x + half, y - length), (x - half, y - length)]
        panel.area(shape, mark.rgb)
        if rim is not None:
            panel.line(shape, theme.shade(rim), line, closed=True)
        return
    radius = max(3.0, 6 * unit)
    panel.disc((x, y), radius, mark.rgb)
    if rim is not None:
        panel.disc((x, y), radius + line, theme.shade(rim), line)


def _between(a: RGB, b: RGB) -> RGB:
    r, g, bl = (round(0.6 * p + 0.4 * q) for p, q in zip(a, b, strict=True))
    return r, g, bl
