"""Blur and Pixelate: the background or the instances made unrecognisable, by mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.area import ByMask
from streamseg.composite.canvas import Canvas, Rows, Shrunk, crop, reduced
from streamseg.core import masks
from streamseg.core.types import Instances
from streamseg.errors import ConfigError

__all__ = ["Blur", "Blurred", "Pixelate", "reduction"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Blur(ByMask):
    """Throw the background, or the instances, out of focus.

    What is blurred is averaged with itself only, so that the sharp part leaves no halo of its colours. Raises ConfigError for a
    value out of range.
    """

    where: str = "background"
    strength: float = 0.5
    """0..1; 1 is a Gaussian of 32 pixels on a 1080p picture."""
    feather: float = field(default=6.0, kw_only=True)
    """Width of the soft edge, half of it on either side of the outline; 0: antialiased."""
    name: ClassVar[str] = "blur"
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.soften:draw_blur"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.strength <= 1:
            raise ConfigError(f"blur: strength must be above 0 and at most 1, got {self.strength}")

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Blur `canvas`."""
        sigma = max(1.0, 32 * self.strength * canvas.unit)
        area = self.area(canvas, instances)
        if area is None:
            return
        region, alpha = area
        shrunk, blurred = Shrunk(alpha, canvas.interlaced), list[Array | Rows]()
        for array, spec in canvas.views().planes:
            weight, part = shrunk.like(spec), crop(array, region, spec.shift_x, spec.shift_y)
            sigmas = sigma / (1 << spec.shift_x), sigma / (1 << spec.shift_y + canvas.interlaced)
            if canvas.interlaced:
                blurred.append(canvas.by_field(lambda part, weight, s=sigmas: Blurred(part, weight, *s).whole(), part, weight))
            else:
                blurred.append(Blurred(part, weight, *sigmas))
        canvas.mix(region, alpha, blurred)


def reduction(sigma: float) -> int:
    """Samples along x and y that a blur of `sigma` of them takes for one: their means are blurred, and enlarged again."""
    step = 2 if sigma >= 2 else 1
    while step < 16 and sigma / (2 * step) >= 2:
        step *= 2
    return step


class Blurred:
    """Gaussian blur of the samples by their weight, worked out on a picture so small that sigma is a few pixels."""

    def __init__(self, array: Array, weight: ByteArray, sigma_x: float, sigma_y: float) -> None:
        step = self._step = reduction(min(sigma_x, sigma_y))
        self._like = array
        small: Array = reduced(array, step).astype(np.float32)
        # Far inside the sharp part there is no weight, and nobody sees the result: any small number avoids 0 / 0.
        mass: Array = reduced(weight, step).astype(np.float32) / 255 + np.float32(1e-4)
        if small.ndim == 3:
            mass = cv2.merge([mass] * small.shape[2])
        small *= mass
        self._mean: Array = _gauss(small, sigma_x / step, sigma_y / step) / _gauss(mass, sigma_x / step, sigma_y / step)

    def __call__(self, rows: slice) -> Array:
        """Some rows."""
        return _rounded(self.exact(rows), self._like.dtype)

    def exact(self, rows: slice) -> Array:
        """Some rows, float32."""
        step, mean = self._step, self._mean
        # One row more on either side, which the rows at the ends lie between.
        first, last = max(0, rows.start // step - 1), min(len(mean), (rows.stop - 1) // step + 2)
        part: Array = mean[first:last]
        if step > 1:
            part = cv2.resize(part, (part.shape[1] * step, part.shape[0] * step), interpolation=cv2.INTER_LINEAR)
        return part[rows.start - first * step : rows.stop - first * step, : self._like.shape[1]]

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


@dataclass(frozen=True)
class Pixelate(ByMask):
    """Show the instances, or the background, in coarse blocks that stand still. Raises ConfigError for a value out of range."""

    block: int = 16
    """Side of a block in pixels of a 1080p picture, scaled with the frame; at least 2 pixels."""
    name: ClassVar[str] = "pixelate"
    kernel: ClassVar[str | None] = "streamseg.gpu.kernels.soften:draw_pixelate"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_range("block", 2, 512, "pixels")

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Pixelate `canvas`."""
        align = max(2, canvas.align)
        block = max(align, round(self.block * canvas.unit / align) * align)
        area = self.area(canvas, instances)
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
