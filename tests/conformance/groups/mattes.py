"""Sources that editors bring, each as a matte of 16 bits, as images, and as an alpha master."""

from fractions import Fraction as F

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_SOURCES = {
    "hdr": Clip("mp4", "hevc", "yuv420p10le", (96, 64), colour=(9, 1, 9, 16)), "vfr": Clip("mp4", "h264", timing="uneven", b=2),
    "phone": Clip("mp4", "h264", size=(96, 64), turn=90), "fields": Clip("ts", "mpeg2", size=(64, 64), field="tff", b=2),
    "anamorphic": Clip("mp4", "h264", size=(96, 64), sar=F(64, 45)), "odd": Clip("mkv", "ffv1", size=(65, 49)),
    "422": Clip("mkv", "ffv1", "yuv422p10le"), "444": Clip("mkv", "ffv1", "yuv444p"),
}  # fmt: skip

ROWS = [
    *(
        Row(f"{name}-to-mkv", clip, "mkv", "matte-deep", loses=("sar",) if clip.sar else (), pix_fmt="gray16le")
        for name, clip in _SOURCES.items()
    ),
    *(Row(f"{name}-to-png", _SOURCES[name], "%04d.png", "matte-deep", "auto") for name in ("phone", "odd")),
    *(Row(f"{name}-alpha-to-mov", clip, "mov", "alpha", "auto", pix_fmt="yuva444p12le") for name, clip in _SOURCES.items()),
]
