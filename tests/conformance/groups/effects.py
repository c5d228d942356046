"""What is drawn, into every kind of picture output: the mask is where the engine says, all else is untouched."""

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_FILM = Clip("mp4", "h264", size=(96, 64))
_DEEP = Clip("mkv", "ffv1", "yuv422p10le", (96, 64))
_RGB = Clip("mov", "qtrle", "rgb24", (96, 64))

ROWS = [
    # each effect into each video file
    *(Row(f"{e}-to-{o}", _FILM, o, e) for e in ("none", "drawn", "blur", "blur-them", "pixelate") for o in ("mkv", "mp4", "mov", "ts", "avi")),
    *(Row(f"{e}-to-webm", _FILM, "webm", e, "auto") for e in ("none", "overlay", "drawn", "blur")),
    *(Row(f"{e}-deep-to-mkv", _DEEP, "mkv", e) for e in ("drawn", "blur", "blur-them", "pixelate")),
    *(Row(f"{e}-smoothed-to-mkv", _FILM, "mkv", e, smooth=True) for e in ("none", "drawn", "overlay")),
    # transparency
    *(Row(f"alpha-to-{o}", _FILM, o, "alpha", "auto") for o in ("mov", "mkv", "webm")),
    *(Row(f"alpha-deep-to-{o}", _DEEP, o, "alpha", "auto") for o in ("mov", "mkv")),
    *(Row(f"alpha-rgb-to-{o}", _RGB, o, "alpha", "auto") for o in ("mov", "mkv")),
    *(Row(f"alpha-{c}-to-mkv", _FILM, "mkv", "alpha", c) for c in ("ffv1", "prores")),
    *(Row(f"alpha-to-{o.replace('%04d.', '')}", _FILM, o, "alpha", "auto") for o in ("%04d.png", "%04d.tif")),
    Row("alpha-deep-to-png", _DEEP, "%04d.png", "alpha", "auto"),
    Row("alpha-vfr-to-mov", Clip("mp4", "h264", timing="uneven", b=2), "mov", "alpha", "auto"),
    Row("alpha-sound-to-mov", Clip("mp4", "h264", audio=("aac",)), "mov", "alpha", "auto"),
    *(Row(f"matte-to-{o}", _FILM, o, "matte", c) for o, c in (("mkv", "lossless"), ("mp4", "auto"), ("mov", "auto"), ("webm", "auto"))),
    Row("matte-to-png", _FILM, "%04d.png", "matte", "auto"),
    # stills
    *(Row(f"{e}-to-{s}", _FILM, f"%05d.{s}", e, "auto") for e in ("none", "overlay", "drawn") for s in ("png", "tif", "jpg")),
    *(Row(f"none-deep-to-{s}", _DEEP, f"%05d.{s}", "none", "auto") for s in ("png", "tif", "jpg")),
    *(Row(f"none-rgb-to-{s}", _RGB, f"%05d.{s}", "none", "auto", pixels="same" if s != "jpg" else "") for s in ("png", "tif", "jpg")),
    Row("none-rgb48-to-png", Clip("mov", "png", "rgb48be", (96, 64)), "%05d.png", "none", "auto", pixels="same"),
    Row("none-rgba-to-png", Clip("mov", "png", "rgba", (96, 64)), "%05d.png", "none", "auto", pixels="same"),
    Row("none-gray-to-png", Clip("mkv", "ffv1", "gray", (96, 64)), "%05d.png", "none", "auto", pixels="same"),
    Row("none-gray16-to-tif", Clip("mkv", "ffv1", "gray16le", (96, 64)), "%05d.tif", "none", "auto", pixels="same"),
    # grey pictures are drawn on in colour
    *(Row(f"drawn-gray-{s}-to-{o}", Clip(s, c, "gray", (96, 64)), o, "drawn", "auto", pixels="colour") for s, c, o in (("mkv", "ffv1", "mkv"), ("mp4", "h264", "mp4"))),
    # codecs that are asked for
    *(Row(f"{c}-to-{o}", _FILM, o, "overlay", c) for c, o in (
        ("h264", "mkv"), ("hevc", "mkv"), ("av1", "mkv"), ("vp9", "mkv"), ("prores", "mkv"), ("hevc", "mp4"), ("av1", "mp4"), ("vp9", "mp4"),
        ("hevc", "mov"), ("prores", "mov"), ("av1", "webm"), ("hevc", "ts"))),
]  # fmt: skip
