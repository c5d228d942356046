"""Decoder: reads a source and gives its frames, upright, in the planes that they were decoded to, with exact, increasing times."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import Any, TypeVar

from streamseg.core.types import Frame
from streamseg.decode.framer import HardwareDecoding
from streamseg.decode.frames import Frames, FrameSource
from streamseg.decode.info import SourceInfo
from streamseg.decode.interlace import Deinterlace, Fields, Interlacing
from streamseg.decode.joined import Joint
from streamseg.decode.live import LiveReader
from streamseg.decode.options import DecodeOptions, Wait
from streamseg.decode.passthrough import KINDS, PassThrough
from streamseg.decode.reconnect import OnLoss
from streamseg.decode.smaller import smaller_frame, smaller_info
from streamseg.decode.source_opener import Known, SourceOpener
from streamseg.decode.tap import PacketTap
from streamseg.decode.timeline import DecodeCounters
from streamseg.errors import ConfigError
from streamseg.pixels.orient import TURNS, Orientation
from streamseg.system.callbacks import Message

__all__ = ["Decoder", "open_source"]

T = TypeVar("T")

CATCH_UP = 3.0
"""A live source begins with its newest picture. Decoding those before it may take so many seconds; then a late one is given."""


class Decoder:
    """Reads one source::

        with Decoder("clip.mp4", start=3.0, duration=10.0) as decoder:
            for frame in decoder.frames():
                ...

    source: a file; a folder, glob or printf pattern of images; a camera's number, name or /dev/videoN; an rtsp, rtsps, rtmp, http,
        https, udp, tcp, srt address; "-" for standard input; or an iterable of pictures (`decode.frames`).
    start, duration: seconds from the source's first picture; exact to the frame. The first frame is the first whose time is not
        before `start`. pts keep the source's values, `Frame.index` is the number in the source (see `numbering`).
    rate: frames a second of images and pictures without times (None: 25), and of bare streams (raw H.264, MJPEG, images in a
        pipe), whose times libav makes up. A source that has times of its own keeps them, and a warning says so; there the rate only
        stands in where pts are missing.
    realtime: give frames no faster than their pts.
    max_pixels: larger pictures are refused before they are decoded.
    threads: of the codec; 0 lets libav choose.
    timeout: seconds without data after which a camera or network is taken for lost.
    reconnect: seconds to try to get it back.
    wait: whether to wait for a source that is not there at first, for `reconnect` seconds. "live": yes; "likely": yes, but not for
        an http address, which may mean a file; "no": fail at once. What waiting cannot mend fails at once in any case.
    on_message: hears when a source is waited for.
    on_loss: hears why a live source is away, whenever that changes, and None when pictures come again.
    placeholder: while a live source is lost, give frames that say why (`Frame.lost`), of an epoch of their own.
    keep_up: leave out pictures of a live source that have become late, for example while nobody was reading.
    spool: keep what comes through a pipe, or from a web server without ranges, in a temporary file of at most so many bytes, and
        read that; 0: read it as it comes.
    playlists: allow HLS, DASH and concat scripts, which make libav read other files and hosts.
    rotate, mirror: turn pictures by so many degrees clockwise (0, 90, 180, 270), then mirror them left to right, beyond what their
        tag asks for.
    trip: the camera whose files the source, a folder, joins into one film (see `trip`); "off": it is no trip.
    use: `module:Class` of an `AddedSource` that reads the source instead of streamseg. It is imported, so it must be trusted.
    fields: whether pictures are interlaced, and which field comes first: as they say (auto), or progressive, tff, bff.
    deinterlace: make interlaced pictures progressive, one of each (frame) or two (field); on the CPU.
    shrink: give pictures at 1 / `shrink` of their width and height, in host memory.
    known: what is known of the film's packets, of who has read them before; then it is an error if no seek leads to `start`.
    hardware: puts the pictures on a GPU, decoded there where it can; None: they stay in host memory.
    tap: hears of each packet of a video file, camera, address or pipe as it is read (see `decode.tap`).
    """

    def __init__(
        self,
        source: str | int | os.PathLike[str] | Frames | FrameSource,
        *,
        start: float | Fraction = 0.0,
        duration: float | Fraction | None = None,
        rate: float | Fraction | None = None,
        realtime: bool = False,
        max_pixels: int = 8192 * 8192,
        threads: int = 0,
        timeout: float = 5.0,
        reconnect: float = 30.0,
        wait: Wait = "no",
        placeholder: bool = False,
        on_message: Message | None = None,
        on_loss: OnLoss | None = None,
        keep_up: bool = True,
        spool: int = 0,
        playlists: bool = False,
        fields: Fields = "auto",
        use: str | None = None,
        trip: str = "off",
        rotate: int = 0,
        mirror: bool = False,
        deinterlace: Deinterlace = "off",
        shrink: int = 1,
        hardware: HardwareDecoding | None = None,
        known: Known | None = None,
        tap: PacketTap | None = None,
    ) -> None:
        if rotate % 90:
            raise ConfigError(f"rotate: {rotate} is not allowed; quarter turns are: 0, 90, 180, 270")
        options = DecodeOptions.checked(
            start=start,
            duration=duration,
            rate=rate,
            timeout=timeout,
            reconnect=reconnect,
            max_pixels=max_pixels,
            threads=threads,
            wait=wait,
            placeholder=placeholder,
            on_message=on_message,
            keep_up=keep_up,
            spool=spool,
            playlists=playlists,
            use=use,
            trip=trip,
            mount=TURNS[-rotate % 360].then(Orientation(flip_x=mirror)),
            tap=tap,
            on_loss=on_loss,
        )
        by_gpu = hardware is not None and hardware.accel is not None
        if deinterlace != "off" and by_gpu and hardware and not hardware.give_up("deinterlacing is done on the CPU"):
            raise ConfigError("pictures are deinterlaced on the CPU, so NVDEC cannot decode them; use --decode auto")
        self._source = source
        self._realtime = realtime
        self._shrink = shrink
        self._early = 0
        self._opener = SourceOpener(options, Interlacing(fields, deinterlace), hardware, known)

    @property
    def counters(self) -> DecodeCounters:
        """What happened so far."""
        return self._opener.counters

    @property
    def warnings(self) -> list[str]:
        """Sentences for the user: what was unusual, and what was done about it."""
        return self._opener.warnings

    @property
    def info(self) -> SourceInfo:
        """What `open` learned."""
        if self._opener.info is None:
            raise RuntimeError("Decoder.info is there after open()")
        return self._opener.info if self._shrink == 1 else smaller_info(self._opener.info, self._shrink)

    def __enter__(self) -> Decoder:
        if self._opener.info is None:  # `with open_source(...)`: it is open
            self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def open(self) -> SourceInfo:
        """Open the source and decode its first picture.

        Raises SourceNotFound, Unreadable, NoVideo, TooLarge, SourceLost or SourceError.
        """
        self._opener.open(self._source)
        return self.info

    @property
    def joints(self) -> Sequence[Joint]:
        """Of a trip: where each of its files begins, as far as they were read; empty for other sources."""
        joined = self._opener.joined
        return () if joined is None else joined.joints

    def subscribe(self, wanted: Iterable[str] = KINDS) -> PassThrough:
        """The packets of the other streams, for one output; between `open` and `frames`.

        wanted: audio, subtitle, data, attachment (a template without packets)."""
        live, container = self._opener.live, self._opener.container
        if live and live.reader:
            container = live.reader.container
        return self._opener.hub.subscribe(container.streams if container else (), wanted)

    def frames(self) -> Iterator[Frame]:
        """Frames in the order of their pts, once.

        Raises, after the frames that are good: Unreadable if the source breaks off, SourceLost if a live one does not come back,
        TooLarge if its pictures grow beyond the limit.
        """
        self._opener.hub.begin()
        first, self._opener.first = self._opener.first, None
        if first is None:
            return
        frames: Iterator[Frame] = chain([first], self._opener.frames)
        if self._opener.live is not None and self.info.live:
            frames = self._from_newest(self._opener.live, frames)
        origin = time.monotonic() - first.time
        for frame in frames:
            if self._realtime and not self.info.live:
                self._opener.stopped.wait(max(0.0, origin + frame.time - time.monotonic()))
            if self._opener.stopped.is_set():
                return
            self.counters.frames += 1
            given = frame if self._shrink == 1 else smaller_frame(frame, self._shrink)
            yield replace(given, arrived=time.monotonic()) if self._realtime else given

    def undecoded(self, frames: Iterable[T]) -> Iterator[T]:
        """In place of `frames`: what was made of the frames elsewhere, while the packets of a file's other streams come as ever.

        frames: one for each, in order. As where they are decoded, one more packet of the video is read for each behind the first.
        Raises, after the frames, Unreadable if the source breaks off.
        """
        self._opener.hub.begin()
        packets = self._opener.undecoded()
        for frame in frames:
            if self._opener.stopped.is_set():
                return
            yield frame
            next(packets, None)
        for _ in packets:
            pass

    def _from_newest(self, live: LiveReader, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Begin with the newest picture, not with those that came since the source was opened."""
        deadline = time.monotonic() + CATCH_UP
        live.begin()
        for frame in frames:
            if live.outdated(frame.arrived) and time.monotonic() < deadline:
                self.counters.skipped += 1
                continue
            assert self._opener.framer is not None
            first = self._opener.framer.begin_with(frame)
            end = self._opener.framer.end
            self._opener.hub.window(first.time, None if end is None else float(end * first.time_base))
            self._early = self.counters.skipped
            yield first
            break
        yield from frames

    @property
    def left_out(self) -> int:
        """Pictures of a live source that were left out to keep up, without those that came before the first frame."""
        return max(0, self.counters.skipped - self._early)

    def stop(self) -> None:
        """From any thread: `open` and `frames` end within a second, even inside a read that stalls."""
        self._opener.stop()

    def close(self) -> None:
        """Close the source; idempotent."""
        self._opener.close()


def open_source(source: str | int | os.PathLike[str] | Frames, **options: Any) -> Decoder:
    """A `Decoder` that is open. options: those of `Decoder`."""
    decoder = Decoder(source, **options)
    decoder.open()
    return decoder
