"""Legend: which colour is which class, and what the marks of a driving scene mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import chosen
from streamseg.composite.drive import Drawing, DriveEffect
from streamseg.composite.panel import Corner, Panel, Stamp, checked_corner, sides, spot
from streamseg.composite.theme import CAUTION, WARNING, Theme
from streamseg.core.palette import class_color
from streamseg.core.types import Instances
from streamseg.pixels.text import render

__all__ = ["Legend"]

RGB = tuple[int, int, int]
_MOST = 16  # rows


class _Listed(Drawing["Legend"]):
    def __init__(self, effect: Legend) -> None:
        super().__init__(effect)
        self._labels, self._marks = dict[int, str](), set[str]()
        self._drawn: tuple[object, Stamp] | None = None

    def draw(self, canvas: Canvas, instances: Instances, theme: Theme) -> None:
        self._look(canvas, instances)
        if not self._labels and not self._marks:
            return
        rows = tuple(sorted(self._labels.items())), tuple(sorted(self._marks))
        key = (rows, theme, canvas.unit, canvas.encoding, canvas.views().layout, canvas.interlaced)
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = key, self._make(canvas, theme)
        stamp = self._drawn[1]
        x, y, *_ = spot(canvas, (stamp.alpha.shape[1], stamp.alpha.shape[0]), self.effect.corner)
        stamp.lay(canvas, x, y)

    def _look(self, canvas: Canvas, instances: Instances) -> None:
        """What was seen once stays: rows that come and go are not read."""
        shown = chosen(instances, self.effect.classes)
        for label in set(shown.labels.tolist()) - self._labels.keys():
            self._labels[label] = shown.class_names[label]
        scene = canvas.scene
        if scene is not None:
            present = {"lead": scene.lead > 0, "hidden": bool(scene.hidden)}
            present |= {"caution": bool((scene.alert == 1).any()), "warning": bool((scene.alert >= 2).any())}
            self._marks |= {name for name, there in present.items() if there}

    def _make(self, canvas: Canvas, theme: Theme) -> Stamp:
        size = max(11, round(20 * canvas.unit))
        row, pad = round(1.35 * size), round(0.45 * size)
        signs: list[tuple[str, Callable[[Panel, float, float], None]]] = []
        for label, name in sorted(self._labels.items()):
            signs.append((name, _swatch(theme.shade(class_color(name, label)), size)))
        signs += [(name, _SIGNS[name](size, theme)) for name in _SIGNS if name in self._marks]
        signs = signs[:_MOST]
        most = 0.4 * canvas.width
        wide = min(most, max(render(name, size).shape[1] for name, _ in signs))
        panel = Panel.plate(
            canvas.encoding, sides(wide + 2.2 * size + pad, row * len(signs) + 2 * pad), theme.panel, theme.opacity, 0.4 * size
        )
        for number, (name, sign) in enumerate(signs):
            top = pad + number * row
            sign(panel, 1.05 * size, top + row / 2)
            panel.text((1.9 * size, top + (row - 1.05 * size) / 2), name, size, theme.text, width=wide)
        return panel.stamp(canvas.views().layout, canvas.interlaced)


@dataclass(frozen=True)
class Legend(DriveEffect):
    """Say which colour is which class, of those seen so far, and what the marks mean; for drawings coloured by class."""

    corner: Corner = "top left"
    """Where it lies."""
    classes: Sequence[str] | None = None
    """Names to list; None: all."""
    name: ClassVar[str] = "legend"
    drawing: ClassVar = _Listed

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_corner("legend", self.corner)


def _swatch(rgb: RGB, size: int) -> Callable[[Panel, float, float], None]:
    def draw(panel: Panel, x: float, y: float) -> None:
        panel.disc((x, y), 0.36 * size, rgb)

    return draw


def _lead(size: int, theme: Theme) -> Callable[[Panel, float, float], None]:
    def draw(panel: Panel, x: float, y: float) -> None:
        w, h = 0.5 * size, 0.2 * size
        panel.area(
            [
                (x, y - h),
                (x + w, y + 0.4 * h),
                (x + w, y + 1.6 * h),
                (x, y + 0.4 * h),
                (x - w, y + 1.6 * h),
                (x - w, y + 0.4 * h),
            ],
            theme.text,
        )

    return draw


def _dashes(size: int, theme: Theme) -> Callable[[Panel, float, float], None]:
    def draw(panel: Panel, x: float, y: float) -> None:
        w, h = 0.42 * size, 0.32 * size
        for side in (-1, 1):
            for begin in (-1.0, 0.25):
                panel.line([(x + begin * w, y + side * h), (x + (begin + 0.75) * w, y + side * h)], theme.text, size / 9)
            panel.line([(x + side * w, y - 0.4 * h), (x + side * w, y + 0.4 * h)], theme.text, size / 9)

    return draw


def _corners(rgb: RGB) -> Callable[[int, Theme], Callable[[Panel, float, float], None]]:
    def sized(size: int, theme: Theme) -> Callable[[Panel, float, float], None]:
        def draw(panel: Panel, x: float, y: float) -> None:
            r = 0.36 * size
            panel.line(
                [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], theme.shade(rgb), size / 6, closed=True
            )

        return draw

    return sized


_SIGNS: dict[str, Callable[[int, Theme], Callable[[Panel, float, float], None]]] = {
    "lead": _lead,
    "hidden": _dashes,
    "caution": _corners(CAUTION),
    "warning": _corners(WARNING),
}
