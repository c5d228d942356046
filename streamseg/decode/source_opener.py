"""Ways to open a source: each kind has one, some have several that are tried in turn, until the first frame is there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from streamseg.core.types import Frame
from streamseg.decode.added import find_added
from streamseg.decode.address import Address, as_source, names_camera, parse_source
from streamseg.decode.arrays import open_frames, said
from streamseg.decode.container import first_picture, open_container
from streamseg.decode.ending import Guarded
from streamseg.decode.faults import AV_ERRORS, fault, no_picture
from streamseg.decode.framer import Framer, HardwareDecoding
from streamseg.decode.frames import Frames, FrameSource
from streamseg.decode.header import Header, header_of, is_finite
from streamseg.decode.info import SourceInfo, source_info
from streamseg.decode.interlace import Interlacing
from streamseg.decode.joined import JoinedReader
from streamseg.decode.live import LiveReader
from streamseg.decode.numbering import number_of
from streamseg.decode.options import DecodeOptions
from streamseg.decode.passthrough import PassThroughHub
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.reader import PacketReader
from streamseg.decode.reconnect import ReconnectPolicy, when_there
from streamseg.decode.shared import SharedState
from streamseg.decode.source_label import label_of_source
from streamseg.decode.spool import Spool, spooled
from streamseg.decode.stills import open_stills
from streamseg.decode.tap import tapped
from streamseg.decode.timeline import DecodeCounters, Splicer
from streamseg.errors import NoVideo, SourceError, StreamsegError, Unreadable
from streamseg.system.http import refuses_parts

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["Known", "SourceOpener"]


class Known(Protocol):
    """Of who has read all packets before: where a film can be decoded from, and what number the picture there has."""

    def seek(self, reader: PacketReader, pts: int, back: int) -> bool:
        """Go to a key frame of which the picture `pts` can be decoded, so many before the last one; False: nothing leads there."""

    def number_of(self, reader: PacketReader, pts: int | None) -> int | None:
        """As `numbering.number_of`."""


KEYS_BACK = (0, 1, 2, 4, 8, 16)
"""The same for who knows all key frames: so many before the last one that is not later than `start`."""
SEEK_BACK = (Fraction(0), Fraction(2), Fraction(10))
"""Seconds before `start` to seek to, in turn, until a picture not later than `start` comes; then from the beginning."""


class SourceOpener:
    """Opens the source of one `Decoder`, and holds what is open."""

    def __init__(
        self,
        options: DecodeOptions,
        interlacing: Interlacing,
        hardware: HardwareDecoding | None,
        known: Known | None = None,
    ) -> None:
        self._options, self._interlacing, self._hardware, self._known = options, interlacing, hardware, known
        self.stopped = threading.Event()
        """Set by `stop`: whatever waits or reads ends."""
        self._spooled: Spool | None = None
        self.hub = PassThroughHub()
        self.container: InputContainer | None = None
        """Of a file."""
        self._reader: PacketReader | None = None
        self._packets = Guarded(())
        """Those that it reads."""
        self.live: LiveReader | None = None
        """Of a camera, a network address or a pipe."""
        self.joined: JoinedReader | None = None
        """Of a trip."""
        self.given: FrameSource | None = None
        """Pictures that a program gives."""
        self.framer: Framer | None = None
        self.first: Frame | None = None
        """The first frame that is wanted."""
        self.frames: Iterator[Frame] = iter(())
        """Those after it."""
        self.info: SourceInfo | None = None
        self.counters = DecodeCounters()
        """Of the attempt that succeeded."""
        self.warnings: list[str] = []

    def open(self, source: str | int | os.PathLike[str] | Frames | FrameSource) -> SourceInfo:
        """Find a way to read the source, and decode up to the first frame that is wanted. Raises what `Decoder.open` raises."""
        options, given = self._options, as_source(source)
        pictures = given if isinstance(given, FrameSource) else find_added(given, options.use)
        if isinstance(given, FrameSource) or pictures is not None:
            assert pictures is not None
            return self._open_frames(pictures)
        place: str | int | os.PathLike[str] = given
        policy = self._policy(options.wait == "live" and names_camera(place))
        parse = partial(parse_source, place, timeout=options.timeout, playlists=options.playlists, trip=options.trip)
        address = when_there(parse, policy, self.stopped.is_set)
        try:
            if options.spool:
                self._spooled = spooled(address, options.spool, options.timeout, self.stopped.is_set, options.on_message)
                address = self._spooled.address if self._spooled else address
            if address.kind == "images":
                self._open_images(address)
            elif address.kind == "trip":
                self.warnings += address.said
                if options.on_message is not None:
                    options.on_message(address.note)
                self._open_by_any_means(address, self._open_trip)
            elif address.threaded:
                self._open_network(address)
            else:
                self._open_by_any_means(address, self._open_file)
        except StreamsegError:
            self.close()
            raise
        if options.rate is not None and address.kind != "images" and self.first is not None and not self.first.synthetic_pts:
            self.warnings.append(
                f"{address.name}: the rate of {float(options.rate):g} frames a second is not used: "
                "the source has times of its own"
            )
        assert self.info is not None
        return self.info

    def _policy(self, waits: bool) -> ReconnectPolicy:
        """waits: whether a source that is not there at first is waited for."""
        options = self._options
        wait = options.reconnect if waits else 0.0
        placeholder = options.placeholder
        return ReconnectPolicy(options.timeout, options.reconnect, wait, options.on_message, placeholder, options.on_loss)

    def _share(self, address: Address) -> SharedState:
        """Fresh state of a run: nothing met in an attempt to open counts."""
        self.hub.restart()
        self.counters = DecodeCounters()
        limits = (self._options.max_pixels, self._options.threads)
        accel = self._hardware.accel if self._hardware else None
        tap = self._options.tap
        return SharedState(address, self.hub, Splicer(), self.counters, self.warnings, *limits, self.stopped.is_set, accel, tap)

    def _open_frames(self, given: FrameSource) -> SourceInfo:
        self.hub.restart()
        self.given = given
        try:
            header, pictures = open_frames(given, self._options.rate, self._options.max_pixels, self.warnings.append)
            self._begin(pictures, header)
        except StreamsegError:
            self.close()
            raise
        assert self.info is not None
        return self.info

    def _open_images(self, address: Address) -> None:
        self._share(address)
        stills = open_stills(address, self._options.start, self._options.rate, self._options.max_pixels, self.warnings.append)
        self._begin(stills.pictures, stills.header, before=stills.first)

    def _open_trip(self, address: Address) -> None:
        """All files are read from the first one on: what each repeats of the one before is known once both were looked at."""
        self._close_joined()
        self.joined = JoinedReader(address, self._share(address), self._options.timeout)
        reader = self.joined.open()
        self.container = self.joined.first
        header = header_of(address, reader.container, reader.stream, live=False, rate=self._options.rate)
        played = sum(part.lasts or 0.0 for part in address.parts)  # without the pauses between
        count = round(played * header.rate) if header.rate and address.lasts is not None else None
        header = replace(header, duration=address.lasts, frame_count=count, chapters=(), end=None)
        self._begin(self.joined.pictures(reader), header)

    def _close_joined(self) -> None:
        joined, self.joined = self.joined, None
        if joined is not None:
            joined.close()
            if self.container is not None and not self.hub.in_use:
                self.container.close()
                self.container = None

    def _open_live(self, address: Address) -> None:
        waits = self._options.wait == "live" or (self._options.wait == "likely" and address.scheme not in ("http", "https"))
        policy = self._policy(waits)
        self.live = LiveReader(self._share(address), policy)
        reader = self.live.open()
        if reader is None:
            raise SourceError(f"{address.name}: stopped while it was being opened")
        finite = address.kind == "pipe" or (address.scheme in ("http", "https") and is_finite(reader.container))
        header = header_of(address, reader.container, reader.stream, live=not finite, rate=self._options.rate)
        if not finite:
            self.live.attend(self._options.keep_up)
        self._begin(self.live.pictures(), header)

    def _open_network(self, address: Address) -> None:
        """Open a live source; if a web server refuses to send parts of a file, open it again to be read from its start only."""
        said = len(self.warnings)
        try:
            self._open_by_any_means(address, self._open_live)
        except (Unreadable, NoVideo):
            if address.scheme not in ("http", "https") or not refuses_parts(address.url, self._options.timeout):
                raise
        else:
            return
        self._start_again(said)
        self._open_by_any_means(replace(address, options=address.options | {"seekable": "0"}), self._open_live)

    def _start_again(self, said: int) -> None:
        """Forget a failed attempt to open, and all warnings but the first `said`."""
        del self.warnings[said:]
        if self.live is not None:
            self.live.close()
            self.live = None

    def _open_by_any_means(self, address: Address, open_: Callable[[Address], None]) -> None:
        """Open by `open_`; if the GPU's decoder was tried and failed, open again to be decoded by the CPU."""
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
        if self._known is not None and self._options.start:
            self._open_at_key(address, self._known)
            return
        for back in SEEK_BACK if self._options.start else ():
            reader = self._reopen(address)
            header = header_of(address, reader.container, reader.stream, live=False, rate=self._options.rate)
            if header.origin is None or not reader.may_seek or not reader.seek(header.origin, self._options.start - back):
                break
            sought = partial(number_of, address, reader, timeout=self._options.timeout)
            if self._begin(self._file_pictures(reader), header, sought, address=address):
                return
        reader = self._reopen(address)
        header = header_of(address, reader.container, reader.stream, live=False, rate=self._options.rate)
        self._begin(self._file_pictures(reader), header)

    def _open_at_key(self, address: Address, known: Known) -> None:
        start = self._options.start
        for back in KEYS_BACK:
            reader = self._reopen(address)
            header = header_of(address, reader.container, reader.stream, live=False, rate=self._options.rate)
            if header.origin is None or not reader.may_seek:
                break
            # `start` may be counted in another time base, where pictures are made of fields.
            pts = int((header.origin * header.time_base + start) / (reader.stream.time_base or header.time_base))
            if known.seek(reader, pts, back):
                reader.log.from_start = False
                if self._begin(self._file_pictures(reader), header, partial(known.number_of, reader), address=address):
                    return
        raise SourceError(f"{address.name}: no seek leads for sure to {float(start):g} s")

    def _reopen(self, address: Address) -> PacketReader:
        if self.container is not None:
            self.container.close()
        problem: StreamsegError | None = None
        try:
            self.container = open_container(
                address, self._options.timeout, accel=self._hardware.accel if self._hardware else None
            )
        except AV_ERRORS as error:
            problem = fault(error, address.name)
        if problem:
            raise problem
        assert self.container is not None
        self._reader = PacketReader(self.container, self._share(address))
        return self._reader

    def _file_pictures(self, reader: PacketReader) -> Iterator[DecodedPicture]:
        self._packets = packets = Guarded(tapped(reader.container, self._options.tap, time.monotonic))
        yield from reader.pictures(packets)
        if not self.stopped.is_set():
            reader.judge_end(packets.problem)

    def undecoded(self) -> Iterator[None]:
        """In place of `frames`: read what is left of a file; comes back for each packet of its video."""
        reader = self._reader
        if reader is None:
            return
        for _ in reader.others():
            if self.stopped.is_set():
                return
            yield
        reader.judge_end(self._packets.problem)

    def _begin(
        self,
        pictures: Iterator[DecodedPicture],
        header: Header,
        sought: Callable[[int | None], int | None] | None = None,
        before: int = 0,
        address: Address | None = None,
    ) -> bool:
        """Decode up to the first frame that is wanted. before: how many pictures of the source come before these.

        address, sought: after a seek, the source's address, and a function that gives the number of the picture with a pts. Then
        returns False if the first picture lies behind `start`, or has no number.
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
        very_first = None if address is None else partial(first_picture, address, told, self._options.timeout)
        label = label_of_source(told, found, very_first, self.warnings.append)
        limits = (self._options.start, self._options.duration)
        if sought is not None:
            late = ahead.pts is None or ahead.pts > origin + -(-self._options.start // header.time_base)
            number = None if late else sought(found.pts)
            if number is None:
                return False
            # Two frames of each picture, or one of two fields: of a film that is interlaced all through.
            before = round(number * (header.rate / told.rate)) if header.rate and told.rate else number
        framer = Framer(header, origin, *limits, self.counters, self.warnings, self._hardware, before, self._options.mount)
        if header.timeless and not header.counted and not header.live:
            rate = float(header.rate or 25)
            self.warnings.append(
                f"{header.name}: has no times of its own; {rate:g} frames a second are taken (--rate says other)"
            )
        begin = None if framer.first is None else float(framer.first * header.time_base)
        self.hub.window(begin, None if framer.end is None else float(framer.end * header.time_base))
        self.framer, self.frames = framer, framer.frames(chain([ahead], pictures))
        self.first = next(self.frames, None)
        if self.first is None:
            return self._nothing(header, sought is not None)
        turned, beside = framer.orientation, framer.beside or ()
        info = source_info(header, self.first, turned, self._options.start, self._options.duration, label, beside)
        self.info = replace(info, picture_metadata=framer.picture_metadata)
        return True

    def _nothing(self, header: Header, sought: bool) -> bool:
        """There is no first frame: raise the error that says why, or, after a seek, return False to try another way."""
        if self.stopped.is_set():
            raise SourceError(f"{header.name}: stopped while it was being opened")
        if sought:
            return False
        by_gpu, damaged = self._hardware is not None and self._hardware.accel is not None, self.counters.decode_errors > 0
        last = None if self.framer is None else self.framer.before_first
        start = self._options.start
        raise no_picture(header.name, header.codec, header.duration, start, last, damaged=damaged, by_gpu=by_gpu)

    def stop(self) -> None:
        """From any thread: let whatever waits or reads end."""
        self.stopped.set()
        if self.given is not None:
            self.given.stop()

    def close(self) -> None:
        """Close what was opened; idempotent."""
        self.stopped.set()
        if self.live is not None:
            self.live.close()
            self.live = None
        if self.joined is not None:
            self.joined.close()
        if self.container is not None and not self.hub.in_use:
            self.container.close()
        self.container = None
        self.frames = iter(())
        if self.given is not None and (error := self.given.close()) is not None:
            self.warnings.append(f"{self.given}: the generator failed while it was closed: {said(error)}")
        if self._spooled is not None:
            self._spooled.close()
        if self._hardware is not None:
            self._hardware.close()
