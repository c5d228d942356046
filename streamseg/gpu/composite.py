"""The composite stage for frames that live on the GPU."""

from __future__ import annotations

from collections.abc import Sequence

from streamseg.composite import Compositor, Effect, Rendered
from streamseg.gpu.device import Device
from streamseg.result import Result

__all__ = ["DeviceCompositor"]


class DeviceCompositor(Compositor):
    """As `streamseg.composite.Compositor`, for frames of either kind: those in host memory are drawn on there."""

    def __init__(self, effects: Sequence[Effect], device: Device) -> None:
        super().__init__(effects)
        self._device = device

    def __call__(self, result: Result) -> Rendered:
        """The picture for one result. Raises ConfigError when an effect names a class that the model does not know."""
        return super().__call__(result)
