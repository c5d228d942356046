"""Sources that may stall, vanish and come back: cameras, networks, pipes.

libav's reads block, and PyAV offers no way to interrupt one from outside. So each connection is read by one daemon thread, which
only opens, demuxes and puts packets into a bounded queue; everything else happens in the caller's thread. This is the one thread
outside of `runtime`, and it is needed so that `Decoder.stop` and the watchdog (monotonic time) need not wait for a peer: a
connection that hangs is left to end by libav's own timeout, closes itself, and is replaced.
"""

from __future__ import annotations

import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from streamseg.decode.address import Address
from streamseg.decode.faults import AV_ERRORS, fault
from streamseg.decode.reader import Guarded, PacketReader, Picture, Shared, open_container
from streamseg.errors import SourceLost, StreamsegError, Unreadable

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

__all__ = ["Connection", "LiveReader"]

QUEUE_PACKETS = 256
LATE_PACKETS = 100
"""So many waiting mean seconds of delay, of decoding that is too slow: go on from a key frame that is not late."""
FIRST_DELAY, LAST_DELAY = 0.5, 8.0
"""Seconds before the first attempt to reconnect, doubled up to the second; each shortened by up to a half at random."""


class _Pipe:
    """A pipe as PyAV reads it: what is there now, never waiting to fill the whole buffer."""

    name = "standard input"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)


class Stalled(OSError):
    """Nothing came for longer than the timeout."""


class Connection:
    """One connection to a source, read by a thread of its own."""

    def __init__(self, address: Address, timeout: float, accel: HWAccel | None = None) -> None:
        self._address = address
        self._timeout, self._accel = timeout, accel
        self._items: queue.Queue[InputContainer | Packet | BaseException | None] = queue.Queue(QUEUE_PACKETS)
        self._released = threading.Event()
        self._keep = False
        self._thread = threading.Thread(target=self._pump, name="streamseg-source", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        container: InputContainer | None = None
        end: BaseException | None = None
        try:
            file = _Pipe(sys.stdin.fileno()) if self._address.url == "-" else None
            container = open_container(self._address, self._timeout, file, self._accel)
            self._put(container)
            for packet in container.demux():
                if not self._put(packet):
                    break
        except AV_ERRORS as error:
            end = error
        except ValueError as error:  # sys.stdin is closed or has no descriptor
            end = OSError(0, str(error))
        self._put(end)
        self._released.wait()  # the caller's decoder and templates point into the container until then
        if container is not None and not self._keep:
            container.close()

    def _put(self, item: InputContainer | Packet | BaseException | None) -> bool:
        while not self._released.is_set():
            try:
                self._items.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def _get(self, patience: float, stopped: Callable[[], bool]) -> InputContainer | Packet | BaseException | None:
        """The next item; Stalled if none comes within `patience` seconds; None (an end) if `stopped`."""
        deadline = time.monotonic() + patience
        while not stopped():
            left = deadline - time.monotonic()
            try:
                return self._items.get(timeout=max(0.01, min(0.2, left)))
            except queue.Empty:
                if left <= 0:
                    return Stalled(0, f"no data for {patience:.1f} s")
        return None

    def opened(self, stopped: Callable[[], bool]) -> InputContainer | None:
        """The container once it is open; None if `stopped` first. Raises libav's errors, or Stalled."""
        item = self._get(4 * self._timeout + 1, stopped)  # libav has 2 to open it, 2 to look into its streams
        if item is None or isinstance(item, InputContainer):
            return item
        assert isinstance(item, BaseException)
        raise item

    def packets(self, stopped: Callable[[], bool]) -> Iterator[Packet]:
        """Packets until the end. Raises libav's errors, or Stalled."""
        pipe = self._address.kind == "pipe"
        while not stopped():
            item = self._get(float("inf") if pipe else self._timeout, stopped)
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            assert not isinstance(item, InputContainer)
            yield item

    @property
    def waiting(self) -> int:
        """Packets that have come and were not taken."""
        return self._items.qsize()

    def release(self, keep: bool) -> None:
        """Let the thread end; waits for it a moment, not longer (it may hang in a read).

        keep: leave the container to whoever still refers to it, instead of closing it.
        """
        self._keep = keep
        self._released.set()
        self._thread.join(0.5)


class LiveReader:
    """Pictures of a source over any number of connections."""

    def __init__(self, shared: Shared, timeout: float, reconnect: float) -> None:
        self._shared = shared
        self._timeout = timeout
        self._reconnect = reconnect
        self._connection: Connection | None = None
        self._reader: PacketReader | None = None
        self._last_picture = 0.0
        self._skipping = False

    def open(self) -> PacketReader | None:
        """Connect once; None if stopped meanwhile. Raises our errors at once: a wrong address does not mend itself."""
        problem: StreamsegError | None = None
        name, begin = self._shared.address.name, time.monotonic()
        try:
            self._connect()
        except AV_ERRORS as error:
            problem = fault(error, name, doing="cannot be opened")
            if isinstance(problem, Unreadable) and time.monotonic() - begin > 0.9 * self._timeout:
                problem = SourceLost(f"{name}: cannot be opened: no answer within {self._timeout:g} s")  # RTSP: "invalid data"
        if problem:
            self.close()
            raise type(problem)(f"{problem}{self._shared.address.advice}")
        return self._reader

    def _connect(self) -> bool:
        self.close()
        self._connection = Connection(self._shared.address, self._timeout, self._shared.accel)
        container = self._connection.opened(self._shared.stopped)
        if container is None:
            return False
        self._reader = PacketReader(container, self._shared)
        self._last_picture = time.monotonic()
        return True

    def pictures(self, endless: bool) -> Iterator[Picture]:
        """Pictures over all connections if `endless`, else until the source's end.

        Raises SourceLost if an endless source stays away for `reconnect` seconds, Unreadable if the other kind breaks off.
        """
        broken = False
        while self._reader is not None and self._connection is not None:
            packets = Guarded(self._watched(self._connection, endless))
            for picture in self._reader.pictures(packets):
                picture.broken |= broken
                broken = False
                self._last_picture = time.monotonic()
                yield picture
            problem = packets.problem
            if self._shared.stopped():
                return
            if not endless:
                self._reader.judge_end(problem)
                return
            if not self._come_back(problem):
                return
            broken = True

    @property
    def reader(self) -> PacketReader | None:
        """The reader of the connection that is open."""
        return self._reader

    def _falls_behind(self, packet: Packet, waiting: int) -> bool:
        """Whether to leave out a packet of the video, so as not to be late for good."""
        if self._reader is None or packet.stream_index != self._reader.stream.index:
            return False
        late = waiting > (LATE_PACKETS // 4 if self._skipping else LATE_PACKETS)
        self._skipping = late or (self._skipping and not packet.is_keyframe)
        self._shared.counters.skipped += self._skipping
        return self._skipping

    def _watched(self, connection: Connection, endless: bool) -> Iterator[Packet]:
        """Packets, as long as they make pictures: a source that sends only rubbish is as lost as a silent one."""
        patience = max(10.0, 3 * self._timeout)
        for packet in connection.packets(self._shared.stopped):
            if self._shared.address.kind != "pipe" and time.monotonic() - self._last_picture > patience:
                raise Stalled(0, f"data, but no picture for {patience:.0f} s")
            if not (endless and self._falls_behind(packet, connection.waiting)):
                yield packet
            elif self._reader is not None:
                self._reader.place(packet)  # time goes on, so that what comes next has not leapt

    def _come_back(self, problem: BaseException | None) -> bool:
        """Reconnect with exponential back-off and jitter; False if stopped. Raises SourceLost when the time is up."""
        shared = self._shared
        name, lost_at, media_time = shared.address.name, time.monotonic(), float(shared.splicer.end)
        reason = str(fault(problem, name)) if problem is not None else f"{name}: the other side ended the stream"
        shared.warnings.append(f"{reason}; reconnecting")
        self.close()
        delay = FIRST_DELAY
        while True:
            left = lost_at + self._reconnect - time.monotonic()
            if left <= 0:
                raise SourceLost(f"{reason}; it did not come back within {self._reconnect:g} s")
            if not self._pause(min(left, delay * random.uniform(0.5, 1.0))):
                return False
            delay = min(2 * delay, LAST_DELAY)
            try:
                connected = self._connect()
            except (*AV_ERRORS, StreamsegError):
                continue  # it is still away, or not yet what it was: the next attempt tells
            if not connected:
                return False
            shared.counters.reconnects += 1
            shared.splicer.restart(media_time + time.monotonic() - lost_at)
            return True

    def _pause(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._shared.stopped():
                return False
            time.sleep(min(0.1, left))
        return not self._shared.stopped()

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.release(keep=self._shared.hub.in_use)
        self._connection = self._reader = None
