"""The packets of the other streams (sound, subtitles, data): taken from the source in step with the picture, converted, written."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from streamseg.encode.video.container_file import ContainerFile
from streamseg.encode.video.other_streams import OutputStream, OutputStreams
from streamseg.encode.video.remux import codec_of
from streamseg.encode.video.stream_writer import StreamWriter

__all__ = ["OtherPackets"]

# AVFMT_TS_NONSTRICT (libavformat/avformat.h): dts may stay where they were.
_NON_STRICT = 0x20000
_ROUNDING = Fraction(1, 1000)
"""Seconds by which a packet's time may differ from a picture's that is the same."""


class OtherPackets:
    """All streams of an output but the picture. Times given are the source's, seconds."""

    def __init__(self, output: ContainerFile, streams: OutputStreams, *, texts_last: bool) -> None:
        """`texts_last`: text waits for the end: FFmpeg 8.1 gives pictures and texts other times where a text begins a fragment."""
        self._output, self._streams, self._source = output, streams, streams.packets
        self._writers: dict[int, StreamWriter] = {}
        self._early: list[Any] = []
        """What was taken before anything can be written."""
        self._late: list[tuple[Any, StreamWriter]] | None = [] if texts_last else None
        self._repeats = bool(output.container.format.flags & _NON_STRICT)
        self.copied = 0
        """Packets written."""
        self.skipped = 0
        """Packets that did not fit behind the one before."""

    @property
    def damaged(self) -> dict[int, int]:
        """Packets that were left out for being damaged, by their stream's index in the source; only where there are any."""
        return {index: writer.lost for index, writer in self._writers.items() if writer.lost}

    @property
    def priming(self) -> Fraction:
        """Seconds by which packets come before the first sample, at most."""
        return max((other.priming for other in self._streams.kept.values()), default=Fraction(0))

    def take_early(self, start: Fraction) -> list[Fraction]:
        """Take what is due before the first picture, which is at `start`; the times of these packets."""
        if self._source is not None:
            self._early = self._source.take(float(start))
        return [packet.pts * packet.time_base for packet in self._early if packet.pts is not None]

    def leave_out_before(self, start: Fraction) -> None:
        """Of what was taken early, drop what sounds before the first picture."""
        self._early = [packet for packet in self._early if self._sounds_with(packet, start)]

    def _sounds_with(self, packet: Any, start: Fraction) -> bool:
        """Whether a packet is heard from the first picture on, or is cut there by what converts it."""
        other = self._streams.kept.get(packet.stream_index)
        if packet.pts is None or (other is not None and other.converted):
            return True
        # Without times the first packet is heard with the first picture: take the one that begins nearest.
        spare = _ROUNDING if self._output.kind.timed else (packet.duration or 0) * packet.time_base / 2
        return bool(packet.pts * packet.time_base >= start - spare)

    def add_streams(self, first: Fraction | None) -> None:
        """Before the header is written. `first`: the first picture's time, where what sounds before it is left out."""
        for index, other in self._streams.kept.items():
            self._writers[index] = self._add(other, first)

    def _add(self, other: OutputStream, first: Fraction | None) -> StreamWriter:
        output = self._output
        stream, converter = other.add(output.container)
        if converter is not None:
            end = self._source.window[1] if self._source is not None else None
            converter.cut(first, None if end is None else Fraction(end), fill=not output.kind.timed)
        # AAC from MPEG-TS has a header on every packet. libav strips them for mp4 by itself, but not with delay_moov.
        elif output.kind.is_mov and codec_of(other.kept) == "aac":
            return StreamWriter(stream, unpack=BitStreamFilterContext("aac_adtstoasc", in_stream=other.kept))
        return StreamWriter(stream, converter)

    def write_until(self, time: float | None) -> None:
        """Write what is due until then; None: the rest."""
        if self._source is None:
            return
        early, self._early = self._early, []
        for packet in early + self._source.take(time):
            writer = self._writers.get(packet.stream_index)
            if writer is None:
                continue
            if writer.converter is None:
                self._mux(packet, writer)
                continue
            with self._output.failing("converting sound or text for"):
                made = writer.converter.feed(packet)
            for converted in made:
                self._mux(converted, writer)

    def _mux(self, packet: Any, writer: StreamWriter) -> None:
        """Write a packet, on the output's clock, behind the one before."""
        output, before = self._output, writer.last_dts
        output.shift(packet)
        if not writer.place(packet, repeats=self._repeats, timed=output.kind.timed):
            self.skipped += 1
        elif output.too_far(packet.dts - (before or 0)):
            writer.last_dts = before
            self.skipped += 1
        elif self._late is not None and writer.stream.type == "subtitle":
            self._late.append((packet, writer))
        else:
            self._put(packet, writer)

    def _put(self, packet: Any, writer: StreamWriter) -> None:
        """Write a packet; one that filter or muxer find damaged is left out and counted, the rest of the stream goes on."""
        output = self._output
        with output.failing("writing"):
            try:
                for unpacked in writer.unpack.filter(packet) if writer.unpack is not None else [packet]:
                    unpacked.stream = writer.stream
                    output.container.mux_one(unpacked)
            except av.InvalidDataError:
                if output.file.error is not None:
                    raise
                writer.damaged += 1
                return
        self.copied += 1

    def finish(self) -> None:
        """Write what the converters still hold, and the texts that waited."""
        for writer in self._writers.values():
            if writer.converter is not None:
                with self._output.failing("converting sound or text for"):
                    made = writer.converter.finish()
                for packet in made:
                    self._mux(packet, writer)
        late, self._late = self._late or [], None
        for packet, writer in late:
            self._put(packet, writer)

    def close(self) -> None:
        """Take nothing more from the source."""
        if self._source is not None:
            self._source.close()
