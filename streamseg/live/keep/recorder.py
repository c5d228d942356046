"""Records one camera, in a thread of its own: all the time, or clips of its events, or both."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from streamseg.config.live_record import CameraRecord
from streamseg.encode.video.copied import CopiedStreams
from streamseg.live.keep.clips import Clips
from streamseg.live.keep.clock import SteadyClock
from streamseg.live.keep.continuous import Continuous
from streamseg.live.keep.feed import Ended, Item, Noticed, Opened, PacketFeed
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.parameters import Parameters
from streamseg.live.keep.shelf import Ledger, Shelf, utc_of

__all__ = ["CameraRecorder"]

_PATIENCE = 10.0
"""Seconds without a key frame, after which a recording begins with any picture: some cameras send none."""
_STILL = 5.0
"""Seconds without a packet, over one connection, that are a gap."""
_LET_GO = "it was not watched"
"""The reason where nothing was lost: a person has paused it, or the program ends."""
_SHORTEST_GAP = 1.0
"""Seconds without a packet that are noted."""


class CameraRecorder:
    """What `record:` of a camera asks for. `feed` is the tap for its decoder."""

    def __init__(
        self, camera: str, folder: Path, options: CameraRecord, ledger: Ledger, before: tuple[float, str] | None = None
    ):
        """`before`: since when (UTC seconds) there is no recording, and why."""
        self.camera, self._ledger = camera, ledger
        self.feed = PacketFeed(sound=options.sound)
        self._shelf = Shelf(folder, camera, ledger, options.container)
        self._continuous = Continuous(self._shelf, options.segment) if options.continuous else None
        clips = options.clips
        self._clips = Clips(self._shelf, before=clips.before, after=clips.after, longest=clips.longest) if clips else None
        self._streams: CopiedStreams | None = None
        self._steady = SteadyClock()
        self._opened_at = self._last_at = 0.0
        self._seen_key = False
        self._gap = before
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=f"streamseg-record-{camera}", daemon=True)

    @property
    def path(self) -> str:
        """The file that is being written; empty: none."""
        return self._continuous.path if self._continuous is not None else ""

    @property
    def idle(self) -> bool:
        """All that it was given is written."""
        return not self.feed.pending

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Finish the files; whether that was done within `timeout` seconds."""
        self.feed.close()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def notice(self, id: str, at: float) -> None:
        """An event for which a clip is wanted, at `at` (monotonic seconds)."""
        if self._clips is not None:
            self.feed.notice(id, at)

    def _run(self) -> None:
        try:
            self._record()
        except Exception as error:  # a mistake of ours: a recording that has ended must not seem to go on
            self._ledger.warn(self.camera, f"recording has ended: {type(error).__name__}: {error}")
            raise

    def _record(self) -> None:
        while True:
            items = self.feed.take(0.5)
            for item in items:
                self._take(item)
            self.feed.done(len(items))
            if not items and self.feed.closed:
                break
            if self._clips is not None:
                self._clips.tick(time.monotonic())
        self._end(time.monotonic(), "")
        if self._continuous is not None:
            self._continuous.close()
        if self._clips is not None:
            self._clips.end()
        if self._gap is not None and self._gap[1] != _LET_GO and time.time() - self._gap[0] >= _SHORTEST_GAP:
            self._ledger.gap(self.camera, self._gap[0], time.time(), self._gap[1])

    def _take(self, item: Item) -> None:
        if isinstance(item, StoredPacket):
            self._packet(item)
        elif isinstance(item, Opened):
            self._open(item.streams)
        elif isinstance(item, Ended):
            self._end(item.at, item.reason or _LET_GO)
        elif isinstance(item, Noticed) and self._clips is not None:
            self._clips.notice(item.id, item.at)

    def _open(self, streams: CopiedStreams | None) -> None:
        if self._streams is not None:
            self._end(time.monotonic(), "another connection")
        if streams is not None and streams.codec == "rawvideo":
            self._ledger.warn(
                self.camera, "it sends pictures that are not compressed, which are too large to be recorded as they are"
            )
            streams = None
        self._streams, self._steady = streams, SteadyClock()
        self._seen_key, self._opened_at = False, time.monotonic()
        if streams is not None:
            self._shelf.streams(streams)
            self._parameters = Parameters(streams)

    def _end(self, at: float, reason: str) -> None:
        if self._streams is None:
            return
        self._streams = None
        if self._continuous is not None:
            self._continuous.end()
        if self._clips is not None:
            self._clips.lost(at)
        if reason and self._gap is None:
            self._gap = (utc_of(self._last_at or at), reason)

    def _packet(self, packet: StoredPacket) -> None:
        if self._streams is None:
            return
        packet = self._steady(packet)
        picture = packet.stream == self._streams.video
        begins = picture and (packet.key or (not self._seen_key and packet.at - self._opened_at > _PATIENCE))
        self._seen_key |= begins
        if picture and packet.key and (changed := self._parameters.changed(packet)) is not None:
            self._change(changed, packet.at)
        if self.feed.dropped > self._dropped and self._gap is None:
            self._gap = (utc_of(self._last_at), "the disk is too slow")
        if self._last_at and packet.at - self._last_at > _STILL and self._gap is None:
            self._gap = (utc_of(self._last_at), "nothing came")
        self._dropped = self.feed.dropped
        if not self._seen_key:
            return
        if self._clips is not None:
            self._clips.add(packet, begins)
        if self._continuous is not None and not self._continuous.add(packet, begins, self._note(packet.at)):
            if self._shelf.full and self._gap is None:
                self._gap = (utc_of(self._last_at or packet.at), self._shelf.full)
            return
        self._last_at = packet.at
        self._close_gap(packet.at)

    def _change(self, streams: CopiedStreams, at: float) -> None:
        """The picture has another size: it goes on in another file."""
        self._streams = streams
        if self._continuous is not None:
            self._continuous.end()
        if self._clips is not None:
            self._clips.lost(at)
        self._shelf.streams(streams)

    def _note(self, at: float) -> str:
        """What a file that begins now says of what is missing before it."""
        if self._gap is None:
            return ""
        return f"nothing was recorded for {max(0.0, utc_of(at) - self._gap[0]):.1f} s before this: {self._gap[1]}"

    def _close_gap(self, at: float) -> None:
        gap, self._gap = self._gap, None
        if gap is not None and utc_of(at) - gap[0] >= _SHORTEST_GAP:
            self._ledger.gap(self.camera, gap[0], utc_of(at), gap[1])
