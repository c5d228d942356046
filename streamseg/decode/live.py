"""Reads sources that may stall, vanish and come back (cameras, networks, pipes), over as many connections as it takes."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from streamseg.decode.away import Like, Placeholders
from streamseg.decode.connection import LATE, Connection, Stalled
from streamseg.decode.ending import Guarded
from streamseg.decode.faults import AV_ERRORS, fault, may_mend, unknown_host
from streamseg.decode.header import is_timeless
from streamseg.decode.picture import DecodedPicture
from streamseg.decode.reader import PacketReader
from streamseg.decode.reconnect import Heard, ReconnectPolicy
from streamseg.decode.shared import SharedState
from streamseg.errors import SourceLost, SourceNotFound, StreamsegError, Unreadable
from streamseg.system.http import refuses_parts

if TYPE_CHECKING:
    import av

    Packet = av.Packet[Any]

__all__ = ["LiveReader"]

FIRST_DELAY, LAST_DELAY = 0.5, 8.0
"""Seconds before the first attempt to reconnect; doubled each time up to LAST_DELAY, and shortened at random by up to a half."""

_AGAIN = {"fpsprobesize": "0"}
"""libav's options for a source that is opened again: it need not watch 20 pictures to guess their rate, which is known by then."""

_OVER = (
    "it gives the same again from its beginning: a film, which has ended. Since it tells neither its size nor its duration, it was "
    "read as a live stream, and pictures may be missing; --spool 2GB reads all of it"
)


@dataclass(frozen=True, slots=True)
class _Loss:
    """A source that was lost, until a picture comes again."""

    media_time: float
    """How far it had come, seconds on the run's clock."""
    since: float
    """When its last packet was read, monotonic seconds."""
    attempts: Iterator[tuple[float, float]]
    shown: Placeholders | None


class LiveReader:
    """Pictures of a source over any number of connections."""

    def __init__(self, shared: SharedState, policy: ReconnectPolicy) -> None:
        self._shared = shared
        self._policy, self._timeout = policy, policy.timeout
        self._connection: Connection | None = None
        self._reader: PacketReader | None = None
        self._endless = self._keeps_up = self._pictured = False
        self._arrived = self._came = self._last_picture = 0.0
        self._heard = Heard(policy.timeout)
        self._like: Like | None = None
        """What the last picture was like."""
        self._loss: _Loss | None = None
        """None: pictures come."""
        self._beginning: tuple[int | None, int | None, bytes] | None = None
        """Times and bytes of a connection's first packet."""
        self._raced = self._over = False
        """It came faster than it plays, to its end; and it is the same again."""

    # -- connecting ----------------------------------------------------------------------------------------------------------

    def open(self) -> PacketReader | None:
        """Connect, and wait for what may come by itself; None if stopped meanwhile.

        Raises SourceNotFound or SourceLost when the time for waiting is up. Raises other errors at once, for example for a wrong
        password.
        """
        for begin, delay in self._attempts():
            problem, mends = self._attempt()
            if problem is None:
                return self._reader
            self.close()
            left = begin + self._policy.wait - time.monotonic()
            words = f"{problem}{self._shared.address.advice}"
            if not mends or left <= 0:
                waited = f"; it did not come within {self._policy.wait:g} s" if mends and self._policy.wait else ""
                raise type(problem)(f"{words}{waited}")
            self._policy.away(words)
            if delay == FIRST_DELAY and self._policy.on_message is not None:
                self._policy.on_message(f"{words}; waiting for it, up to {self._policy.wait:g} s")
            if not self._pause(min(left, delay * random.uniform(0.5, 1.0))):
                return None
        return None

    def _attempts(self) -> Iterator[tuple[float, float]]:
        """(when they began, seconds to pause after this one), without end."""
        begin, delay = time.monotonic(), FIRST_DELAY
        while True:
            yield begin, delay
            delay = min(2 * delay, LAST_DELAY)

    def _attempt(self) -> tuple[StreamsegError | None, bool]:
        """(why it could not be opened, whether that may change)."""
        address, begin = self._shared.address, time.monotonic()
        try:
            self._connect()
        except AV_ERRORS as error:
            problem, mends = fault(error, address.name, doing="cannot be opened"), may_mend(error)
            if isinstance(problem, Unreadable) and time.monotonic() - begin > 0.9 * self._timeout:
                problem = SourceLost(f"{address.name}: cannot be opened: no answer within {self._timeout:g} s")  # RTSP
                mends = True
            elif getattr(error, "errno", None) == errno.EIO and (host := unknown_host(address.url)):
                problem = SourceNotFound(f"{address.name}: cannot be opened: no host of the name {host} is known")
            return problem, mends and address.kind == "network"
        return None, False

    def _connect(self) -> bool:
        """Whether it was opened, not stopped. Raises libav's errors, NoVideo or TooLarge."""
        self.close()
        address = self._shared.address
        if self._endless:
            address = replace(address, options=address.options | _AGAIN)
        self._connection = Connection(address, self._timeout, self._shared.accel, self._shared.tap)
        container = self._connection.opened(self._shared.stopped)
        if container is None:
            return False
        self._reader = PacketReader(container, self._shared)
        self._heard = Heard(self._timeout)
        self._heard.note(time.monotonic(), float(self._shared.splicer.end))
        self._arrived = self._last_picture = time.monotonic()
        if self._endless:
            self._connection.attend(self._reader.stream.index, self._keeps_up)
        return True

    def attend(self, keep_up: bool) -> None:
        """The source has no end: it is read all the time. keep_up: pictures that have become late may be left out."""
        self._endless, self._keeps_up = True, keep_up
        if self._connection is not None and self._reader is not None:
            self._connection.attend(self._reader.stream.index, keep_up)

    # -- reading -------------------------------------------------------------------------------------------------------------

    def pictures(self) -> Iterator[DecodedPicture]:
        """Pictures over all connections if the source has no end, else until its end.

        Raises SourceLost if an endless source stays away for `reconnect` seconds, Unreadable if the other kind breaks off.
        """
        broken = False
        while self._reader is not None and self._connection is not None:
            packets = Guarded(self._watched(self._connection, self._reader))
            for picture in self._reader.pictures(packets, self._endless):
                picture.broken |= broken
                broken = False
                if self._loss is not None:
                    self._policy.away(None)
                self._last_picture, self._loss, self._pictured = self._arrived, None, True
                if self._endless:
                    picture.arrived, picture.came = self._arrived, self._came
                    self._like = Like.of(picture, self._like) if self._policy.placeholder else None
                yield picture
            problem = packets.problem
            if self._shared.stopped():
                return
            if not self._endless:
                self._reader.judge_end(problem)
                return
            if self._over:
                self._shared.warnings.append(f"{self._shared.address.name}: {_OVER}")
                return
            if not self._pictured and self._refuses_parts():
                raise Unreadable(f"{self._shared.address.name}: ends before its first picture")
            yield from self._come_back(problem)
            broken = True

    def _refuses_parts(self) -> bool:
        """Whether this is a film that libav read wrongly because the web server refused to send parts of it."""
        address = self._shared.address
        seeks = address.scheme in ("http", "https") and "seekable" not in address.options
        return seeks and refuses_parts(address.url, self._timeout)

    @property
    def reader(self) -> PacketReader | None:
        """The reader of the connection that is open."""
        return self._reader

    def begin(self) -> None:
        """From now on pictures are taken as they come."""
        if self._connection is not None:
            self._connection.begin()

    def outdated(self, arrived: float) -> bool:
        """Whether a picture that arrived then is late, and a newer one is there."""
        late = self._keeps_up and time.monotonic() - arrived > LATE
        return late and self._connection is not None and self._connection.waiting

    def _watched(self, connection: Connection, reader: PacketReader) -> Iterator[Packet]:
        """Packets, as long as pictures come of them: a source that sends only rubbish counts as lost, as a silent one does."""
        policy, gap = max(10.0, 3 * self._timeout), False
        begin: tuple[Packet, float] | None = None
        raced, self._raced = self._raced, False
        placed = self._loss is None
        for arrival in connection.packets(self._shared.stopped):
            if self._loss is not None and not placed:
                self._shared.splicer.restart(self._loss.media_time + arrival.came - self._loss.since)
            self._heard.note(arrival.at, float(self._shared.splicer.end))
            placed, self._arrived, self._came = True, arrival.at, arrival.came
            video = arrival.packet.stream_index == reader.stream.index
            if self._shared.address.kind != "pipe" and arrival.at - self._last_picture > policy and not arrival.late:
                raise Stalled(0, f"data, but no picture for {policy:.0f} s")
            if arrival.late:
                reader.place(arrival.packet)  # time goes on, so that what comes next has not leapt
                self._shared.counters.skipped += video
                gap |= video
                self._last_picture = arrival.at
                continue
            if gap and video:
                reader.flush()  # what it holds back is from before the gap
                gap = False
            if begin is None:
                begin, packet = (arrival.packet, arrival.at), arrival.packet
                former, self._beginning = self._beginning, (packet.pts, packet.dts, bytes(packet))
                self._over = raced and self._beginning == former
                if self._over:
                    return
            yield arrival.packet
        self._raced = begin is not None and not is_timeless(reader.container) and self._faster(*begin)

    def _faster(self, packet: Packet, at: float) -> bool:
        """Whether a web server sent the film, from this packet and its arrival on, at least twice as fast as it plays."""
        time_ = packet.pts if packet.pts is not None else packet.dts
        if time_ is None or self._shared.address.scheme not in ("http", "https"):
            return False
        return float(self._shared.splicer.end - time_ * packet.time_base) > 2 * (self._arrived - at)

    def _come_back(self, problem: BaseException | None) -> Iterator[DecodedPicture]:
        """Reconnect with exponential back-off and jitter, giving placeholders meanwhile; there is no reader behind it if stopped.

        Raises SourceLost when the time is up. A connection that brings no picture does not count: the time goes on from when the
        last picture came.
        """
        shared, reconnect, name = self._shared, self._policy.reconnect, self._shared.address.name
        reason = str(fault(problem, name)) if problem is not None else f"{name}: the other side ended the stream"
        if self._loss is None:
            shown = Placeholders(self._like, reason) if self._like is not None else None
            end = float(shared.splicer.end)
            self._loss = _Loss(end, self._heard.last(end), self._attempts(), shown)
            shared.warnings.append(f"{reason}; reconnecting")
        loss = self._loss
        self._policy.away(reason)
        self.close(reason)
        for begin, delay in loss.attempts:
            if loss.shown is not None:
                yield loss.shown.at(loss.media_time + time.monotonic() - loss.since)
            left = begin + reconnect - time.monotonic()
            if left <= 0:
                raise SourceLost(f"{reason}; it did not come back within {reconnect:g} s")
            if not self._pause(min(left, delay * random.uniform(0.5, 1.0))):
                return
            try:
                connected = self._connect()
            except (*AV_ERRORS, StreamsegError) as error:
                self._policy.away(str(fault(error, name)))
                continue  # it is still away, or not yet what it was: the next attempt tells
            if not connected or self._connection is None:
                self.close()
                return
            self._connection.begin()
            shared.counters.reconnects += 1
            return

    def _pause(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._shared.stopped():
                return False
            time.sleep(min(0.1, left))
        return not self._shared.stopped()

    def close(self, reason: str = "") -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.release(keep=self._shared.hub.in_use, reason=reason)
        self._connection = self._reader = None
