"""Bare streams, which have no times, and pipes, which cannot be read twice."""

from fractions import Fraction as F

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_BARE = {
    "h264": Clip("h264", "h264"), "h264-bf2": Clip("h264", "h264", b=2, frames=30), "hevc": Clip("hevc", "hevc"), "hevc-bf3": Clip("hevc", "hevc", b=3, frames=30),
    "mjpeg": Clip("mjpeg", "mjpeg", "yuvj420p"), "m4v": Clip("m4v", "mpeg4"), "m2v": Clip("m2v", "mpeg2"), "obu": Clip("obu", "av1"),
    "y4m": Clip("y4m", "y4m"), "y4m-422": Clip("y4m", "y4m", "yuv422p"), "y4m-10bit": Clip("y4m", "y4m", "yuv420p10le", muxer=(("strict", "-1"),)),
    "y4m-gray": Clip("y4m", "y4m", "gray"), "y4m-ntsc": Clip("y4m", "y4m", rate=F(30000, 1001)),
}  # fmt: skip
_PIPED = {
    "mkv": Clip("mkv", "h264"), "ts": Clip("ts", "h264", b=2), "avi": Clip("avi", "mpeg4"), "flv": Clip("flv", "h264"), "nut": Clip("nut", "ffv1"),
    "webm": Clip("webm", "vp9"), "y4m": Clip("y4m", "y4m"), "mpg": Clip("mpg", "mpeg2"), "h264": Clip("h264", "h264"),
    "mjpeg": Clip("mjpeg", "mjpeg", "yuvj420p"), "mp4-fragmented": Clip("mp4", "h264", muxer=(("movflags", "+frag_keyframe+empty_moov"),)),
    "mkv-bf8-15fps": Clip("mkv", "h264", b=8, rate=F(15), frames=30), "vfr-mkv": Clip("mkv", "h264", timing="uneven"),
}  # fmt: skip

ROWS = [
    *(Row(f"{name}-to-{out}", clip, out, "overlay", "auto") for name, clip in _BARE.items() for out in ("mkv", "mp4")),
    *(
        Row(f"{name}-rate{rate}-to-mp4", _BARE[name], "mp4", "none", "auto", decode={"rate": rate})
        for name in ("h264", "hevc", "mjpeg", "m4v")
        for rate in (10, 50)
    ),
    *(Row(f"pipe-{name}-to-mkv", clip, "mkv", "none", "auto", pipe=True) for name, clip in _PIPED.items()),
    *(
        Row(f"pipe-{name}-rate10-to-mp4", _PIPED[name], "mp4", "none", "auto", pipe=True, decode={"rate": 10})
        for name in ("h264", "mjpeg")
    ),
    Row("pipe-sound-mkv-to-mp4", Clip("mkv", "h264", audio=("aac",)), "mp4", "none", "auto", pipe=True),
]
