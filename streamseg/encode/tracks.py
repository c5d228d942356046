"""The source's audio and subtitle streams on their way into an output: which it can hold, and their parameters."""

from __future__ import annotations

import io
from typing import Any, Protocol

import av
from av.container import OutputContainer
from av.stream import Stream

from streamseg.encode.codecs import Container, container_of

__all__ = ["AV_ERRORS", "Packets", "Tracks", "add_copy", "codec_of"]

AV_ERRORS = (av.FFmpegError, OSError, ValueError)
"""What PyAV raises when it cannot encode or write."""


class Packets(Protocol):
    """The source's packets for one output (`streamseg.decode.PassThrough`)."""

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Templates of what is passed through."""

    def take(self, until: float | None = None) -> list[Any]:
        """Packets due until a time in seconds on the source's clock; None: the rest."""

    def discard(self, stream: Any) -> None:
        """Stop passing a stream."""

    def close(self) -> None:
        """Nothing more is wanted."""


class Tracks:
    """Audio and subtitle streams to copy: their parameters, taken from the source while it is still open."""

    def __init__(self, packets: Packets | None, suffix: str) -> None:
        self.packets = packets
        self.warnings: list[str] = []
        self.kept: list[tuple[int, Stream]] = []
        """Index in the source, and a stream of the same codec parameters that stays when the source is closed."""
        self._trials: list[OutputContainer] = []
        for template in packets.streams if packets is not None else ():
            stream = self._try(template, container_of(suffix))
            if stream is None:
                self._refuse(template, suffix)
            else:
                self.kept.append((template.index, stream))

    def _try(self, template: Stream, kind: Container) -> Stream | None:
        """A copy of the stream in a file in memory with a header: not all muxers know before that what they cannot hold."""
        codec = codec_of(template)
        if codec.startswith(kind.refused) or (kind.only and codec not in kind.only):
            return None
        trial = av.open(io.BytesIO(), "w", format=kind.muxer)
        try:
            stream = add_copy(trial, template)
            trial.start_encoding()
        except AV_ERRORS:
            return None
        self._trials.append(trial)
        return stream

    def _refuse(self, template: Stream, suffix: str) -> None:
        assert self.packets is not None
        self.warnings.append(
            f"{template.type} stream {template.index} ({codec_of(template)}) is left out: a {suffix} file cannot hold it; "
            f".mkv holds nearly all"
        )
        self.packets.discard(template)


def codec_of(stream: Stream) -> str:
    """FFmpeg's name of a stream's codec."""
    return stream.codec_context.name if stream.codec_context is not None else "unknown"


def add_copy(container: OutputContainer, template: Stream) -> Stream:
    """Add a stream of the same codec parameters, metadata and disposition. Raises one of AV_ERRORS."""
    stream = container.add_stream_from_template(template)
    stream.metadata.update(template.metadata)
    stream.disposition = template.disposition
    return stream
