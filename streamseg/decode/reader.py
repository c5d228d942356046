"""Reads one opened container: gives packets their time, decodes those of the video, and passes on those of the other streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer

from streamseg.decode.another_codec import OneCodec
from streamseg.decode.container import with_alpha
from streamseg.decode.ending import ReadingLog
from streamseg.decode.faults import AV_ERRORS, no_video
from streamseg.decode.header import is_timeless, lacks_pts
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.shared import SharedState
from streamseg.decode.streams import find_video, left_out_photos
from streamseg.decode.timeline import ShownOrder
from streamseg.decode.wallclock import told_by
from streamseg.errors import TooLarge, Unreadable

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    Packet = av.Packet[Any]

__all__ = ["PacketReader"]


TS_DISCONT = 0x200
"""AVFMT_TS_DISCONT (libavformat/avformat.h)."""
_LEAPS = "its clock goes ahead"
_WRAP = 2**33 / 90000
"""Seconds after which a transport stream's clock wraps to zero. libav takes any clock that goes back for one that wrapped."""
_NEGATIVE = 1 << 31
"""Durations from here on stand for negative ones, which libav gives for a last packet in Ogg that is to be cut."""
_NVDEC_THREADS = 4
"""Enough to read ahead of the GPU. libav asks NVDEC for one surface more a thread, and with many for more than the 32 it has."""


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
        self.log = ReadingLog(container, self.stream, shared)
        """What was read so far."""
        self._one_codec: OneCodec | None = None
        self._packets: Iterator[Packet] = iter(())
        """Those that are still to come."""
        self._clock: float | None = None
        """From a picture's time to when the sender says that it was captured, seconds; None: it does not say."""

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
        """Whether a clock that jumps far ahead is a new clock, not a pause: it is in transport streams and live sources."""
        address = self._shared.address
        sends = address.kind == "camera" or (address.kind == "network" and address.scheme not in ("http", "https"))
        return sends or (bool(container.format.flags & TS_DISCONT) and container.format.name != "ogg")

    def seek(self, origin: int, seconds: Fraction) -> bool:
        """Go to the key frame before `seconds` after the picture with the pts `origin`; False if this format cannot seek."""
        target = max(Fraction(0), seconds) / (self.stream.time_base or Fraction(1, 90000))
        try:
            self.container.seek(origin + int(target), stream=self.stream)
        except AV_ERRORS:
            return False
        self.log.from_start = False
        return True

    def move_clock(self, by: Fraction) -> None:
        """Before the first packet: times of the source are `by` seconds later in the run, since its clock has jumped before."""
        self._shared.splicer.begin_at(by)
        self._shared.counters.jumps += by != 0

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
        """For each packet of the video, not decoded: when it is shown on the run's clock, and whether the source's clock jumped."""
        for packet, entered in self.placed(packets):
            yield packet.dts if self._without_pts else packet.pts, entered

    def placed(self, packets: Iterable[Packet]) -> Iterator[tuple[Packet, bool]]:
        """The packets of the video, not decoded, with times on the run's clock, and whether the source's clock jumped there."""
        for packet in self._of_one_codec(packets):
            if packet.size:
                entered = self.place(packet)
                self.log.note(packet)
                if packet.stream_index == self.stream.index:
                    yield packet, entered

    def others(self) -> Iterator[None]:
        """Pass on the packets of the other streams that are still to come; comes back for each packet of the video."""
        for packet in self._packets:
            if not packet.size:
                continue
            self.place(packet)
            self.log.note(packet)
            if packet.stream_index == self.stream.index:
                yield
            else:
                self._shared.hub.offer(packet)

    def pictures(self, packets: Iterable[Packet], endless: bool = False) -> Iterator[DecodedPicture]:
        """Decode until the packets end; then whatever the decoder still holds. endless: no packet is held back."""
        seam: Fraction | None = None
        """The first picture from this time on is of another segment."""
        self._packets = iter(packets if endless else self._of_one_codec(packets))
        for packet in self._packets:
            if self._shared.stopped():
                return
            if not packet.size:
                continue  # PyAV's sign that a stream is at its end
            entered = self.place(packet)
            self.log.note(packet)
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
            if packet.pts is not None and (told := told_by(packet)) is not None:
                self._clock = told - float(packet.pts * packet.time_base)
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
        at = f"at {self.log.video_end:.2f} s"
        return f"goes on in another codec than {self._codec.name} {at} (films that were joined as they are)"

    def _say_leap(self, seam: Fraction) -> None:
        """Time was left out: say so, once."""
        gap, said = float(self._shared.splicer.gap), self._shared.warnings
        if 0 < gap < _WRAP / 2 and not any(_LEAPS in sentence for sentence in said):
            said.append(f"{self._name}: {_LEAPS} by {gap:.1f} s at {float(seam):.2f} s; the film goes on without this gap")

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
            self.log.errors_at_end += 1
            return
        if images is None and self._shared.accel is not None:
            raise Unreadable(f"{self._name}: the GPU has no memory left to decode it; free some, or use --decode cpu")
        if images is None:
            raise TooLarge(f"{self._name}: not enough memory for its pictures")
        if images:
            self.log.errors_at_end = 0
        time_base = self.stream.time_base or Fraction(1, 90000)
        for image in images:
            self._refuse_growth(image.width, image.height)
            pts = self._order.time(image.pts, image.dts, self._reorders)
            base = image.time_base or time_base
            told = None if self._clock is None or pts is None else self._clock + float(pts * base)
            yield DecodedPicture(image, pts, base, image.duration or 0, told=told)

    def _refuse_growth(self, width: int, height: int) -> None:
        """The picture may grow in mid-stream: say so instead of skipping or showing it."""
        if width * height > self._shared.max_pixels:
            limit = self._shared.max_pixels
            raise TooLarge(f"{self._name}: pictures grow to {width}x{height}, beyond the limit of {limit} pixels (max_pixels)")

    def judge_end(self, problem: BaseException | None = None) -> None:
        """After the last packet of a source that should end: see `ReadingLog.judge_end`."""
        self.log.judge_end(problem, self.other_codec)


def _first_time(packet: Packet) -> Fraction:
    """Seconds: this packet's picture, and those after it, are shown at this time or later."""
    ticks = [t for t in (packet.pts, packet.dts) if t is not None]
    return min(ticks, default=0) * (packet.time_base or Fraction(1))
