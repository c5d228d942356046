"""Blur and Pixelate: the background or the instances made unrecognisable, by mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas, Rows, Shrunk, crop
from streamseg.composite.choose import bounds, checked_where, chosen, matte, outside
from streamseg.composite.effect import Effect
from streamseg.composite.shape import Shape
from streamseg.core import masks
from streamseg.core.masks import Region
from streamseg.core.types import Activity, Instances
from streamseg.errors import ConfigError

__all__ = ["Blur", "Pixelate"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]


def _area(canvas: Canvas, instances: Instances, where: str, feather: float, reach: int) -> tuple[Region, ByteArray] | None:
    """The region to change and the alpha over it; None when nothing is to be changed."""
    width, height = canvas.width, canvas.height
    if len(instances) == 0:
        return ((0, 0, width, height), np.full((height, width), 255, np.uint8)) if outside(where) else None
    alpha = matte(instances, width, height, Shape(feather=feather))
    if outside(where):
        return (0, 0, width, height), cv2.bitwise_not(alpha)  # type: ignore[return-value]
    region = bounds(instances, width, height, margin=reach, align=canvas.align)
    if region[2] <= region[0]:
        return None
    return region, np.ascontiguousarray(alpha[region[1] : region[3], region[0] : region[2]])


@dataclass(frozen=True)
class Blur(Effect):
    """Throw the background, or the instances, out of focus.

    What is blurred is averaged with itself only, so that the sharp part leaves no halo of its colours. Raises ConfigError for a
    value out of range.
    """

    where: str = "background"
    """`background`, `instances`, or a selection of these: `person#3, largest`, `background of person#3`."""
    strength: float = 0.5
    """0..1; 1 is a Gaussian of 32 pixels on a 1080p picture."""
    feather: float = 6.0
    """Width of the soft edge in pixels of a 1080p picture."""
    classes: Sequence[str] | None = None
    """Names that count as instances; None: all."""
    name: ClassVar[str] = "blur"
    needs_masks: ClassVar[bool] = True
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.soften:draw_blur"

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", checked_where("blur", self.where))
        if not 0 < self.strength <= 1:
            raise ConfigError(f"blur: strength must be above 0 and at most 1, got {self.strength}")
        if not 0 <= self.feather <= 200:
            raise ConfigError(f"blur: feather must be from 0 to 200 pixels, got {self.feather}")

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return outside(self.where) or len(chosen(instances, self.classes, self.where)) > 0

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Blur `canvas`."""
        sigma = max(1.0, 32 * self.strength * canvas.unit)
        feather = self.feather * canvas.unit
        area = _area(canvas, chosen(instances, self.classes, self.where), self.where, feather, round(feather) + 1)
        if area is None:
            return
        region, alpha = area
        shrunk, blurred = Shrunk(alpha, canvas.interlaced), list[Array | Rows]()
        for array, spec in canvas.views().planes:
            weight, part = shrunk.like(spec), crop(array, region, spec.shift_x, spec.shift_y)
            sigmas = sigma / (1 << spec.shift_x), sigma / (1 << spec.shift_y + canvas.interlaced)
            if canvas.interlaced:
                blurred.append(canvas.by_field(lambda part, weight, s=sigmas: _Blurred(part, weight, *s).whole(), part, weight))
            else:
                blurred.append(_Blurred(part, weight, *sigmas))
        canvas.mix(region, alpha, blurred)


def reduction(sigma: float) -> int:
    """Samples along x and y that a blur of `sigma` of them takes for one: their means are blurred, and enlarged again."""
    step = 2 if sigma >= 2 else 1
    while step < 16 and sigma / (2 * step) >= 2:
        step *= 2
    return step


class _Blurred:
    """Gaussian blur of the samples by their weight, worked out on a picture so small that sigma is a few pixels."""

    def __init__(self, array: Array, weight: ByteArray, sigma_x: float, sigma_y: float) -> None:
        step = self._step = reduction(min(sigma_x, sigma_y))
        self._like = array
        small: Array = _reduce(array, step).astype(np.float32)
        # Far inside the sharp part there is no weight, and nobody sees the result: any small number avoids 0 / 0.
        mass: Array = _reduce(weight, step).astype(np.float32) / 255 + np.float32(1e-4)
        if small.ndim == 3:
            mass = cv2.merge([mass] * small.shape[2])
        small *= mass
        self._mean: Array = _gauss(small, sigma_x / step, sigma_y / step) / _gauss(mass, sigma_x / step, sigma_y / step)

    def __call__(self, rows: slice) -> Array:
        """Some rows."""
        step, mean = self._step, self._mean
        # One row more on either side, which the rows at the ends lie between.
        first, last = max(0, rows.start // step - 1), min(len(mean), (rows.stop - 1) // step + 2)
        part: Array = mean[first:last]
        if step > 1:
            part = cv2.resize(part, (part.shape[1] * step, part.shape[0] * step), interpolation=cv2.INTER_LINEAR)
        return _rounded(part[rows.start - first * step : rows.stop - first * step, : self._like.shape[1]], self._like.dtype)

    def whole(self) -> Array:
        """All rows."""
        return self(slice(0, len(self._like)))


def _rounded(values: Array, dtype: npt.DTypeLike) -> Array:
    """Float32 codes as integers, half to even."""
    if np.dtype(dtype) == np.uint8:
        return cv2.convertScaleAbs(values)
    rounded: Array = np.rint(values).astype(dtype)
    return rounded


def _gauss(array: Array, sigma_x: float, sigma_y: float) -> Array:
    return cv2.GaussianBlur(array, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)


def _reduce(array: Array, step: int) -> Array:
    """Means of step x step blocks; the last ones are filled up by repeating the edge."""
    h, w = array.shape[:2]
    if h % step or w % step:
        array = cv2.copyMakeBorder(array, 0, -h % step, 0, -w % step, cv2.BORDER_REPLICATE)
    return cv2.resize(array, (-(-w // step), -(-h // step)), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Pixelate(Effect):
    """Show the instances, or the background, in coarse blocks that stand still. Raises ConfigError for a value out of range."""

    where: str = "instances"
    """As of `blur`."""
    block: int = 16
    """Side of a block in pixels of a 1080p picture, scaled with the frame; at least 2 pixels."""
    classes: Sequence[str] | None = None
    """Names that count as instances; None: all."""
    name: ClassVar[str] = "pixelate"
    needs_masks: ClassVar[bool] = True
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.soften:draw_pixelate"

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", checked_where("pixelate", self.where))
        if not 2 <= self.block <= 512:
            raise ConfigError(f"pixelate: block must be from 2 to 512 pixels, got {self.block}")

    def changes(self, instances: Instances, activity: Activity | None) -> bool:
        """See Effect."""
        return outside(self.where) or len(chosen(instances, self.classes, self.where)) > 0

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Pixelate `canvas`."""
        align = max(2, canvas.align)
        block = max(align, round(self.block * canvas.unit / align) * align)
        area = _area(canvas, chosen(instances, self.classes, self.where), self.where, 0.0, 1)
        if area is None:
            return
        (x0, y0, x1, y1), alpha = area
        # From block to block, so that the blocks do not move with the instance.
        outer = masks.region_of((x0, y0, x1, y1), canvas.width, canvas.height, block)
        whole = np.zeros((outer[3] - outer[1], outer[2] - outer[0]), np.uint8)
        whole[y0 - outer[1] : y1 - outer[1], x0 - outer[0] : x1 - outer[0]] = alpha
        blocks = []
        for array, spec in canvas.views().planes:
            part = crop(array, outer, spec.shift_x, spec.shift_y)
            sides = block >> spec.shift_x, block >> spec.shift_y + canvas.interlaced
            blocks.append(canvas.by_field(partial(_blocks, width=sides[0], height=sides[1]), part))
        canvas.mix(outer, whole, blocks)


def _blocks(array: Array, width: int, height: int) -> Array:
    """Each width x height block replaced by its mean."""
    h, w = array.shape[:2]
    padded = cv2.copyMakeBorder(array, 0, -h % height, 0, -w % width, cv2.BORDER_REPLICATE)
    small = cv2.resize(padded, (padded.shape[1] // width, padded.shape[0] // height), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (padded.shape[1], padded.shape[0]), interpolation=cv2.INTER_NEAREST)[:h, :w]
