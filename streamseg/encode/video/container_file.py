"""A container that is open for writing: FFmpeg's muxer over our file, the output's clock, and FFmpeg's errors in our words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.container import OutputContainer

from streamseg.encode.video.remux import AV_ERRORS
from streamseg.errors import OutputError
from streamseg.system.output_files import OutputFile

if TYPE_CHECKING:
    from streamseg.encode.video.containers import Container

__all__ = ["MOST_TICKS", "ContainerFile"]

MOST_TICKS = 2**31 - 2
"""From one packet of an mp4's track to the next. FFmpeg 8.1 reads one more as a pause of one tick; its muxer aborts beyond that."""
_BUFFER = 1 << 18


class ContainerFile:
    """Where the pictures and all other streams of one output go."""

    def __init__(
        self, path: Path, kind: Container, *, overwrite: bool, options: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """`options` of FFmpeg's muxer, `tags` of the whole file. Raises OutputError."""
        self.path, self.kind = path, kind
        self.origin = Fraction(0)
        """Which time of the source is zero here, seconds."""
        self.file = OutputFile(path, overwrite)
        options = dict(options)
        if kind.is_mov and not self.file.seekable():  # nothing can be rewritten in the end: it stays in fragments
            options["movflags"] = options["movflags"].replace("+hybrid_fragmented", "+frag_keyframe+default_base_moof")
        with self.failing("opening"):
            self.container: OutputContainer = av.open(
                self.file, "w", format=kind.muxer, container_options=options, buffer_size=_BUFFER
            )
            self.container.metadata.update(tags)

    def too_far(self, ticks: int) -> bool:
        """Whether a packet cannot come so many ticks behind the one before."""
        return self.kind.is_mov and ticks > MOST_TICKS

    def shift(self, packet: av.Packet[Any]) -> None:
        """Bring a packet's times from the source's clock to the output's."""
        shift = round(self.origin / packet.time_base)
        if shift:
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift

    def finish(self) -> None:
        """Write the trailer, and give the file its name. Raises OutputError."""
        with self.failing("finalising"):
            self.file.hold_overwrites()
            self.container.close()
            self.file.commit()

    def close(self) -> None:
        """Close the file; what is not finished stays as it is."""
        with self.failing("closing"):
            self.file.close()
        # libav writes no trailer into a closed file: after an error it could spoil what is readable.
        with contextlib.suppress(*AV_ERRORS):
            self.container.close()

    @contextlib.contextmanager
    def failing(self, doing: str) -> Iterator[None]:
        """Makes FFmpeg's errors OutputError, which says what failed."""
        try:
            yield
        except AV_ERRORS as error:
            cause = self.file.error or error
            reason = getattr(cause, "strerror", None) or str(cause)
            written = f"; the {self.file.size / 1e6:.1f} MB written so far are kept" if self.file.size else ""
            raise OutputError(f"{self.path}: {doing} it failed: {reason}{written}") from cause
