"""The shape of a matte: grown or shrunk, its holes filled, its edge hard, antialiased or soft. The one place for these options.

All lengths are pixels of the picture itself, fractions too. What is done, in this order: holes are filled; the outline is moved;
then its edge is made hard, or soft.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.errors import ConfigError

__all__ = ["Shape", "Shaped", "halves"]

Array = npt.NDArray[Any]
_FURTHEST = 200
"""Pixels that an outline may be moved by, and that a ramp or a hole may be wide."""
_DISC = 5
"""Radius of the discs by which an outline is moved step by step: large ones cost more than many."""
_INSIDE = 0.9
"""Of all: a pixel that is covered by this much is inside; what is soft has no value of exactly all."""
_ROUND = 0.25
"""Added to the radius of a disc of pixels, it moves an outline by its radius in all directions, within 0.3 pixels."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is done to a matte. Raises ConfigError for a value out of range."""

    grow: float = 0.0
    """Pixels by which the outline is moved outwards; negative: inwards."""
    feather: float = 0.0
    """Width in pixels of the soft edge, half of it on either side of the outline; 0: antialiased."""
    holes: float = 0.0
    """Holes of an area of at most holes x holes pixels are filled; 0: none. What the picture's border cuts open is no hole."""
    hard: bool = False
    """Each pixel is inside or outside, none between."""

    def __post_init__(self) -> None:
        for name, low in (("grow", -_FURTHEST), ("feather", 0), ("holes", 0)):
            value = getattr(self, name)
            if not low <= value <= _FURTHEST:
                raise ConfigError(f"{name} must be from {low} to {_FURTHEST} pixels, got {value:g}")
        if self.hard and self.feather:
            raise ConfigError(
                f"feather: {self.feather:g} makes the edge soft, and hard: true makes it hard; leave one of them out"
            )

    @property
    def is_feather_alone(self) -> bool:
        """Whether nothing else is asked for: what kernels on a GPU can do."""
        return not (self.grow or self.holes or self.hard)

    @property
    def reach(self) -> int:
        """Pixels beyond an outline that may change, and one more."""
        return math.ceil(max(0.0, self.grow)) + sum(halves(self.radius)) + 1

    @property
    def radius(self) -> int:
        """Whole pixels of the soft edge on either side of the outline."""
        return round(self.feather / 2)

    def apply(self, matte: Array) -> None:
        """Give this shape to `matte`, in place.

        Args:
            matte: uint8 or uint16 [height, width], the highest code inside, 0 outside, at least `reach` pixels around what is
                inside, except where the picture ends. A view will do.
        """
        if matte.size == 0:
            return
        top = int(np.iinfo(matte.dtype).max)
        if self.holes:
            _fill(matte, self.holes**2, top)
        if self.grow > 0:
            matte[...] = _moved(matte, self.grow, cv2.dilate)
        elif self.grow < 0:
            matte[...] = _moved(matte, -self.grow, cv2.erode)
        if self.hard:
            matte[...] = np.where(matte > top / 2, top, 0)
        for half in halves(self.radius):
            matte[...] = cv2.blur(matte, (2 * half + 1, 2 * half + 1))


@dataclass(frozen=True, kw_only=True)
class Shaped:
    """Base of the effects whose mattes have a shape: the options for it, in pixels of the picture."""

    grow: float = 0.0
    """Pixels by which the outline is moved outwards; negative: inwards."""
    shrink: float = 0.0
    """The same inwards."""
    feather: float = 0.0
    """Width in pixels of the soft edge, half of it on either side of the outline; 0: antialiased."""
    holes: float = 0.0
    """Holes of an area of at most holes x holes pixels are filled."""
    hard: bool = False
    """Each pixel is inside or outside, none between."""

    @property
    def shape(self) -> Shape:
        """These options as a shape. Raises ConfigError for a value out of range."""
        if self.grow and self.shrink:
            raise ConfigError(f"grow: {self.grow:g} and shrink: {self.shrink:g} move the same outline; leave one of them out")
        return Shape(self.grow - self.shrink, self.feather, self.holes, self.hard)

    def check_shape(self, effect: str) -> None:
        """Raise ConfigError, which begins with the name of the effect, where these options are not a shape."""
        try:
            self.shape  # noqa: B018
        except ConfigError as error:
            raise ConfigError(f"{effect}: {error}") from None


def halves(radius: int) -> tuple[int, ...]:
    """The half widths of the boxes that, one after the other, make a ramp of `radius` pixels on either side of an edge.

    Two make one without kinks that ends there, which a Gaussian's never does.
    """
    return tuple(half for half in (radius - radius // 2, radius // 2) if half)


def _moved(matte: Array, pixels: float, move: Any) -> Array:
    """The outline moved by `pixels`, ramps kept as they are: greatest (`cv2.dilate`) or least values (`cv2.erode`) within discs.

    A fraction of a pixel is a mean of the whole numbers beside it: of an edge that is as wide as a pixel, its exact coverage.
    """
    whole, rest = divmod(pixels, 1)
    moved = _by_discs(matte, int(whole), move)
    return cv2.addWeighted(moved, 1 - rest, _by_discs(matte, int(whole) + 1, move), rest, 0) if rest else moved


def _by_discs(matte: Array, pixels: int, move: Any) -> Array:
    while pixels > 0:
        step = min(_DISC, pixels)
        matte, pixels = move(matte, _disc(step)), pixels - step
    return matte


@lru_cache(maxsize=_DISC)
def _disc(radius: int) -> Array:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside: Array = (x * x + y * y <= (radius + _ROUND) ** 2).astype(np.uint8)
    return inside


def _fill(matte: Array, area: float, top: int) -> None:
    """Fill what is not quite inside, and not connected to the outside. The outside reaches the border of the array."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((matte < _INSIDE * top).astype(np.uint8), connectivity=8)
    left, above, width, height, pixels = stats.T
    enclosed = (left > 0) & (above > 0) & (left + width < matte.shape[1]) & (above + height < matte.shape[0])
    small = enclosed & (pixels <= area)
    small[0] = False  # what is inside
    if small.any():
        # With what is left of a soft rim.
        matte[cv2.dilate(small[labels].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = top
