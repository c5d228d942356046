"""Collects all that a frame's kernels need from the host, and copies it to the device in one asynchronous copy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from streamseg.core import masks
from streamseg.core.masks import Region
from streamseg.core.types import Instances
from streamseg.gpu.kernels import columns

__all__ = ["Scratch", "Upload", "instance_table", "set_codes", "set_region"]

Array = npt.NDArray[Any]

_ALIGN = 16
_SLOTS = 16  # four frames of an overlay and a blur
_CONSTANTS = 64


class Upload:
    """Copies small arrays of the host to the device, several in one go, on the current stream.

    The page-locked memory of a copy is used again a few copies later; only if the device is so far behind does the host wait.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._next = 0
        self._staging: list[torch.Tensor] = [torch.empty(0, dtype=torch.uint8)] * _SLOTS
        self._copied: list[Any] = [None] * _SLOTS

    def __call__(self, arrays: Sequence[Array]) -> list[torch.Tensor]:
        """Tensors on the device with the bytes, shapes and types of `arrays`, each beginning at a multiple of 16 bytes."""
        begins, size = [], 0
        for array in arrays:
            begins.append(size)
            size += -(-max(1, array.nbytes) // _ALIGN) * _ALIGN
        whole = self._staged(begins, size, arrays)
        parts = []
        for begin, array in zip(begins, arrays, strict=True):
            kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
            parts.append(whole[begin : begin + array.nbytes].view(kind).view(array.shape))
        return parts

    def _staged(self, begins: list[int], size: int, arrays: Sequence[Array]) -> torch.Tensor:
        on_gpu = self._device.type == "cuda"
        slot = self._next
        self._next = (slot + 1) % _SLOTS
        if self._copied[slot] is not None:
            self._copied[slot].synchronize()
        staging = self._staging[slot]
        if not on_gpu or staging.numel() < size:
            room = size if not on_gpu else 1 << (size - 1).bit_length()
            staging = self._staging[slot] = torch.empty(room, dtype=torch.uint8, pin_memory=on_gpu)
        view = staging.numpy()
        for begin, array in zip(begins, arrays, strict=True):
            view[begin : begin + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if not on_gpu:
            return staging
        # From torch's cache: memory that kernels of an earlier frame on this stream may still read is not given out to another.
        whole = staging[:size].to(self._device, non_blocking=True)
        if self._copied[slot] is None:
            self._copied[slot] = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._copied[slot].record()
        return whole


class Scratch:
    """Device memory kept from frame to frame under a name, enlarged when a frame needs more."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kept: dict[str, torch.Tensor] = {}
        self._constants: dict[int, tuple[Array, torch.Tensor]] = {}

    def __call__(self, name: str, shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> torch.Tensor:
        """Memory of any content; what had the name before is gone."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.dtype != dtype or kept.numel() < size:
            kept = self._kept[name] = torch.empty(1 << max(0, size - 1).bit_length(), dtype=dtype, device=self._device)
        return kept[:size].view(*shape)

    def constant(self, array: Array) -> torch.Tensor:
        """`array`, which must never change, on the device: copied there the first time that this very array is given."""
        kept = self._constants.get(id(array))
        if kept is None:
            if len(self._constants) >= _CONSTANTS:
                self._constants.clear()
            # With the array itself, so that no other one gets its id.
            kept = self._constants[id(array)] = (array, torch.from_numpy(array.copy()).to(self._device))
        return kept[1]


def instance_table(
    shown: Instances, regions: Sequence[Region], width: int, height: int, scale: int, *, mattes: bool = False
) -> tuple[Array, Array, int]:
    """What the kernels need to know of each instance, its grid, and how many samples all regions have.

    Args:
        shown: the instances.
        regions: of each, luma pixels; empty: the instance is left out of everything.
        width: the frame's, pixels.
        height: the frame's, pixels.
        scale: luma pixels along x and y to one sample of the masks.
        mattes: those that have a matte are sampled as soft as it is (`Instances.is_matte`).

    Returns: float64 [N, FIELDS], whose columns are said in `columns`; its colour, its box and how an overlay draws it are left 0.
        The grids, uint8, one after the other. Samples.
    """
    table = np.zeros((len(shown), columns.FIELDS.value), np.float64)
    grids, begin, samples = [], 0, 0
    for i, (row, grid, box, region) in enumerate(zip(table, shown.grids, shown.boxes.tolist(), regions, strict=True)):
        x0, y0, x1, y1 = box
        row[columns.GRID], row[columns.CELLS], row[columns.CUT] = begin, len(grid), _cut_off(box, width, height)
        if region[2] <= region[0] or x1 <= x0 or y1 <= y0:
            continue
        set_region(row, region)
        cells = masks.cells_of(grid, box)
        row[columns.GAIN] = np.float32(1.0 if mattes and shown.is_matte(i) else masks.gain(box, cells, scale))
        rate_x, rate_y = cells / (x1 - x0), cells / (y1 - y0)
        row[columns.RATE_X], row[columns.SHIFT_X] = rate_x * scale, 0.5 - x0 * rate_x
        row[columns.RATE_Y], row[columns.SHIFT_Y] = rate_y * scale, 0.5 - y0 * rate_y
        row[columns.LAST] = np.nextafter(cells + 1.0, 0.0)
        row[columns.SAMPLES] = samples
        grids.append(np.ascontiguousarray(grid).reshape(-1))
        begin += grid.size
        left, top, right, bottom = region
        samples += (-(-right // scale) - left // scale) * (-(-bottom // scale) - top // scale)
    return table, np.concatenate(grids) if grids else np.zeros(1, np.uint8), samples


def set_region(row: Array, region: Region) -> None:
    """Write where an instance, a shape or a label is into its row."""
    row[columns.X0], row[columns.Y0], row[columns.X1], row[columns.Y1] = region


def set_codes(row: Array, codes: Sequence[float]) -> None:
    """Write the codes (luma, U, V) of an instance's or a shape's colour into its row, rounded."""
    row[columns.CODE0], row[columns.CODE1], row[columns.CODE2] = map(round, codes)


def _cut_off(box: list[float], width: int, height: int) -> int:
    """Sides on which the frame's border cuts off what is in the box, as a sum."""
    sides = zip(masks.cut_sides(box, width, height), (columns.LEFT, columns.RIGHT, columns.TOP, columns.BOTTOM), strict=True)
    return sum(side.value for cut, side in sides if cut)
