"""A container that is being written: encoded video, and the source's audio and subtitles copied beside it in step.

Written so that a process that is killed leaves a playable file: see `containers.CONTAINERS` and `output_files.OutputFile`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamseg.encode.video.codecs import Choice
from streamseg.encode.video.containers import container_of
from streamseg.encode.video.decode_times import DecodingTimes
from streamseg.encode.video.other_streams import OutputStream, OutputStreams
from streamseg.encode.video.remux import AV_ERRORS, codec_of
from streamseg.encode.video.stream_writer import StreamWriter
from streamseg.encode.video.tags import fit_tags
from streamseg.errors import OutputError
from streamseg.system.output_files import OutputFile

if TYPE_CHECKING:
    from av.container.core import Chapter

    from streamseg.encode.video.containers import Container

__all__ = ["Muxer", "Origin"]

Origin = Literal["source", "picture", "earliest"]
"""Which time of the source becomes zero in the output.

`source`: none is moved. `picture`: the first picture's, what sounds before it is left out (a part of a source, a live one).
`earliest`: that of the first picture or packet (a clock with an arbitrary start, as in MPEG-TS).
"""
_BUFFER = 1 << 18
# mp4 counts a picture's duration in 32 bit: finer than this, a pause of some minutes would not fit.
_MAX_TIMESCALE = 10_000_000
_MOST_TICKS = 2**31 - 2
"""From one packet of an mp4's track to the next. FFmpeg 8.1 reads one more as a pause of one tick; its muxer aborts beyond that."""
# AVFMT_TS_NONSTRICT (libavformat/avformat.h): dts may stay where they were.
_NON_STRICT = 0x20000
_ROUNDING = Fraction(1, 1000)
"""Seconds by which a packet's time may differ from a picture's that is the same."""
# Written by the muxer itself, or untrue of the new file.
_OWN_METADATA = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "software", "timecode", "reel_name"})


class Muxer:
    """One output file with one video stream and the other streams beside it. All times given are the source's."""

    def __init__(
        self,
        path: Path,
        others: OutputStreams,
        *,
        overwrite: bool,
        time_base: Fraction,
        metadata: dict[str, str],
        chapters: Sequence[Chapter] = (),
        labelled: Fraction | None = None,
    ) -> None:
        """`labelled`: the rate of a timecode that will be given, which wants a whole number of ticks a picture."""
        self.path = path
        self._kind: Container = container_of(path.suffix)
        self._time_base = time_base
        self._origin = Fraction(0)
        self._early: list[Any] = []
        measured = self._kind.muxer in ("mp4", "mov")
        self._times = DecodingTimes(measured) if measured or self._kind.muxer == "mpegts" else None
        self._written: Fraction | None = None
        """Decoding time of the last picture, seconds."""
        self._source = others.packets
        self._writers: dict[int, StreamWriter] = {}
        self._others = others
        texts = any(other.is_text for other in self._others.kept.values())
        self._late: list[tuple[Any, StreamWriter]] | None = [] if texts and self._kind.muxer in ("mp4", "mov") else None
        """Text, which waits for the end: FFmpeg 8.1 gives pictures and texts other times where a text begins a fragment."""
        self.copied = 0
        """Packets of other streams written."""
        self.skipped = 0
        """Packets that did not fit behind the one before."""
        self.file = OutputFile(path, overwrite)
        tags = {k: v for k, v in metadata.items() if k.lower() not in _OWN_METADATA}
        options, self.lost_tags = fit_tags(tags, self._kind)
        """Metadata that the container has no place for."""
        with self._failing("opening"):
            self.container: OutputContainer = av.open(
                self.file, "w", format=self._kind.muxer, container_options=self._options(options, labelled), buffer_size=_BUFFER
            )
            self.container.metadata.update(tags)
        self._repeats = bool(self.container.format.flags & _NON_STRICT)
        self._chapters = chapters
        self._video: VideoStream | None = None
        self._done = False

    def _options(self, own: Mapping[str, str], labelled: Fraction | None) -> dict[str, str]:
        # Half a second of waiting for a silent or sparse track is lost when the process is killed; the default waits ten.
        options = {"flush_packets": "1", "max_interleave_delta": "200000", **own}
        if self._kind.muxer in ("mp4", "mov"):
            # The source's ticks exactly; edit lists too, of picture and sound, which is what the movie's own scale is for.
            scale = self._time_base.denominator if self._time_base.denominator <= _MAX_TIMESCALE else 1_000_000
            if labelled is not None and (finer := math.lcm(scale, labelled.numerator)) <= _MAX_TIMESCALE:
                scale = finer
            movie = math.lcm(scale, *(other.rate for other in self._others.kept.values() if other.rate))
            options |= {
                "video_track_timescale": str(scale),
                "movie_timescale": str(movie if movie <= _MAX_TIMESCALE else scale),
            }
            if self._late is not None:
                options["movflags"] += "+frag_keyframe"
                options["min_frag_duration"] = options.pop("frag_duration")
                # No sound may still wait for a text when the texts come: FFmpeg would begin the last of them anew behind it.
                options["max_interleave_delta"] = "1"
            if not self.file.seekable():  # nothing can be rewritten in the end: it stays in fragments
                options["movflags"] = options["movflags"].replace("+hybrid_fragmented", "+frag_keyframe+default_base_moof")
        return options

    def add_video(self, choice: Choice, rate: Fraction, time_base: Fraction) -> VideoStream:
        """The video stream, to be configured before `begin`."""
        if not choice.reorders:
            self._times = None
        with self._failing("opening the encoder for"):
            stream: VideoStream = self.container.add_stream(choice.codec.encoder, rate=rate, options=dict(choice.options))  # type: ignore[assignment]
            stream.codec_context.time_base = time_base
            # AVI has frames instead of times.
            stream.time_base = 1 / rate if self._kind.muxer == "avi" else time_base
            if choice.tag:
                stream.codec_context.codec_tag = choice.tag
        self._video = stream
        return stream

    def label(self, labels: Mapping[str, str]) -> None:
        """Before `begin`: start timecode and reel name, where the container has a place for them."""
        if self._kind.timecode == "container":
            self.container.metadata.update(labels)
        elif self._kind.timecode == "stream" and self._video is not None:
            self._video.metadata.update(labels)

    def name(self, metadata: Mapping[str, str]) -> None:
        """Before `begin`: language and title of the video stream."""
        if self._video is not None:
            self._video.metadata.update(metadata)

    def begin(self, first: int, origin: Origin) -> None:
        """Open the encoder and write the header. `first` is the first picture's pts; `origin` says which time becomes zero."""
        start = first * self._time_base
        if self._source is not None and origin != "source":
            self._early = self._source.take(float(start))
        if origin == "picture":
            self._early = [packet for packet in self._early if self._sounds_with(packet, start)]
        times = [start, *(p.pts * p.time_base for p in self._early if p.pts is not None and origin != "picture")]
        # A muxer cannot place what is before zero.
        self._origin = min(times) if origin != "source" else min(Fraction(0), start)
        if not self._kind.negative:
            # What an encoder puts before the first sample comes behind the first picture, too late for libav to make room for it.
            priming = max((other.priming for other in self._others.kept.values()), default=Fraction(0))
            self._origin -= math.ceil(priming / self._time_base) * self._time_base
        with self._failing("opening the encoder for"):
            for index, other in self._others.kept.items():
                self._writers[index] = self._add(other, start if origin == "picture" else None)
            if self._chapters:
                self.container.set_chapters([c for c in map(self._moved, self._chapters) if c["end"] > 0])
            self.container.start_encoding()

    def _sounds_with(self, packet: Any, start: Fraction) -> bool:
        """Whether a packet is heard from the first picture on, or is cut there by what converts it."""
        other = self._others.kept.get(packet.stream_index)
        if packet.pts is None or (other is not None and other.converted):
            return True
        # Without times the first packet is heard with the first picture: take the one that begins nearest.
        spare = _ROUNDING if self._kind.timed else (packet.duration or 0) * packet.time_base / 2
        return bool(packet.pts * packet.time_base >= start - spare)

    def _moved(self, chapter: Chapter) -> Chapter:
        """A chapter on the output's clock."""
        shift = round(self._origin / (chapter["time_base"] or Fraction(1, 1_000_000)))
        return {**chapter, "start": max(0, chapter["start"] - shift), "end": chapter["end"] - shift}

    def _add(self, other: OutputStream, first: Fraction | None) -> StreamWriter:
        """`first`: the first picture's time, where what sounds before it is left out."""
        stream, converter = other.add(self.container)
        if converter is not None:
            end = self._source.window[1] if self._source is not None else None
            converter.cut(first, None if end is None else Fraction(end), fill=not self._kind.timed)
        # AAC from MPEG-TS has a header on every packet. libav strips them for mp4 by itself, but not with delay_moov.
        elif self._kind.muxer in ("mp4", "mov") and codec_of(other.kept) == "aac":
            return StreamWriter(stream, unpack=BitStreamFilterContext("aac_adtstoasc", in_stream=other.kept))
        return StreamWriter(stream, converter)

    def video(self, packet: av.Packet[Any]) -> None:
        """Write an encoded picture, and before it what the source says belongs before it."""
        for ready in [packet] if self._times is None else self._times.push(packet):
            self._write(ready)

    def _write(self, packet: av.Packet[Any]) -> None:
        ticks = packet.dts if packet.dts is not None else packet.pts
        if self._source is not None and ticks is not None:
            self._copy(self._source.take(float(ticks * packet.time_base)))
        if ticks is not None:
            ahead = 0 if packet.pts is None else packet.pts - ticks  # it is shown so much later
            self._refuse_pause(ticks * packet.time_base, max(ahead, packet.duration or 0) * packet.time_base)
        self._shift(packet)
        with self._failing("writing"):
            self.container.mux_one(packet)

    def _refuse_pause(self, time: Fraction, span: Fraction) -> None:
        """Raise OutputError if a picture comes too long after the one before, or what is stored with it spans too long."""
        assert self._video is not None
        last, self._written = self._written, time
        pause, clock = max(span, time - (time if last is None else last)), self._video.time_base or self._time_base
        if self._too_far(round(pause / clock)):
            self._times = None  # what it keeps back comes behind the pause
            kind, most = self.path.suffix, float(_MOST_TICKS * clock)
            raise OutputError(
                f"{self.path}: a pause of {float(pause):.0f} s is more than the {most:.0f} s that a {kind} file can hold with "
                "times this fine; write .mkv"
            )

    def _too_far(self, ticks: int) -> bool:
        return self._kind.muxer in ("mp4", "mov") and ticks > _MOST_TICKS

    def _shift(self, packet: av.Packet[Any]) -> None:
        shift = round(self._origin / packet.time_base)
        if shift:
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift

    def _copy(self, packets: list[Any]) -> None:
        early, self._early = self._early, []
        for packet in early + packets:
            writer = self._writers.get(packet.stream_index)
            if writer is None:
                continue
            if writer.converter is None:
                self._mux(packet, writer)
                continue
            with self._failing("converting sound or text for"):
                made = writer.converter.feed(packet)
            for converted in made:
                self._mux(converted, writer)

    def _mux(self, packet: Any, writer: StreamWriter) -> None:
        """Write a packet of another stream, on the output's clock, behind the one before."""
        self._shift(packet)
        before = writer.last_dts
        if not writer.place(packet, repeats=self._repeats, timed=self._kind.timed):
            self.skipped += 1
        elif self._too_far(packet.dts - (before or 0)):
            writer.last_dts = before
            self.skipped += 1
        elif self._late is not None and writer.stream.type == "subtitle":
            self._late.append((packet, writer))
        else:
            self._put(packet, writer)

    def _put(self, packet: Any, writer: StreamWriter) -> None:
        """Write a packet; one that filter or muxer find damaged is left out and counted, the rest of the stream goes on."""
        with self._failing("writing"):
            try:
                for unpacked in writer.unpack.filter(packet) if writer.unpack is not None else [packet]:
                    unpacked.stream = writer.stream
                    self.container.mux_one(unpacked)
            except av.InvalidDataError:
                if self.file.error is not None:
                    raise
                writer.damaged += 1
                return
        self.copied += 1

    def _finish_streams(self) -> None:
        for writer in self._writers.values():
            if writer.converter is not None:
                with self._failing("converting sound or text for"):
                    made = writer.converter.finish()
                for packet in made:
                    self._mux(packet, writer)
        late, self._late = self._late or [], None
        for packet, writer in late:
            self._put(packet, writer)

    @property
    def in_fragments_by_key(self) -> bool:
        """Whether what was written so far can be played only up to the last key frame."""
        return self._late is not None

    @property
    def damaged(self) -> dict[int, int]:
        """Packets that were left out for being damaged, by their stream's index in the source; only where there are any."""
        return {index: writer.lost for index, writer in self._writers.items() if writer.lost}

    def finish(self, *, rest: bool = True) -> None:
        """Write the remaining packets (unless `rest` is False) and the trailer; OutputError when that fails."""
        if self._done:
            return
        self._done = True
        try:
            for packet in self._times.flush() if self._times is not None else ():
                self._write(packet)
            if rest and self._source is not None:
                self._copy(self._source.take(None))
            self._finish_streams()
            with self._failing("finalising"):
                self.file.hold_overwrites()
                self.container.close()
                self.file.commit()
        finally:
            self._give_back()

    def leave(self) -> None:
        """Stop without a trailer: the fragments written so far stay as they are."""
        if not self._done:
            self._done = True
            self._give_back()

    def _give_back(self) -> None:
        if self._source is not None:
            self._source.close()
        with self._failing("closing"):
            self.file.close()
        # libav writes no trailer into a closed file: after an error it could spoil what is readable.
        with contextlib.suppress(*AV_ERRORS):
            self.container.close()

    @contextlib.contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        try:
            yield
        except AV_ERRORS as error:
            cause = self.file.error or error
            reason = getattr(cause, "strerror", None) or str(cause)
            written = f"; the {self.file.size / 1e6:.1f} MB written so far are kept" if self.file.size else ""
            raise OutputError(f"{self.path}: {doing} it failed: {reason}{written}") from cause
