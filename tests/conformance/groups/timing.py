"""Times: every rate, variable rates, pauses, B-pyramids, films that begin early, late or nowhere, clocks that jump and wrap."""

from fractions import Fraction as F

from tests.conformance.clip import NTSC_24, NTSC_30, NTSC_60, Clip
from tests.conformance.row import Row

_RATES = {
    "1": F(1), "5": F(5), "10": F(10), "12.5": F(25, 2), "15": F(15), "23.976": NTSC_24, "24": F(24), "25": F(25),
    "29.97": NTSC_30, "30": F(30), "48": F(48), "50": F(50), "59.94": NTSC_60, "60": F(60), "120": F(120), "240": F(240),
}  # fmt: skip
_WRAP = F(954436, 10)
"""A little before the clock of a transport stream, 33 bits of 1/90000 s, begins anew."""
_COPY = (("mpegts_copyts", "1"),)
_CLUSTERS = (("cluster_time_limit", "160"),)


def _rate(text: str, suffix: str, b: int = 0, out: str = "mkv", codec: str = "h264", frames: int = 24) -> Row:
    clip = Clip(suffix, codec, rate=_RATES[text], b=b, frames=frames, gop=90)
    return Row(f"{suffix}-{codec}-{text}fps-bf{b}-to-{out}", clip, out, "none", "auto" if out != "mkv" else "lossless")


def _timed(timing: str, suffix: str, out: str, b: int = 0, rate: F = F(25), frames: int = 20) -> Row:
    clip = Clip(suffix, "h264", timing=timing, b=b, rate=rate, frames=frames)
    return Row(f"{timing}-{suffix}-bf{b}-to-{out}", clip, out, "none", "auto" if out != "mkv" else "lossless")


ROWS = [
    # constant rates; in Matroska and NUT the first packets of a film with B-frames have no decoding time
    *(_rate(text, "mp4", 2, "mp4") for text in _RATES),
    *(_rate(text, "mp4", 0, "mkv") for text in ("12.5", "23.976", "59.94")),
    *(_rate(text, "mkv", 0, "mkv") for text in ("5", "10", "15", "29.97", "120")),
    *(_rate(text, "mkv", 2, "mkv") for text in ("5", "10", "12.5", "15", "24", "29.97", "50", "60")),
    *(_rate(text, "mkv", 3, "mp4") for text in ("10", "15", "24", "25", "30", "60")),
    *(_rate(text, "avi", 0, "mkv") for text in ("10", "29.97", "60")),
    *(_rate(text, "ts", 2, "mkv") for text in ("10", "23.976", "29.97", "50")),
    *(_rate(text, "nut", 2, "mkv") for text in ("10", "15", "24", "29.97")),
    *(_rate(text, "flv", 2, "mkv") for text in ("10", "15", "29.97")),
    *(_rate(text, "mov", 0, "mov", "hevc") for text in ("10", "29.97")),
    *(_rate(text, "webm", 0, "webm", "vp9") for text in ("10", "29.97")),
    *(_rate(text, "mp4", 0, "avi") for text in ("10", "25", "29.97")),
    *(_rate(text, "mp4", 2, "ts") for text in ("15", "29.97")),
    # B-pyramids
    *(_rate("15", "mkv", b) for b in (1, 3, 4, 5, 6, 7, 8)),
    *(_rate("25", "mkv", b) for b in (1, 3, 4, 5, 6, 7, 8)),
    *(_rate("25", "mp4", b, "mp4") for b in (1, 4, 8)),
    *(_rate("25", "nut", b) for b in (3, 8)),
    *(_rate("25", "ts", b) for b in (3, 8)),
    *(_rate("25", "avi", b) for b in (1, 2, 3)),
    *(_rate("24", "mkv", b, codec="hevc") for b in (3, 8)),
    *(_rate("15", "mkv", b, codec="mpeg4") for b in (1, 2)),
    *(_rate("10", "mkv", b, codec="mpeg2") for b in (1, 2)),
    # variable rates and pauses
    *(_timed("uneven", suffix, out) for suffix in ("mp4", "mkv", "ts", "nut", "mov", "flv") for out in ("mkv", "mp4")),
    *(_timed("uneven", suffix, out, b=3) for suffix in ("mp4", "mkv") for out in ("mp4", "mov", "ts")),
    *(_timed("pause2", suffix, out, b=2, rate=F(10)) for suffix in ("mp4", "mkv") for out in ("mp4", "mkv", "mov")),
    *(_timed("pause20", suffix, out, b=2, rate=F(10)) for suffix in ("mp4", "mkv") for out in ("mp4", "mkv", "mov", "ts")),
    *(_timed("pause600", "mp4", out, b=2, rate=F(10)) for out in ("mp4", "mkv", "mov")),
    *(_timed("pause20", "mp4", out, rate=F(10)) for out in ("mp4", "mkv")),
    *(_timed("still", "mp4", out, rate=F(1, 5), frames=6) for out in ("mp4", "mkv")),
    *(_timed("holes", suffix, "mkv") for suffix in ("mp4", "mkv", "ts")),
    *(_timed("telecine", suffix, "mp4", rate=NTSC_30) for suffix in ("mp4", "mkv")),
    *(_timed("wobble", suffix, out) for suffix in ("mp4", "mkv", "ts") for out in ("mp4", "mkv")),
    *(_timed("faster", suffix, out, b=2) for suffix in ("mp4", "mkv") for out in ("mp4", "mkv")),
    *(_timed("burst", suffix, "mp4") for suffix in ("mp4", "mkv", "ts")),
    # films that do not begin at zero
    *(
        Row(f"late-{begin}s-{suffix}-to-{out}", Clip(suffix, "h264", begin=F(begin), audio=("aac",)), out, "none", "auto")
        for suffix in ("mp4", "mkv", "ts", "mov", "flv")
        for begin in ("1", "7/25")
        for out in ("mp4", "mkv")
    ),
    *(Row(f"hour-{s}-to-mp4", Clip(s, "h264", begin=F(3600)), "mp4", "none", "auto") for s in ("mkv", "ts", "nut")),
    *(
        Row(
            f"sound-first-{suffix}-to-{out}",
            Clip(suffix, "h264", begin=F(1, 2), audio=("libmp3lame",), b=2),
            out,
            "none",
            "auto",
        )
        for suffix in ("mp4", "mkv")
        for out in ("mp4", "mkv")
    ),
    *(
        Row(
            f"sound-late-{suffix}-to-{out}",
            Clip(suffix, "h264", sound_begin=F(1, 4), audio=("libmp3lame",)),
            out,
            "none",
            "auto",
        )
        for suffix in ("mp4", "mkv", "ts")
        for out in ("mp4", "mkv")
    ),
    Row("negative-mp4-to-mp4", Clip("mp4", "h264", begin=F(-1, 5), b=2), "mp4", "none", "auto"),
    Row("negative-nut-to-mkv", Clip("nut", "h264", begin=F(-1, 5)), "mkv", "none"),
    *(
        Row(f"edit-{s}-to-{o}", Clip(s, "h264", frames=20, change="edit"), o, "none", "auto")
        for s in ("mp4", "mov")
        for o in ("mp4", "mkv")
    ),
    # clocks that jump and wrap, and pictures without a time
    *(
        Row(f"joined-ts-bf{b}-to-{o}", Clip("ts", "h264", b=b, change="joined"), o, "none", "auto")
        for b in (0, 2)
        for o in ("mkv", "mp4")
    ),
    Row("joined-ts-sound-to-mp4", Clip("ts", "h264", change="joined", audio=("mp2",)), "mp4", "none", "auto", sound="some"),
    *(
        Row(f"back-{s}-{c}-to-mkv", Clip(s, c, frames=40, gop=90, change="back", muxer=_CLUSTERS), "mkv", "none")
        for s, c in (("webm", "vp9"), ("webm", "vp8"), ("mkv", "h264"), ("mkv", "ffv1"))
    ),
    Row("wrap-ts-to-mkv", Clip("ts", "h264", begin=_WRAP, tick=F(1, 25), muxer=_COPY), "mkv", "none"),
    Row("wrap-ts-bf2-to-mp4", Clip("ts", "h264", b=2, begin=_WRAP, tick=F(1, 25), muxer=_COPY), "mp4", "none", "auto"),
    Row("wrap-ts-mpeg2-to-mkv", Clip("ts", "mpeg2", b=2, begin=_WRAP, tick=F(1, 25), muxer=_COPY), "mkv", "none"),
    *(Row(f"untimed-ts-{c}-to-mkv", Clip("ts", c, change="untimed", frames=20), "mkv", "none") for c in ("h264", "mpeg2")),
    Row("untimed-ts-h264-bf2-to-mkv", Clip("ts", "h264", b=2, change="untimed", frames=20), "mkv", "none"),
]
