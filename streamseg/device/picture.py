"""A decoded picture whose planes lie on the GPU. Each frame knows where its own picture lies.

`DevicePicture` has the same attributes as `av.VideoFrame` (size, format, time, colour tags), so stages can take either. Code that
needs the samples on the GPU calls `use`. Code that needs them in host memory calls `planes.on_host` (or `planes.supported`, as all
code for the host does anyway); the picture is then downloaded once, for whoever asks first.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from streamseg.device.device import Device, Tensor
from streamseg.pixels import planes, sidedata
from streamseg.pixels.orient import UPRIGHT, Orientation
from streamseg.pixels.sidedata import Kept

__all__ = ["DevicePicture", "Tags", "to_host"]


class Tags(NamedTuple):
    """What a picture says of its time and colours, as `av.VideoFrame` does."""

    pts: int | None
    time_base: Fraction | None
    colorspace: int
    color_range: int
    color_primaries: int
    color_trc: int
    is_corrupt: bool = False

    @classmethod
    def of(cls, picture: av.VideoFrame) -> Tags:
        """Those of a picture in host memory, or of a hardware frame."""
        return cls(
            picture.pts,
            picture.time_base,
            int(picture.colorspace),
            int(picture.color_range),
            int(picture.color_primaries),
            int(picture.color_trc),
            bool(picture.is_corrupt),
        )


class DevicePicture:
    """Planes on a device, never written to once they are made."""

    def __init__(
        self,
        device: Device,
        planes_: Sequence[Tensor],
        format_: av.VideoFormat,
        tags: Tags,
        *,
        ready: Any = None,
        host: av.VideoFrame | None = None,
        side_data: Sequence[Kept] = (),
    ) -> None:
        """`planes_`: [h, w], or [h, w, n] where samples are interleaved; uint8 up to 8 bits, uint16 above, as in `planes.views`.

        ready: event after which they hold the picture. host: the same picture in host memory, if it is there.
        """
        self.device = device
        self.format = format_
        self.width, self.height = int(format_.width), int(format_.height)
        self.pts, self.time_base = tags.pts, tags.time_base
        self.dts: int | None = None
        self.colorspace, self.color_range = tags.colorspace, tags.color_range
        self.color_primaries, self.color_trc = tags.color_primaries, tags.color_trc
        self.is_corrupt = tags.is_corrupt
        self._side_data = tuple(side_data)
        self._origin = host
        self._planes = tuple(planes_)
        self._ready = ready
        self._host = host
        self._download: tuple[list[Tensor], Any] | None = None
        self._lock = threading.Lock()

    @property
    def side_data(self) -> Sequence[Any]:
        """Objects with a `type` that `bytes` reads, as PyAV has them; of NVDEC's pictures those that begin an epoch have them."""
        # Looked up only now: PyAV's access keeps the picture in memory until the next garbage collection.
        return self._side_data if self._origin is None else sidedata.listed(self._origin) or ()

    @property
    def tags(self) -> Tags:
        """Time and colours."""
        return Tags(
            self.pts,
            self.time_base,
            self.colorspace,
            self.color_range,
            self.color_primaries,
            self.color_trc,
            self.is_corrupt,
        )

    def use(self, stream: Any) -> tuple[Tensor, ...]:
        """The planes, for work that the caller puts into `stream` from now on."""
        if self.device.on_gpu:
            if self._ready is not None:
                stream.wait_event(self._ready)
            for plane in self._planes:
                plane.record_stream(stream)
        return self._planes

    def turned(self, orientation: Orientation, stream: Any) -> DevicePicture:
        """The picture turned, sample by sample; itself if it is upright. Chroma must be as fine across as down (4:2:0, 4:4:4)."""
        if orientation == UPRIGHT:
            return self
        axes = [axis for axis, flip in ((0, orientation.flip_y), (1, orientation.flip_x)) if flip]
        made = []
        with self.device.running(stream):
            for plane in self.use(stream):
                # Signed: torch moves uint16, but does not flip it.
                whole = plane if plane.element_size() == 1 else plane.view(self.device.torch.int16)
                upright = whole.transpose(0, 1) if orientation.transpose else whole
                made.append((upright.flip(axes) if axes else upright).contiguous().view(plane.dtype))
        size = (self.height, self.width) if orientation.transpose else (self.width, self.height)
        return DevicePicture(
            self.device,
            made,
            av.VideoFormat(self.format.name, *size),
            self.tags,
            ready=self.device.mark(stream),
            side_data=self._side_data,
        )

    def prefetch(self, stream: Any) -> None:
        """Begin to download in `stream`, unless that has begun or the picture is in host memory anyway; does not wait."""
        with self._lock:
            if self._host is None and self._download is None:
                self._download = self._begin(stream)

    def _begin(self, stream: Any) -> tuple[list[Tensor], Any]:
        copies = []
        with self.device.running(stream):
            for plane in self.use(stream):
                copy = self.device.staging(plane.shape, plane.dtype)
                copies.append(copy.copy_(plane, non_blocking=True))
        return copies, self.device.mark(stream)

    def host(self) -> av.VideoFrame:
        """The picture in host memory, downloaded the first time; waits without the GIL. Never to be written into."""
        with self._lock:
            if self._host is None:
                copies, done = self._download or self._begin(self.device.stream())
                if done is not None:
                    done.synchronize()
                self._host = to_host(copies, self.format, self.tags)
                self._download = None
            return self._host

    def to_ndarray(self, **options: Any) -> Any:
        """As `av.VideoFrame.to_ndarray`, of the picture in host memory."""
        return self.host().to_ndarray(**{"threads": 1, **options})

    def __repr__(self) -> str:
        return f"DevicePicture({self.width}x{self.height} {self.format.name} on {self.device.where})"


def to_host(tensors: Sequence[Tensor], form: av.VideoFormat, tags: Tags) -> av.VideoFrame:
    """A picture in host memory of planes in host memory.

    A copy (a fraction of a millisecond for 1080p, without the GIL): PyAV could take the planes as they are, but then an encoder's
    thread that lets go of the picture would have to wait for the GIL, which may be held by who waits for that thread.
    """
    picture = planes.new_frame(form.width, form.height, form.name)
    for plane, tensor in zip(planes.views(picture).planes, tensors, strict=True):
        np.copyto(plane.array, tensor.numpy())
    picture.pts = tags.pts
    if tags.time_base is not None:
        picture.time_base = tags.time_base
    picture.colorspace, picture.color_range = tags.colorspace, tags.color_range
    picture.color_primaries, picture.color_trc = tags.color_primaries, tags.color_trc
    return picture
