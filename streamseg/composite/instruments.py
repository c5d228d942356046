"""Instruments: a strip with the vehicle's speed, what is in view, warnings, rates and the clock."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal, NamedTuple, get_args

from streamseg.composite.canvas import Canvas
from streamseg.composite.drive import Drawing, DriveEffect
from streamseg.composite.panel import STRIP, Panel, Stamp, sides
from streamseg.composite.readout import Seconds
from streamseg.composite.theme import CAUTION, Theme
from streamseg.core.palette import class_color
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels.text import render

__all__ = ["Instruments"]

RGB = tuple[int, int, int]
Unit = Literal["km/h", "mph", "m/s"]
_UNITS: dict[str, float] = {"km/h": 3.6, "mph": 3600 / 1609.344, "m/s": 1.0}
_KEPT = 5.0  # seconds for which a class stays listed that is not in view
_RATE = 2.0  # seconds over which the rate is taken


class _Item(NamedTuple):
    """One thing on the strip."""

    text: str
    sample: str
    """A text as wide as it gets, so that its neighbours stand still."""
    rgb: RGB | None = None
    """Of the dot before it; None: there is none."""
    sign: bool = False
    """A warning sign in place of the dot."""
    bold: bool = False
    faint: bool = False


class _Told(Drawing["Instruments"]):
    def __init__(self, effect: Instruments) -> None:
        super().__init__(effect)
        self._alerts = 0  # so far: also of what was before a gap
        self.forget()
        self._drawn: tuple[object, Stamp] | None = None

    def forget(self) -> None:
        self._times = deque[float]()
        self._speed, self._counts, self._rate, self._latency = Seconds(), Seconds(0.7), Seconds(1.0), Seconds(1.0)
        self._present: dict[int, float] = {}

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        activity = canvas.activity
        if activity is not None:
            self._alerts += sum(event.kind == "alert" for event in activity.events)
        left, right = self._left(canvas, instances, theme), self._right(canvas)
        key = (left, right, theme, canvas.width, canvas.unit, canvas.encoding, canvas.views().layout, canvas.interlaced)
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = key, _strip(canvas, left, right, theme)
        stamp = self._drawn[1]
        stamp.lay(canvas, 0, 0 if self.effect.position == "top" else -(-(canvas.height - stamp.alpha.shape[0]) // 8) * 8)

    def _left(self, canvas: Canvas, instances: Instances, theme: Theme) -> tuple[_Item, ...]:
        """The most important first."""
        unit, items = self.effect.speed, []
        scene = canvas.scene
        if scene is not None:
            known = scene.own_speed
            said = self._speed(canvas.time, "no GPS" if known is None else f"{known * _UNITS[unit]:.0f} {unit}")
            items.append(_Item(said, f"188 {unit}", bold=said != "no GPS", faint=said == "no GPS"))
        if scene is not None and (self._alerts or (scene.alert > 0).any()):
            items.append(_Item(str(self._alerts), "88", theme.shade(CAUTION), sign=True))
        for count in self._counts(canvas.time, self._count(canvas.time, instances)).split("|"):
            if count:
                label, name, number = count.split(":")
                rgb = theme.shade(class_color(name, int(label))) if scene is not None else None
                items.append(_Item(f"{name} {number}", f"{name} 88", rgb, faint=number == "0"))
        return tuple(items)

    def _count(self, now: float, instances: Instances) -> str:
        """How many there are of each class, in one text; a class stays for a moment when the last one is gone."""
        labels = instances.labels.tolist()
        self._present |= dict.fromkeys(labels, now)
        self._present = {label: seen for label, seen in self._present.items() if 0 <= now - seen <= _KEPT}
        names = instances.class_names
        return "|".join(
            f"{label}:{names[label].replace(':', ' ').replace('|', ' ')}:{labels.count(label)}"
            for label in sorted(self._present)
        )

    def _right(self, canvas: Canvas) -> tuple[_Item, ...]:
        """The most important first: it stands rightmost."""
        fix = None if canvas.scene is None else canvas.scene.fix
        utc = canvas.utc if canvas.utc is not None else None if fix is None else fix.utc
        if utc is not None:
            at = datetime.fromtimestamp(int(utc), UTC)
            items = [_Item(f"{at:%Y-%m-%d %H:%M:%S} UTC", "2028-08-28 08:08:08 UTC")]
        else:
            whole = int(canvas.time)
            items = [_Item(f"{whole // 60}:{whole % 60:02}", "88:88")]
        if self.effect.place and fix is not None:
            items.append(
                _Item(_written(fix.latitude, "NS") + " " + _written(fix.longitude, "EW"), "88.8888 N 188.8888 W", faint=True)
            )
        self._times.append(canvas.time)
        while canvas.time - self._times[0] > _RATE:
            self._times.popleft()
        span = canvas.time - self._times[0]
        rate = self._rate(canvas.time, f"{(len(self._times) - 1) / span:.0f} fps" if span > 0.4 else "")
        if rate:
            items.append(_Item(rate, "88 fps", faint=True))
        if canvas.utc is not None and canvas.arrived is not None:
            ago = self._latency(canvas.time, f"{max(0.0, time.monotonic() - canvas.arrived) * 1000:.0f} ms")
            items.append(_Item(ago, "888 ms", faint=True))
        return tuple(items)


@dataclass(frozen=True)
class Instruments(DriveEffect):
    """Draw a strip: the vehicle's speed or `no GPS`, alerts so far, how many of each class are in view; on the right the clock
    (UTC where it is known, else the time in the film), the place, pictures a second, and live how old the picture is.

    What does not fit is left out, the least important first.
    """

    speed: Unit = "km/h"
    """Its unit: km/h, mph or m/s."""
    place: bool = True
    """Write latitude and longitude, where they are known."""
    position: Literal["bottom", "top"] = "bottom"
    """Where it lies."""
    name: ClassVar[str] = "instruments"
    drawing: ClassVar = _Told

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.speed not in get_args(Unit):
            raise ConfigError(f"instruments: speed must be one of {', '.join(get_args(Unit))}, got {self.speed!r}")
        if self.position not in ("bottom", "top"):
            raise ConfigError(f"instruments: position must be bottom or top, got {self.position!r}")


def _strip(canvas: Canvas, left: tuple[_Item, ...], right: tuple[_Item, ...], theme: Theme) -> Stamp:
    size = max(11, round(23 * canvas.unit))
    w, h = sides(canvas.width + 4, max(STRIP * canvas.unit, 1.4 * size))
    panel = Panel.plate(canvas.encoding, (w, h), theme.panel, theme.opacity)
    free, begin, end = 1.1 * size, 0.8 * size, canvas.width - 0.8 * size
    # In turn from both sides: speed, clock, warnings, place, ...
    for number in range(max(len(left), len(right))):
        for item in left[number : number + 1]:
            wide = _width(item, size)
            if begin + wide <= end:
                _write(panel, item, begin, size, theme)
                begin += wide + free
        for item in right[number : number + 1]:
            wide = _width(item, size)
            if begin + wide <= end:
                _write(panel, item, end - wide, size, theme)
                end -= wide + free
    return panel.stamp(canvas.views().layout, canvas.interlaced)


def _width(item: _Item, size: int) -> float:
    font = round(1.2 * size) if item.bold else size
    dot = 1.05 * size if item.rgb is not None else 0.0
    return dot + float(max(render(text, font).shape[1] for text in (item.text, item.sample)))


def _write(panel: Panel, item: _Item, x: float, size: int, theme: Theme) -> None:
    middle, font = panel.size[1] / 2, round(1.2 * size) if item.bold else size
    if item.rgb is not None:
        r = 0.34 * size
        if item.sign:
            panel.area([(x + r, middle - r), (x + 2.1 * r, middle + 0.9 * r), (x - 0.1 * r, middle + 0.9 * r)], item.rgb)
        else:
            panel.disc((x + r, middle), r, item.rgb)
        x += 1.05 * size
    panel.text((x, middle - 0.53 * font), item.text, font, theme.faint if item.faint else theme.text)


def _written(degrees: float, ends: str) -> str:
    return f"{abs(degrees):.4f} {ends[degrees < 0]}"
