"""The composite stage for frames that live on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import av

from streamseg.composite import Compositor, Effect, Rendered
from streamseg.core.result import Result
from streamseg.device.device import Device
from streamseg.device.picture import DevicePicture

if TYPE_CHECKING:
    from streamseg.gpu.kernels import Surface

__all__ = ["DeviceCompositor"]

_FULL_RANGE = 2


class DeviceCompositor(Compositor):
    """As `streamseg.composite.Compositor`, for frames of either kind.

    Frames in host memory are drawn on the CPU, and so are frames on the GPU if an effect has no kernel. The download of a picture
    that was drawn on the GPU begins at once, since encoders take it from host memory.
    """

    def __init__(self, effects: Sequence[Effect], device: Device, *, keep_grey: bool = False) -> None:
        from streamseg.gpu import kernels

        super().__init__(effects, keep_grey=keep_grey)
        self._device, self._stream, self._surface_of = device, device.stream(), kernels.Surface.of
        drawable = bool(effects) and kernels.CompositeKernels.can_draw(effects)
        self._kernels = kernels.CompositeKernels(effects, device.where) if drawable else None

    def __call__(self, result: Result) -> Rendered:
        """The picture for one result. Raises ConfigError when an effect names a class that the model does not know."""
        picture = result.frame.picture
        # The kernels do not know fields: interlaced pictures are drawn on in host memory.
        if self._kernels is None or not isinstance(picture, DevicePicture) or result.frame.field_order is not None:
            return super().__call__(result)
        if not self._kernels.changes(result.instances, result.activity):
            return Rendered(result, picture)
        with self._device.launching(self._stream):
            surface = self._surface_of(picture, self._stream)
            own = replace(surface, planes=tuple(plane.clone() for plane in surface.planes))
            drawn = self._kernels(own, result.instances, result.activity)
        made = self._picture(picture, drawn)
        made.prefetch(self._stream)
        return Rendered(result, made)

    def _picture(self, picture: DevicePicture, drawn: Surface) -> DevicePicture:
        """What was drawn, with the time and colour tags of the frame's picture; but a matte is full-range grey."""
        tags = picture.tags
        if drawn.layout.name != picture.format.name:
            tags = tags._replace(color_range=_FULL_RANGE if drawn.encoding.full_range else tags.color_range)
        form = av.VideoFormat(drawn.layout.name, drawn.width, drawn.height)
        return DevicePicture(self._device, drawn.planes, form, tags, ready=self._device.mark(self._stream))
