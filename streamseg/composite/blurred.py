"""Blur by weight: samples averaged only with those that count, so that what does not count leaves no halo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas, Rows, Shrunk, crop, reduced
from streamseg.core.masks import Region
from streamseg.pixels.layouts import PlaneSpec

__all__ = ["Blurred", "blurred_planes", "reduction", "weighted_planes"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]


class _Made(Protocol):
    """What makes some rows of a plane's crop, or all."""

    def __call__(self, rows: slice, /) -> Array: ...

    def whole(self) -> Array: ...


def blurred_planes(canvas: Canvas, region: Region, alpha: ByteArray, sigma: float) -> list[Array | Rows]:
    """For each plane what lies under the region, blurred by `alpha` with `sigma` pixels."""

    def make(spec: PlaneSpec, part: Array, *weights: ByteArray) -> Blurred:
        sigmas = sigma / (1 << spec.shift_x), sigma / (1 << spec.shift_y + canvas.interlaced)
        return Blurred(part, weights, *sigmas)

    return weighted_planes(canvas, region, alpha, make)


def weighted_planes(
    canvas: Canvas,
    region: Region,
    alpha: ByteArray,
    make: Callable[..., _Made],
    extra: Callable[[Array], Sequence[Array]] = lambda _part: (),
) -> list[Array | Rows]:
    """For each plane what `make` makes of its spec, its crop, what `extra` gives for the crop, and a weight for each component.

    Weights are `alpha`; colours that are transparent count by the picture's own alpha, too. Fields are made one by one.
    """
    opacity = canvas.opacity(region)
    shown = alpha if opacity is None else cv2.multiply(alpha, opacity, scale=1 / 255)
    of_alpha, of_colors = Shrunk(alpha, canvas.interlaced), Shrunk(shown, canvas.interlaced)  # type: ignore[arg-type]
    made = list[Array | Rows]()
    for array, spec in canvas.views().planes:
        part = crop(array, region, spec.shift_x, spec.shift_y)
        weights = [(of_alpha if component == 3 else of_colors).like(spec) for component in spec.components]
        parts = [part, *extra(part), *weights]
        if canvas.interlaced:
            made.append(canvas.by_field(lambda *of, spec=spec: make(spec, *of).whole(), *parts))
        else:
            made.append(make(spec, *parts))
    return made


def reduction(sigma: float) -> int:
    """Samples along x and y that a blur of `sigma` of them takes for one: their means are blurred, and enlarged again."""
    step = 2 if sigma >= 2 else 1
    while step < 16 and sigma / (2 * step) >= 2:
        step *= 2
    return step


class Blurred:
    """Gaussian blur of the samples by their weight, worked out on a picture so small that sigma is a few pixels."""

    def __init__(self, array: Array, weights: Sequence[ByteArray], sigma_x: float, sigma_y: float) -> None:
        """`weights`: of each component of `array`, [h, w]; sigmas in samples."""
        step = self._step = reduction(min(sigma_x, sigma_y))
        self._like = array
        small: Array = reduced(array, step).astype(np.float32)
        # Far inside the sharp part there is no weight, and nobody sees the result: any small number avoids 0 / 0.
        masses = [reduced(weight, step).astype(np.float32) / 255 + np.float32(1e-4) for weight in _different(weights)]
        mass: Array = masses[0]
        if small.ndim == 3:
            mass = cv2.merge(masses if len(masses) > 1 else masses * small.shape[2])
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


def _different(weights: Sequence[ByteArray]) -> Sequence[ByteArray]:
    """One where all are the same."""
    return weights[:1] if all(weight is weights[0] for weight in weights) else weights
