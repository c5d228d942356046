"""Turned and mirrored pictures, pixels that are not square, and sizes from tiny to wide."""

from fractions import Fraction as F

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_SIZES = (
    (16, 16),
    (2, 2),
    (8, 48),
    (320, 8),
    (17, 31),
    (33, 17),
    (65, 49),
    (64, 49),
    (65, 48),
    (400, 16),
    (16, 400),
    (96, 54),
    (1, 1),
)


def _turned(turn: int, mirror: bool, suffix: str, codec: str, out: str, pix_fmt: str = "yuv420p", **more: object) -> Row:
    name = f"turn{turn}{'-mirrored' if mirror else ''}-{suffix}-{pix_fmt}-to-{out}"
    return Row(name, Clip(suffix, codec, pix_fmt, turn=turn, mirror=mirror), out, **more)  # type: ignore[arg-type]


def _shaped(name: str, clip: Clip, out: str) -> Row:
    """FFV1 does not note the shape, nor can PyAV tell Matroska's muxer: that is said."""
    lost = out == "mkv"
    return Row(f"sar-{name}-to-{out}", clip, out, loses=("sar",) if lost else (), says="square" if lost else "")


ROWS = [
    *(_turned(turn, mirror, "mp4", "h264", "mkv") for turn in (0, 90, 180, 270) for mirror in (False, True)),
    *(_turned(turn, False, "mov", "h264", "mp4") for turn in (90, 180, 270)),
    *(_turned(turn, True, "mkv", "ffv1", "mkv") for turn in (0, 90)),
    *(_turned(90, False, "mkv", "ffv1", "mkv", pix_fmt) for pix_fmt in ("yuv422p", "yuv444p", "yuv420p10le", "gray", "yuv440p")),
    _turned(90, False, "mkv", "ffv1", "mkv", "gbrp10le", pixels="same"),
    Row("turn270-mp4-alpha-to-mov", Clip("mp4", "h264", turn=270), "mov", "alpha", "auto"),
    *(_shaped(f"{str(s).replace('/', 'x')}-{i}", Clip(i, "h264", sar=s), o) for s in (F(4, 3), F(12, 11), F(10, 11)) for i in ("mp4", "mkv") for o in ("mp4", "mkv", "mov")),
    *(_shaped("4x3-mpeg2", Clip("ts", "mpeg2", sar=F(16, 11), size=(176, 144)), o) for o in ("mp4", "mkv", "ts")),
    *(_shaped("turned-mp4", Clip("mp4", "h264", sar=F(4, 3), turn=90), o) for o in ("mp4", "mkv")),
    *(Row(f"sar-{i}-to-mkv-h264", Clip(i, "h264", sar=F(4, 3)), codec="h264", crf=0) for i in ("mp4", "mkv")),
    Row("sar-avi-to-avi", Clip("avi", "h264", sar=F(4, 3)), "avi", codec="h264", crf=0),
    *(Row(f"size-{w}x{h}-to-mkv", Clip("mkv", "ffv1", "yuv444p" if w % 2 or h % 2 else "yuv420p", (w, h))) for w, h in _SIZES),
    *(Row(f"size-{w}x{h}-420-to-mkv", Clip("mkv", "ffv1", "yuv420p", (w, h))) for w, h in _SIZES if (w % 2 or h % 2) and w > 1),
    *(Row(f"size-{w}x{h}-to-mp4", Clip("mkv", "ffv1", "yuv420p", (w, h)), "mp4", says="padded" if w % 2 or h % 2 else "")
      for w, h in _SIZES if min(w, h) > 7),
    *(Row(f"size-{w}x{h}-to-{o}", Clip("mkv", "ffv1", "yuv420p", (w, h)), o, codec="auto")
      for w, h in ((65, 49), (17, 31)) for o in ("mov", "webm", "ts")),
]  # fmt: skip
