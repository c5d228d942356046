"""A container that is being written: encoded video, and the source's audio and subtitles copied beside it in step.

Written so that a process that is killed leaves a playable file: see `containers.CONTAINERS` and `output_files.OutputFile`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamseg.encode.video.codecs import Choice
from streamseg.encode.video.container_file import MOST_TICKS, ContainerFile
from streamseg.encode.video.containers import container_of
from streamseg.encode.video.decode_times import DecodingTimes
from streamseg.encode.video.other_packets import OtherPackets
from streamseg.encode.video.other_streams import OutputStreams
from streamseg.encode.video.tags import fit_tags
from streamseg.errors import OutputError
from streamseg.system.scheduling import usual_scheduling

if TYPE_CHECKING:
    from av.container.core import Chapter

    from streamseg.encode.video.containers import Container
    from streamseg.system.output_files import OutputFile

__all__ = ["Muxer", "Origin", "add_video", "ends_by_key"]

Origin = Literal["source", "picture", "earliest"]
"""Which time of the source becomes zero in the output.

`source`: none is moved. `picture`: the first picture's, what sounds before it is left out (a part of a source, a live one).
`earliest`: that of the first picture or packet (a clock with an arbitrary start, as in MPEG-TS).
"""
# mp4 counts a picture's duration in 32 bit: finer than this, a pause of some minutes would not fit.
_MAX_TIMESCALE = 10_000_000
# Written by the muxer itself, or untrue of the new file.
_OWN_METADATA = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "software", "timecode", "reel_name"})


def add_video(container: OutputContainer, choice: Choice, rate: Fraction, time_base: Fraction) -> VideoStream:
    """The video stream of a container, its encoder not open yet. Raises one of AV_ERRORS."""
    stream: VideoStream = container.add_stream(choice.codec.encoder, rate=rate, options=dict(choice.options))  # type: ignore[assignment]
    stream.codec_context.time_base = time_base
    # AVI has frames instead of times.
    stream.time_base = 1 / rate if container.format.name == "avi" else time_base
    if choice.tag:
        stream.codec_context.codec_tag = choice.tag
    return stream


def ends_by_key(path: Path, others: OutputStreams) -> bool:
    """Whether what was written of a file so far can be played only up to the last key frame."""
    return container_of(path.suffix).is_mov and any(other.is_text for other in others.kept.values())


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
        self._kind: Container = container_of(path.suffix)
        self._time_base, self._chapters = time_base, chapters
        self._times = DecodingTimes(self._kind.is_mov) if self._kind.is_mov or self._kind.muxer == "mpegts" else None
        self._written: Fraction | None = None
        """Decoding time of the last picture, seconds."""
        self._video: VideoStream | None = None
        self._done = False
        self.in_fragments_by_key = ends_by_key(path, others)
        """Whether what was written so far can be played only up to the last key frame."""
        tags = {k: v for k, v in metadata.items() if k.lower() not in _OWN_METADATA}
        options, self.lost_tags = fit_tags(tags, self._kind)
        """Metadata that the container has no place for."""
        options = self._options(options, [other.rate for other in others.kept.values()], labelled)
        self._output = ContainerFile(path, self._kind, overwrite=overwrite, options=options, tags=tags)
        self._others = OtherPackets(self._output, others, texts_last=self.in_fragments_by_key)

    def _options(self, own: Mapping[str, str], rates: Sequence[int], labelled: Fraction | None) -> dict[str, str]:
        """What FFmpeg's muxer is told. `rates`: samples a second of each other stream; 0 for what is no sound."""
        # Half a second of waiting for a silent or sparse track is lost when the process is killed; the default waits ten.
        options = {"flush_packets": "1", "max_interleave_delta": "200000", **own}
        if self._kind.muxer in ("matroska", "webm"):  # else it makes up numbers, and the same film is another file each time
            options["fflags"] = "+bitexact"
        if self._kind.is_mov:
            # The source's ticks exactly; edit lists too, of picture and sound, which is what the movie's own scale is for.
            scale = self._time_base.denominator if self._time_base.denominator <= _MAX_TIMESCALE else 1_000_000
            if labelled is not None and (finer := math.lcm(scale, labelled.numerator)) <= _MAX_TIMESCALE:
                scale = finer
            movie = math.lcm(scale, *(rate for rate in rates if rate))
            options |= {
                "video_track_timescale": str(scale),
                "movie_timescale": str(movie if movie <= _MAX_TIMESCALE else scale),
            }
            if self.in_fragments_by_key:
                options["movflags"] += "+frag_keyframe"
                options["min_frag_duration"] = options.pop("frag_duration")
                # No sound may still wait for a text when the texts come: FFmpeg would begin the last of them anew behind it.
                options["max_interleave_delta"] = "1"
        return options

    @property
    def file(self) -> OutputFile:
        """What is written to."""
        return self._output.file

    @property
    def copied(self) -> int:
        """Packets of other streams written."""
        return self._others.copied

    @property
    def skipped(self) -> int:
        """Packets of other streams that did not fit behind the one before."""
        return self._others.skipped

    @property
    def damaged(self) -> dict[int, int]:
        """See OtherPackets.damaged."""
        return self._others.damaged

    def add_video(self, choice: Choice, rate: Fraction, time_base: Fraction) -> VideoStream:
        """The video stream, to be configured before `begin`."""
        if not choice.reorders:
            self._times = None
        with self._output.failing("opening the encoder for"):
            self._video = add_video(self._output.container, choice, rate, time_base)
        return self._video

    def label(self, labels: Mapping[str, str]) -> None:
        """Before `begin`: start timecode and reel name, where the container has a place for them."""
        if self._kind.timecode == "container":
            self._output.container.metadata.update(labels)
        elif self._kind.timecode == "stream" and self._video is not None:
            self._video.metadata.update(labels)

    def name(self, metadata: Mapping[str, str]) -> None:
        """Before `begin`: language and title of the video stream."""
        if self._video is not None:
            self._video.metadata.update(metadata)

    def begin(self, first: int, origin: Origin) -> None:
        """Open the encoder and write the header. `first` is the first picture's pts; `origin` says which time becomes zero."""
        start, output = first * self._time_base, self._output
        times = self._others.take_early(start) if origin != "source" else []
        if origin == "picture":
            self._others.leave_out_before(start)
            times = []
        # A muxer cannot place what is before zero.
        output.origin = min([start, *times]) if origin != "source" else min(Fraction(0), start)
        if not self._kind.negative:
            # What an encoder puts before the first sample comes behind the first picture, too late for libav to make room for it.
            output.origin -= math.ceil(self._others.priming / self._time_base) * self._time_base
        with output.failing("opening the encoder for"):
            self._others.add_streams(start if origin == "picture" else None)
            if self._chapters:
                output.container.set_chapters([c for c in map(self._moved, self._chapters) if c["end"] > 0])
            with usual_scheduling():  # it opens the encoders
                output.container.start_encoding()

    def _moved(self, chapter: Chapter) -> Chapter:
        """A chapter on the output's clock."""
        shift = round(self._output.origin / (chapter["time_base"] or Fraction(1, 1_000_000)))
        return {**chapter, "start": max(0, chapter["start"] - shift), "end": chapter["end"] - shift}

    def video(self, packet: av.Packet[Any]) -> None:
        """Write an encoded picture, and before it what the source says belongs before it."""
        for ready in [packet] if self._times is None else self._times.push(packet):
            self._write(ready)

    def _write(self, packet: av.Packet[Any]) -> None:
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is not None:
            self._others.write_until(float(ticks * packet.time_base))
            ahead = 0 if packet.pts is None else packet.pts - ticks  # it is shown so much later
            self._refuse_pause(ticks * packet.time_base, max(ahead, packet.duration or 0) * packet.time_base)
        self._output.shift(packet)
        assert self._video is not None
        packet.stream = self._video  # one that was kept in a file has none
        with self._output.failing("writing"):
            self._output.container.mux_one(packet)

    def _refuse_pause(self, time: Fraction, span: Fraction) -> None:
        """Raise OutputError if a picture comes too long after the one before, or what is stored with it spans too long."""
        assert self._video is not None
        last, self._written = self._written, time
        pause, clock = max(span, time - (time if last is None else last)), self._video.time_base or self._time_base
        if self._output.too_far(round(pause / clock)):
            self._times = None  # what it keeps back comes behind the pause
            path, most = self._output.path, float(MOST_TICKS * clock)
            raise OutputError(
                f"{path}: a pause of {float(pause):.0f} s is more than the {most:.0f} s that a {path.suffix} file can hold with "
                "times this fine; write .mkv"
            )

    def finish(self, *, rest: bool = True) -> None:
        """Write the remaining packets (unless `rest` is False) and the trailer; OutputError when that fails."""
        if self._done:
            return
        self._done = True
        try:
            for packet in self._times.flush() if self._times is not None else ():
                self._write(packet)
            if rest:
                self._others.write_until(None)
            self._others.finish()
            self._output.finish()
        finally:
            self._give_back()

    def leave(self) -> None:
        """Stop without a trailer: the fragments written so far stay as they are."""
        if not self._done:
            self._done = True
            self._give_back()

    def _give_back(self) -> None:
        self._others.close()
        self._output.close()
