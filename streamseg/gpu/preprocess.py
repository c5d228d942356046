"""The preprocess stage for frames that live on the GPU: their planes become the network's picture without leaving it."""

from __future__ import annotations

from streamseg.core.types import Frame
from streamseg.detect.preprocess import Prepared, Preprocess
from streamseg.device.device import Device
from streamseg.device.picture import DevicePicture
from streamseg.engine.images import DeviceImage
from streamseg.pixels.letterbox import PADDING, FitMode

__all__ = ["DevicePreprocess"]


class DevicePreprocess:
    """As `streamseg.detect.preprocess.Preprocess`, for frames of either kind: those in host memory are prepared there."""

    def __init__(self, height: int, width: int, device: Device, mode: FitMode = "letterbox", padding: int = PADDING) -> None:
        from streamseg.gpu import kernels

        self._device, self._size = device, (height, width)
        self._kernel = kernels.PreprocessKernel(height, width, device.where, mode, padding)
        self._surface_of = kernels.Surface.of
        self._host = Preprocess(height, width, mode, padding)
        self._stream = device.stream()

    def __call__(self, frame: Frame) -> Prepared:
        """The picture for one frame, made while the caller goes on. Raises Unreadable as `Preprocess` does."""
        picture = frame.picture
        if not isinstance(picture, DevicePicture):
            return self._host(frame)
        device = self._device
        with device.launching(self._stream):
            image = device.empty((*self._size, 3), device.torch.uint8)
            surface = self._surface_of(picture, self._stream)
            letterbox = self._kernel(surface, image, frame.field_order)
        return Prepared(frame, DeviceImage(image, device.mark(self._stream)), letterbox)
