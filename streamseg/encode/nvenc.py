"""NVENC, the video encoder of NVIDIA's GPUs, through FFmpeg. Data-centre GPUs (A100, H100, H200, B200) have none.

Pictures go to it from host memory: what the pipeline downloads for any encoder, it uploads again. It saves the cores that x264
takes, not the way there and back.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import cast

import av

__all__ = ["options", "why_not_nvenc"]


@lru_cache(maxsize=4)
def why_not_nvenc(encoder: str = "h264_nvenc") -> str | None:
    """Why this encoder cannot be used here; None if it can: it is opened to find out, which takes a moment where there is a GPU."""
    try:
        context = cast("av.VideoCodecContext", av.VideoCodecContext.create(encoder, "w"))
        context.width, context.height, context.pix_fmt, context.time_base = 256, 256, "nv12", Fraction(1, 25)
        context.open()
    except ValueError:
        return "this FFmpeg was built without it"
    except (av.FFmpegError, OSError) as error:
        return f"it does not open: {getattr(error, 'strerror', None) or error}"
    return None


def options(quality: str, *, live: bool) -> dict[str, str]:
    """Constant quality, no B-frames and no lookahead: what is inside the encoder is lost by kill -9 and late for a viewer."""
    base = {"preset": "p4", "rc": "vbr", "cq": quality, "b": "0", "bf": "0", "rc-lookahead": "0", "spatial-aq": "1"}
    return base | ({"tune": "ll", "delay": "0", "zerolatency": "1"} if live else {"tune": "hq", "delay": "4"})
