"""NVENC, the video encoder of NVIDIA's GPUs, through FFmpeg. Data-centre GPUs (A100, H100, H200, B200) have none.

Pictures go to it from host memory: what the pipeline downloads for any encoder, it uploads again. It saves the cores that x264
takes, not the way there and back.
"""

from __future__ import annotations

import ctypes
import sys
from fractions import Fraction
from functools import lru_cache
from typing import cast

import av

__all__ = ["options", "why_not_nvenc"]

_LIBRARIES = (
    ("libcuda.so.1", "it needs an NVIDIA GPU, and this machine has no NVIDIA driver (libcuda.so.1)"),
    (
        "libnvidia-encode.so.1",
        "the driver's video part is missing (libnvidia-encode.so.1; containers: NVIDIA_DRIVER_CAPABILITIES=compute,video)",
    ),
)


@lru_cache(maxsize=16)
def why_not_nvenc(encoder: str = "h264_nvenc", size: tuple[int, int] = (256, 256)) -> str | None:
    """Why this encoder cannot be used here for pictures of `size` (width, height); None if it can.

    It is opened to find out, which takes a moment where there is a GPU: chips differ in the sizes that they take (H.264 from about
    160x64 to 4096x4096), and many have a number of films that they encode at once.
    """
    try:
        context = cast("av.VideoCodecContext", av.VideoCodecContext.create(encoder, "w"))
        context.width, context.height = (edge + edge % 2 for edge in size)
        context.pix_fmt, context.time_base = "nv12", Fraction(1, 25)
        context.open()
    except (av.FFmpegError, OSError) as error:  # first: some of FFmpeg's errors are ValueErrors, too
        return _why_closed(size, getattr(error, "strerror", None) or str(error))
    except ValueError:
        return "this FFmpeg was built without it"
    return None


def _why_closed(size: tuple[int, int], said: str) -> str:
    """The cause that FFmpeg knows, but tells as "Operation not permitted": a library of NVIDIA's driver that is not there."""
    for library, cause in _LIBRARIES if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(library)
        except OSError:
            return cause
    return f"the GPU's encoder does not open for pictures of {size[0]}x{size[1]}: {said} (data-centre GPUs have none)"


def options(quality: str, *, live: bool) -> dict[str, str]:
    """Constant quality, no B-frames and no lookahead: what is inside the encoder is lost by kill -9 and late for a viewer."""
    base = {"preset": "p4", "rc": "vbr", "cq": quality, "b": "0", "bf": "0", "rc-lookahead": "0", "spatial-aq": "1"}
    return base | ({"tune": "ll", "delay": "0", "zerolatency": "1"} if live else {"tune": "hq", "delay": "4"})
