"""Pictures decoded by the GPU (NVDEC), or decoded by the CPU and uploaded to it.

NVDEC is reached through PyAV (FFmpeg's `cuda` hwaccel) in torch's own CUDA context. FFmpeg works in the default stream and hands
out frames from a pool; a frame's memory may be used again as soon as the frame is freed. So each frame is copied, in that same
stream, to memory of torch's (3 MB for 1080p: microseconds), and freed when that is done. What NVDEC cannot decode, FFmpeg decodes
on the CPU by itself; those pictures are uploaded.

Tracking, smoothing and refining need the picture in host memory. An uploaded picture is there anyway. The download of NVDEC's
begins at once (3 MB a frame of 1080p, a tenth of a millisecond on PCIe 4) and goes on while the network works.
"""

from __future__ import annotations

import ctypes
from collections import deque
from functools import lru_cache
from typing import Any, Literal

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from streamseg.device.device import Device, Tensor
from streamseg.device.picture import DevicePicture, Tags
from streamseg.device.upload import Uploader
from streamseg.errors import SourceError, Unreadable, scrub
from streamseg.pixels import sidedata
from streamseg.pixels.layouts import layout
from streamseg.pixels.orient import Orientation, turn
from streamseg.pixels.planes import supported

__all__ = ["DeviceDecoding", "Mode", "hardware", "why_not_nvdec"]

Mode = Literal["auto", "cpu", "nvdec", "host"]
"""As --decode has it: NVDEC where it can; the CPU; NVDEC or an error; `host`: frames never leave host memory."""

_SURFACES = ("nv12", "p010le", "p016le")
"""What PyAV hands over by DLPack: 4:2:0 of 8, 10 and 12 bits."""
_UNDER_WAY = 3
"""NVDEC's frames that may be kept while they are copied."""


def hardware() -> HWAccel:
    """PyAV's setting for NVDEC: frames stay on the GPU, in the primary context, which torch and TensorRT use too."""
    return HWAccel("cuda", allow_software_fallback=True, is_hw_owned=True, options={"primary_ctx": "1"})


@lru_cache(maxsize=1)
def why_not_nvdec() -> str | None:
    """Why FFmpeg cannot reach the GPU's decoder; None if it can. What it can decode shows only with the first picture."""
    if "cuda" not in hwdevices_available():
        return "this FFmpeg was built without CUDA"
    try:
        ctypes.CDLL("libnvcuvid.so.1")  # FFmpeg looks for it with the first picture only
    except OSError:
        return "this FFmpeg finds no libnvcuvid, the driver's video part (containers: NVIDIA_DRIVER_CAPABILITIES=compute,video)"
    try:
        av.CodecContext.create("h264", "r", hwaccel=hardware())
    except (av.FFmpegError, OSError, NotImplementedError) as error:
        return f"FFmpeg cannot open the GPU: {getattr(error, 'strerror', None) or error}"
    return None


class DeviceDecoding:
    """Decodes one source on a device where that can, and puts all of its pictures there. Used by the decode stage's thread."""

    def __init__(self, device: Device, mode: Mode = "auto") -> None:
        """Raises SourceError if `nvdec` is asked for and FFmpeg cannot reach it."""
        from streamseg.gpu.kernels import supported as readable

        self._device, self._mode = device, mode
        self._upload = Uploader(device)
        self._stream = device.stream()
        self._copying: deque[tuple[Any, Any]] = deque()
        self._why_not = "asked for" if mode == "cpu" else why_not_nvdec()
        if mode == "nvdec" and self._why_not is not None:
            raise SourceError(f"NVDEC is asked for, but {self._why_not}; use --decode auto")
        self.how = ""
        """How the last picture came: for people."""
        self.uploads = True
        """False: nothing needs what the CPU decodes on the device after all."""
        self._readable = readable

    @property
    def accel(self) -> HWAccel | None:
        """What to open the source with."""
        return hardware() if self._why_not is None else None

    def give_up(self, reason: str) -> bool:
        """Decode this source on the CPU after all, if that is allowed; False: NVDEC was asked for, or is not used anyway."""
        if self.accel is None or self._mode == "nvdec":
            return False
        self._why_not = reason
        return True

    def __call__(self, picture: av.VideoFrame, orientation: Orientation, *, fresh: bool) -> DevicePicture | av.VideoFrame:
        """`picture` as it was decoded, tags complete, made upright and put on the device.

        One whose format the kernels do not read stays in host memory. fresh: continuity was lost before it, so that side data
        are looked at. Raises SourceError where NVDEC alone was asked for and did not decode it.
        """
        if picture.format.name == "cuda":
            surface = picture.sw_format.name if picture.sw_format else "unknown"
            if surface in _SURFACES and picture.width % 2 == 0 and picture.height % 2 == 0:
                self.how = f"NVDEC ({surface})"
                taken = self._take(picture, surface, fresh).turned(orientation, self._stream)
                taken.prefetch(self._stream)
                return taken
            picture = _fetched(picture, surface)
            self.how = f"NVDEC, by way of the CPU ({picture.width}x{picture.height} {surface})"
        elif self._mode == "nvdec":
            raise SourceError(f"NVDEC is asked for, but it does not decode {picture.format.name}; use --decode auto")
        else:
            reason = self._why_not or f"NVDEC does not decode it ({picture.format.name})"
            self.how = f"CPU, uploaded ({scrub(reason)})"
        upright = turn(supported(picture), orientation)
        known = layout(upright.format.name)
        if not self.uploads or known is None or not self._readable(known):
            self.how = "CPU" if not self.uploads else f"CPU ({upright.format.name} stays in host memory)"
            return upright
        return self._upload(upright)

    def _take(self, picture: av.VideoFrame, surface: str, fresh: bool) -> DevicePicture:
        device, torch, default = self._device, self._device.torch, self._device.default_stream()
        made: list[Tensor] = []
        with device.running(default):
            for plane in picture.planes:
                source = torch.from_dlpack(plane.__dlpack__())  # a capsule: PyAV refuses the stream that torch would pass
                made.append(
                    torch.empty(source.shape, dtype=source.dtype, device=source.device).copy_(source, non_blocking=True)
                )
        ready = device.mark(default)
        if ready is not None:
            self._copying.append((picture, ready))
        while len(self._copying) > _UNDER_WAY:
            self._let_go()
        side = sidedata.copies(picture) if fresh else ()
        form = av.VideoFormat(surface, picture.width, picture.height)
        return DevicePicture(device, made, form, Tags.of(picture), ready=ready, side_data=side)

    def close(self) -> None:
        """Let go of NVDEC's frames, which hold its decoder. Twice is harmless."""
        while self._copying:
            self._let_go()

    def _let_go(self) -> None:
        picture, ready = self._copying.popleft()
        ready.synchronize()
        del picture  # not before


def _fetched(picture: av.VideoFrame, surface: str) -> av.VideoFrame:
    """A hardware frame in host memory: PyAV's DLPack leaves out the last chroma sample of odd sizes, and knows few formats."""
    try:
        return picture.reformat(format=surface, threads=1)
    except (av.FFmpegError, ValueError) as error:
        raise Unreadable(f"NVDEC's {surface} cannot be brought to host memory ({error}); use --decode cpu") from error
