"""Overlay: fill, contour and label of every instance, drawn in the frame's own planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.captions import Captions, Plate, Style
from streamseg.composite.choose import checked_where, chosen, chosen_rows
from streamseg.composite.drive import ColorBy, checked_color_by, colors, scene_of
from streamseg.composite.effect import Effect
from streamseg.composite.labels import NUMBERS, fields_of
from streamseg.composite.memory import Driving
from streamseg.composite.theme import Light, ThemeName, checked_theme
from streamseg.core import masks
from streamseg.core.masks import Region
from streamseg.core.overlaps import front_first
from streamseg.core.types import Activity, Instances
from streamseg.errors import ConfigError

__all__ = ["Overlay", "around", "box_width", "contour_reach", "contour_width", "sampling", "scaled"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]

# Of a 1080p picture's size.
_HALF_SIZE_UNIT = 1.5
# Boxes that together cover the frame so many times are a crowd.
_CROWD = 4.0
_LONGEST_LABEL = 1000


@dataclass(frozen=True)
class Overlay(Effect):
    """Draw the instances: colours stay with the track, the higher score lies on top where masks overlap.

    An instance that is `doubtful` is drawn with half the fill and half the contour's width. Where boxes alone were found, these are
    drawn in place of masks; where they stand for masks, the smaller box lies on top.

    Raises ConfigError for a value out of range or a label that cannot be filled in.
    """

    fill: float = 0.45
    """Opacity of the mask's area, 0..1."""
    contour: float = 2.0
    """Width of the line inside the mask's outline, in pixels of a 1080p picture, scaled with the frame; at least 1; 0: none."""
    box: bool = False
    """Draw the bounding box too."""
    label: str = "{name} {id} {score:.0%}"
    """Fields {name}, {id} (empty while untracked), {score} (0..1, the track's mean over the last second); in driving scenes {ttc}
    (time to collision), {distance}, {speed} (relative; negative: nearer), with their deviations, empty where not known. A new line
    begins a new line; empty: no label."""
    classes: Sequence[str] | None = None
    """Names to draw; None: all."""
    where: str = "instances"
    """`instances`, or a selection of them: `person#3, largest`."""
    label_from: float = 0.0
    """Height of a box, in pixels of a 1080p picture, from which it has a label; of the lead and those with an alert always."""
    text: float = 20.0
    """Of the label's letters, in pixels of a 1080p picture, scaled with the frame; at least 11."""
    plate: Plate = "color"
    """Of the label: `color`: the instance's, with black or white text; `dark`: a dark one with a bar of that colour."""
    color_by: ColorBy = "track"
    """Colours by `track` or `class`; `auto`: by class in a driving scene, where the camera drives."""
    theme: ThemeName = "day"
    """`night`: darker, for dark pictures; `auto`: as the picture is."""
    name: ClassVar[str] = "overlay"
    colour: ClassVar[bool] = True
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.overlay:draw_overlay"

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", checked_where("overlay", self.where, objects_only=True))
        if not 0 <= self.fill <= 1:
            raise ConfigError(f"overlay: fill must be from 0 to 1, got {self.fill}")
        if not 0 <= self.contour <= 50:
            raise ConfigError(f"overlay: contour must be from 0 to 50 pixels, got {self.contour}")
        if not 0 <= self.label_from <= 10000:
            raise ConfigError(f"overlay: label_from must be from 0 to 10000 pixels, got {self.label_from}")
        if not 5 <= self.text <= 200:
            raise ConfigError(f"overlay: text must be from 5 to 200 pixels, got {self.text}")
        if self.plate not in get_args(Plate):
            raise ConfigError(f"overlay: plate must be one of {', '.join(get_args(Plate))}, got {self.plate!r}")
        checked_color_by("overlay", self.color_by)
        checked_theme("overlay", self.theme)
        known = ", ".join(f"{{{field}}}" for field in ("name", "id", "score", *NUMBERS))
        message = f"overlay: label {self.label!r} cannot be filled in; its fields are {known}"
        try:
            filled = self.label.format(name="car", id=1, score=0.5, **dict.fromkeys(NUMBERS, "31 m ±3"))
        except (KeyError, IndexError, ValueError, AttributeError, TypeError, OverflowError, MemoryError) as error:
            raise ConfigError(message) from error
        if len(filled) > _LONGEST_LABEL:
            raise ConfigError(f"{message}; it would be {len(filled)} characters long")

    @property
    def shows_road(self) -> bool:
        """See Effect: the numbers of its labels."""
        return bool(fields_of(self.label) & set(NUMBERS))

    @property
    def looks_back(self) -> bool:
        """See Effect: numbers are held for a moment, and the light is followed."""
        return self.shows_road or self.label_from > 0 or self.color_by == "auto" or self.theme == "auto"

    def fitting_kernel(self) -> str | None:
        """See Effect: the kernel knows nothing of driving scenes."""
        plain = self.color_by == "track" and self.theme == "day" and self.plate == "color" and self.text == 20
        return self.kernel if plain and not self.looks_back else None

    def begin(self) -> _Overlaid:
        """See Effect."""
        return _Overlaid(self)

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`, as on the first frame of a film."""
        self.begin()(canvas, instances)

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return len(chosen(instances, self.classes, self.where)) > 0


@dataclass(frozen=True, slots=True)
class _Look:
    """How the instances of one frame are drawn."""

    fill: float
    colors: list[RGB]


class _Overlaid:
    """Draws an `Overlay` in one run."""

    def __init__(self, effect: Overlay) -> None:
        self._effect = effect
        self._captions = Captions(Style(effect.label, effect.label_from, effect.text, effect.plate))

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        effect = self._effect
        theme = Light.of(canvas, effect.theme)
        driving = scene_of(canvas, instances) is not None and Driving.of(canvas)
        rows = chosen_rows(instances, effect.classes, effect.where)
        shown = instances if rows is None else instances[rows]
        if len(shown) == 0:
            return
        look = _Look(effect.fill * theme.fill, [theme.shade(rgb) for rgb in colors(shown, effect.color_by, driving)])
        if effect.fill > 0 or effect.contour > 0 or effect.box:
            (self._areas if shown.has_masks else self._boxes)(canvas, shown, look)
        if effect.label:
            every = np.arange(len(instances)) if rows is None else rows
            self._captions.draw(canvas, instances, every, look.colors, theme, driving=driving)

    def _areas(self, canvas: Canvas, shown: Instances, look: _Look) -> None:
        width, height = canvas.width, canvas.height
        line = contour_width(self._effect.contour, canvas.unit)
        boxes: list[list[float]] = shown.boxes.tolist()
        grids = shown.grids
        regions = [around(box, line + 1, width, height, max(4, canvas.align)) for box in boxes]
        scale = sampling(regions, width, height)
        taken = np.zeros((-(-height // scale), -(-width // scale)), np.uint8)
        styles = [_Style.of(look.fill, line, scale), _Style.of(look.fill / 2, line / 2, scale)]
        for i in front_first(shown).tolist():
            region = regions[i]
            if region[2] <= region[0]:
                continue
            x0, y0, x1, y1 = small = scaled(region, scale)
            cover = masks.coverage(grids[i], boxes[i], small, width, height, scale=scale)
            under = taken[y0:y1, x0:x1]
            visible = cv2.min(cover, cv2.bitwise_not(under))
            cv2.max(under, cover, under)
            rgb = look.colors[i]
            style = styles[int(shown.doubtful[i])]
            if self._effect.box:
                alpha = _enlarge(style.alpha(cover, visible), region, scale)
                canvas.paint(region, cv2.max(alpha, _ring(boxes[i], region, box_width(canvas.unit))), rgb)  # type: ignore[arg-type]
                continue
            part, (rows, columns) = _trim(region, visible, scale, style.margin)
            if part[2] > part[0]:
                alpha = style.alpha(cover[rows, columns], visible[rows, columns])
                canvas.paint(part, _enlarge(alpha, part, scale), rgb, alpha if scale == 2 else None)

    def _boxes(self, canvas: Canvas, shown: Instances, look: _Look) -> None:
        line = max(box_width(canvas.unit), contour_width(self._effect.contour, canvas.unit))
        for i, box in enumerate(shown.boxes.tolist()):
            region = around(box, line + 1, canvas.width, canvas.height, max(4, canvas.align))
            if region[2] > region[0]:
                canvas.paint(region, _ring(box, region, line), look.colors[i])


def contour_width(contour: float, unit: float) -> int:
    """Pixels of the line inside a mask's outline; `contour` in pixels of a 1080p picture, `unit` the frame's size of one."""
    return max(1, round(contour * unit + 0.25)) if contour else 0


def box_width(unit: float) -> int:
    """Pixels of the line inside a box's edges."""
    return max(1, round(2 * unit))


def contour_reach(line: float, scale: int) -> int:
    """How far the line reaches inwards, in samples of `scale` pixels; 0: there is none."""
    return max(1, round(line / scale)) if line else 0


@dataclass(frozen=True, slots=True)
class _Style:
    """How the area of an instance is drawn."""

    fill: float
    margin: int
    """Samples around what is visible that its contour looks at."""
    kernel: Array | None
    """cv2's structuring element that makes the contour; None: there is none."""

    @classmethod
    def of(cls, fill: float, line: float, scale: int) -> _Style:
        """`line` in pixels."""
        size = 2 * contour_reach(line, scale) + 1
        return cls(fill, size, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)) if line else None)

    def alpha(self, cover: ByteArray, visible: Array) -> ByteArray:
        """The opacity of one instance from all that it covers and what of it is not under another."""
        alpha = cv2.convertScaleAbs(visible, alpha=self.fill)
        if self.kernel is not None:
            edge = cv2.erode(cover, self.kernel)
            # Twice the difference: the ramps on both sides of a thin line would leave little of its colour.
            cv2.subtract(cover, edge, edge)
            cv2.add(edge, edge, edge)
            cv2.max(alpha, cv2.min(edge, visible, edge), alpha)
        return alpha  # type: ignore[return-value]


def around(box: list[float], margin: int, width: int, height: int, align: int) -> Region:
    """The region of a box with `margin` pixels around it: erosion needs to see the outside."""
    if box[2] <= box[0] or box[3] <= box[1]:
        return 0, 0, 0, 0
    return masks.region_of([box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin], width, height, align)


def sampling(regions: list[Region], width: int, height: int) -> int:
    """Pixels along x and y to one sample of the masks: 1, 2 or 4.

    The grid of a mask is coarse, so well above 1080p every second pixel is enough. A crowd of boxes that cover the frame many times
    over is sampled more coarsely still, so that the time it takes is bounded.
    """
    scale = 1 if min(width, height) / 1080 < _HALF_SIZE_UNIT else 2
    covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in regions) / (width * height)
    return scale if covered <= _CROWD else 4 if covered > 2 * _CROWD else 2


def scaled(region: Region, scale: int) -> Region:
    """The samples of a region."""
    x0, y0, x1, y1 = region
    return x0 // scale, y0 // scale, -(-x1 // scale), -(-y1 // scale)


def _trim(region: Region, visible: Array, scale: int, margin: int) -> tuple[Region, tuple[slice, slice]]:
    """The region without the columns and rows, but for `margin` samples, in which nothing is visible; its rows and columns."""
    left, top, w, h = cv2.boundingRect(visible)
    if w == 0:
        return (0, 0, 0, 0), (slice(0), slice(0))
    step = 4 // scale  # regions stay at multiples of 4 pixels: whole chroma samples
    left, right = max(0, left - margin) // step * step, min(visible.shape[1], -(-(left + w + margin) // step) * step)
    top, bottom = max(0, top - margin) // step * step, min(visible.shape[0], -(-(top + h + margin) // step) * step)
    x0, y0 = region[0] + left * scale, region[1] + top * scale
    x1, y1 = min(region[2], region[0] + right * scale), min(region[3], region[1] + bottom * scale)
    return (x0, y0, x1, y1), (slice(top, bottom), slice(left, right))


def _enlarge(alpha: ByteArray, region: Region, scale: int) -> ByteArray:
    """Alpha at full size: what it was sampled at, times `scale`, cut to the region where the frame's size is no multiple."""
    if scale == 1:
        return alpha
    wide = cv2.resize(alpha, (alpha.shape[1] * scale, alpha.shape[0] * scale), interpolation=cv2.INTER_LINEAR)
    return wide[: region[3] - region[1], : region[2] - region[0]]  # type: ignore[return-value]


def _ring(box: list[float], region: Region, line: int) -> ByteArray:
    """255 on a line of `line` pixels inside the box's edges."""
    ring = np.zeros((region[3] - region[1], region[2] - region[0]), np.uint8)
    x0, y0 = round(box[0]) - region[0], round(box[1]) - region[1]
    x1, y1 = round(box[2]) - region[0], round(box[3]) - region[1]
    ring[y0:y1, x0:x1] = 255
    ring[y0 + line : max(0, y1 - line), x0 + line : max(0, x1 - line)] = 0
    return ring
