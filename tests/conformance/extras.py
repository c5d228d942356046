"""What stands beside the pictures of a source: sound, subtitles, chapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from tests.conformance.clip import Clip

__all__ = ["CHAPTERS", "LINES", "SOUNDS", "SUBTITLES", "chapters", "sounds", "subtitles"]

SOUNDS: dict[str, tuple[int, str]] = {
    "libopus": (48000, "stereo"),
    "libopencore_amrnb": (8000, "mono"),
    "g722": (16000, "mono"),
    "g726": (8000, "mono"),
    "pcm_mulaw": (8000, "mono"),
    "pcm_alaw": (8000, "mono"),
    "adpcm_swf": (22050, "mono"),
    "nellymoser": (22050, "mono"),
    "real_144": (8000, "mono"),
    "adpcm_ima_wav": (44100, "stereo"),
    "adpcm_ms": (44100, "stereo"),
    "pcm_bluray": (48000, "stereo"),
    "pcm_dvd": (48000, "stereo"),
}
"""Rate and layout of sounds that want others than 48000 Hz, stereo."""

LINES = ((Fraction(1, 10), Fraction(3, 10), "one"), (Fraction(7, 20), Fraction(9, 20), "two & 2 > 1"))
"""Start, end in seconds, and text of the subtitles."""

_EDGE = ((Fraction(1, 10), Fraction(117, 200), "one"), (Fraction(117, 200), Fraction(1), "goes on behind the film"))
_MANY = tuple((Fraction(7 * n + 3, 10), Fraction(7 * n + 8, 10), f"line {n}") for n in range(8))

CHAPTERS = ((Fraction(0), Fraction(1, 4), "Opening"), (Fraction(1, 4), Fraction(12, 25), "Zwei – 二"))

_ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, StrikeOut, \
ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass(frozen=True)
class Subtitle:
    """How one kind is written."""

    codec: str
    payload: Callable[[int, str], bytes]
    """From its number and its text to the bytes of a packet."""
    header: bytes = b""
    picture: bool = False
    """An image, not text."""
    lines: tuple[tuple[Fraction, Fraction, str], ...] = LINES


def _pgs(number: int, text: str) -> bytes:
    """A display set of one 8x2 picture (US 2009/0185789; segments without the header that .sup files have)."""

    def segment(kind: int, body: bytes) -> bytes:
        return bytes([kind]) + len(body).to_bytes(2, "big") + body

    composition = bytes([0, 64, 0, 48, 0x10, 0, number, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0, 8])
    window = bytes([1, 0, 0, 8, 0, 8, 0, 8, 0, 2])
    palette = bytes([0, 0, 1, 200, 128, 128, 255])
    line = bytes([1] * 8 + [0, 0])
    data = bytes([0, 8, 0, 2]) + line * 2
    item = bytes([0, 0, 0, 0xC0]) + len(data).to_bytes(3, "big") + data
    return b"".join(
        segment(*part) for part in ((0x16, composition), (0x17, window), (0x14, palette), (0x15, item), (0x80, b""))
    )


def _dvb(number: int, text: str) -> bytes:
    """A page composition segment without regions and an end of display set (ETSI EN 300 743, 7.2)."""
    page = bytes([0x0F, 0x10, 0, 1, 0, 2, 5, (number % 16) << 4 | 8])
    return page + bytes([0x0F, 0x80, 0, 1, 0, 0])


SUBTITLES = {
    "subrip": Subtitle("subrip", lambda n, text: text.encode()),
    "mov_text": Subtitle("mov_text", lambda n, text: len(text.encode()).to_bytes(2, "big") + text.encode()),
    "many": Subtitle("mov_text", lambda n, text: len(text.encode()).to_bytes(2, "big") + text.encode(), lines=_MANY),
    "edge": Subtitle("subrip", lambda n, text: text.encode(), lines=_EDGE),
    "webvtt": Subtitle("webvtt", lambda n, text: text.replace("&", "&amp;").replace(">", "&gt;").encode()),
    "ass": Subtitle("ass", lambda n, text: f"{n},0,Default,,0,0,0,,{text}".encode(), header=_ASS_HEADER),
    "pgs": Subtitle("hdmv_pgs_subtitle", _pgs, picture=True),
    "dvb": Subtitle("dvb_subtitle", _dvb, header=b"\0\1\0\1\x10", picture=True),
}


def sounds(clip: Clip, container: Any) -> list[tuple[Any, Any]]:
    """(packet, stream) of every sound of the clip: a tone, another one for each stream."""
    found = []
    for number, name in enumerate(clip.audio):
        rate, layout = SOUNDS.get(name, (48000, "stereo"))
        stream = container.add_stream(name, rate=rate, layout=layout, options={"strict": "-2", "flags": "+bitexact"})
        stream.metadata["language"] = ("eng", "deu", "fra")[number % 3]
        context = stream.codec_context
        context.thread_count = 1
        if context.codec.audio_formats:
            context.format = context.codec.audio_formats[0]
        context.open()
        size = context.frame_size or 1024
        for at in range(0, int(clip.seconds * rate) if clip.timing == "cfr" else rate, size):
            frame = _tone(at, size, rate, 300 + 100 * number, context.format.name, layout)
            frame.pts = at + round(clip.sound_begin * rate)
            found += [(packet, stream) for packet in stream.encode(frame)]
        found += [(packet, stream) for packet in stream.encode(None)]
    return found


def _tone(at: int, count: int, rate: int, pitch: int, form: str, layout: str) -> av.AudioFrame:
    # A triangle in whole numbers: a sine's last bit is not the same on every CPU.
    phase = (np.arange(at, at + count) * pitch * 4 * 8000 // rate) % 32000
    wave = np.abs(phase - 16000) - 8000
    both = np.stack([wave, wave // 2][: 1 if layout == "mono" else 2])
    scales = {"flt": (np.float32, 1 / 32768), "dbl": (np.float64, 1 / 32768), "s16": (np.int16, 1), "s32": (np.int32, 65536)}
    kind, scale = scales.get(form.rstrip("p"), (np.uint8, 1 / 256))
    values = (both * scale + (128 if kind is np.uint8 else 0)).astype(kind)
    shaped = values if form.endswith("p") else values.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(shaped), format=form, layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    return frame


def subtitles(clip: Clip, container: Any) -> list[tuple[Any, Any]]:
    """(packet, stream) of every subtitle."""
    found = []
    for kind in clip.subtitles:
        form = SUBTITLES[kind]
        if form.codec == "ass":
            stream = container.add_stream("ass")
            stream.codec_context.subtitle_header = form.header
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        else:
            stream = container.add_mux_stream(form.codec, time_base=Fraction(1, 1000))
        stream.metadata["language"] = "eng"
        for number, (start, end, text) in enumerate(form.lines):
            packet = av.Packet(form.payload(number, text))
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            found.append((packet, stream))
    return found


def chapters(clip: Clip, container: Any) -> None:
    """The first `clip.chapters` of CHAPTERS."""
    if clip.chapters:
        milli = Fraction(1, 1000)
        container.set_chapters(
            [
                {
                    "id": n + 1,
                    "start": round(a / milli),
                    "end": round(b / milli),
                    "time_base": milli,
                    "metadata": {"title": title},
                }
                for n, (a, b, title) in enumerate(CHAPTERS[: clip.chapters])
            ]
        )
