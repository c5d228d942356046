"""From a SOURCE to frames: upright, in the decoder's own planes, with exact times that only go forward."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from streamseg.core.types import Frame
from streamseg.decode.added import find_added
from streamseg.decode.address import Address, as_source, names_camera, parse_source
from streamseg.decode.arrays import open_frames, said
from streamseg.decode.container import first_picture, open_container
from streamseg.decode.demux import demux
from streamseg.decode.ending import Guarded
from streamseg.decode.faults import AV_ERRORS, fault, no_picture
from streamseg.decode.framer import Framer, HardwareDecoding
from streamseg.decode.frames import Frames, FrameSource
from streamseg.decode.header import Header, header_of, is_finite
from streamseg.decode.info import SourceInfo, source_info
from streamseg.decode.interlace import Deinterlace, Fields, Interlacing
from streamseg.decode.live import LiveReader, ReconnectPolicy, when_there
from streamseg.decode.numbering import number_of
from streamseg.decode.passthrough import KINDS, PassThrough, PassThroughHub
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.reader import PacketReader
from streamseg.decode.shared import SharedState
from streamseg.decode.source_label import label_of_source
from streamseg.decode.spool import Spool, spooled
from streamseg.decode.stills import open_stills
from streamseg.decode.timeline import DecodeCounters, Splicer
from streamseg.errors import ConfigError, NoVideo, SourceError, StreamsegError, Unreadable
from streamseg.system.callbacks import Message
from streamseg.system.http import refuses_parts

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Decoder", "open_source"]

SEEK_BACK = (Fraction(0), Fraction(2), Fraction(10))
"""Seconds before `start` to seek to, in turn, until a picture not later than `start` comes; then from the beginning."""
CATCH_UP = 3.0
"""Seconds that decoding what came before the newest picture of a live source may take, before a late one is given."""


class Decoder:
    """Reads one source::

        with Decoder("clip.mp4", start=3.0, duration=10.0) as decoder:
            for frame in decoder.frames():
                ...

    source: a file; a folder, glob or printf pattern of images; a camera's number or /dev/videoN; an rtsp, rtsps, rtmp, http,
        https, udp, tcp, srt address; "-" for standard input; or an iterable of pictures (`decode.frames`).
    start, duration: seconds from the source's first picture; exact to the frame. The first frame is the first whose time is not
        before `start`. pts keep the source's values, `Frame.index` is the number in the source (see `numbering`).
    rate: frames a second of images, of pictures without times (25 if None), and of bare streams (raw H.264, MJPEG, images in a
        pipe), whose times libav makes up; elsewhere it is used where pts are missing, and warned of where they are not.
    realtime: give frames no faster than their pts.
    max_pixels: larger pictures are refused before they are decoded.
    threads: of the codec; 0 lets libav choose.
    timeout: seconds without data after which a camera or network is taken for lost.
    reconnect: seconds to try to get it back.
    wait: seconds to wait for it when it is not there at first: "live" waits for `reconnect` seconds, "likely" does so for cameras'
        addresses, but not for http, where a file may be meant; "no" fails at once. What waiting cannot mend fails at once, too.
    on_message: hears when a source is waited for.
    keep_up: leave out pictures of a live source that have become late, as those that come while nobody reads.
    spool: bytes that what comes through a pipe, or from a web server without ranges, may take in a temporary file, which is then
        read in its place; 0: it is read as it comes.
    playlists: allow HLS, DASH and concat scripts, which make libav read other files and hosts.
    use: `module:Class` of an `AddedSource` that may be imported, which reads the source in streamseg's place.
    fields: whether pictures are interlaced, and which field comes first: as they say (auto), or progressive, tff, bff.
    deinterlace: make interlaced pictures progressive, one of each (frame) or two (field); on the CPU.
    hardware: puts the pictures on a GPU, decoded there where it can; None: they stay in host memory.
    """

    def __init__(
        self,
        source: str | int | os.PathLike[str] | Frames | FrameSource,
        *,
        start: float = 0.0,
        duration: float | None = None,
        rate: float | Fraction | None = None,
        realtime: bool = False,
        max_pixels: int = 8192 * 8192,
        threads: int = 0,
        timeout: float = 5.0,
        reconnect: float = 30.0,
        wait: Literal["no", "likely", "live"] = "no",
        on_message: Message | None = None,
        keep_up: bool = True,
        spool: int = 0,
        playlists: bool = False,
        fields: Fields = "auto",
        use: str | None = None,
        deinterlace: Deinterlace = "off",
        hardware: HardwareDecoding | None = None,
    ) -> None:
        for label, value in (
            ("start", start),
            ("rate", 25 if rate is None else rate),
            ("timeout", timeout),
            ("reconnect", reconnect),
        ):
            if not 0 <= value < 1e9 or (value == 0 and label in ("rate", "timeout")):
                raise ConfigError(f"{label}: {value} is not allowed; give a positive number")
        if duration is not None and not 0 < duration < 1e9:
            raise ConfigError(f"duration: {duration} is not allowed; give a positive number of seconds")
        self._source, self._use = source, use
        self._start = Fraction(start).limit_denominator(1_000_000)
        self._duration = None if duration is None else Fraction(duration).limit_denominator(1_000_000)
        self._rate = None if rate is None else Fraction(rate).limit_denominator(100_000)
        self._realtime = realtime
        self._max_pixels, self._threads = max_pixels, threads
        self._timeout, self._reconnect, self._playlists = timeout, reconnect, playlists
        self._wait, self._on_message, self._keep_up = wait, on_message, keep_up
        self._spool = spool
        self._spooled: Spool | None = None
        self._early = 0
        self._hardware = hardware
        self._interlacing = Interlacing(fields, deinterlace)
        by_gpu = hardware is not None and hardware.accel is not None
        if deinterlace != "off" and by_gpu and hardware and not hardware.give_up("deinterlacing is done on the CPU"):
            raise ConfigError("pictures are deinterlaced on the CPU, so NVDEC cannot decode them; use --decode auto")
        self._stop = threading.Event()
        self._container: InputContainer | None = None
        self._live: LiveReader | None = None
        self._given: FrameSource | None = None
        self._framer: Framer | None = None
        self._hub = PassThroughHub()
        self._frames: Iterator[Frame] = iter(())
        self._first: Frame | None = None
        self._info: SourceInfo | None = None
        self.counters = DecodeCounters()
        self.warnings: list[str] = []
        """Sentences for the user: what was unusual, and what was done about it."""

    @property
    def info(self) -> SourceInfo:
        """What `open` learned."""
        if self._info is None:
            raise RuntimeError("Decoder.info is there after open()")
        return self._info

    def __enter__(self) -> Decoder:
        if self._info is None:  # `with open_source(...)`: it is open
            self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- opening -----------------------------------------------------------------------------------------------------------

    def open(self) -> SourceInfo:
        """Open the source and decode its first picture.

        Raises SourceNotFound, Unreadable, NoVideo, TooLarge, SourceLost or SourceError.
        """
        given = as_source(self._source)
        pictures = given if isinstance(given, FrameSource) else find_added(given, self._use)
        if isinstance(given, FrameSource) or pictures is not None:
            assert pictures is not None
            return self._open_frames(pictures)
        place: str | int | os.PathLike[str] = given
        device = self._wait == "live" and names_camera(place)
        policy = ReconnectPolicy(self._timeout, self._reconnect, self._reconnect if device else 0.0, self._on_message)
        address = when_there(
            lambda: parse_source(place, timeout=self._timeout, playlists=self._playlists), policy, self._stop.is_set
        )
        try:
            if self._spool:
                self._spooled = spooled(address, self._spool, self._timeout, self._stop.is_set, self._on_message)
                address = self._spooled.address if self._spooled else address
            if address.kind == "images":
                self._open_images(address)
            elif address.threaded:
                self._open_network(address)
            else:
                self._open_by_any_means(address, self._open_file)
        except StreamsegError:
            self.close()
            raise
        if self._rate is not None and address.kind != "images" and self._first is not None and not self._first.synthetic_pts:
            self.warnings.append(
                f"{self.info.name}: the rate of {float(self._rate):g} frames a second is not used: the source has times of its own"
            )
        return self.info

    def _share(self, address: Address) -> SharedState:
        """Fresh state of a run: nothing met in an attempt to open counts."""
        self._hub.restart()
        self.counters = DecodeCounters()
        limits = (self._max_pixels, self._threads)
        accel = self._hardware.accel if self._hardware else None
        return SharedState(address, self._hub, Splicer(), self.counters, self.warnings, *limits, self._stop.is_set, accel)

    def _open_frames(self, given: FrameSource) -> SourceInfo:
        self._hub.restart()
        self._given = given
        try:
            header, pictures = open_frames(given, self._rate, self._max_pixels, self.warnings.append)
            self._begin(pictures, header)
        except StreamsegError:
            self.close()
            raise
        return self.info

    def _open_images(self, address: Address) -> None:
        self._share(address)
        stills = open_stills(address, self._start, self._rate, self._max_pixels, self.warnings.append)
        self._begin(stills.pictures, stills.header, before=stills.first)

    def _open_live(self, address: Address) -> None:
        waits = self._wait == "live" or (self._wait == "likely" and address.scheme not in ("http", "https"))
        policy = ReconnectPolicy(self._timeout, self._reconnect, self._reconnect if waits else 0.0, self._on_message)
        self._live = LiveReader(self._share(address), policy)
        reader = self._live.open()
        if reader is None:
            raise SourceError(f"{address.name}: stopped while it was being opened")
        finite = address.kind == "pipe" or (address.scheme in ("http", "https") and is_finite(reader.container))
        header = header_of(address, reader.container, reader.stream, live=not finite, rate=self._rate)
        if not finite:
            self._live.attend(self._keep_up)
        self._begin(self._live.pictures(), header)

    def _open_network(self, address: Address) -> None:
        """Once more as it comes, if a web server was asked for a part of a file and has refused."""
        said = len(self.warnings)
        try:
            self._open_by_any_means(address, self._open_live)
        except (Unreadable, NoVideo):
            if address.scheme not in ("http", "https") or not refuses_parts(address.url, self._timeout):
                raise
        else:
            return
        self._start_again(said)
        self._open_by_any_means(replace(address, options=address.options | {"seekable": "0"}), self._open_live)

    def _start_again(self, said: int) -> None:
        """After an attempt to open: forget it, and all warnings but the first `said`."""
        del self.warnings[said:]
        if self._live is not None:
            self._live.close()
            self._live = None

    def _open_by_any_means(self, address: Address, open_: Callable[[Address], None]) -> None:
        """Once more, decoded by the CPU, if the GPU's decoder was tried and could not."""
        said = len(self.warnings)
        try:
            open_(address)
        except Unreadable as error:
            # What came through a pipe does not come again.
            if self._hardware is None or address.kind == "pipe" or not self._hardware.give_up(f"NVDEC failed: {error}"):
                raise
        else:
            return
        self._start_again(said)
        open_(address)

    def _open_file(self, address: Address) -> None:
        """Seek to a keyframe before `start` if that leads there for sure; else decode from the beginning."""
        for back in SEEK_BACK if self._start else ():
            reader = self._reopen(address)
            header = header_of(address, reader.container, reader.stream, live=False, rate=self._rate)
            if header.origin is None or not reader.may_seek or not self._seek(reader, header.origin, back):
                break
            sought = partial(number_of, address, reader, timeout=self._timeout)
            if self._begin(self._file_pictures(reader), header, sought, address=address):
                return
        reader = self._reopen(address)
        header = header_of(address, reader.container, reader.stream, live=False, rate=self._rate)
        self._begin(self._file_pictures(reader), header)

    def _reopen(self, address: Address) -> PacketReader:
        if self._container is not None:
            self._container.close()
        problem: StreamsegError | None = None
        try:
            self._container = open_container(address, self._timeout, accel=self._hardware.accel if self._hardware else None)
        except AV_ERRORS as error:
            problem = fault(error, address.name)
        if problem:
            raise problem
        assert self._container is not None
        return PacketReader(self._container, self._share(address))

    def _seek(self, reader: PacketReader, origin: int, back: Fraction) -> bool:
        target = max(Fraction(0), self._start - back) / (reader.stream.time_base or Fraction(1, 90000))
        try:
            reader.container.seek(origin + int(target), stream=reader.stream)
        except AV_ERRORS:
            return False  # this format cannot seek
        reader.log.from_start = False
        return True

    def _file_pictures(self, reader: PacketReader) -> Iterator[DecodedPicture]:
        packets = Guarded(demux(reader.container))
        yield from reader.pictures(packets)
        if not self._stop.is_set():
            reader.judge_end(packets.problem)

    def _begin(
        self,
        pictures: Iterator[DecodedPicture],
        header: Header,
        sought: Callable[[int | None], int | None] | None = None,
        before: int = 0,
        address: Address | None = None,
    ) -> bool:
        """Decode up to the first frame that is wanted; `before`: so many pictures were passed over.

        address, sought: if the source was sought: its address, and what gives the first picture's number. False if that picture
        lies behind `start`, or has no number.
        """
        ahead = next(pictures, None)
        if ahead is None:
            return self._nothing(header, sought is not None)
        found, told = ahead, header
        header, pictures = self._interlacing.apply(header, ahead, pictures)
        ahead = next(pictures)
        origin = header.origin
        if origin is None:
            origin = 0 if ahead.pts is None else round(ahead.pts * ahead.time_base / header.time_base)
        very_first = None if address is None else partial(first_picture, address, told, self._timeout)
        label = label_of_source(told, found, very_first, self.warnings.append)
        limits = (self._start, self._duration)
        if sought is not None:
            late = ahead.pts is None or ahead.pts > origin + -(-self._start // header.time_base)
            number = None if late else sought(found.pts)
            if number is None:
                return False
            # Two frames of each picture, or one of two fields: of a film that is interlaced all through.
            before = round(number * (header.rate / told.rate)) if header.rate and told.rate else number
        framer = Framer(header, origin, *limits, self.counters, self.warnings, self._hardware, before)
        if header.timeless and not header.counted and not header.live:
            rate = float(header.rate or 25)
            self.warnings.append(
                f"{header.name}: has no times of its own; {rate:g} frames a second are taken (--rate says other)"
            )
        begin = None if framer.first is None else float(framer.first * header.time_base)
        self._hub.window(begin, None if framer.end is None else float(framer.end * header.time_base))
        self._framer, self._frames = framer, framer.frames(chain([ahead], pictures))
        self._first = next(self._frames, None)
        if self._first is None:
            return self._nothing(header, sought is not None)
        turned, beside = framer.orientation, framer.beside or ()
        self._info = source_info(header, self._first, turned, self._start, self._duration, label, beside)
        return True

    def _nothing(self, header: Header, sought: bool) -> bool:
        """There is no first frame: raise the error that says why, or, after a seek, return False to try another way."""
        if self._stop.is_set():
            raise SourceError(f"{header.name}: stopped while it was being opened")
        if sought:
            return False
        by_gpu = self._hardware is not None and self._hardware.accel is not None
        raise no_picture(
            header.name, header.codec, header.duration, self._start, damaged=self.counters.decode_errors > 0, by_gpu=by_gpu
        )

    # -- reading -----------------------------------------------------------------------------------------------------------

    def subscribe(self, wanted: Iterable[str] = KINDS) -> PassThrough:
        """The packets of the other streams, for one output; between `open` and `frames`.

        wanted: audio, subtitle, data, attachment (a template without packets)."""
        container = self._live.reader.container if self._live and self._live.reader else self._container
        return self._hub.subscribe(container.streams if container else (), wanted)

    def frames(self) -> Iterator[Frame]:
        """Frames in the order of their pts, once.

        Raises, after the frames that are good: Unreadable if the source breaks off, SourceLost if a live one does not come back,
        TooLarge if its pictures grow beyond the limit.
        """
        self._hub.begin()
        first, self._first = self._first, None
        if first is None:
            return
        frames: Iterator[Frame] = chain([first], self._frames)
        if self._live is not None and self.info.live:
            frames = self._from_newest(self._live, frames)
        origin = time.monotonic() - first.time
        for frame in frames:
            if self._realtime and not self.info.live:
                self._stop.wait(max(0.0, origin + frame.time - time.monotonic()))
            if self._stop.is_set():
                return
            self.counters.frames += 1
            yield replace(frame, arrived=time.monotonic()) if self._realtime else frame

    def _from_newest(self, live: LiveReader, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Begin with the newest picture, not with those that came since the source was opened."""
        deadline = time.monotonic() + CATCH_UP
        live.begin()
        for frame in frames:
            if live.outdated(frame.arrived) and time.monotonic() < deadline:
                self.counters.skipped += 1
                continue
            assert self._framer is not None
            first = self._framer.begin_with(frame)
            end = self._framer.end
            self._hub.window(first.time, None if end is None else float(end * first.time_base))
            self._early = self.counters.skipped
            yield first
            break
        yield from frames

    @property
    def left_out(self) -> int:
        """Pictures of a live source that were left out to keep up, without those that came before the first frame."""
        return max(0, self.counters.skipped - self._early)

    # -- ending --------------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """From any thread: `open` and `frames` end within a second, even inside a read that stalls."""
        self._stop.set()
        if self._given is not None:
            self._given.stop()

    def close(self) -> None:
        """Close the source; idempotent."""
        self._stop.set()
        if self._live is not None:
            self._live.close()
            self._live = None
        if self._container is not None and not self._hub.in_use:
            self._container.close()
        self._container = None
        self._frames = iter(())
        if self._given is not None and (error := self._given.close()) is not None:
            self.warnings.append(f"{self._given}: the generator failed while it was closed: {said(error)}")
        if self._spooled is not None:
            self._spooled.close()
        if self._hardware is not None:
            self._hardware.close()


def open_source(source: str | int | os.PathLike[str] | Frames, **options: Any) -> Decoder:
    """A `Decoder`, opened; the options are its."""
    decoder = Decoder(source, **options)
    decoder.open()
    return decoder
