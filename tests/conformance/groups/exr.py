"""EXR with its masks, of every kind of source: colour as light, times, shape of pixels, timecode, Cryptomatte."""

from fractions import Fraction as F

from tests.conformance.clip import NTSC_24, NTSC_30, Clip
from tests.conformance.row import Row

_CLIPS = {
    "pq-10": Clip("mkv", "ffv1", "yuv420p10le", colour=(9, 1, 9, 16)),
    "hlg-422-10": Clip("mkv", "ffv1", "yuv422p10le", colour=(9, 1, 9, 18)),
    "hdr10": Clip("mp4", "hevc", "yuv420p10le", side="hdr10", colour=(9, 1, 9, 16)),
    "709-8": Clip("mkv", "ffv1", "yuv420p", colour=(1, 1, 1, 1)),
    "601-full": Clip("mkv", "ffv1", "yuv420p", colour=(6, 2, 6, 6)),
    "p3": Clip("mkv", "ffv1", "yuv444p10le", colour=(1, 1, 12, 13)),
    "444": Clip("mkv", "ffv1", "yuv444p"),
    "422-12": Clip("mkv", "ffv1", "yuv422p12le", colour=(1, 1, 1, 1)),
    "gray": Clip("mkv", "ffv1", "gray"),
    "gbr-10": Clip("mkv", "ffv1", "gbrp10le"),
    "vfr": Clip("mp4", "h264", timing="uneven"),
    "pause": Clip("mp4", "h264", timing="pause2", frames=14),
    "turned": Clip("mkv", "ffv1", turn=90),
    "turned-phone": Clip("mp4", "h264", turn=270, timing="wobble"),
    "anamorphic": Clip("mp4", "h264", sar=F(16, 11)),
    "anamorphic-turned": Clip("mp4", "h264", sar=F(4, 3), turn=90),
    "odd-420": Clip("mkv", "ffv1", "yuv420p", (65, 49)),
    "odd-444": Clip("mkv", "ffv1", "yuv444p", (17, 31)),
    "mpeg2-tff": Clip("ts", "mpeg2", "yuv420p", (64, 64), field="tff", b=2),
    "prores-bff": Clip("mov", "prores", "yuv422p10le", (64, 64), field="bff"),
    "film": Clip("mkv", "ffv1", rate=NTSC_24),
    "stills": Clip("png/", "png", "rgb24"),
}

ROWS = [
    *(Row(name, clip, "%04d.exr") for name, clip in _CLIPS.items()),
    Row("dv", Clip("mov", "dv", "yuv420p", (720, 576), frames=3, field="bff"), "%04d.exr"),
    Row(
        "drop-frame",
        Clip("mov", "h264", rate=NTSC_30, stream_tags=(("timecode", "00:00:59;28"),), audio=("aac", "aac")),
        "%04d.exr",
        timecode="00:00:59;28",
    ),
    Row("start", Clip("mp4", "h264", frames=40), "%04d.exr", decode={"start": 0.4}),
    *(
        Row(f"cutouts-{name}", _CLIPS[name], "cutouts")
        for name in ("hdr10", "vfr", "turned", "odd-420", "444", "mpeg2-tff", "anamorphic")
    ),
]
