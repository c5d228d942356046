"""Interlaced pictures: their fields stay apart and in order, and the output says so."""

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_SD = (64, 64)


def _interlaced(suffix: str, codec: str, order: str, out: str, effect: str = "none", **more: object) -> Row:
    clip = Clip(
        suffix, codec, "yuv422p10le" if codec == "prores" else "yuv420p", _SD, field=order, b=2 if suffix == "ts" else 0
    )
    return Row(f"{order}-{suffix}-{codec}-{effect}-to-{out}", clip, out, effect, "auto" if out != "mkv" else "lossless", **more)  # type: ignore[arg-type]


ROWS = [
    *(_interlaced("mkv", "ffv1", order, out) for order in ("tff", "bff") for out in ("mkv", "mp4", "mov", "ts")),
    *(_interlaced("ts", "mpeg2", order, out) for order in ("tff", "bff") for out in ("mkv", "mp4", "ts")),
    *(_interlaced("mp4", "h264", order, out) for order in ("tff", "bff") for out in ("mkv", "mp4")),
    *(_interlaced("mov", "prores", order, "mov") for order in ("tff", "bff")),
    _interlaced("ts", "mpeg2", "tff", "mp4", "overlay"),
    _interlaced("mkv", "ffv1", "tff", "mkv", "overlay"),
    *(_interlaced("mov", "prores", order, "mp4") for order in ("tff", "bff")),
    *(_interlaced("mkv", "ffv1", "bff", "mkv", effect) for effect in ("blur", "pixelate")),
    *(
        Row(
            f"{order}-{suffix}-{codec}-deinterlaced-to-mp4",
            Clip(suffix, codec, "yuv420p", _SD, field=order, b=2 if suffix == "ts" else 0),
            "mp4",
            "none",
            "auto",
            decode={"deinterlace": "frame"},
            field="progressive",
        )
        for order in ("tff", "bff")
        for suffix, codec in (("mkv", "ffv1"), ("ts", "mpeg2"), ("mp4", "h264"))
    ),
    Row("dv-to-mp4", Clip("mov", "dv", "yuv420p", (720, 576), frames=6, field="bff"), "mp4", "none", "auto"),
]
