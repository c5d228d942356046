"""Whether the end of what was read is the end of the source, or whether the source breaks off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer

from streamseg.decode.cut_off import cut_off_source
from streamseg.decode.faults import AV_ERRORS, fault
from streamseg.decode.header import duration_of, nominal_rate
from streamseg.decode.shared import SharedState
from streamseg.errors import Unreadable

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    Packet = av.Packet[Any]

__all__ = ["Guarded", "ReadingLog"]

_INDEX_LAST = (
    "the index of this MP4 or MOV stands at its end, so it cannot be read as it comes; give it as a file, or pass --spool 2GB, "
    "which keeps what comes in a temporary file first (who makes it can put the index first with FFmpeg's -movflags +faststart, "
    "or write fragments, Matroska or MPEG-TS)"
)


_LEAST_INDEX = 500
"""Bytes that the smallest index of an MP4 with a track takes (ISO/IEC 14496-12, what a `moov` must hold)."""


class ReadingLog:
    """What was read of one container: how far its packets reach, and which of the last ones are damaged."""

    def __init__(self, container: InputContainer, stream: VideoStream, shared: SharedState) -> None:
        self._container, self._stream, self._shared = container, stream, shared
        self._name = shared.address.name
        self.from_start = True
        """Reading began at the first packet (False after a seek): the number of packets tells whether any is missing."""
        self.began_at: int | None = None
        """Where in the file the first packet of the video was, bytes; None if unknown."""
        self.began_with: int | None = None
        """That packet's pts."""
        self.began_with_key = False
        """It is a key frame."""
        self.errors_at_end = 0
        """Packets since the last picture that could not be decoded."""
        self.video_end = 0.0
        """When the video's last packet so far ends, seconds on the run's clock."""
        self._end = 0.0
        self._tail_corrupt = False
        self._video_packets = 0
        self.shift = 0.0
        """Seconds by which this container's clock is moved in the run."""
        self._errors_before = shared.counters.decode_errors

    def note(self, packet: Packet) -> None:
        """Remember how far a packet reaches, and whether it is damaged."""
        self._tail_corrupt, video = packet.is_corrupt, packet.stream_index == self._stream.index
        if video:
            if not self._video_packets:
                self.began_at = packet.pos if packet.pos is not None and packet.pos >= 0 else None
                self.began_with, self.began_with_key = packet.pts, packet.is_keyframe
            self._video_packets += 1
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None:
            end = float((ticks + (packet.duration or 0)) * packet.time_base)
            self._end = max(self._end, end)
            self.video_end = max(self.video_end, end) if video else self.video_end

    def judge_end(self, problem: BaseException | None = None, other_codec: str | None = None) -> None:
        """After the last packet of a source that should end: was that its end?

        problem: the error with which the packets ended. other_codec: what to say where they ended since another codec follows.
        Raises Unreadable if it breaks off: within a packet, with an error, short of what an index counts, or where the file lacks
        bytes that its structure tells. A mere early end is a warning, since headers may be wrong.
        """
        if other_codec is not None:
            raise Unreadable(
                f"{self._name}: {other_codec}; what came before is good; give the films one by one, or convert the second "
                "before it is joined"
            )
        duration = duration_of(self._container)
        cut = cut_off_source(self._shared.address)
        lost = self._missing(duration, exactly=cut is not None) if duration else None
        damaged = self._tail_corrupt or self.errors_at_end
        indexed = "mp4" in self._container.format.name
        short = lost is not None and (damaged or indexed or cut is not None)
        if problem is not None or short or (indexed and self._tail_corrupt) or (cut is not None and cut.in_pictures):
            raise Unreadable(f"{self._name}: {self._how_it_breaks_off(problem, duration if lost is not None else None)}")
        if lost is not None:
            self._shared.counters.ended_early = 1
            self._warn(f"ended early: at {self._end - self._began:.2f} s, but its header says {duration:.2f} s")
        elif damaged:
            self._warn("its last packet is damaged")
        elif cut is not None:
            self._warn(f"is cut off behind its last picture: {cut.missing} bytes are missing")
        failed = self._shared.counters.decode_errors - self._errors_before
        if failed > bool(damaged):  # more than the last one, which is said above
            way = "; --decode cpu may read them" if self._shared.accel is not None else ""
            self._warn(f"{failed} packets could not be decoded, their pictures are missing{way}")

    def _how_it_breaks_off(self, problem: BaseException | None, duration: float | None) -> str:
        """Why, where, and how much is missing. `duration`: seconds that its header says and that are not all there."""
        indexed = "mp4" in self._container.format.name
        if indexed and not self._video_packets and self._shared.address.threaded and (problem is not None or self._index_last):
            return _INDEX_LAST
        reason = "breaks off"
        if problem is not None:
            reason = str(fault(problem, self._name)).removeprefix(f"{self._name}: ")
        at, missing = self._end - self._began, ""
        if duration is not None:
            missing = f"; {max(0.0, duration - round(at, 2)):.2f} s of {duration:.2f} s are missing"
        if not self._end:
            return f"{reason} before its first picture{missing}"
        return f"{reason} at {at:.2f} s{missing}; what came before is good"

    def _warn(self, words: str) -> None:
        self._shared.warnings.append(f"{self._name}: {words}")

    @property
    def _index_last(self) -> bool:
        """Whether the pictures of an MP4 begin where no index can stand before them."""
        return any(0 < entry.pos < _LEAST_INDEX for entry in islice(self._stream.index_entries, 1))

    @property
    def _began(self) -> float:
        """The time that the header's duration counts from, seconds."""
        # Matroska's header tells when it ends, others how long it lasts.
        start = 0.0 if "matroska" in self._container.format.name else (self._container.start_time or 0) / av.time_base
        return start + self.shift

    def _missing(self, duration: float, exactly: bool) -> float | None:
        """Seconds between the last packet and the end that the header tells, None if it is there up to rounding.

        exactly: it cannot be the header that is wrong.
        """
        lost = self._began + duration - self._end
        counted = self.from_start and self._stream.frames and self._video_packets < self._stream.frames
        rate = nominal_rate(self._stream) or Fraction(25)
        if lost > (float(1.5 / rate) if exactly else max(float(3 / rate), 0.2, 0.01 * duration)) or (
            counted and lost > 1.5 / rate
        ):
            return max(0.0, float(lost))
        return None


class Guarded:
    """Packets up to the first error of libav, which is kept in `problem` instead of raised, so that what came before is used."""

    def __init__(self, packets: Iterable[Packet]) -> None:
        self._packets = packets
        self.problem: BaseException | None = None

    def __iter__(self) -> Iterator[Packet]:
        try:
            yield from self._packets
        except AV_ERRORS as error:
            self.problem = error
