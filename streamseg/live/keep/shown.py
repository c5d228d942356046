"""Records what a camera shows, effects and all, from the one encode that viewers get, too; where its own packets show too much."""

from __future__ import annotations

import io
import threading
from fractions import Fraction

import av

from streamseg.encode.stream import Listener, SharedStream, StreamFormat, Unit
from streamseg.encode.stream.fmp4 import TIMESCALE
from streamseg.encode.video.copied import CopiedStreams
from streamseg.encode.video.remux import AV_ERRORS, keep_video
from streamseg.live.keep.feed import PacketFeed
from streamseg.live.keep.packets import StoredPacket

__all__ = ["ShownPackets"]

_CLOCK = Fraction(1, TIMESCALE)
_PATIENCE = 30.0
"""Seconds of pictures that may wait until they are taken."""


class ShownPackets:
    """Takes each encoded picture of a shared stream to a recorder's feed, in a thread of its own, until `close`."""

    def __init__(self, camera: str, stream: SharedStream, feed: PacketFeed) -> None:
        self._stream, self._feed = stream, feed
        self._closed = threading.Event()
        self._listener: Listener = stream.listen(patience=_PATIENCE)
        self._thread = threading.Thread(target=self._run, name=f"streamseg-shown-{camera}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        opened = False
        while not self._closed.is_set():
            message = self._listener.get(0.5)
            if message is None:
                if self._listener.ended and not self._closed.is_set():
                    if opened:
                        self._feed.ended(self._listener.ended)
                    self._closed.wait(0.5)
                    self._listener, opened = self._stream.listen(patience=_PATIENCE), False
                continue
            if isinstance(message, StreamFormat):
                opened = False
                continue
            if not opened and message.key and (streams := _streams(message)) is not None:
                self._feed.began(streams)
                opened = True
            if opened:
                self._feed.put(_stored(message))
        self._feed.ended("")

    def close(self) -> None:
        """Listen no more; what was taken is with the recorder."""
        self._closed.set()
        self._listener.close()
        self._thread.join(2.0)


def _streams(unit: Unit) -> CopiedStreams | None:
    """What the stream is, as a key frame's own parameter sets say it."""
    try:
        with av.open(io.BytesIO(unit.data), format="h264") as container:
            kept = keep_video(container.streams.video[0])
    except AV_ERRORS:
        return None
    kept.time_base = _CLOCK
    return CopiedStreams(0, {0: kept})


def _stored(unit: Unit) -> StoredPacket:
    return StoredPacket(0, unit.data, unit.ticks, unit.ticks, 0, _CLOCK, unit.key, unit.arrived or unit.made)
