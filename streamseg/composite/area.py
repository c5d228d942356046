"""The part of a picture that an effect changes: which objects, in which shape, inside or around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas
from streamseg.composite.choose import bounds, checked_where, chosen, matte, outside
from streamseg.composite.effect import Effect
from streamseg.composite.shape import Shape
from streamseg.core.masks import Region
from streamseg.core.types import Activity, Instances
from streamseg.errors import ConfigError

__all__ = ["Area", "ByMask"]

ByteArray = npt.NDArray[np.uint8]

_WIDEST = 200


class Area(NamedTuple):
    """A part of a picture."""

    region: Region
    """In pixels, its corners at multiples of the canvas's `align`, or at the frame's border."""
    alpha: ByteArray
    """[region height, region width]: how much of each pixel belongs to it, 255: all."""


@dataclass(frozen=True)
class ByMask(Effect):
    """Base of the effects that change a part of the picture: some objects, or what is around them.

    Lengths are pixels of a 1080p picture, scaled with the frame, so that a film looks alike at every size. Raises ConfigError for
    a `where` that cannot be read and for a length out of range.
    """

    where: str = "instances"
    """`background`, `instances`, or a selection of these: `person#3, largest`, `background of person#3`."""
    feather: float = field(default=0.0, kw_only=True)
    """Width of the soft edge, half of it on either side of the outline; 0: antialiased."""
    grow: float = field(default=0.0, kw_only=True)
    """By how much the outline of the objects is moved outwards; negative: inwards."""
    classes: Sequence[str] | None = field(default=None, kw_only=True)
    """Names that count as instances; None: all."""
    needs_masks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", checked_where(self.name, self.where))
        self.check_range("feather", 0, _WIDEST, "pixels")
        self.check_range("grow", -_WIDEST, _WIDEST, "pixels")

    def check_range(self, option: str, low: float, high: float, unit: str = "") -> None:
        """Raise ConfigError where an option is not from `low` to `high`."""
        value = getattr(self, option)
        if not low <= value <= high:
            raise ConfigError(f"{self.name}: {option} must be from {low} to {high}{unit and ' '}{unit}, got {value}")

    def shown(self, instances: Instances) -> Instances:
        """The objects that are meant, or around which it draws."""
        return chosen(instances, self.classes, self.where)

    @property
    def around(self) -> bool:
        """Whether what is around the objects is changed, and not these."""
        return outside(self.where)

    def shape(self, unit: float) -> Shape:
        """The shape of the objects' outline in a picture whose pixels are `unit` to one of a 1080p picture."""
        return Shape(grow=self.grow * unit, feather=self.feather * unit)

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return self.around or len(self.shown(instances)) > 0

    def fitting_kernel(self) -> str | None:
        """See Effect: kernels know a feather, and no other shape."""
        return None if self.grow else self.kernel

    def matte(self, canvas: Canvas, instances: Instances) -> ByteArray:
        """uint8 [height, width] of the canvas: what the objects cover, whether they or the rest are changed."""
        return matte(self.shown(instances), canvas.width, canvas.height, self.shape(canvas.unit))

    def area(self, canvas: Canvas, instances: Instances, margin: int = 0) -> Area | None:
        """What is to be changed; None: nothing is. Around objects it is the whole frame, else their boxes and `margin` pixels."""
        shown, (width, height) = self.shown(instances), (canvas.width, canvas.height)
        if len(shown) == 0:
            return Area((0, 0, width, height), np.full((height, width), 255, np.uint8)) if self.around else None
        shape = self.shape(canvas.unit)
        alpha = matte(shown, width, height, shape)
        if self.around:
            return Area((0, 0, width, height), cv2.bitwise_not(alpha))  # type: ignore[arg-type]
        x0, y0, x1, y1 = region = bounds(shown, width, height, margin=shape.reach + margin, align=canvas.align)
        return Area(region, np.ascontiguousarray(alpha[y0:y1, x0:x1])) if x1 > x0 else None
