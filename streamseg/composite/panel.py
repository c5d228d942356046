"""Panel: an inset that is drawn apart and then laid over the picture: text, lines and areas on a translucent plate.

It is drawn in the picture's own codes, in 8 bits a component at full size, so that no RGB is ever made of a picture or of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, get_args

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas, shrink
from streamseg.core.masks import Region
from streamseg.errors import ConfigError
from streamseg.pixels.color import Encoding, drawing_codes
from streamseg.pixels.layouts import Layout
from streamseg.pixels.text import render

__all__ = ["STRIP", "Corner", "Panel", "Stamp", "checked_corner", "sides", "spot"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]
Point = tuple[float, float]
Corner = Literal["top left", "top right", "bottom left", "bottom right"]

STRIP = 46
"""Height of the strip of the instruments, in pixels of a 1080p picture."""

_SUBPIXEL = 4  # bits of cv2's fixed-point coordinates
_WHOLE = 8  # sides are multiples of so many pixels, so that chroma samples of all layouts, of both fields, are whole


class Stamp(NamedTuple):
    """A panel as it is laid over pictures of one layout, as often as it stays the same."""

    alpha: ByteArray
    planes: tuple[Array, ...]

    def lay(self, canvas: Canvas, x: int, y: int) -> None:
        """Lay it over `canvas`, its top left corner at a pixel of multiples of 8; what is outside of the frame is left out."""
        h, w = self.alpha.shape
        x0, y0, x1, y1 = max(0, x), max(0, y), min(x + w, canvas.width), min(y + h, canvas.height)
        if x1 <= x0 or y1 <= y0:
            return
        parts = []
        for plane, (_, spec) in zip(self.planes, canvas.views().planes, strict=True):
            rows = slice((y0 - y) >> spec.shift_y, -(-(y1 - y) >> spec.shift_y))
            columns = slice((x0 - x) >> spec.shift_x, -(-(x1 - x) >> spec.shift_x))
            parts.append(plane[rows, columns])
        canvas.mix((x0, y0, x1, y1), np.ascontiguousarray(self.alpha[y0 - y : y1 - y, x0 - x : x1 - x]), parts)


@dataclass(slots=True)
class Panel:
    """What is being drawn. Coordinates are its own pixels, from its top left corner; colours sRGB."""

    pixels: ByteArray
    """[height, width, 4]: three components of the picture's codes, of 8 bits, and the opacity."""
    encoding: Encoding

    @classmethod
    def plate(cls, encoding: Encoding, size: tuple[int, int], rgb: RGB, opacity: float, radius: float = 0) -> Self:
        """A plate of one colour, `size` (width, height) pixels (see `sides`), its corners rounded."""
        w, h = size
        made = cls(np.empty((h, w, 4), np.uint8), encoding)
        made.pixels[...] = made._ink(rgb)
        made.pixels[..., 3] = round(255 * opacity)
        if radius >= 1:
            made.pixels[..., 3] = cv2.convertScaleAbs(_rounded(w, h, round(radius)), alpha=opacity)
        return made

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def copy(self) -> Self:
        """Another one that is the same so far."""
        return type(self)(self.pixels.copy(), self.encoding)

    def text(self, at: Point, words: str, size: int, rgb: RGB, *, anchor: float = 0, width: float = np.inf) -> int:
        """One line of text whose upper edge is at `at`; returns its width.

        `anchor`: 0: it begins at `at`, 0.5: its middle is there, 1: it ends there. Where it would be wider than `width`, its end
        is left out.
        """
        glyphs = render(words, size)
        while glyphs.shape[1] > width and words:
            words = words[:-1].rstrip()
            glyphs = render(words + "…", size)
        x, y = round(at[0] - anchor * glyphs.shape[1]), round(at[1])
        self._blend(x, y, glyphs, rgb)
        return int(glyphs.shape[1])

    def _blend(self, x: int, y: int, coverage: ByteArray, rgb: RGB) -> None:
        w, h = self.size
        x0, y0, x1, y1 = max(0, x), max(0, y), min(x + coverage.shape[1], w), min(y + coverage.shape[0], h)
        if x1 <= x0 or y1 <= y0:
            return
        part = self.pixels[y0:y1, x0:x1]
        weight = cv2.merge([np.ascontiguousarray(coverage[y0 - y : y1 - y, x0 - x : x1 - x])] * 4)
        rest = cv2.multiply(part, cv2.bitwise_not(weight), scale=1 / 255)
        part[...] = cv2.add(rest, cv2.multiply(weight, np.array(self._ink(rgb), np.float64), scale=1 / 255))

    def line(self, points: Sequence[Point] | Array, rgb: RGB, width: float = 1, *, closed: bool = False) -> None:
        """A line through points."""
        cv2.polylines(self.pixels, [_fixed(points)], closed, self._ink(rgb), max(1, round(width)), cv2.LINE_AA, _SUBPIXEL)

    def area(self, points: Sequence[Point] | Array, rgb: RGB, opacity: float = 1.0) -> None:
        """A convex or other simple polygon, filled."""
        if opacity >= 1:
            cv2.fillPoly(self.pixels, [_fixed(points)], self._ink(rgb), cv2.LINE_AA, _SUBPIXEL)
            return
        x, y, w, h = cv2.boundingRect(np.asarray(points, np.float32).reshape(-1, 1, 2))
        coverage = np.zeros((h + 2, w + 2), np.uint8)
        local = np.asarray(points, np.float64) - (x - 1, y - 1)
        cv2.fillPoly(coverage, [_fixed(local)], (round(255 * opacity),), cv2.LINE_AA, _SUBPIXEL)
        self._blend(x - 1, y - 1, coverage, rgb)

    def disc(self, at: Point, radius: float, rgb: RGB, width: float = -1) -> None:
        """A disc, or, with a line's `width`, a circle."""
        center, r = _fixed([at])[0, 0].tolist(), round(radius * (1 << _SUBPIXEL))
        cv2.circle(self.pixels, center, r, self._ink(rgb), -1 if width < 0 else max(1, round(width)), cv2.LINE_AA, _SUBPIXEL)

    def ellipse(self, at: Point, axes: tuple[float, float], rgb: RGB, width: float = 1) -> None:
        """An upright ellipse's line; `axes`: half its width, half its height."""
        center = _fixed([at])[0, 0].tolist()
        half = tuple(round(min(axis, 4096) * (1 << _SUBPIXEL)) for axis in axes)
        thick = max(1, round(width))
        cv2.ellipse(self.pixels, center, half, 0, 0, 360, self._ink(rgb), thick, cv2.LINE_AA, _SUBPIXEL)

    def stamp(self, layout: Layout, interlaced: bool) -> Stamp:
        """As it is to be laid over pictures of a layout."""
        split: list[ByteArray] = [np.ascontiguousarray(part).astype(np.uint8, copy=False) for part in cv2.split(self.pixels)]
        top = (2**layout.depth - 1) << layout.lsb
        planes: list[Array] = []
        for spec in layout.planes:
            shape = (-(-self.size[1] >> spec.shift_y), -(-self.size[0] >> spec.shift_x), len(spec.components))
            plane = np.full(shape, top, layout.dtype)  # what is no colour is opaque
            for at, c in enumerate(spec.components):
                if c < 3:
                    part = shrink(split[c], spec.shift_x, spec.shift_y, interlaced)
                    plane[..., at] = part if layout.depth == 8 else part.astype(np.uint16) << (layout.depth - 8 + layout.lsb)
            planes.append(plane[..., 0] if shape[2] == 1 else plane)
        return Stamp(split[3], tuple(planes))

    def _ink(self, rgb: RGB) -> tuple[int, int, int, int]:
        return _ink(rgb, self.encoding)


@lru_cache(maxsize=256)
def _ink(rgb: RGB, encoding: Encoding) -> tuple[int, int, int, int]:
    """A colour's codes in 8 bits, and opaque."""
    unit = 1 << (encoding.depth - 8)
    c0, c1, c2 = (min(255, round(code / unit)) for code in drawing_codes(rgb, encoding))
    return c0, c1, c2, 255


def sides(width: float, height: float) -> tuple[int, int]:
    """The size of a panel of about so many pixels."""
    return max(_WHOLE, round(width / _WHOLE) * _WHOLE), max(_WHOLE, round(height / _WHOLE) * _WHOLE)


def spot(canvas: Canvas, size: tuple[int, int], corner: str) -> Region:
    """Where an inset of `size` lies in a corner of the frame; at the bottom above the strip of the instruments."""
    (w, h), margin = size, 14 * canvas.unit
    x = margin if "left" in corner else canvas.width - w - margin
    y = margin if "top" in corner else canvas.height - h - margin - max(STRIP * canvas.unit, 16)
    x0, y0 = max(0, round(x / _WHOLE) * _WHOLE), max(0, round(y / _WHOLE) * _WHOLE)
    return x0, y0, x0 + w, y0 + h


def checked_corner(effect: str, corner: str) -> None:
    """Raise ConfigError, in which `effect` is named, for a corner that there is not."""
    if corner not in get_args(Corner):
        raise ConfigError(f"{effect}: corner must be one of {', '.join(get_args(Corner))}, got {corner!r}")


def _fixed(points: Sequence[Point] | Array) -> npt.NDArray[np.int32]:
    """As cv2 takes them: from the centre of the first pixel, with bits behind the point."""
    return (np.array(points) * (1 << _SUBPIXEL) - (1 << _SUBPIXEL - 1)).astype(np.int32)[:, None]


def _rounded(w: int, h: int, radius: int) -> ByteArray:
    """255 inside a rectangle with rounded corners."""
    r = min(radius, w // 2, h // 2)
    shape = np.zeros((h, w), np.uint8)
    turns = np.linspace(0, np.pi / 2, 9)
    corners = ((w - r, h - r, 0), (r, h - r, 1), (r, r, 2), (w - r, r, 3))
    points = [(x + r * np.cos(t + q * np.pi / 2), y + r * np.sin(t + q * np.pi / 2)) for x, y, q in corners for t in turns]
    cv2.fillPoly(shape, [_fixed(points)], (255,), cv2.LINE_AA, _SUBPIXEL)
    return shape
