"""One file of a recording: packets of a camera in a container, from a key frame on, playable however its writing ends."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from streamseg.encode.video.container_file import ContainerFile
from streamseg.encode.video.containers import Container
from streamseg.encode.video.decode_times import DecodingTimes
from streamseg.encode.video.remux import add_copy, codec_of, tagged
from streamseg.encode.video.stream_writer import StreamWriter
from streamseg.errors import OutputError
from streamseg.live.keep.names import free_name, part_name
from streamseg.live.keep.packets import CameraStreams, StoredPacket
from streamseg.live.keep.sync import Syncer
from streamseg.system.output_files import make_folder

if TYPE_CHECKING:
    Packet = av.Packet[Any]

__all__ = ["MARK", "RecordingFile"]

MARK = "streamseg recording of "
"""Begins the comment in each file, before the camera's name: only files that have it are ever deleted."""
_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "200000"}
"""What waits for a silent microphone is lost with the process: a fifth of a second."""


class RecordingFile:
    """A recording that is being written, as NAME.part.mp4, until `finish` gives it its name."""

    def __init__(
        self, path: Path, camera: str, streams: CameraStreams, kind: Container, held: frozenset[int], note: str = ""
    ) -> None:
        """`held`: the streams that go into it; `note`: what its comment says more, such as a gap before it. Raises OutputError."""
        make_folder(path.parent)
        self.path = free_name(path)
        comment = f"{MARK}{camera}" + (f"; {note}" if note else "")
        options = {**_OPTIONS, **kind.options}
        if kind.is_mov:
            base = streams.kept[streams.video].time_base or Fraction(1, 90000)
            options["video_track_timescale"] = str(min(base.denominator, 10_000_000))
        self._output = ContainerFile(part_name(self.path), kind, overwrite=False, options=options, tags={"comment": comment})
        self._times = DecodingTimes(kind.is_mov) if kind.is_mov or kind.muxer == "mpegts" else None
        self._video, self._zero = streams.video, Fraction(0)
        self._writers: dict[int, StreamWriter] = {}
        self.begin = 0.0
        """When what its first picture shows came, monotonic seconds."""
        self.seconds = 0.0
        """From its first picture to its last."""
        self.pictures = 0
        self.left = self.part
        """Where it lies once its writing has ended."""
        try:
            self._add_streams(streams, kind, held)
        except OutputError:
            self.discard()
            raise

    def _add_streams(self, streams: CameraStreams, kind: Container, held: frozenset[int]) -> None:
        with self._output.failing("opening"):
            for index in sorted(held, key=lambda index: index != streams.video):
                kept = streams.kept[index]
                if kind.is_mov and codec_of(kept) == "hevc":
                    kept = tagged(kept, "hvc1")  # Apple's players know no other
                stream = add_copy(self._output.container, kept)
                # AAC from MPEG-TS has a header on every packet, which mp4 has once.
                unpack = None
                if kind.is_mov and codec_of(kept) == "aac":
                    unpack = BitStreamFilterContext("aac_adtstoasc", in_stream=kept)
                self._writers[index] = StreamWriter(stream, unpack=unpack)
            self._output.container.start_encoding()

    @property
    def part(self) -> Path:
        """Where it lies now."""
        return self._output.path

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._output.file.size

    def write(self, packet: StoredPacket) -> None:
        """Append a packet; the first one is a picture. Raises OutputError; what was written is kept."""
        if packet.stream not in self._writers:
            return
        if not self.pictures:
            self.begin = packet.at
            first = packet.pts if packet.pts is not None else packet.dts
            self._zero = (first or 0) * packet.time_base
            self._output.origin = self._zero
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and ticks * packet.time_base < self._zero:
            return  # sound, or a picture that leans on one from before the first
        if packet.stream != self._video:
            self._mux(packet.stream, packet.packet())
            return
        self.pictures += 1
        if ticks is not None:
            # What came while the connection was looked into was read in one go, after it.
            shown = float(ticks * packet.time_base - self._zero)
            self.begin, self.seconds = min(self.begin, packet.at - shown), max(self.seconds, shown)
        for ready in [packet.packet()] if self._times is None else self._times.push(packet.packet()):
            self._mux(packet.stream, ready)

    def _mux(self, index: int, packet: Packet) -> None:
        writer = self._writers[index]
        with self._output.failing("writing"):
            self._output.shift(packet)
            try:
                for ready in [packet] if writer.unpack is None else writer.unpack.filter(packet):
                    if writer.place(ready, repeats=False, timed=True):
                        ready.stream = writer.stream
                        self._output.container.mux_one(ready)
            except av.InvalidDataError:
                if self._output.file.error is not None:
                    raise
                writer.damaged += 1  # as the network left it: what comes behind it is written all the same

    def sync(self, syncer: Syncer) -> None:
        """What was written so far survives a power cut, soon. Raises OutputError."""
        with self._output.failing("writing"):
            syncer.ask(self._output.file.duplicate())

    def finish(self) -> Path:
        """Write the index, and give the file its name. Raises OutputError; what was written is kept."""
        try:
            for packet in self._times.flush() if self._times is not None else ():
                self._mux(self._video, packet)
            self._output.finish()
            with self._output.failing("finalising"):
                self._output.file.sync()
            self._output.close()
        except OutputError:
            self.left = self.leave()
            raise
        self.left = self._rename()
        return self.left

    def leave(self) -> Path:
        """Stop amid it: what was written can be played, and gets its name. Does not raise."""
        with contextlib.suppress(OutputError):
            self._output.close()
        with contextlib.suppress(OSError):
            self.left = self._rename()
        return self.left

    def discard(self) -> None:
        """Remove it: there is nothing to be seen in it. Does not raise."""
        with contextlib.suppress(OutputError):
            self._output.close()
        with contextlib.suppress(OSError):
            self.part.unlink()

    def _rename(self) -> Path:
        path = self.path
        if path.exists():  # somebody else has taken the name meanwhile
            path = free_name(path, beside=False)
        self.part.rename(path)
        return path
