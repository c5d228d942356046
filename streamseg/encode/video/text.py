"""Subtitles in text, turned from one kind into another by libav's decoder and encoder, each line at its own time.

Times are those of the source's packets, not those that libav counts while it converts. `mov_text` shows one text at a time: lines
that overlap are shown together while they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from streamseg.encode.video.remux import AV_ERRORS, codec_of

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["BITMAPS", "TextConverter", "add_text", "is_text"]

BITMAPS = frozenset({"hdmv_pgs_subtitle", "dvb_subtitle", "dvd_subtitle", "xsub"})
"""Subtitles that are pictures: no text can be made of them."""
_CAPTIONS = "eia_608"
"""Commands for a screen, two bytes a picture, whose text has other times than its packets."""
_MILLISECOND = Fraction(1, 1000)
_FIELDS = 8
"""Commas before the text in a line of ASS, as libav passes it on."""


def is_text(kept: Stream) -> bool:
    """Whether a stream that `remux.keep` gave is lines of text that this build of FFmpeg can read."""
    return kept.type == "subtitle" and kept.codec_context is not None and codec_of(kept) not in {*BITMAPS, _CAPTIONS}


def add_text(container: OutputContainer, kept: Stream, encoder: str) -> Stream:
    """Add a stream of another kind of text, with the styles of the source's. Raises one of AV_ERRORS."""
    decoder: Any = kept.codec_context
    if not decoder.is_open:
        decoder.open()
    stream = container.add_stream(encoder)
    context: Any = stream.codec_context
    context.subtitle_header = decoder.subtitle_header
    context.time_base = stream.time_base = _MILLISECOND
    return stream


@dataclass(frozen=True, slots=True)
class _Line:
    end: Fraction
    style: bytes
    """The fields of ASS before the text."""
    text: bytes


class TextConverter:
    """One track: packets of the source in, packets of the output out. Raises one of AV_ERRORS from the encoder."""

    def __init__(self, kept: Stream, stream: Stream) -> None:
        """`stream`: what `add_text` gave, its container open."""
        self._decoder: Any = kept.codec_context
        self._stream = stream
        self._encoder: Any = stream.codec_context
        self._alone = str(self._encoder.codec.canonical_name) == "mov_text"
        self._shown: list[_Line] = []
        self.damaged = 0
        """Packets that could not be read as text."""

    def cut(self, first: Fraction | None, last: Fraction | None, *, fill: bool = False) -> None:
        """Texts are cut to the span on their way here."""

    def feed(self, packet: Packet) -> list[Packet]:
        """The packets that one of the source becomes."""
        try:
            decoded = self._decoder.decode2(packet)
        except AV_ERRORS:
            self.damaged += 1
            return []
        rects = [rect.ass for rect in decoded or () if isinstance(rect, AssSubtitle)]
        lines = [line for line in (rect.rstrip(b"\r\n").split(b",", _FIELDS) for rect in rects) if len(line) > _FIELDS]
        if not lines or packet.pts is None:
            return []
        start = packet.pts * packet.time_base
        line = _Line(
            start + (packet.duration or 0) * packet.time_base,
            b",".join(lines[0][:_FIELDS]),
            b"\\N".join(fields[_FIELDS] for fields in lines),
        )
        if not self._alone:
            return [self._packet(start, line.end, [line])]
        made = self._until(start)
        self._shown = [shown for shown in self._shown if shown.end > start] + [line]
        return [*made, self._packet(start, min(shown.end for shown in self._shown), self._shown)]

    def finish(self) -> list[Packet]:
        """What is still to be shown of lines that outlast others."""
        return self._until(None)

    def _until(self, time: Fraction | None) -> list[Packet]:
        """Where a line ends while others are still shown, these go on alone."""
        made = []
        for end in sorted({line.end for line in self._shown}):
            left = [line for line in self._shown if line.end > end]
            if not left or (time is not None and end >= time):
                break
            made.append(self._packet(end, min(line.end for line in left), left))
            self._shown = left
        return made

    def _packet(self, start: Fraction, end: Fraction, lines: list[_Line]) -> Packet:
        text = lines[0].style + b"," + b"\\N".join(line.text for line in lines)
        duration = round((end - start) / _MILLISECOND)
        packet: Packet = self._encoder.encode_subtitle(SubtitleSet.create(text, start=0, end=duration))
        packet.stream, packet.time_base = self._stream, _MILLISECOND
        packet.pts = packet.dts = round(start / _MILLISECOND)
        packet.duration = duration
        return packet
