"""One opened container: demuxing and decoding its packets, what to do about damage, and whether its end was its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from streamseg.decode.address import Address
from streamseg.decode.another_codec import OneCodec
from streamseg.decode.faults import AV_ERRORS, fault, no_video
from streamseg.decode.header import Header, duration_of, is_timeless, lacks_pts, nominal_rate
from streamseg.decode.passthrough import PassThroughHub
from streamseg.decode.streams import find_video, left_out_photos
from streamseg.decode.timeline import DecodeCounters, ShownOrder, Splicer
from streamseg.errors import TooLarge, Unreadable
from streamseg.pixels.fields import FieldOrder

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    Packet = av.Packet[Any]

__all__ = ["DecodedPicture", "Guarded", "PacketReader", "SharedState", "first_picture", "inspecting", "open_container"]


TS_DISCONT = 0x200
"""AVFMT_TS_DISCONT (libavformat/avformat.h)."""
_LEAPS = "its clock goes ahead"
_WRAP = 2**33 / 90000
"""Seconds after which a transport stream's clock is zero again: libav takes one that goes back for one that wrapped."""
_NEGATIVE = 1 << 31
"""Durations from here on are libav's negative ones: of a last packet in Ogg that is to be cut."""
_NVDEC_THREADS = 4
"""Enough to read ahead of the GPU. libav asks NVDEC for one surface more a thread, and with many for more than the 32 it has."""


@dataclass(slots=True)
class DecodedPicture:
    """A decoded picture, as it came, with the time that the source (shifted by the splicer) gives it."""

    image: av.VideoFrame
    pts: int | None
    time_base: Fraction
    duration: int = 0
    broken: bool = False
    """Continuity is lost before this picture: a new epoch."""
    guessed: bool = False
    """`pts` was made from the next picture's."""
    field_order: FieldOrder | None = None
    """Of an interlaced picture, once it has been read (`decode.interlace`)."""
    arrived: float | None = None
    """Live: when the packet was read with which the picture came (monotonic seconds)."""


@dataclass(slots=True)
class SharedState:
    """What outlives a connection: readers of one run have it in common."""

    address: Address
    hub: PassThroughHub
    splicer: Splicer
    counters: DecodeCounters
    warnings: list[str]
    max_pixels: int
    threads: int
    stopped: Callable[[], bool]
    accel: HWAccel | None = None
    """Hardware to decode with, where it can."""


def inspecting(address: Address) -> SharedState:
    """For who looks at packets only, and runs nothing."""
    return SharedState(address, PassThroughHub(), Splicer(), DecodeCounters(), [], 2**62, 1, lambda: False)


def open_container(address: Address, timeout: float, file: Any = None, accel: HWAccel | None = None) -> InputContainer:
    """Open what `address` names, to be decoded by `accel`; libav's exceptions pass through (callers map them with `fault`)."""
    limits = (2 * timeout, timeout) if address.threaded else None
    target = file if file is not None else address.url
    return cast(
        InputContainer,
        av.open(
            target,
            "r",
            format=address.format,
            options=address.options,
            timeout=limits,
            metadata_errors="replace",
            hwaccel=accel,
        ),
    )


_INDEX_LAST = (
    "the index of this MP4 or MOV stands at its end, so it cannot be read as it comes; give it as a file, or pass --spool 2GB, "
    "which keeps what comes in a temporary file first (who makes it can put the index first with FFmpeg's -movflags +faststart, "
    "or write fragments, Matroska or MPEG-TS)"
)


_LEAST_INDEX = 500
"""Bytes that the smallest index of an MP4 with a track takes (ISO/IEC 14496-12, what a `moov` must hold)."""
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these leave the alpha out, which WebM stores beside each picture."""


def with_alpha(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder that gives the stream's alpha, where its own would not; None: its own does, or there is no other."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or not any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()):
        return None
    if name not in av.codec.codecs_available:
        return None
    context = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    context.extradata = stream.codec_context.extradata
    return context


def first_picture(address: Address, header: Header, timeout: float) -> av.VideoFrame | None:
    """The very first picture of a source, opened once more; None where it cannot be decoded."""
    try:
        with open_container(address, timeout) as container:
            return next(container.decode(container.streams[header.video_index]), None)  # type: ignore[return-value]
    except AV_ERRORS:
        return None


class PacketReader:
    """Decodes the video packets of one container and passes the others on."""

    def __init__(self, container: InputContainer, shared: SharedState) -> None:
        """Choose the stream to decode. Raises NoVideo or TooLarge."""
        self.container = container
        self._shared = shared
        self._name = shared.address.name
        self.stream = self._choose(container)
        self._codec = context = with_alpha(self.stream) or self.stream.codec_context
        # frame threads decode ahead: as many frames of latency as there are threads
        context.thread_type = "SLICE" if shared.address.kind in ("camera", "network") else "AUTO"
        context.thread_count = min(shared.threads or _NVDEC_THREADS, _NVDEC_THREADS) if shared.accel else shared.threads
        # libav compares the size it allocates, lines padded; the exact limit is checked on each picture
        context.options = {"max_pixels": str(shared.max_pixels + shared.max_pixels // 4 + 2**20)}
        self._joinable = self._shared.address.threaded or bool(container.format.flags & TS_DISCONT)
        """Made to be joined anywhere (a transport stream), or live: any stream may be the first to meet the seam."""
        self._leaps = self._may_leap(container)
        self._without_pts = lacks_pts(container, self.stream)
        """What libav gives as pts may be the order of decoding."""
        self._order = ShownOrder(trusted=not self._without_pts)
        self.may_seek = not (self._without_pts or is_timeless(container))
        """After a seek, times are the same as without one."""
        self.from_start = True
        """Reading began at the first packet (False after a seek): the number of packets tells whether any is missing."""
        self.began_at: int | None = None
        """Where in the file the first packet of the video was, bytes; None if unknown."""
        self._one_codec: OneCodec | None = None
        self._errors_at_end = 0
        self._tail_corrupt = False
        self._video_packets = 0
        self._end = self._video_end = 0.0

    def _choose(self, container: InputContainer) -> VideoStream:
        said = [f"{self._name}: {sentence}" for sentence in left_out_photos(container)]
        self._shared.warnings += [sentence for sentence in said if sentence not in self._shared.warnings]
        stream = find_video(container)
        if stream is None:
            raise no_video(self._name, (s.type for s in container.streams))
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > self._shared.max_pixels:
            limit = self._shared.max_pixels
            raise TooLarge(f"{self._name}: pictures of {width}x{height} exceed the limit of {limit} pixels (max_pixels)")
        return stream

    def _may_leap(self, container: InputContainer) -> bool:
        """Whether a clock that goes ahead by much is a new one, and no pause: in transport streams, and from what sends now."""
        address = self._shared.address
        sends = address.kind == "camera" or (address.kind == "network" and address.scheme not in ("http", "https"))
        return sends or (bool(container.format.flags & TS_DISCONT) and container.format.name != "ogg")

    def place(self, packet: Packet) -> bool:
        """Give a packet its time in the run; True if its stream enters another segment of the source's clock with it."""
        video = packet.stream_index == self.stream.index
        if packet.duration and packet.duration >= _NEGATIVE:
            packet.duration = 0
        if video and self._without_pts:
            packet.pts = None
        reorders = video and self._reorders
        return self._shared.splicer.place(packet, video or self._joinable, reorders=reorders, leaps=self._leaps)

    @property
    def _reorders(self) -> bool:
        """Pictures may come in another order than they are shown."""
        return bool(self._codec.reorder_depth)

    def times(self, packets: Iterable[Packet]) -> Iterator[tuple[int | None, bool]]:
        """(when it is shown on the run's clock, whether the source's clock begins anew) of each packet of the video, undecoded."""
        for packet in self._of_one_codec(packets):
            if packet.size:
                entered = self.place(packet)
                self._note(packet)
                if packet.stream_index == self.stream.index:
                    yield packet.dts if self._without_pts else packet.pts, entered

    def pictures(self, packets: Iterable[Packet], endless: bool = False) -> Iterator[DecodedPicture]:
        """Decode until the packets end; then whatever the decoder still holds. endless: no packet is held back."""
        seam: Fraction | None = None
        """The first picture from this time on is of another segment."""
        for packet in packets if endless else self._of_one_codec(packets):
            if self._shared.stopped():
                return
            if not packet.size:
                continue  # PyAV's sign that a stream is at its end
            entered = self.place(packet)
            self._note(packet)
            if packet.stream_index != self.stream.index:
                self._shared.hub.offer(packet)
                continue
            if entered:
                self._shared.counters.jumps += 1
                seam = _first_time(packet)
                self._say_leap(seam)
                self._order.restart()
                if packet.is_keyframe and self._reorders:
                    # The pictures held back would be mixed with the new ones, or dropped where those have another size. Without
                    # a key frame what is to come may still need them: VP9 crashes libav then.
                    yield from self._drain()
                    self.flush()
            for picture in self._decode(packet):
                if seam is not None and (picture.pts is None or picture.pts * picture.time_base >= seam):
                    picture.broken, seam = True, None
                yield picture
        yield from self._drain()

    def _of_one_codec(self, packets: Iterable[Packet]) -> Iterable[Packet]:
        """`packets` up to where films of different codecs were joined."""
        if self.container.format.name != "mpegts" or not OneCodec.knows(self._codec.name):
            return packets
        address = self._shared.address
        self._one_codec = OneCodec(
            self.stream, self._codec.name, address.url.removeprefix("file:") if address.kind == "file" else None
        )
        return self._one_codec.packets(packets)

    @property
    def other_codec(self) -> str | None:
        """What to say where a film of another codec follows, after the packets have ended there."""
        if self._one_codec is None or not self._one_codec.changed:
            return None
        return (
            f"goes on in another codec than {self._codec.name} at {self._video_end:.2f} s (films that were joined as they are)"
        )

    def _say_leap(self, seam: Fraction) -> None:
        """Time was left out: say so, once."""
        gap, said = float(self._shared.splicer.gap), self._shared.warnings
        if 0 < gap < _WRAP / 2 and not any(_LEAPS in sentence for sentence in said):
            said.append(f"{self._name}: {_LEAPS} by {gap:.1f} s at {float(seam):.2f} s; the film goes on without this gap")

    def _note(self, packet: Packet) -> None:
        self._tail_corrupt, video = packet.is_corrupt, packet.stream_index == self.stream.index
        if video:
            if not self._video_packets and packet.pos is not None and packet.pos >= 0:
                self.began_at = packet.pos
            self._video_packets += 1
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None:
            end = float((ticks + (packet.duration or 0)) * packet.time_base)
            self._end = max(self._end, end)
            self._video_end = max(self._video_end, end) if video else self._video_end

    def flush(self) -> None:
        """Let the decoder forget what it holds back."""
        self._codec.flush_buffers()

    def _drain(self) -> Iterator[DecodedPicture]:
        return self._decode(None)

    def _decode(self, packet: Packet | None) -> Iterator[DecodedPicture]:
        images: list[av.VideoFrame] | None = None
        try:
            images = self._codec.decode(packet)
        except EOFError:
            return
        except MemoryError:
            pass
        except AV_ERRORS:
            self._refuse_growth(self._codec.width, self._codec.height)
            self._shared.counters.decode_errors += 1
            self._errors_at_end += 1
            return
        if images is None and self._shared.accel is not None:
            raise Unreadable(f"{self._name}: the GPU has no memory left to decode it; free some, or use --decode cpu")
        if images is None:
            raise TooLarge(f"{self._name}: not enough memory for its pictures")
        if images:
            self._errors_at_end = 0
        time_base = self.stream.time_base or Fraction(1, 90000)
        for image in images:
            self._refuse_growth(image.width, image.height)
            pts = self._order.time(image.pts, image.dts, self._reorders)
            yield DecodedPicture(image, pts, image.time_base or time_base, image.duration or 0)

    def _refuse_growth(self, width: int, height: int) -> None:
        """The picture may grow in mid-stream: say so instead of skipping or showing it."""
        if width * height > self._shared.max_pixels:
            limit = self._shared.max_pixels
            raise TooLarge(f"{self._name}: pictures grow to {width}x{height}, beyond the limit of {limit} pixels (max_pixels)")

    def judge_end(self, problem: BaseException | None = None) -> None:
        """After the last packet of a source that should end: was that its end?

        Raises Unreadable if it breaks off: within a packet, with an error, or short of what an index counts. A mere early end is
        a warning, since headers may be wrong.
        """
        if self.other_codec is not None:
            raise Unreadable(
                f"{self._name}: {self.other_codec}; what came before is good; give the films one by one, or convert the second "
                "before it is joined"
            )
        duration = duration_of(self.container)
        lost = self._missing(duration) if duration else None
        damaged = self._tail_corrupt or self._errors_at_end
        indexed = "mp4" in self.container.format.name
        reason = "breaks off"
        if problem is not None:
            reason = str(fault(problem, self._name)).removeprefix(f"{self._name}: ")
        if problem is not None or (lost and (damaged or indexed)) or (indexed and self._tail_corrupt):
            if (
                indexed
                and not self._video_packets
                and self._shared.address.threaded
                and (problem is not None or self._index_last)
            ):
                raise Unreadable(f"{self._name}: {_INDEX_LAST}")
            missing = f"; {lost:.2f} s of {duration:.2f} s are missing" if lost and duration else ""
            at = (
                f"at {self._end:.2f} s{missing}; what came before is good"
                if self._end
                else f"before its first picture{missing}"
            )
            raise Unreadable(f"{self._name}: {reason} {at}")
        if lost:
            self._shared.counters.ended_early = 1
            self._shared.warnings.append(
                f"{self._name}: ended early: at {self._end:.2f} s, but its header says {duration:.2f} s"
            )
        elif damaged:
            self._shared.warnings.append(f"{self._name}: its last packet is damaged")
        if (failed := self._shared.counters.decode_errors) > bool(damaged):  # more than the last one, which is said above
            way = "; --decode cpu may read them" if self._shared.accel is not None else ""
            self._shared.warnings.append(
                f"{self._name}: {failed} packets could not be decoded, their pictures are missing{way}"
            )

    @property
    def _index_last(self) -> bool:
        """Whether the pictures of an MP4 begin where no index can stand before them."""
        return any(0 < entry.pos < _LEAST_INDEX for entry in islice(self.stream.index_entries, 1))

    def _missing(self, duration: float) -> float | None:
        """Seconds between the last packet and the end that the header tells, None if it is there up to rounding."""
        # Matroska's header tells when it ends, others how long it lasts.
        late = 0 if "matroska" in self.container.format.name else self.container.start_time or 0
        start = late / av.time_base
        lost = start + duration - self._end
        counted = self.from_start and self.stream.frames and self._video_packets < self.stream.frames
        rate = nominal_rate(self.stream) or Fraction(25)
        if lost > max(float(3 / rate), 0.2, 0.01 * duration) or (counted and lost > 1.5 / rate):
            return max(0.0, float(lost))
        return None


def _first_time(packet: Packet) -> Fraction:
    """Seconds: no later picture's presentation lies before."""
    ticks = [t for t in (packet.pts, packet.dts) if t is not None]
    return min(ticks, default=0) * (packet.time_base or Fraction(1))


class Guarded:
    """An iterator of packets that ends, instead of raising, at an error of libav, and keeps it: first what came before counts."""

    def __init__(self, packets: Iterable[Packet]) -> None:
        self._packets = packets
        self.problem: BaseException | None = None

    def __iter__(self) -> Iterator[Packet]:
        try:
            yield from self._packets
        except AV_ERRORS as error:
            self.problem = error
