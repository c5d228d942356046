"""Outline: a line of one colour along the outline of the objects, or a glow around them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.area import ByMask
from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import bounds, matte
from streamseg.composite.colors import RGB, Color, checked_color, rgb_of
from streamseg.composite.shape import Shape
from streamseg.core.types import Instances
from streamseg.errors import ConfigError

__all__ = ["Outline"]

ByteArray = npt.NDArray[np.uint8]
Position = Literal["outside", "center", "inside"]


@dataclass(frozen=True)
class Outline(ByMask):
    """A line along the outline of the objects together: where one hides a part of another, there is none between them.

    `feather` makes it a glow.
    """

    color: Color = "white"
    """A name, '#rrggbb', or three numbers from 0 to 255; sRGB, in HDR at the brightness of reference white."""
    width: float = 4.0
    """Pixels of a 1080p picture, scaled with the frame; at least 1."""
    position: Position = "outside"
    """Where the line lies: outside of the outline, on it, inside."""
    strength: float = field(default=1.0, kw_only=True)
    """0..1: its opacity."""
    name: ClassVar[str] = "outline"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "color", checked_color(self.name, self.color))
        self.check_range("width", 0.1, 200, "pixels")
        self.check_range("strength", 0, 1)
        if self.position not in get_args(Position):
            raise ConfigError(f"outline: position must be one of {', '.join(get_args(Position))}, got {self.position!r}")

    @property
    def in_color(self) -> bool:
        """See Effect."""
        return len(set(self.rgb)) > 1

    @property
    def rgb(self) -> RGB:
        """The colour, 0..255."""
        return rgb_of(str(self.color))

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw onto `canvas`."""
        shown = self.shown(instances)
        if len(shown) == 0:
            return
        line, grow = max(1.0, self.width * canvas.unit), self.grow * canvas.unit
        inner, outer = {"outside": (0.0, line), "center": (-line / 2, line / 2), "inside": (-line, 0.0)}[self.position]
        soft = Shape(feather=self.feather * canvas.unit)
        margin = math.ceil(max(0.0, grow + outer)) + soft.reach
        x0, y0, x1, y1 = region = bounds(shown, canvas.width, canvas.height, margin=margin, align=canvas.align)
        if x1 <= x0:
            return
        whole = matte(shown, canvas.width, canvas.height)[y0:y1, x0:x1]
        alpha: ByteArray = cv2.subtract(_moved(whole, grow + outer), _moved(whole, grow + inner))  # type: ignore[assignment]
        soft.apply(alpha)
        if self.strength < 1:
            alpha = cv2.convertScaleAbs(alpha, alpha=self.strength)  # type: ignore[assignment]
        canvas.paint(region, alpha, self.rgb)


def _moved(covered: ByteArray, by: float) -> ByteArray:
    """A copy, its outline moved outwards by so many pixels."""
    moved = np.ascontiguousarray(covered).copy()
    Shape(grow=by).apply(moved)
    return moved
