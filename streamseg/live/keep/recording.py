"""One file of a recording: packets of a camera in a container, from a key frame on, playable however its writing ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

from streamseg.encode.video.containers import Container
from streamseg.encode.video.copied import CopiedStreams
from streamseg.encode.video.packet_copy import PacketCopy
from streamseg.errors import OutputError
from streamseg.live.keep.names import free_name, part_name
from streamseg.live.keep.packets import StoredPacket
from streamseg.live.keep.sync import Syncer
from streamseg.system.output_files import make_folder

__all__ = ["MARK", "RecordingFile"]

MARK = "streamseg recording of "
"""Begins the comment in each file, before the camera's name: only files that have it are ever deleted."""
_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "200000"}
"""What waits for a silent microphone is lost with the process: a fifth of a second."""


class RecordingFile:
    """A recording that is being written, as NAME.part.mp4, until `finish` gives it its name."""

    def __init__(
        self, path: Path, camera: str, streams: CopiedStreams, kind: Container, held: frozenset[int], note: str = ""
    ) -> None:
        """`held`: the streams that go into it; `note`: what its comment says more, such as a gap before it. Raises OutputError."""
        make_folder(path.parent)
        self.path = free_name(path)
        comment = f"{MARK}{camera}" + (f"; {note}" if note else "")
        tags = {"comment": comment}
        self._copy = PacketCopy(part_name(self.path), kind, streams, held, options=_OPTIONS, tags=tags)
        self.begin = 0.0
        """When what its first picture shows came, monotonic seconds."""
        self.left = self.part
        """Where it lies once its writing has ended."""

    @property
    def part(self) -> Path:
        """Where it lies now."""
        return self._copy.output.path

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._copy.output.file.size

    @property
    def pictures(self) -> int:
        """In it so far."""
        return self._copy.pictures

    @property
    def seconds(self) -> float:
        """From its first picture to its last."""
        return self._copy.seconds

    def write(self, packet: StoredPacket) -> None:
        """Append a packet; the first one is a picture. Raises OutputError; what was written is kept."""
        if not self.pictures:
            self.begin = packet.at
        shown = self._copy.write(packet.stream, packet.packet())
        if shown is not None:
            # What came while the connection was looked into was read in one go, after it.
            self.begin = min(self.begin, packet.at - shown)

    def sync(self, syncer: Syncer) -> None:
        """What was written so far survives a power cut, soon. Raises OutputError."""
        output = self._copy.output
        with output.failing("writing"):
            syncer.ask(output.file.duplicate())

    def finish(self) -> Path:
        """Write the index, and give the file its name. Raises OutputError; what was written is kept."""
        try:
            self._copy.finish()
        except OutputError:
            self.left = self.leave()
            raise
        self.left = self._rename()
        return self.left

    def leave(self) -> Path:
        """Stop amid it: what was written can be played, and gets its name. Does not raise."""
        self._copy.leave()
        with contextlib.suppress(OSError):
            self.left = self._rename()
        return self.left

    def discard(self) -> None:
        """Remove it: there is nothing to be seen in it. Does not raise."""
        self._copy.discard()

    def _rename(self) -> Path:
        path = self.path
        if path.exists():  # somebody else has taken the name meanwhile
            path = free_name(path, beside=False)
        self.part.rename(path)
        return path
