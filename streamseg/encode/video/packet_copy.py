"""A film of packets that are copied from a source as they are: from a key frame on, and playable however its writing ends."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from streamseg.encode.video.container_file import ContainerFile
from streamseg.encode.video.containers import Container
from streamseg.encode.video.copied import CopiedStreams
from streamseg.encode.video.decode_times import DecodingTimes
from streamseg.encode.video.remux import add_copy, codec_of, tagged
from streamseg.encode.video.stream_writer import StreamWriter
from streamseg.errors import OutputError

if TYPE_CHECKING:
    Packet = av.Packet[Any]

__all__ = ["PacketCopy"]


class PacketCopy:
    """Writes one. Times of packets are the source's; the first picture's becomes zero."""

    def __init__(
        self,
        path: Path,
        kind: Container,
        streams: CopiedStreams,
        held: frozenset[int],
        *,
        options: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """`held`: the streams that go into it, by their index in the source. Raises OutputError; then no file is left."""
        more = dict(options or {}) | kind.options
        if kind.is_mov:
            base = streams.kept[streams.video].time_base or Fraction(1, 90000)
            more["video_track_timescale"] = str(min(base.denominator, 10_000_000))
        self.output = ContainerFile(path, kind, overwrite=False, options=more, tags=tags or {})
        self._times = DecodingTimes(kind.is_mov) if kind.is_mov or kind.muxer == "mpegts" else None
        self._video, self._zero = streams.video, Fraction(0)
        self._writers: dict[int, StreamWriter] = {}
        self.seconds = 0.0
        """From its first picture to its last."""
        self.pictures = 0
        try:
            self._add_streams(streams, kind, held)
        except OutputError:
            self.discard()
            raise

    def _add_streams(self, streams: CopiedStreams, kind: Container, held: frozenset[int]) -> None:
        with self.output.failing("opening"):
            for index in sorted(held, key=lambda index: index != streams.video):
                kept = streams.kept[index]
                if kind.is_mov and codec_of(kept) == "hevc":
                    kept = tagged(kept, "hvc1")  # Apple's players know no other
                stream = add_copy(self.output.container, kept)
                # AAC from MPEG-TS has a header on every packet, which mp4 has once.
                unpack = None
                if kind.is_mov and codec_of(kept) == "aac":
                    unpack = BitStreamFilterContext("aac_adtstoasc", in_stream=kept)
                self._writers[index] = StreamWriter(stream, unpack=unpack)
            self.output.container.start_encoding()

    def write(self, index: int, packet: Packet) -> float | None:
        """Append a packet of the source's stream `index`; the first one is a picture.

        Returns when a picture is shown, seconds from the first; None for what is none, or is left out. Raises OutputError; what
        was written is kept.
        """
        if index not in self._writers:
            return None
        ticks = packet.pts if packet.pts is not None else packet.dts
        if not self.pictures:
            self._zero = self.output.origin = (ticks or 0) * packet.time_base
        if ticks is not None and ticks * packet.time_base < self._zero:
            return None  # sound, or a picture that leans on one from before the first
        if index != self._video:
            self._mux(index, packet)
            return None
        self.pictures += 1
        shown = None if ticks is None else float(ticks * packet.time_base - self._zero)
        self.seconds = max(self.seconds, shown or 0.0)
        for ready in [packet] if self._times is None else self._times.push(packet):
            self._mux(index, ready)
        return shown

    def _mux(self, index: int, packet: Packet) -> None:
        writer = self._writers[index]
        with self.output.failing("writing"):
            self.output.shift(packet)
            try:
                for ready in [packet] if writer.unpack is None else writer.unpack.filter(packet):
                    if writer.place(ready, repeats=False, timed=True):
                        ready.stream = writer.stream
                        self.output.container.mux_one(ready)
            except av.InvalidDataError:
                if self.output.file.error is not None:
                    raise
                writer.damaged += 1  # as the source left it: what comes behind it is written all the same

    def finish(self) -> None:
        """Write the index, and have all of it on the disk. Raises OutputError; what was written is kept."""
        for packet in self._times.flush() if self._times is not None else ():
            self._mux(self._video, packet)
        self.output.finish()
        with self.output.failing("finalising"):
            self.output.file.sync()
        self.output.close()

    def leave(self) -> None:
        """Stop amid it: what was written can be played. Does not raise."""
        with contextlib.suppress(OutputError):
            self.output.close()

    def discard(self) -> None:
        """Remove it. Does not raise."""
        self.leave()
        with contextlib.suppress(OSError):
            self.output.path.unlink()
