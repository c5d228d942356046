"""A part of a film: exact to the frame, with its sound, from zero."""

from fractions import Fraction as F

from tests.conformance.clip import NTSC_30, Clip
from tests.conformance.row import Row

_FILMS = {
    "mp4": Clip("mp4", "h264", frames=50, gop=10), "mp4-bf3": Clip("mp4", "h264", frames=50, gop=10, b=3), "mkv": Clip("mkv", "h264", frames=50),
    "ts": Clip("ts", "h264", frames=50, gop=10, b=2), "avi": Clip("avi", "mpeg4", frames=50, gop=10), "webm": Clip("webm", "vp9", frames=50, gop=10),
    "ntsc": Clip("mp4", "h264", frames=60, gop=12, rate=NTSC_30), "vfr": Clip("mp4", "h264", frames=30, timing="uneven"),
    "late": Clip("mp4", "h264", frames=50, begin=F(1)), "stills": Clip("png/", "png", "rgb24", frames=30), "nut": Clip("nut", "ffv1", frames=50),
    "flv": Clip("flv", "h264", frames=50, gop=10),
}  # fmt: skip
_PARTS = {"start": {"start": 0.72}, "end": {"duration": 0.5}, "part": {"start": 0.4, "duration": 0.6}}

ROWS = [
    *(Row(f"{part}-{name}-to-mkv", clip, "mkv", "none", "auto", decode=decode) for name, clip in _FILMS.items() for part, decode in _PARTS.items()),
    *(Row(f"part-{name}-to-mp4", _FILMS[name], "mp4", "none", "auto", decode=_PARTS["part"]) for name in ("mp4", "mp4-bf3", "mkv", "ts", "vfr")),
    *(Row(f"{part}-sound-{s}-to-mp4", Clip(s, "h264", frames=50, gop=10, audio=("aac",)), "mp4", "none", "auto", decode=decode)
      for s in ("mp4", "ts") for part, decode in _PARTS.items()),
    Row("last-mp4-to-mkv", Clip("mp4", "h264", frames=50), "mkv", "none", "auto", decode={"start": 1.96}),
    Row("frame-by-frame-mp4-to-png", Clip("mp4", "h264", frames=50, gop=10), "%04d.png", "none", "auto", decode={"start": 1.0, "duration": 0.04}),
]  # fmt: skip
