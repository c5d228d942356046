"""Surface: a picture's planes on the device, as the kernels take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from streamseg.device.picture import DevicePicture
from streamseg.pixels.color import Encoding, encoding
from streamseg.pixels.layouts import Layout, PlaneSpec, layout

__all__ = ["Surface", "supported"]

_CHROMA = ((1,), (2,), (1, 2), (2, 1))


def supported(layout: Layout) -> bool:
    """Whether the kernels can read and draw on pictures of this layout: YUV without alpha, chroma at full or half size."""
    return (
        layout.family == "yuv"
        and not layout.alpha
        and all(spec.shift_x <= 1 and spec.shift_y <= 1 for spec in layout.planes)
        and layout.planes[0].components == (0,)
        and all(spec.components in _CHROMA for spec in layout.planes[1:])
    )


@dataclass(frozen=True, slots=True)
class Surface:
    """Planes on a device: of a layout that `supported` accepts or, as the result of Matte, grey.

    Raises ValueError for another layout, and for planes that do not fit it.
    """

    layout: Layout
    """How the pixel format keeps its samples (`pixels.layouts.layout`); `supported` tells which the kernels know."""
    encoding: Encoding
    """What the codes mean (`color.encoding(picture)`)."""
    width: int
    """Of the luma, pixels."""
    height: int
    planes: tuple[torch.Tensor, ...]
    """In the layout's order: uint8, or uint16 above 8 bits; [h, w], interleaved chroma [h, w, 2]. Rows may be padded, samples
    of a row not."""

    @classmethod
    def of(cls, picture: DevicePicture, stream: Any) -> Surface:
        """The planes of a picture whose layout `supported` accepts, for work that the caller puts into `stream` from now on."""
        known = layout(picture.format.name)
        assert known is not None  # no other is put on the device
        return cls(known, encoding(picture), picture.width, picture.height, picture.use(stream))

    def __post_init__(self) -> None:
        if not supported(self.layout) and self.layout.name != "gray":
            raise ValueError(f"the kernels take YUV with chroma at full or half size and no alpha, got {self.layout.name}")
        if len(self.planes) != len(self.layout.planes):
            raise ValueError(f"{self.layout.name} has {len(self.layout.planes)} planes, got {len(self.planes)}")
        dtype = torch.uint8 if self.layout.depth <= 8 else torch.uint16
        for plane, spec in zip(self.planes, self.layout.planes, strict=True):
            samples = len(spec.components)
            shape = self._shape(spec)
            strides = (1,) if samples == 1 else (samples, 1)
            if plane.dtype != dtype or tuple(plane.shape) != shape or plane.stride()[1:] != strides:
                raise ValueError(
                    f"a plane of {self.layout.name} {self.width}x{self.height} must be {dtype} {list(shape)} with rows in one "
                    f"piece, got {plane.dtype} {list(plane.shape)} with strides {list(plane.stride())}"
                )

    def _shape(self, spec: PlaneSpec) -> tuple[int, ...]:
        h, w = -(-self.height >> spec.shift_y), -(-self.width >> spec.shift_x)
        return (h, w) if len(spec.components) == 1 else (h, w, len(spec.components))

    @property
    def luma(self) -> torch.Tensor:
        """[h, w]."""
        return self.planes[0]

    @property
    def chroma(self) -> tuple[torch.Tensor, torch.Tensor]:
        """U and V, [h, w] each, views on one plane where they are interleaved: then the stride along a row is 2."""
        if len(self.planes) == 3:
            first, second = self.planes[1:]
            return (first, second) if self.layout.planes[1].components == (1,) else (second, first)
        u = self.layout.planes[1].components.index(1)
        return self.planes[1][..., u], self.planes[1][..., 1 - u]

    @property
    def shift(self) -> tuple[int, int]:
        """Chroma has the luma's width >> x, height >> y, rounded up."""
        return self.layout.planes[1].shift_x, self.layout.planes[1].shift_y

    @property
    def align(self) -> int:
        """Regions whose corners are multiples of this cover whole chroma samples."""
        return 1 << max(self.shift)

    @property
    def unit(self) -> float:
        """Pixels of this picture to one of a 1080p picture."""
        return min(self.width, self.height) / 1080
