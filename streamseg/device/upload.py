"""Uploads pictures from host memory to the GPU, through page-locked memory: one asynchronous copy each, on a stream of its own."""

from __future__ import annotations

import math
from typing import Any

import av
import numpy as np

from streamseg.device.device import Device, Tensor
from streamseg.device.picture import DevicePicture, Tags
from streamseg.pixels import planes

__all__ = ["Uploader"]

_ALIGN = 256
"""Bytes; where each plane begins, so that rows of common widths are read in whole cache lines."""


class Uploader:
    """Copies pictures to a device; used by one thread."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._stream = device.stream()

    def __call__(self, picture: av.VideoFrame) -> DevicePicture:
        """`picture`, whose format `planes.views` must know, on the device; it keeps the one in host memory too.

        Returns as soon as the samples are in page-locked memory; the copy to the device goes on meanwhile.
        """
        device, torch = self._device, self._device.torch
        source = planes.views(picture)
        begins, end = [], 0
        for array, _ in source.planes:
            begins.append(end)
            end += -(-array.nbytes // _ALIGN) * _ALIGN
        staging = device.staging((end,), torch.uint8)
        room = staging.numpy()
        for begin, (array, _) in zip(begins, source.planes, strict=True):
            np.copyto(room[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape), array)
        with device.running(self._stream):
            # Without a GPU the staging memory is the device's.
            whole = device.empty((end,), torch.uint8).copy_(staging, non_blocking=True)
        ready = device.mark(self._stream)
        kind = device.sample_type(source.layout.depth)
        made = [_part(whole, begin, array.shape, kind) for begin, (array, _) in zip(begins, source.planes, strict=True)]
        return DevicePicture(device, made, picture.format, Tags.of(picture), ready=ready, host=picture)


def _part(whole: Tensor, begin: int, shape: tuple[int, ...], kind: Any) -> Tensor:
    """The plane of that shape and type that begins at byte `begin`."""
    size = math.prod(shape) * kind.itemsize
    return whole[begin : begin + size].view(kind).view(shape)
