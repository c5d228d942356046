"""A camera's last seconds in memory, for what is to be seen of the time before an event."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain

from streamseg.live.keep.packets import StoredPacket

__all__ = ["Ring"]

MOST_BYTES = 128 * 2**20


class Ring:
    """Packets of the last `seconds`, and of the time before that back to a key frame; fewer where they are too many bytes."""

    def __init__(self, seconds: float, most: int = MOST_BYTES) -> None:
        self._seconds, self._most = seconds, most
        self._groups: deque[list[StoredPacket]] = deque()
        """Each begins with a key frame."""
        self._bytes = 0
        self.shortened = False
        """What came within `seconds` was too large to be held."""

    def add(self, packet: StoredPacket, begins: bool) -> None:
        """One more; `begins`: a picture that leans on none before it."""
        if begins or not self._groups:
            self._groups.append([])
        self._groups[-1].append(packet)
        self._bytes += len(packet.data)
        while len(self._groups) > 1 and (self._bytes > self._most or self._groups[1][0].at <= packet.at - self._seconds):
            self.shortened |= self._groups[1][0].at > packet.at - self._seconds
            self._bytes -= sum(len(each.data) for each in self._groups.popleft())

    def since(self, at: float) -> Iterator[StoredPacket]:
        """From the last key frame that came no later than `at`; from the first one where all came later."""
        first = 0
        for number, group in enumerate(self._groups):
            if group[0].at <= at:
                first = number
        return chain.from_iterable(list(self._groups)[first:])

    def behind(self, packet: StoredPacket) -> list[StoredPacket]:
        """All that came after `packet`, in order."""
        found: list[StoredPacket] = []
        for group in reversed(self._groups):
            for each in reversed(group):
                if each is packet:
                    return found[::-1]
                found.append(each)
        return found[::-1]

    def clear(self) -> None:
        """Hold nothing: another connection has other streams."""
        self._groups.clear()
        self._bytes = 0
