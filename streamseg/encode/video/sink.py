"""Video files, exact in time and colour.

- Every picture keeps its pts and time base: variable rates stay variable. mp4 and mov store the source's ticks exactly; mkv and
  webm round to milliseconds, mpegts to 1/90000 s, avi has one fixed rate: so their formats want it.
- Pictures go to the encoder in their own format where it takes that; colour tags and sample aspect ratio follow. No rotation
  tag: pictures are upright already.
- RGB and grey stay so in a lossless codec that has them; elsewhere they become YUV. What a picture loses
  else (alpha, depth, chroma) is a warning.
- 4:2:0 needs an even size: an odd picture is padded by repeating its last column or row, with a warning.
- A picture of another size than the first (the source changed) is scaled to fit, centred on black and counted.
- If the process is killed, all but about the last second is playable; see `muxer`. With a `keeper` the film is encoded in parts,
  and a run that is begun again goes on from the last whole one; see `segments`.
- mp4 and mov keep their index in memory until the end, about 100 bytes a picture or packet: some 600 MB for a day with sound.
  For recordings without end use .mkv or .ts.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields, replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

import av
from av.video.format import VideoFormat

from streamseg.core.timecode import standard_rate
from streamseg.core.utc import as_iso
from streamseg.encode.alpha_note import AlphaNote
from streamseg.encode.file_sink import FileOptions, FileSink
from streamseg.encode.sink import Keeper, OutputRequest, RenderedPicture, Sink
from streamseg.encode.video.codecs import Choice, choose_codec, named_codec
from streamseg.encode.video.containers import container_of
from streamseg.encode.video.encoder import Encoder
from streamseg.encode.video.hdr import left_out, static_options
from streamseg.encode.video.muxer import Muxer, Origin, ends_by_key
from streamseg.encode.video.other_streams import Audio, OutputStreams, Packets
from streamseg.encode.video.pixel_formats import losses
from streamseg.encode.video.segments import EncoderSetup, PartsEncoder, SegmentedEncoder, Whole
from streamseg.encode.video.sizes import bytes_a_picture
from streamseg.errors import OutputError
from streamseg.pixels import sidedata
from streamseg.pixels.planes import on_host
from streamseg.system.standard_streams import is_stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from av.container.core import Chapter

    from streamseg.core.types import Frame
    from streamseg.decode import SourceInfo

__all__ = ["VideoSink"]

_ARBITRARY_CLOCK = frozenset({"mpegts", "mpeg", "frames"})
"""Containers whose times begin anywhere; a program may give those of the wall's clock."""


_TELLS_TIME = frozenset({"mov", "mp4", "matroska", "webm"})
"""Containers with a place for `creation_time`."""


class VideoSink(FileSink):
    """Encodes pictures into a video file and copies the source's audio and subtitles beside them."""

    tracks: ClassVar[bool] = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: SourceInfo,
        *,
        codec: str = "auto",
        crf: float | None = None,
        passthrough: Packets | None = None,
        alpha: bool = False,
        note: AlphaNote | None = None,
        depth: int = 0,
        threads: int = 0,
        gpu: bool = False,
        audio: Audio = "convert",
        keeper: Keeper | None = None,
        **place: Unpack[FileOptions],
    ) -> None:
        super().__init__(path, info, **place)
        self._whole = None if keeper is None else Whole(keeper)
        self._asked, self._asked_pts = 0, -1
        """Pictures asked about by `recalls`, and the pts of the last."""
        self._audio: Audio = audio
        self._codec, self._crf, self._alpha = codec, crf, alpha
        self._note, self._depth, self._format = note or AlphaNote(), depth, ""
        self._threads = threads or (0 if keeper is None else keeper.threads) or os.cpu_count() or 1
        self._packets, self._gpu = passthrough, gpu
        self._others: OutputStreams | None = None
        self._muxer: Muxer | None = None
        self._encoder: Encoder | SegmentedEncoder | None = None
        self._ready: Callable[[], None] | None = None
        """Writes the container's header, where that waits for the first packet."""
        self._last: int | None = None
        self._warned = False
        self._begun = False
        """A picture has left the encoder."""
        self._closed = False
        self._expected = 0.0

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """See OutputKind."""
        return cls(**{field.name: getattr(request, field.name) for field in fields(request) if field.name != "token"})

    def open(self) -> None:
        """Check path, container, codec and quality; take over the audio and subtitle streams. Raises OutputError."""
        container_of(self.path.suffix)
        if self._codec != "auto":
            named_codec(self.path.suffix, self._codec)
        super().open()
        with contextlib.suppress(ValueError):  # an unknown format of the source: the first picture will tell
            interlaced = self._info.field_order is not None
            choice = self._choose(VideoFormat(self._info.pix_fmt, self._info.width, self._info.height), interlaced)
            self._expected = bytes_a_picture(choice, self._crf, self._info.width, self._info.height)
        begins = None if self._info.live or self._info.start > 0 else self._info.start_time
        self._others = OutputStreams(self._packets, self.path.suffix, self._audio, begins)
        self.warnings += self._others.warnings

    def _alpha_tags(self) -> dict[str, str]:
        return self._note.tags(container_of(self.path.suffix).muxer, self._info.metadata) if self._alpha else {}

    def _clock_tags(self, first: Frame) -> dict[str, str]:
        """When a live recording begins: the tag of cameras and phones, to the full second, which is what files hold."""
        if first.utc is None or container_of(self.path.suffix).muxer not in _TELLS_TIME:
            return {}
        return {"creation_time": as_iso(int(first.utc), 6)}

    def _choose(self, form: VideoFormat, interlaced: bool) -> Choice:
        live, rate, gpu = self._info.live, self._info.rate, self._gpu
        choice = choose_codec(
            self.path.suffix,
            form,
            codec=self._codec,
            crf=self._crf,
            alpha=self._alpha,
            live=live,
            rate=rate,
            gpu=gpu,
            interlaced=interlaced,
        )
        self._note.check(str(self.path), choice.name)
        self._format = f"{choice.name} {choice.pix_fmt}"
        return choice

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Encode one picture. Raises OutputError when it cannot be encoded or written."""
        frame = rendered.result.frame
        if self._last is not None and frame.pts <= self._last:
            self.counters.dropped += 1
            return
        picture = on_host(rendered.picture)
        if self._encoder is None or self._muxer is None:
            self._muxer, self._encoder = self._start(frame, picture)
        self._last = frame.pts
        first = self._encoder.first if isinstance(self._encoder, SegmentedEncoder) else self._encoder
        if frame.field_order is not None and first is not None and not first.marks_fields and not self._warned:
            self._warned = True
            self.warnings.append(f"{self.path}: from {frame.time:.2f} s on {first.unmarked()}")
        self._write(self._encoder.encode(picture, frame))
        self.counters.frames += 1
        self.counters.resized = self._encoder.resized

    def expected(self) -> float:
        """See OutputKind."""
        return self._expected

    def recalls(self, frame: Frame) -> bool:
        """See OutputKind. The first picture is always drawn: encoders are set up for it."""
        if self._whole is None or frame.pts <= self._asked_pts:  # the sink leaves out what does not come after the one before
            return False
        number, self._asked, self._asked_pts = self._asked, self._asked + 1, frame.pts
        return number > 0 and number // self._whole.keeper.length in self._whole

    def _start(self, frame: Frame, picture: av.VideoFrame) -> tuple[Muxer, Encoder | SegmentedEncoder]:
        if self._others is None:
            raise OutputError(f"{self.path}: open() was not called")
        info, setup = self._info, self._setup(frame, picture)
        choice = setup.choice
        muxer = Muxer(
            self.path,
            self._others,
            overwrite=self._overwrite,
            time_base=frame.time_base,
            metadata=dict(info.metadata) | self._alpha_tags() | self._clock_tags(frame),
            chapters=cast("Sequence[Chapter]", info.chapters),
            labelled=setup.rate if info.timecode is not None else None,
        )
        try:
            encoder = setup.encoder(muxer.add_video(choice, setup.rate, frame.time_base))
            self._describe(muxer)
            self._ready = partial(muxer.begin, frame.pts, self._origin())
            if self._whole is None:
                self._make_ready()
        except BaseException:
            self._discard(muxer)
            raise
        for loss in losses(picture.format, VideoFormat(choice.pix_fmt, 16, 16), max(self._depth, info.bit_depth)):
            self.warnings.append(f"{self.path}: {loss} (a limit of {choice.name} in a {self.path.suffix} file)")
        if encoder.padding:
            self.warnings.append(f"{self.path}: {encoder.padding}")
        shape = info.sample_aspect_ratio
        if shape not in (None, 1) and not (choice.codec.shapes or container_of(self.path.suffix).shapes):
            self.warnings.append(
                f"{self.path}: pixels of {shape} will play as square ones, because {choice.name} in {self.path.suffix} "
                "does not store their shape; use .mp4 or .mov, or h264 or hevc"
            )
        if lost := left_out(choice.name, info.beside, sidedata.copies(encoder.fitted(picture, frame)) if info.beside else ()):
            self.warnings.append(f"{self.path}: left out, because streamseg cannot write it with {choice.name}: {lost}")
        if self._whole is None:
            return muxer, encoder
        return muxer, SegmentedEncoder(encoder, setup.fresh, self._whole, frame.time_base, str(self.path))

    def _setup(self, frame: Frame, picture: av.VideoFrame) -> EncoderSetup:
        """How a film is encoded whose first picture this is."""
        assert self._others is not None
        info, choice = self._info, self._choose(picture.format, frame.field_order is not None)
        choice = replace(choice, options=static_options(choice.name, choice.options, info.beside))
        rate = info.rate or Fraction(25)
        rate = standard_rate(rate) if info.timecode is not None else rate
        by_key = ends_by_key(self.path, self._others) and not choice.codec.intra
        return EncoderSetup(self.path.suffix, choice, picture, info, frame, self._threads, rate, by_key)

    def parts_from(self, number: int, first: RenderedPicture) -> PartsEncoder:
        """What encodes parts of this film alone, from part `number` on, of a run whose parts are put together elsewhere.

        first: the film's first picture, for which encoders are set up. The sink must be open, with a keeper. Raises OutputError.
        """
        assert self._whole is not None
        frame, picture = first.result.frame, on_host(first.picture)
        return PartsEncoder(self._setup(frame, picture).fresh, self._whole, frame.time_base, str(self.path), number)

    def _make_ready(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready()

    def _describe(self, muxer: Muxer) -> None:
        """Language, title, start timecode and reel; what the container has no place for is said, as are other videos."""
        kind, info = container_of(self.path.suffix), self._info
        code = "" if info.timecode is None else str(info.timecode)
        places = {"timecode": kind.timecode != "no", "reel_name": kind.reel}
        told = {key: value for key, value in (("timecode", code), ("reel_name", info.reel)) if value}
        source = next((stream for stream in info.streams if stream.index == info.video_index), None)
        named = {"language": source.language, "title": source.title} if source is not None else {}
        muxer.name({key: value for key, value in named.items() if value})
        muxer.label({key: value for key, value in told.items() if places[key]})
        self.warnings += [
            f"{self.path}: video stream {stream.index} ({stream.codec}) is left out: one video is processed"
            for stream in info.streams
            if stream.type == "video" and stream.index != info.video_index
        ]
        if muxer.lost_tags:
            keys = ", ".join(muxer.lost_tags)
            self.warnings.append(f"{self.path}: left out metadata that a {self.path.suffix} file cannot hold: {keys}")
        self.warnings += [
            f"{self.path}: {key} {value} is left out: a {self.path.suffix} file cannot hold it; .mov and .mkv can"
            for key, value in told.items()
            if not places[key]
        ]

    def _origin(self) -> Origin:
        if self._info.live or self._info.start > 0 or not container_of(self.path.suffix).timed:
            return "picture"
        return "earliest" if self._info.container in _ARBITRARY_CLOCK else "source"

    def _discard(self, muxer: Muxer) -> None:
        """Nothing was encoded: leave no empty file."""
        muxer.leave()
        with contextlib.suppress(OSError):
            if self.path.is_file() and not is_stdout(self.path):
                self.path.unlink()

    def _write(self, packets: Iterable[Any]) -> None:
        assert self._muxer is not None
        for packet in packets:
            self._make_ready()
            self._muxer.video(packet)
            self._begun = True
        self.counters.bytes = self._muxer.file.size
        self.counters.packets_copied, self.counters.packets_skipped = self._muxer.copied, self._muxer.skipped

    def close(self) -> None:
        """Encode what is still inside the encoder, write the rest of the audio and finalise. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        if self._muxer is None or self._encoder is None:
            if self._packets is not None:
                self._packets.close()
            return
        try:
            self._flush(self._encoder, self._muxer)
            self._muxer.finish()
            self._write([])
            if self._alpha and not is_stdout(self.path):
                self._note.write(self.path.with_name(f"{self.path.name}.json"), file=self.path.name, format=self._format)
            self.warnings += [
                f"{self.path}: {count} packets of stream {index} are damaged and left out"
                for index, count in self._muxer.damaged.items()
            ]
            if count := self._muxer.skipped:
                self.warnings.append(
                    f"{self.path}: {count} packets of sound or text are left out: their times do not follow on"
                )
        finally:
            self._muxer.leave()

    def _flush(self, encoder: Encoder | SegmentedEncoder, muxer: Muxer) -> None:
        """Write what is inside the encoder; after a picture that the container cannot hold, finalise what came before."""
        try:
            self._write(encoder.flush())
        except OutputError:
            if muxer.file.error is None:
                with contextlib.suppress(OutputError):
                    muxer.finish(rest=False)
            raise

    def abort(self) -> None:
        """Finalise without what is inside the encoder; after a failed write, leave the file as it is. Does not raise."""
        if self._closed:
            return
        self._closed = True
        if self._muxer is None:
            if self._packets is not None:
                self._packets.close()
            return
        with contextlib.suppress(OutputError):
            if isinstance(self._encoder, SegmentedEncoder):
                self._encoder.leave()
            if not self._begun:
                self._discard(self._muxer)
            elif self._muxer.file.error is None:
                self._muxer.finish(rest=False)
            else:
                self._muxer.leave()
