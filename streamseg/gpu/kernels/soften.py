"""Blur, Pixelate and Matte on the device: what `streamseg.composite` does by the union of all masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import triton

from streamseg import composite
from streamseg.composite.blurred import reduction
from streamseg.composite.choose import bounds, chosen, outside
from streamseg.composite.shape import halves
from streamseg.core import masks
from streamseg.core.masks import Region
from streamseg.core.types import Activity, Instances
from streamseg.gpu.kernels.common import EXACT
from streamseg.gpu.kernels.cover import union
from streamseg.gpu.kernels.filters import (
    box_columns_kernel,
    box_rows_kernel,
    gauss_columns_kernel,
    gauss_rows_kernel,
    means_kernel,
    reduce_kernel,
)
from streamseg.gpu.kernels.mix import mix_kernel
from streamseg.gpu.kernels.pack import Scratch, Upload, instance_table
from streamseg.gpu.kernels.surface import Surface
from streamseg.pixels.layouts import layout

__all__ = ["draw_blur", "draw_matte", "draw_pixelate", "matte_into"]

_BLOCK = (16, 64)


def _tiles(height: int, width: int) -> tuple[int, int]:
    return triton.cdiv(height, _BLOCK[0]), triton.cdiv(width, _BLOCK[1])


def matte_into(out: torch.Tensor, instances: Instances, feather: float, upload: Upload, scratch: Scratch) -> None:
    """Write `composite.choose.matte`: how much of each pixel any of the instances covers.

    Args:
        out: uint8 [height, width] of the frame, contiguous.
        instances: those that count.
        feather: width of the ramp along the outline, pixels of the frame; 0: antialiased.
        upload: brings their masks to the device.
        scratch: memory.
    """
    height, width = out.shape
    if len(instances) == 0:
        out.zero_()
        return
    regions = [masks.region_of(box, width, height) for box in instances.boxes.tolist()]
    table, grids, _ = instance_table(instances, regions, width, height, 1, mattes=True)
    table_, grids_ = upload([table, grids])
    union(table_, grids_, out)
    radius = round(feather / 2)
    if radius == 0:
        return
    x0, y0, x1, y1 = bounds(instances, width, height, margin=2 * radius + 1)
    if x1 <= x0:
        return
    sums = scratch("sums", (y1 - y0, x1 - x0), torch.int32)
    grid, place = _tiles(y1 - y0, x1 - x0), (y0 * width + x0, width, y1 - y0, x1 - x0)
    for half in halves(radius):
        crop = (*place, half)
        box_rows_kernel[grid](out, sums, *crop, BY=_BLOCK[0], BX=_BLOCK[1], **EXACT)
        box_columns_kernel[grid](sums, out, *crop, BY=_BLOCK[0], BX=_BLOCK[1], **EXACT)


@dataclass(frozen=True, slots=True)
class _Part:
    """The components of one size that lie under a region, as the kernels take them."""

    a: torch.Tensor
    b: torch.Tensor
    components: int
    shift_x: int
    shift_y: int
    left: int
    top: int
    width: int
    height: int

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """Where it begins, the pitch, its height and width."""
        return self.top * self.a.stride(0) + self.left * self.a.stride(1), self.a.stride(0), self.height, self.width

    def means(self, scratch: Scratch, step_y: int, step_x: int, more: int = 0, name: str = "means") -> torch.Tensor:
        """Memory for a value of each component for each step_y x step_x samples, float32 [components + more, rows, columns]."""
        return scratch(name, (self.components + more, -(-self.height // step_y), -(-self.width // step_x)), torch.float32)


def _parts(picture: Surface, region: Region) -> Iterator[_Part]:
    """Luma, then chroma."""
    x0, y0, x1, y1 = region
    u, v = picture.chroma
    luma = picture.luma
    for a, b, components, (sx, sy) in ((luma, luma, 1, (0, 0)), (u, v, 2, picture.shift)):
        left, top = x0 >> sx, y0 >> sy
        yield _Part(a, b, components, sx, sy, left, top, -(-x1 >> sx) - left, -(-y1 >> sy) - top)


@dataclass(frozen=True, slots=True)
class _Area:
    """The region to change, and the alpha over it."""

    region: Region
    matte: torch.Tensor
    invert: bool

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """Where the alpha begins, its pitch, height and width."""
        x0, y0, x1, y1 = self.region
        pitch = self.matte.stride(0)
        return y0 * pitch + x0, pitch, y1 - y0, x1 - x0

    def mix(self, part: _Part, means: torch.Tensor, step_y: int, step_x: int, lsb: int, smooth: bool) -> None:
        """Lay `means` over the part."""
        mix_kernel[_tiles(part.height, part.width)](
            part.a,
            part.b,
            self.matte,
            means,
            *part.crop,
            *self.crop,
            means.shape[1],
            means.shape[2],
            step_y,
            step_x,
            COMPONENTS=part.components,
            STEP=part.a.stride(1),
            LSB=lsb,
            SX=part.shift_x,
            SY=part.shift_y,
            INVERT=self.invert,
            SMOOTH=smooth,
            BY=_BLOCK[0],
            BX=_BLOCK[1],
            **EXACT,
        )


def _area(
    picture: Surface,
    shown: Instances,
    where: str,
    feather: float,
    region: Callable[[], Region],
    upload: Upload,
    scratch: Scratch,
) -> _Area | None:
    """What is to be changed; None: nothing. `region`: around the instances."""
    if not outside(where):
        around = region() if len(shown) else (0, 0, 0, 0)
        if around[2] <= around[0]:
            return None
    else:
        around = (0, 0, picture.width, picture.height)
    matte = scratch("matte", (picture.height, picture.width))
    matte_into(matte, shown, feather, upload, scratch)
    return _Area(around, matte, outside(where))


def draw_blur(
    effect: composite.Blur, picture: Surface, instances: Instances, _activity: Activity | None, upload: Upload, scratch: Scratch
) -> Surface:
    """What `composite.Blur` draws, drawn into the planes of `picture`."""
    shown = chosen(instances, effect.classes, effect.where)
    sigma, feather = max(1.0, 32 * effect.strength * picture.unit), effect.feather * picture.unit

    def region() -> Region:
        return bounds(shown, picture.width, picture.height, margin=effect.shape(picture.unit).reach, align=picture.align)

    area = _area(picture, shown, effect.where, feather, region, upload, scratch)
    if area is None:
        return picture
    for part in _parts(picture, area.region):
        sigma_x, sigma_y = sigma / (1 << part.shift_x), sigma / (1 << part.shift_y)
        step = reduction(min(sigma_x, sigma_y))
        means = _blurred(part, area, sigma_x / step, sigma_y / step, step, upload, scratch)
        area.mix(part, means, step, step, picture.layout.lsb, smooth=True)
    return picture


def _taps(sigma: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Those of cv2.GaussianBlur for float32 pictures."""
    size = round(sigma * 4 * 2 + 1) | 1
    return np.asarray(cv2.getGaussianKernel(size, sigma, cv2.CV_32F), np.float32).reshape(-1)


def _blurred(
    part: _Part, area: _Area, sigma_x: float, sigma_y: float, step: int, upload: Upload, scratch: Scratch
) -> torch.Tensor:
    """The part at 1 / step of its size, blurred by its weight: float32 [components, rows, columns]."""
    small = part.means(scratch, step, step, 1, "small")
    across, means = part.means(scratch, step, step, 1, "across"), part.means(scratch, step, step)
    channels, rows, columns = small.shape
    grid = _tiles(rows, columns)
    block = {"BY": _BLOCK[0], "BX": _BLOCK[1]}
    reduce_kernel[grid](
        part.a,
        part.b,
        area.matte,
        small,
        *part.crop,
        *area.crop,
        step,
        COMPONENTS=part.components,
        STEP=part.a.stride(1),
        SX=part.shift_x,
        SY=part.shift_y,
        INVERT=area.invert,
        **block,
        **EXACT,
    )
    taps_x, taps_y = upload([_taps(sigma_x), _taps(sigma_y)])
    gauss_rows_kernel[(*grid, channels)](small, taps_x, across, rows, columns, len(taps_x) // 2, **block, **EXACT)
    gauss_columns_kernel[(*grid, channels - 1)](
        across, taps_y, means, rows, columns, len(taps_y) // 2, channels, **block, **EXACT
    )
    return means


def draw_pixelate(
    effect: composite.Pixelate,
    picture: Surface,
    instances: Instances,
    _activity: Activity | None,
    upload: Upload,
    scratch: Scratch,
) -> Surface:
    """What `composite.Pixelate` draws, drawn into the planes of `picture`."""
    shown, align = chosen(instances, effect.classes, effect.where), max(2, picture.align)
    block = max(align, round(effect.block * picture.unit / align) * align)

    def region() -> Region:
        # From block to block, so that the blocks do not move with the instance. The matte is 0 in all that is more.
        near = bounds(shown, picture.width, picture.height, margin=effect.shape(picture.unit).reach, align=picture.align)
        return masks.region_of(near, picture.width, picture.height, block)

    area = _area(picture, shown, effect.where, effect.feather * picture.unit, region, upload, scratch)
    if area is None:
        return picture
    for part in _parts(picture, area.region):
        block_y, block_x = block >> part.shift_y, block >> part.shift_x
        means = part.means(scratch, block_y, block_x)
        means_kernel[tuple(means.shape[1:])](
            part.a,
            part.b,
            means,
            *part.crop,
            block_y,
            block_x,
            COMPONENTS=part.components,
            STEP=part.a.stride(1),
            BY=min(16, triton.next_power_of_2(block_y)),
            BX=min(32, triton.next_power_of_2(block_x)),
            **EXACT,
        )
        area.mix(part, means, block_y, block_x, picture.layout.lsb, smooth=False)
    return picture


def draw_matte(
    effect: composite.Matte,
    picture: Surface,
    instances: Instances,
    _activity: Activity | None,
    upload: Upload,
    scratch: Scratch,
) -> Surface:
    """The picture that `composite.Matte` puts in the place of `picture`: grey, full range, in memory of its own."""
    out = torch.empty((picture.height, picture.width), dtype=torch.uint8, device=picture.luma.device)
    matte_into(out, chosen(instances, effect.classes, effect.where), effect.feather, upload, scratch)
    if outside(effect.where):
        torch.bitwise_not(out, out=out)
    grey = layout("gray")
    assert grey is not None
    encoding = replace(picture.encoding, family="gray", depth=8, full_range=True)
    return Surface(grey, encoding, picture.width, picture.height, (out,))
