"""The components of a part of a picture, each as an array of codes, and back into the planes that they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.canvas import Canvas, crop, shrink
from streamseg.core.masks import Region
from streamseg.pixels.layouts import PlaneSpec

__all__ = ["Samples"]

Array = npt.NDArray[Any]


class Samples:
    """What lies under a region of a canvas, for effects that make each sample of what is there.

    Components are 0, 1, 2: Y, U, V or R, G, B (grey: 0 alone).
    """

    def __init__(self, canvas: Canvas, region: Region) -> None:
        self.encoding = canvas.encoding
        self._interlaced = canvas.interlaced
        self._region = region
        self._views = canvas.views()

    def __getitem__(self, component: int) -> Array:
        """The codes of a component: [h, w] of its plane's size, uint8 or uint16; a view or a copy."""
        array, spec = self._plane(component)
        part = crop(array, self._region, spec.shift_x, spec.shift_y)
        codes: Array = part if part.ndim == 2 else part[:, :, spec.components.index(component)]
        return codes >> self._views.layout.lsb if self._views.layout.lsb else codes

    @cached_property
    def luma(self) -> Array:
        """Luma of each pixel, in codes of luma; of RGB worked out: BT.709's weights, or BT.2020's where the primaries are."""
        if self.encoding.family != "rgb":
            return self[0]
        weights = (0.2627, 0.6780, 0.0593) if self.encoding.wide else (0.2126, 0.7152, 0.0722)
        total: Array = np.zeros(self[0].shape, np.float32)
        for component, weight in enumerate(weights):
            cv2.scaleAdd(self[component].astype(np.float32), weight, total, total)
        rounded: Array = np.rint(total).astype(self[0].dtype)
        return rounded

    @cached_property
    def luma_at_chroma(self) -> Array:
        """Mean luma of the pixels that each chroma sample belongs to."""
        _, spec = self._plane(1)
        return shrink(np.ascontiguousarray(self[0]), spec.shift_x, spec.shift_y, self._interlaced)

    def in_planes(self, made: Mapping[int, Array]) -> list[Array | None]:
        """New components as `Canvas.mix` takes them: a crop for each plane, None where none of its components is among `made`."""
        lsb = self._views.layout.lsb
        planes: list[Array | None] = []
        for _, spec in self._views.planes:
            if not set(spec.components) & made.keys():
                planes.append(None)
                continue
            parts = [made[c] if c in made else self._kept(spec, place) for place, c in enumerate(spec.components)]
            parts = [np.ascontiguousarray(part) for part in parts]
            plane: Array = parts[0] if len(parts) == 1 else cv2.merge(parts)
            planes.append(plane << lsb if lsb else plane)
        return planes

    def _kept(self, spec: PlaneSpec, place: int) -> Array:
        """What stands at that place of an interleaved plane, which may be padding."""
        array = next(array for array, of in self._views.planes if of is spec)
        return crop(array, self._region, spec.shift_x, spec.shift_y)[:, :, place] >> self._views.layout.lsb

    def _plane(self, component: int) -> tuple[Array, PlaneSpec]:
        return next((array, spec) for array, spec in self._views.planes if component in spec.components)
