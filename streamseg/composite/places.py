"""Zones and Counts: lines, zones and numbers of the events stage, drawn in the frame's own planes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.effect import Effect
from streamseg.composite.labels import draw_plate, font_size, plate
from streamseg.core.masks import Region, region_of
from streamseg.core.palette import PALETTE
from streamseg.core.types import Activity, Instances
from streamseg.errors import ConfigError

__all__ = ["Counts", "Drawing", "Zones", "crossings"]

_SUBPIXEL = 4  # bits of cv2's fixed-point coordinates
_PLATE = (40, 40, 40)


class Drawing(NamedTuple):
    """One thing to be drawn."""

    region: Region
    coverage: npt.NDArray[np.uint8]
    """uint8 [region height, region width]: the opacity of the colour or, of text, how much the letters cover."""
    rgb: tuple[int, int, int]
    """The colour; of text, the plate's."""
    is_text: bool


@dataclass(frozen=True)
class Zones(Effect):
    """Draw the lines and zones of the pipeline file with what was counted at each. Raises ConfigError for a value out of range."""

    fill: float = 0.15
    """Opacity of a zone's area, 0..1."""
    width: float = 3.0
    """Of lines and outlines, in pixels of a 1080p picture, scaled with the frame."""
    label: bool = True
    """Write the name and the counts."""
    name: ClassVar[str] = "zones"
    colour: ClassVar[bool] = True
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.places:draw_places"

    def __post_init__(self) -> None:
        if not 0 <= self.fill <= 1:
            raise ConfigError(f"zones: fill must be from 0 to 1, got {self.fill}")
        if not 0 < self.width <= 50:
            raise ConfigError(f"zones: width must be above 0, up to 50 pixels, got {self.width}")

    def __call__(self, canvas: Canvas, _instances: Instances) -> None:
        """Draw onto `canvas`."""
        _draw(canvas, self)

    def changes(self, _instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return activity is not None and bool(activity.places)

    def drawings(self, activity: Activity, width: int, height: int, align: int) -> Iterator[Drawing]:
        """What is drawn on a frame of width x height, in order."""
        unit = min(width, height) / 1080
        for number, (name, points) in enumerate(activity.places.items()):
            rgb, closed = PALETTE[number % len(PALETTE)], name in activity.zones
            line = max(1, round(self.width * unit))
            region, alpha = _shape(points.tobytes(), closed, self.fill, line, width, height, max(2, align))
            if alpha.size:
                yield Drawing(region, alpha, rgb, False)
            if self.label:
                at = (float(points[0, 0]), float(points[0, 1]))
                yield from _text(_caption(activity, name), at, rgb, width, height, align)


@lru_cache(maxsize=64)
def _shape(
    points_: bytes, closed: bool, fill: float, line: int, width: int, height: int, align: int
) -> tuple[Region, npt.NDArray[np.uint8]]:
    """The opacity of a line or zone (points: float32 [P, 2]) over its region; read-only. Places stand still: it is drawn once."""
    points = np.frombuffer(points_, np.float32).reshape(-1, 2)
    box = [*(points.min(axis=0) - line - 1), *(points.max(axis=0) + line + 1)]
    x0, y0, x1, y1 = region = region_of(box, width, height, align)
    alpha = np.zeros((y1 - y0, x1 - x0), np.uint8)
    if alpha.size:
        # cv2 takes points in whole units from the centre of the first pixel.
        local = np.rint((points - (x0 + 0.5, y0 + 0.5)) * (1 << _SUBPIXEL)).astype(np.int32).reshape(-1, 1, 2)
        if closed and fill:
            cv2.fillPoly(alpha, [local], (round(255 * fill),), cv2.LINE_AA, _SUBPIXEL)
        cv2.polylines(alpha, [local], closed, (255,), line, cv2.LINE_AA, _SUBPIXEL)
    alpha.flags.writeable = False
    return region, alpha


@dataclass(frozen=True)
class Counts(Effect):
    """Write in the top left corner how many of each class are in view, and how many there have been."""

    name: ClassVar[str] = "counts"
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.places:draw_places"

    def __call__(self, canvas: Canvas, _instances: Instances) -> None:
        """Draw onto `canvas`."""
        _draw(canvas, self)

    def changes(self, _instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return activity is not None and bool(activity.total)

    def drawings(self, activity: Activity, width: int, height: int, align: int) -> Iterator[Drawing]:
        """What is drawn on a frame of width x height, in order."""
        unit = min(width, height) / 1080
        margin, top = 12 * unit, 12 * unit
        for name, total in sorted(activity.total.items()):
            written = f"{name}: {activity.now.get(name, 0)} now, {total} in all"
            spot = None
            for drawing in _text(written, (margin, top), _PLATE, width, height, align):
                spot = drawing.region
                yield drawing
            if spot is None:
                return
            top = float(spot[3])


def _draw(canvas: Canvas, effect: Zones | Counts) -> None:
    if canvas.activity is None:
        return
    for region, coverage, rgb, is_text in effect.drawings(canvas.activity, canvas.width, canvas.height, canvas.align):
        if is_text:
            draw_plate(canvas, region, coverage, rgb)
        else:
            canvas.paint(region, coverage, rgb)


def _caption(activity: Activity, name: str) -> str:
    if name in activity.zones:
        zone = activity.zones[name]
        return f"{name}: {zone['inside']} inside, {zone['entered']} entered"
    return f"{name}: {crossings(activity.lines.get(name, {}))}"


def crossings(counts: Mapping[str, int]) -> str:
    """How often a line was crossed, by direction, in words."""
    return ", ".join(f"{count} {direction.replace('_', ' ')}" for direction, count in counts.items())


def _text(
    text: str, at: tuple[float, float], rgb: tuple[int, int, int], width: int, height: int, align: int
) -> Iterator[Drawing]:
    """Text on a plate whose top left corner is near `at`, inside the frame; nothing when it does not fit in."""
    coverage = plate(text, font_size(min(width, height) / 1080), align)
    h, w = coverage.shape
    if w > width or h > height:
        return
    x0 = int(min(max(0.0, at[0]), width - w)) // align * align
    y0 = int(min(max(0.0, at[1]), height - h)) // align * align
    yield Drawing((x0, y0, x0 + w, y0 + h), coverage, rgb, True)
