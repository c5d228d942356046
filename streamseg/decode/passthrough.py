"""Passes audio, subtitle and data packets from the source to an output, without decoding them.

Use by a sink::

    through = decoder.subscribe()                          # after Decoder.open(), before Decoder.frames()
    for template in through.streams:                       # av.Stream objects of the source
        try:
            stream_of[template.index] = container.add_stream_from_template(template)
        except ValueError:                                 # this container cannot hold that codec
            through.discard(template)
    ...
    for packet in through.take(until=frame.time):          # before or after each picture; take(None) at the end
        packet.stream = stream_of[packet.stream_index]     # the packet is yours: it shares nothing with other outputs
        container.mux(packet)

Times are on the same clock as `Frame.pts`: what the source said, plus what was added to go on over a reconnect or a jump of the
source's clock. Within a stream dts never decreases.

Templates and packets point into the source's container, so a decoder that has subscribers does not close it: it is freed with the
last of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["KINDS", "PassThrough", "PassThroughHub", "clone"]

KINDS = ("audio", "subtitle", "data", "attachment")
MAX_BYTES = 128 * 2**20
LEAD = 0.5
"""Seconds of sound before the window that are kept for outputs that ask for them (`PassThrough.lead`): some decoders need what came
before to begin (MP3's bit reservoir reaches back a quarter of a second)."""


def clone(packet: Packet) -> Packet:
    """A packet of its own with the same bytes, times, key flag and side data; its `stream_index` is the source's.

    The bytes are copied, not shared: muxers and bitstream filters may write into a packet, and read beyond its end into padding
    that only a buffer allocated by libav has.
    """
    copy: Packet = av.Packet(packet.size)
    if packet.size:
        copy.update(bytes(packet))
    copy.stream = packet.stream
    copy.time_base = packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    for side_data in packet.iter_sidedata():
        copy.set_sidedata(side_data)
    return copy


def _is_gap(packet: Packet) -> bool:
    """An empty mov_text sample: it only fills the time between two texts, and muxers that need it write it themselves."""
    return packet.size == 2 and packet.stream.type == "subtitle" and bytes(packet) == b"\0\0"


class PassThrough:
    """The packets of some streams of a source, for one output. Thread-safe: the decoder offers, a sink takes."""

    def __init__(
        self,
        streams: Sequence[Stream],
        max_bytes: int = MAX_BYTES,
        window: tuple[float | None, float | None] = (None, None),
    ) -> None:
        self._streams = {s.index: s for s in streams}
        self.window = window
        """Seconds on the source's clock that are wanted: from, and up to; None: no limit."""
        self._held: list[tuple[float, Packet, bool]] = []
        """When each is due, and whether it lies before the window."""
        self._leads: set[int] = set()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._last: dict[int, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.dropped = 0
        """Packets thrown away because nobody took them and `max_bytes` were reached (the oldest go first)."""
        self.rebased = 0
        """Packets whose dts decreased and was moved by the least that mends it."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The source's streams that are passed through: templates for `OutputContainer.add_stream_from_template`."""
        return tuple(self._streams.values())

    def discard(self, stream: Stream) -> None:
        """Stop passing a stream (the output cannot hold its codec); what is held of it goes too."""
        with self._lock:
            self._streams.pop(stream.index, None)
            self._held = [held for held in self._held if held[1].stream_index != stream.index]
            self._bytes = sum(p.size for _, p, _ in self._held)

    def lead(self, stream: Stream) -> None:
        """Give what came up to `LEAD` seconds before the window, too (its decoder needs it to begin)."""
        with self._lock:
            self._leads.add(stream.index)

    def close(self) -> None:
        """The output is gone: hold nothing any more."""
        with self._lock:
            self._closed = True
            self._held.clear()
            self._bytes = 0

    def offer(self, packet: Packet, early: bool = False) -> None:
        """Keep a copy of a packet if its stream is wanted (the decoder calls this). early: it lies before the window."""
        if packet.stream_index not in self._streams or self._closed:
            return
        copy = clone(packet)
        with self._lock:
            self._held.append((self._in_order(copy), copy, early))
            self._bytes += copy.size
            while self._bytes > self._max_bytes and len(self._held) > 1:
                self._bytes -= self._held.pop(0)[1].size
                self.dropped += 1

    def _in_order(self, packet: Packet) -> float:
        """Let dts never decrease within the stream; return the packet's time in seconds.

        Equal ones stay: Matroska counts milliseconds, and TrueHD has 1200 packets a second.
        """
        index = packet.stream_index
        last = self._last.get(index)
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:  # e.g. a continuation packet: it belongs right behind the one before
            return last[1] if last else 0.0
        if last is not None and ticks < last[0]:
            ticks = last[0]
            packet.dts = ticks
            packet.pts = ticks if packet.pts is None else max(packet.pts, ticks)
            self.rebased += 1
        seconds = float(ticks * packet.time_base)
        self._last[index] = (ticks, seconds)
        return seconds

    def take(self, until: float | None = None) -> list[Packet]:
        """Packets whose dts is at most `until` seconds (None: all there are), ordered by dts over all streams, each given once."""
        with self._lock:
            due = [held for held in self._held if until is None or held[0] <= until]
            if due:
                self._held = [] if until is None else [held for held in self._held if held[0] > until]
                self._bytes = sum(p.size for _, p, _ in self._held)
        due.sort(key=lambda timed: timed[0])  # stable: the order within a stream stays
        return [packet for _, packet, early in due if not early or packet.stream_index in self._leads]


class PassThroughHub:
    """The decoder's side: hands each demuxed packet to every subscription, trimmed to the span of time that is wanted."""

    def __init__(self) -> None:
        self._outputs: list[PassThrough] = []
        self._backlog: list[Packet] = []
        self._collecting = True
        self._start: float | None = None
        self._end: float | None = None

    def window(self, start: float | None, end: float | None) -> None:
        """Pass only what is presented from `start` up to `end` seconds on the source's clock (None: no limit)."""
        self._start, self._end = start, end

    def subscribe(self, streams: Iterable[Stream], wanted: Iterable[str] = KINDS) -> PassThrough:
        """A new output's share of `streams`; it also gets what was demuxed while the source was being opened."""
        kinds = frozenset(wanted)
        if not kinds <= set(KINDS):
            raise ValueError(f"cannot pass {sorted(kinds - set(KINDS))} through; allowed: {', '.join(KINDS)}")
        output = PassThrough([s for s in streams if s.type in kinds], window=(self._start, self._end))
        self._outputs.append(output)
        for packet in self._backlog:
            if self._trim(packet):  # the window may not have been known when it came
                output.offer(packet, self._is_early(packet))
        return output

    @property
    def in_use(self) -> bool:
        """Whether there are subscriptions, whose templates and packets point into the container."""
        return bool(self._outputs)

    def begin(self) -> None:
        """Pictures start to flow: from now on nothing is kept for later subscriptions."""
        self._collecting = False
        self._backlog.clear()

    def restart(self) -> None:
        """Forget what was demuxed so far (the source was opened again to start at another place)."""
        self._backlog.clear()

    def offer(self, packet: Packet) -> None:
        """Pass a demuxed packet that is not of the video stream."""
        if not packet.size or packet.is_corrupt or _is_gap(packet) or not self._trim(packet):
            return
        if self._collecting:
            self._backlog.append(packet)
        early = self._is_early(packet)
        for output in self._outputs:
            output.offer(packet, early)

    def _is_early(self, packet: Packet) -> bool:
        ticks = packet.pts if packet.pts is not None else packet.dts
        return self._start is not None and ticks is not None and float(ticks * packet.time_base) < self._start

    def _trim(self, packet: Packet) -> bool:
        """False if the packet lies outside the window; a subtitle that is on screen at the start is shortened to fit."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is None:
            return True
        time_base: Fraction = packet.time_base
        time = float(ticks * time_base)
        if self._end is not None and time >= self._end:
            return False
        if self._start is None or time >= self._start:
            return True
        if packet.stream.type == "audio" and time >= self._start - LEAD:
            return True
        late = time + float((packet.duration or 0) * time_base) - self._start
        if packet.stream.type != "subtitle" or late <= 0:
            return False
        packet.pts = packet.dts = round(self._start / time_base)
        packet.duration = round(late / time_base)
        return True
