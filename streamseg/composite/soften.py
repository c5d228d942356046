"""Blur and Pixelate: the background or the instances made unrecognisable, by mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.area import ByMask
from streamseg.composite.blurred import blurred_planes, weighted_planes
from streamseg.composite.canvas import Canvas
from streamseg.core import masks
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels.layouts import PlaneSpec

__all__ = ["Blur", "Pixelate"]

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
        canvas.mix(*area, blurred_planes(canvas, *area, sigma))


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

        def make(spec: PlaneSpec, part: Array, *weights: ByteArray) -> _Blocks:
            return _Blocks(part, weights, block >> spec.shift_x, block >> spec.shift_y + canvas.interlaced)

        everywhere = np.full(whole.shape, 255, np.uint8)
        canvas.mix(outer, whole, weighted_planes(canvas, outer, everywhere, make))


class _Blocks:
    """Each width x height block replaced by its mean."""

    def __init__(self, array: Array, weights: Sequence[ByteArray], width: int, height: int) -> None:
        self._shape, self._height = array.shape, height
        self._wide = -(-array.shape[1] // width) * width
        self._means = _means(array, width, height)
        if weights[0].min() == 255:
            return
        parts = zip(cv2.split(array), weights, strict=True)
        sums = [_means(part.astype(np.float32) * (weight + np.float32(1e-3)), width, height) for part, weight in parts]
        shares = [_means(weight + np.float32(1e-3), width, height) for weight in weights]
        made = cv2.merge([np.rint(total / share) for total, share in zip(sums, shares, strict=True)])
        self._means = made.reshape(self._means.shape).astype(array.dtype)

    def __call__(self, rows: slice) -> Array:
        """Some rows."""
        first, last = rows.start // self._height, -(-rows.stop // self._height)
        part = self._means[first:last]
        wide = cv2.resize(part, (self._wide, len(part) * self._height), interpolation=cv2.INTER_NEAREST)
        return wide[rows.start - first * self._height : rows.stop - first * self._height, : self._shape[1]]

    def whole(self) -> Array:
        """All rows."""
        return self(slice(0, self._shape[0]))


def _means(array: Array, width: int, height: int) -> Array:
    """The mean of each block; what is missing at the right and below is repeated from the edge."""
    h, w = array.shape[:2]
    padded = cv2.copyMakeBorder(array, 0, -h % height, 0, -w % width, cv2.BORDER_REPLICATE)
    return cv2.resize(padded, (padded.shape[1] // width, padded.shape[0] // height), interpolation=cv2.INTER_AREA)
