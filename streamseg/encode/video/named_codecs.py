"""Why a codec that a user named cannot be used: encoders that FFmpeg has under that name, or would have in another build."""

from __future__ import annotations

from collections.abc import Sequence

import av

__all__ = ["unknown_codec"]

_HARDWARE = {
    "nvenc": "NVIDIA's",
    "cuvid": "NVIDIA's",
    "vaapi": "VA-API's (Intel and AMD on Linux)",
    "qsv": "Intel's (Quick Sync)",
    "amf": "AMD's",
    "videotoolbox": "Apple's",
    "mediacodec": "Android's",
    "mf": "Windows's (Media Foundation)",
    "d3d12va": "Windows's",
    "v4l2m2m": "Linux's (V4L2)",
    "omx": "OpenMAX's",
    "vulkan": "Vulkan's",
    "rkmpp": "Rockchip's",
}
"""By how the names of FFmpeg's hardware encoders end: whose they are."""


def unknown_codec(name: str, containers: Sequence[str]) -> str:
    """What to add to the refusal of a codec: empty, or `: ` and a reason. `containers`: suffixes of files that can hold it."""
    if containers:
        return f": {' '.join(containers)} can hold it"
    built = name in av.codec.codecs_available
    maker = _HARDWARE.get(name.rpartition("_")[2])
    if maker is not None and "_" in name:
        there = "this FFmpeg has it" if built else "this FFmpeg was built without it"
        return f": it is {maker} hardware encoder, and streamseg supports only NVIDIA's ({there})"
    if built:
        return ": FFmpeg knows it, but streamseg has no settings for it"
    return ": FFmpeg knows no such encoder"
