"""Sound: every codec from every container into every kind of file, packet by packet where the file can hold it."""

from fractions import Fraction as F

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_OUTS = ("mp4", "mov", "mkv", "webm", "avi", "ts")


def _heard(codec: str, suffix: str, out: str, sound: str = "copy", **more: object) -> Row:
    name = codec.removeprefix("lib")
    clip = Clip(suffix, {"webm": "vp9", "avi": "mpeg4"}.get(suffix, "h264"), frames=15, audio=(codec,), **more)  # type: ignore[arg-type]
    return Row(f"{name}-{suffix}-to-{out}", clip, out, "none", "auto", sound=sound, loses=("language",) if out == "avi" else ())


def _all(codec: str, suffix: str, copied: str) -> list[Row]:
    """Into every kind of file; `copied` names those that hold the codec, the others have it converted."""
    return [_heard(codec, suffix, out, "copy" if out in copied.split() else "convert") for out in _OUTS]


ROWS = [
    *_all("aac", "mp4", "mp4 mov mkv avi ts"),
    *_all("libmp3lame", "mkv", "mp4 mov mkv avi ts"),
    *_all("mp2", "ts", "mp4 mov mkv avi ts"),
    *_all("ac3", "ts", "mp4 mov mkv avi ts"),
    *_all("eac3", "mkv", "mp4 mov mkv ts"),
    *_all("libopus", "webm", "mp4 mkv webm ts"),
    *_all("vorbis", "webm", "mp4 mkv webm"),
    *_all("flac", "mkv", "mp4 mkv avi"),
    *_all("alac", "mov", "mp4 mov mkv"),
    *_all("pcm_s16le", "mov", "mov mkv avi"),
    *(
        _heard(c, "mov", o)
        for c in ("pcm_s24le", "pcm_s16be", "pcm_f32le", "pcm_s8")
        for o in ("mov", "mkv")
        if (c, o) != ("pcm_s8", "mkv")
    ),
    *(_heard(c, "avi", "avi") for c in ("pcm_s24le", "pcm_u8")),
    *(_heard(c, "avi", "avi", "convert") for c in ("adpcm_ima_wav", "adpcm_ms")),
    *(_heard(c, "avi", "mkv") for c in ("adpcm_ima_wav", "adpcm_ms", "pcm_u8")),
    *(
        _heard(c, "mov", o, "copy" if o == "mov" or (o == "mkv" and "ima" not in c) else "convert")
        for c in ("pcm_alaw", "pcm_mulaw", "adpcm_ima_qt")
        for o in ("mov", "mp4", "mkv")
    ),
    _heard("libopencore_amrnb", "3gp", "mp4", "convert"),
    _heard("libopencore_amrnb", "3gp", "mkv", "convert"),
    _heard("wavpack", "mkv", "mkv"),
    *(_heard("tta", "mkv", o, "convert") for o in ("mkv", "mp4")),
    Row("two-mkv-to-mkv", Clip("mkv", "h264", audio=("aac", "libopus")), effect="none"),
    Row("two-mkv-to-mp4", Clip("mkv", "h264", audio=("aac", "ac3")), "mp4", "none", "auto"),
    Row("three-mp4-to-mov", Clip("mp4", "h264", audio=("aac", "libmp3lame", "alac")), "mov", "none", "auto"),
    Row("long-sound-mp4-to-mp4", Clip("mp4", "h264", frames=5, audio=("aac",)), "mp4", "none", "auto"),
    Row("vfr-sound-mkv-to-mp4", Clip("mkv", "h264", timing="uneven", audio=("aac",)), "mp4", "none", "auto"),
    Row("ntsc-sound-ts-to-mp4", Clip("ts", "h264", b=2, rate=F(30000, 1001), frames=20, audio=("ac3",)), "mp4", "none", "auto"),
    Row("aac-flv-to-mp4", Clip("flv", "h264", audio=("aac",)), "mp4", "none", "auto", loses=("language",)),
    Row("aac-ts-to-mp4", Clip("ts", "h264", audio=("aac",)), "mp4", "none", "auto"),
    Row("aac-ts-to-ts", Clip("ts", "h264", audio=("aac",)), "ts", "none", "auto"),
    Row("pcm-nut-to-mkv", Clip("nut", "h264", audio=("pcm_s16le",)), "mkv", "none"),
    Row("vorbis-ogg-to-mkv", Clip("ogg", "vp8", audio=("vorbis",)), "mkv", "none"),
    Row("mp2-mpg-to-mkv", Clip("mpg", "mpeg2", audio=("mp2",)), "mkv", "none"),
    Row(
        "pcm-mxf-to-mov",
        Clip("mxf", "mpeg2", "yuv422p", (176, 144), audio=("pcm_s16le",)),
        "mov",
        "none",
        "auto",
        loses=("language",),
    ),
]
