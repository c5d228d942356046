"""Results as data: every frame by its number in the source, with the one box that is there."""

from fractions import Fraction as F

from tests.conformance.clip import NTSC_30, Clip
from tests.conformance.results import KINDS as ALL
from tests.conformance.row import Row

KINDS = [out for out in ALL if out not in ("%04d.exr", "cutouts")]  # in a table of their own
_FILM = Clip("mp4", "h264", size=(96, 64), b=2)

ROWS = [
    *(Row(f"{out}-mp4", _FILM, out) for out in KINDS),
    *(Row(f"{out}-turned", Clip("mp4", "h264", size=(96, 64), turn=90), out) for out in KINDS),
    *(Row(f"{out}-start", Clip("mp4", "h264", size=(96, 64), frames=40), out, decode={"start": 0.4}) for out in KINDS),
    *(Row(f"jsonl-{name}", clip, "jsonl") for name, clip in {
        "vfr": Clip("mp4", "h264", timing="uneven"),
        "ntsc": Clip("mkv", "h264", rate=NTSC_30),
        "late": Clip("mp4", "h264", begin=F(1)),
        "ts": Clip("ts", "h264", b=2),
        "pause": Clip("mp4", "h264", timing="pause2", frames=20),
        "stills": Clip("png/", "png", "rgb24"),
        "odd": Clip("mkv", "ffv1", "yuv444p", (65, 49)),
        "gray": Clip("mkv", "ffv1", "gray"),
        "rgb": Clip("mov", "qtrle", "rgb24"),
        "deep": Clip("mkv", "ffv1", "yuv422p10le"),
        "sar": Clip("mp4", "h264", sar=F(4, 3)),
        "bframes": Clip("mkv", "h264", b=8, rate=F(15), frames=30),
    }.items()),
    Row("jsonl-vfr-start", Clip("mkv", "h264", timing="uneven", frames=30), "jsonl", decode={"start": 1.0}),
    Row("jsonl-keys-start", Clip("mp4", "h264", frames=60, gop=10), "jsonl", decode={"start": 1.52}),
    Row("jsonl-bframes-start", Clip("mp4", "h264", frames=60, gop=10, b=3), "jsonl", decode={"start": 1.0, "duration": 0.6}),
    Row("jsonl-end", Clip("mp4", "h264", frames=40), "jsonl", decode={"duration": 0.6}),
    Row("jsonl-rate", Clip("png/", "png", "rgb24"), "jsonl", decode={"rate": 10}),
]  # fmt: skip
