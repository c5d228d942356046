"""One connection to a source that may stall or vanish, read by a thread of its own from the moment it opens.

libav's reads block, and PyAV cannot interrupt one from outside. So this thread only opens, demuxes and queues packets; everything
else happens in the caller's thread. With it, `Decoder.stop` and the watchdog never wait for the other side. A connection that hangs
is abandoned and replaced; libav's own timeout ends it later, and it closes itself.

Packets of a live source must not pile up while nobody takes them (an engine is being loaded, or decoding is too slow). When a key
frame comes and the packets that wait before it have become late, only the times of those are kept.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from streamseg.decode.address import Address
from streamseg.decode.container import open_container
from streamseg.decode.demux import demux
from streamseg.decode.faults import AV_ERRORS
from streamseg.decode.tap import PacketTap

if TYPE_CHECKING:
    Packet = av.Packet[Any]

__all__ = ["LATE", "Arrival", "Connection", "Stalled"]

LATE = 0.5
"""Seconds for which a packet of a live source may wait to be decoded."""
QUEUE_PACKETS = 256
"""Packets that a source with an end may be read ahead; then reading waits, since such a source does not go away."""
QUEUE_BYTES = 256 * 2**20
_SETTLE, _AT_ONCE = 0.02, 0.2
"""Seconds in which the packets come here that libav read before the source was open; and so close together they are read then."""


class Stalled(OSError):
    """Nothing came for longer than the timeout."""


@dataclass(slots=True)
class Arrival:
    """A packet, and when it was read (monotonic seconds)."""

    packet: Packet
    at: float
    late: bool = False
    """Left out: `packet` has only its times."""
    earlier: float = 0.0
    """Seconds by which it came before `at`: libav held it back while it was looking into the source."""

    @property
    def came(self) -> float:
        """When it came, monotonic seconds."""
        return self.at - self.earlier


class _Pipe:
    """A pipe for PyAV to read: each read gives what is there now, and does not wait until the whole buffer is full."""

    name = "standard input"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)


class Connection:
    """One connection to a source, read by a thread of its own."""

    def __init__(self, address: Address, timeout: float, accel: HWAccel | None = None, tap: PacketTap | None = None) -> None:
        self._address = address
        self._timeout, self._accel, self._tap = timeout, accel, tap
        self._changed = threading.Condition()
        self._container: InputContainer | None = None
        self._arrivals: deque[Arrival] = deque()
        self._bytes = 0
        self._ended = False
        self._end: BaseException | None = None
        self._live: int | None = None
        self._keeps_up = self._taken = self._skips = False
        self._released = threading.Event()
        self._keep = False
        self._thread = threading.Thread(target=self._pump, name="streamseg-source", daemon=True)
        self._thread.start()

    def attend(self, video: int, keep_up: bool) -> None:
        """The source is live: read on without waiting for room. keep_up: late packets of the stream `video` may be left out."""
        with self._changed:
            self._live, self._keeps_up = video, keep_up
            self._changed.notify_all()

    # -- the thread ----------------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        container: InputContainer | None = None
        end: BaseException | None = None
        try:
            file = _Pipe(sys.stdin.fileno()) if self._address.url == "-" else None
            container = open_container(self._address, self._timeout, file, self._accel)
            with self._changed:
                if self._tap is not None and not self._released.is_set():
                    self._tap.opened(tuple(container.streams))
                self._container = container
                self._changed.notify_all()
            for packet in demux(container):
                if not self._put(packet):
                    break
        except AV_ERRORS as error:
            end = error
        except ValueError as error:  # sys.stdin is closed or has no descriptor
            end = OSError(0, str(error))
        with self._changed:
            self._ended, self._end = True, end
            self._changed.notify_all()
        self._released.wait()  # the caller's decoder and templates point into the container until then
        if container is not None and not self._keep:
            container.close()

    def _put(self, packet: Packet) -> bool:
        arrival = Arrival(packet, time.monotonic())
        with self._changed:
            while self._full() and not self._released.is_set():
                self._changed.wait()
            if self._released.is_set():
                return False
            if self._tap is not None and packet.size:
                self._tap.packet(packet, arrival.at)
            if self._live is not None and self._keeps_up:
                self._leave_out(arrival)
            self._arrivals.append(arrival)
            self._bytes += arrival.packet.size
            self._changed.notify_all()
        return True

    def _full(self) -> bool:
        if self._live is None:
            return len(self._arrivals) >= QUEUE_PACKETS
        return self._bytes >= QUEUE_BYTES and not self._keeps_up

    def _leave_out(self, new: Arrival) -> None:
        """Mark packets as late that have waited too long before a new key frame; without memory, also the new packet itself."""
        if new.packet.stream_index != self._live:
            return
        if new.packet.is_keyframe:
            oldest = next((a.at for a in self._arrivals if self._is_video(a)), new.at)
            if new.at - oldest > LATE or self._skips:
                # Sound goes on where pictures are missing, but for what came before the first of them.
                for arrival in self._arrivals:
                    if not self._taken or self._is_video(arrival):
                        self._hollow(arrival)
            self._skips = False
        elif self._skips or self._bytes >= QUEUE_BYTES:
            self._skips = True
            self._bytes += new.packet.size
            self._hollow(new)

    def _is_video(self, arrival: Arrival) -> bool:
        return arrival.packet.stream_index == self._live and not arrival.late

    def _hollow(self, arrival: Arrival) -> None:
        if arrival.late:
            return
        whole, times = arrival.packet, av.Packet()
        times.stream = whole.stream
        times.time_base = whole.time_base
        times.pts, times.dts, times.duration = whole.pts, whole.dts, whole.duration
        times.is_keyframe = whole.is_keyframe
        self._bytes -= whole.size
        arrival.packet, arrival.late = times, True

    # -- the caller ----------------------------------------------------------------------------------------------------------

    def opened(self, stopped: Callable[[], bool]) -> InputContainer | None:
        """The container once it is open; None if `stopped` first. Raises libav's errors, or Stalled."""
        patience = 4 * self._timeout + 1  # libav has 2 to open it, 2 to look into its streams
        with self._changed:
            if not self._wait(lambda: self._container is not None or self._ended, patience, stopped):
                return None
            if self._container is None and self._end is not None:
                raise self._end
            return self._container

    def packets(self, stopped: Callable[[], bool]) -> Iterator[Arrival]:
        """Packets until the end. Raises libav's errors, or Stalled."""
        patience = float("inf") if self._address.kind == "pipe" else self._timeout
        first = self._address.kind == "network"
        while True:
            with self._changed:
                if not self._wait(lambda: bool(self._arrivals) or self._ended, patience, stopped):
                    return
                if not self._arrivals:
                    break
                if first:
                    first = False
                    self._changed.wait_for(lambda: self._ended, _SETTLE)
                    self._date()
                arrival = self._arrivals.popleft()
                self._bytes -= arrival.packet.size
                self._changed.notify_all()
            yield arrival
        if self._end is not None:
            raise self._end

    def _date(self) -> None:
        """Tell when what is read first really came: the newest of it just now, the others by their times before it."""
        begin = self._arrivals[0].at
        together = [a for a in self._arrivals if a.at - begin < _AT_ONCE]
        times = [(a, float(a.packet.pts * a.packet.time_base)) for a in together if a.packet.pts is not None]
        newest = max((time_ for a, time_ in times if a.packet.stream.type == "video"), default=0.0)
        for arrival, time_ in times:
            arrival.earlier = max(0.0, newest - time_)
        for arrival in together:
            if arrival.packet.pts is None:
                arrival.earlier = max((a.earlier for a, _ in times), default=0.0)

    def _wait(self, ready: Callable[[], bool], patience: float, stopped: Callable[[], bool]) -> bool:
        """Whether it became `ready`; False if `stopped`. Stalled if neither happens within `patience` seconds."""
        deadline = time.monotonic() + patience
        while not stopped():
            left = deadline - time.monotonic()
            if self._changed.wait_for(ready, max(0.01, min(0.2, left))):
                return True
            if left <= 0:
                raise Stalled(0, f"no data for {patience:.1f} s")
        return False

    def begin(self) -> None:
        """From now on pictures are taken."""
        with self._changed:
            self._taken = True

    @property
    def waiting(self) -> bool:
        """Whether there is a newer picture than those taken."""
        with self._changed:
            return any(self._is_video(arrival) for arrival in self._arrivals)

    def release(self, keep: bool, reason: str = "") -> None:
        """Let the thread end; waits for it a moment, not longer (it may hang in a read).

        keep: leave the container to whoever still refers to it, instead of closing it. reason: for the tap, why it is over.
        """
        self._keep = keep
        with self._changed:
            if self._tap is not None and not self._released.is_set():
                self._tap.ended(reason)
            self._released.set()  # from here on the tap hears nothing of this connection, though it may still hang in a read
            self._changed.notify_all()
        self._thread.join(0.5)
