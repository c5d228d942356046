"""Takes a camera's packets from the thread that reads it, which never waits for a disk, to the thread that writes them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamseg.encode.video.copied import CopiedStreams, streams_of
from streamseg.encode.video.remux import AV_ERRORS
from streamseg.live.keep.packets import StoredPacket

if TYPE_CHECKING:
    import av
    from av.stream import Stream

    Packet = av.Packet[Any]

__all__ = ["Ended", "Noticed", "Opened", "PacketFeed"]

MOST_BYTES = 64 * 2**20
"""Of packets that wait for a disk; a camera of 8 Mbit/s fills them in a minute."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection is open; what comes has these streams."""

    streams: CopiedStreams | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is over."""

    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Noticed:
    """An event for which a clip is wanted."""

    id: str
    at: float
    """When it happened, monotonic seconds."""


Item = Opened | Ended | Noticed | StoredPacket


class PacketFeed:
    """A `decode.tap.PacketTap` whose packets wait in memory, at most `most` bytes of them. Thread-safe."""

    def __init__(self, *, sound: bool = True, most: int = MOST_BYTES) -> None:
        self._sound, self._most = sound, most
        self._changed = threading.Condition()
        self._waiting: deque[Item] = deque()
        self._bytes = self._taken = 0
        self._video: int | None = None
        self._wanted: frozenset[int] = frozenset()
        self._skips = self._closed = False
        self.dropped = 0
        """Packets that were lost because the disk was too slow; with each, all up to the next key frame."""

    def opened(self, streams: Sequence[Stream]) -> None:
        """See `PacketTap`."""
        try:
            kept = streams_of(streams, sound=self._sound)
        except AV_ERRORS:
            kept = None
        self.began(kept)

    def began(self, kept: CopiedStreams | None) -> None:
        """As `opened`, of streams that are kept already."""
        self._video = None if kept is None else kept.video
        self._wanted = frozenset() if kept is None else frozenset(kept.kept)
        self._skips = False
        self._add(Opened(kept))

    def packet(self, packet: Packet, at: float) -> None:
        """See `PacketTap`."""
        if packet.stream_index in self._wanted and not packet.is_corrupt:
            self.put(StoredPacket.of(packet, at))

    def put(self, packet: StoredPacket) -> None:
        """As `packet`, of one that is kept already."""
        with self._changed:
            if self._closed:
                return
            full = self._bytes + len(packet.data) > self._most
            if self._skips and packet.stream == self._video and packet.key and not full:
                self._skips = False
            if self._skips or full:
                self._skips, self.dropped = True, self.dropped + 1
                return
            self._waiting.append(packet)
            self._bytes += len(packet.data)
            self._changed.notify_all()

    def ended(self, reason: str) -> None:
        """See `PacketTap`."""
        self._add(Ended(reason, time.monotonic()))

    def notice(self, id: str, at: float) -> None:
        """An event for which a clip is wanted happened at `at`, monotonic seconds."""
        self._add(Noticed(id, at))

    def _add(self, item: Item) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.append(item)
                self._changed.notify_all()

    @property
    def pending(self) -> int:
        """Items that wait, or were taken and are not `done`."""
        with self._changed:
            return len(self._waiting) + self._taken

    def done(self, count: int) -> None:
        """So many that were taken are dealt with."""
        with self._changed:
            self._taken -= count

    def take(self, timeout: float) -> list[Item]:
        """All that waits, in order; nothing where none came within `timeout` seconds, or it was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            taken = list(self._waiting)
            self._waiting.clear()
            self._bytes, self._taken = 0, self._taken + len(taken)
        return taken

    @property
    def closed(self) -> bool:
        """Nothing more is taken in."""
        return self._closed

    def close(self) -> None:
        """Take nothing more in; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
