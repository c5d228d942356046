"""Records a camera all the time, in one file after the other."""

from __future__ import annotations

from streamseg.errors import OutputError
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.recording import RecordingFile
from streamseg.live.keep.shelf import Shelf, utc_of
from streamseg.live.keep.sync import Syncer

__all__ = ["Continuous"]

SYNC = 1.0
"""Seconds after which what was written is forced onto the disk: as much is lost with the power."""


class Continuous:
    """Files of `length` seconds each, which begin where the wall clock shows a multiple of it, but the first."""

    def __init__(self, shelf: Shelf, length: float) -> None:
        self._shelf, self._length = shelf, length
        self._file: RecordingFile | None = None
        self._syncer, self._works = Syncer(f"streamseg-sync-{shelf.camera}"), 0
        self._until = self._synced = 0.0
        """The next key frame after this one begins another file, monotonic seconds."""

    @property
    def path(self) -> str:
        """The file that is being written; empty: none."""
        return str(self._file.part) if self._file is not None else ""

    def add(self, packet: StoredPacket, begins: bool, note: str = "") -> bool:
        """Write one more packet; `begins`: a file may begin with it. Whether it was written."""
        if begins and self._file is not None and packet.at >= self._until:
            self.end()
        if self._file is None:
            if not begins:
                return False
            self._file = self._shelf.open(packet, clip=False, note=note)
            if self._file is None:
                return False
            utc = utc_of(packet.at)
            self._until = packet.at + self._length - utc % self._length
            self._synced = packet.at
        try:
            self._file.write(packet)
            if packet.at - self._synced >= SYNC:
                self._synced = packet.at
                done = self._syncer.done
                self._file.sync(self._syncer)
                if done > self._works:
                    self._works = done
                    self._shelf.works()
        except OutputError as error:
            file, self._file = self._file, None
            self._shelf.give_up(file, error, clip=False)
            return False
        return True

    def close(self) -> None:
        """Finish the file; nothing more comes."""
        self.end()
        self._syncer.close()

    def end(self) -> None:
        """Finish the file that is being written."""
        file, self._file = self._file, None
        if file is not None:
            self._shelf.close(file, clip=False)
