"""Subtitles, chapters and tags."""

from tests.conformance.clip import NTSC_30, Clip
from tests.conformance.row import Row

_TAGS = (("title", "A film – ein Film"), ("comment", 'x=y; "quoted"'), ("artist", "Somebody"))


def _said(kind: str, suffix: str, out: str, text: str = "convert", codec: str = "h264") -> Row:
    return Row(f"{kind}-{suffix}-to-{out}", Clip(suffix, codec, frames=15, subtitles=(kind,)), out, "none", "auto", text=text)


ROWS = [
    _said("subrip", "mkv", "mkv", "copy"),
    _said("mov_text", "mp4", "mp4", "copy"),
    _said("mov_text", "mp4", "mov", "copy"),
    *(Row(f"many-mp4-to-{o}", Clip("mp4", "h264", frames=150, gop=50, b=2, subtitles=("many",)), o, "none", "auto") for o in ("mp4", "mov")),
    *(Row(f"edge-mkv-to-{o}", Clip("mkv", "h264", frames=15, subtitles=("edge",), audio=("aac",)), o, "none", "auto") for o in ("mp4", "mov", "mkv")),
    _said("webvtt", "webm", "webm", "copy", "vp9"),
    _said("webvtt", "mkv", "mkv", "copy"),
    _said("ass", "mkv", "mkv", "copy"),
    _said("pgs", "mkv", "mkv", "copy"),
    _said("dvb", "ts", "ts", "copy"),
    _said("dvb", "ts", "mkv", "copy"),
    _said("subrip", "mkv", "mp4"),
    _said("subrip", "mkv", "mov"),
    _said("subrip", "mkv", "webm"),
    _said("ass", "mkv", "mp4"),
    _said("ass", "mkv", "webm"),
    _said("mov_text", "mp4", "mkv"),
    _said("mov_text", "mp4", "webm"),
    _said("webvtt", "mkv", "mp4"),
    Row("two-mkv-to-mkv", Clip("mkv", "h264", frames=15, subtitles=("subrip", "ass")), effect="none"),
    Row("sound-too-mkv-to-mkv", Clip("mkv", "h264", frames=15, subtitles=("subrip",), audio=("aac",)), effect="none"),
    Row("sound-too-mp4-to-mp4", Clip("mp4", "h264", frames=15, subtitles=("mov_text",), audio=("aac",)), "mp4", "none", "auto"),
    *(Row(f"lost-{out}", Clip("mkv", "h264", subtitles=("pgs",)), out, "none", "auto", text="none", says="subtitle") for out in ("mp4", "webm", "avi")),
    *(Row(f"chapters-{s}-to-{o}", Clip(s, "h264", chapters=2), o, "none", "auto") for s in ("mp4", "mkv") for o in ("mp4", "mkv", "mov")),
    Row("chapters-webm-to-webm", Clip("webm", "vp9", chapters=2), "webm", "none", "auto"),
    *(Row(f"tags-{s}-to-{o}", Clip(s, "h264", tags=_TAGS), o, "none", "auto") for s in ("mp4", "mkv", "nut") for o in ("mp4", "mkv")),
    Row("tags-avi-to-avi", Clip("avi", "h264", tags=_TAGS[:1]), "avi", "none", "auto"),
    Row("tags-ogg-to-mkv", Clip("ogg", "vp8", stream_tags=_TAGS), "mkv", "none"),
    Row("tags-flv-to-mp4", Clip("flv", "h264", tags=_TAGS[:1]), "mp4", "none", "auto"),
    *(Row(f"timecode-mov-to-{o}", Clip("mov", "h264", stream_tags=(("timecode", "01:02:03:04"),)), o, "none", "auto", timecode="01:02:03:04") for o in ("mov", "mp4", "mkv")),
    Row("timecode-drop-mov-to-mov", Clip("mov", "h264", rate=NTSC_30, stream_tags=(("timecode", "00:00:59;28"),)), "mov", "none", "auto", timecode="00:00:59;28"),
    *(Row(f"hdr10-hevc-mp4-to-{o}", Clip("mp4", "hevc", "yuv420p10le", colour=(9, 1, 9, 16), side="hdr10"), o, "none", "auto") for o in ("mp4", "mkv", "mov", "webm")),
]  # fmt: skip
