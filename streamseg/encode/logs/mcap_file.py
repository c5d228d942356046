"""Writes MCAP (mcap.dev/spec), of the records of the package `mcap`: a chunk a group of pictures, and an index of them in the end.

That package's own writer ends a chunk by its size alone. Here a chunk ends where it is asked for, before each key frame, and it
reaches the file whole or not at all: a reader that goes from front to back reads a file that was cut off up to its last chunk.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamseg.system.output_files import OutputFile

__all__ = ["McapFile"]

_MAGIC = b"\x89MCAP0\r\n"
_LARGEST = 16 << 20
"""Bytes of messages from which a chunk ends in any case: readers hold one in memory."""
_LEVEL = 3


class McapFile:
    """A file under construction. All methods raise OSError."""

    def __init__(self, file: OutputFile, library: str, about: Mapping[str, str]) -> None:
        """`library`: who writes it; `about`: what the metadata record `streamseg` says."""
        import zstandard
        from mcap.data_stream import RecordBuilder
        from mcap.records import Header, Metadata, MetadataIndex

        builder: Any = RecordBuilder
        self._file, self._record = file, builder
        self._pack = zstandard.ZstdCompressor(level=_LEVEL).compress
        self._kinds: list[Any] = []
        """Schemas and channels, as they stand in the summary, too."""
        self._schemas = self._channels = 0
        self._chunk = builder()
        self._indexes: dict[int, Any] = {}
        self._times: list[int] = []
        self._counts: dict[int, int] = defaultdict(int)
        self._span: tuple[int, int] | None = None
        # In its bytes: a recording of ten hours has 36 000 chunks.
        self._chunk_indexes, self._chunks = builder(), 0
        file.append(_MAGIC + self._bytes(Header("", library)))
        at, described = file.size, self._bytes(Metadata("streamseg", dict(about)))
        file.append(described)
        self._described = MetadataIndex(length=len(described), name="streamseg", offset=at)

    def _bytes(self, *records: Any) -> bytes:
        builder = self._record()
        for record in records:
            record.write(builder)
        return bytes(builder.end())

    def schema(self, name: str, encoding: str, data: bytes) -> int:
        """A schema's number."""
        from mcap.records import Schema

        self._schemas += 1
        self._add_kind(Schema(data=data, encoding=encoding, id=self._schemas, name=name))
        return self._schemas

    def channel(self, topic: str, encoding: str, schema: int) -> int:
        """A channel's number."""
        from mcap.records import Channel

        self._channels += 1
        self._add_kind(Channel(id=self._channels, message_encoding=encoding, metadata={}, schema_id=schema, topic=topic))
        return self._channels

    def _add_kind(self, record: Any) -> None:
        self._kinds.append(record)
        record.write(self._chunk)

    def message(self, channel: int, time: int, number: int, data: bytes) -> None:
        """Add a message of a time in nanoseconds to the chunk; `number`: the frame's."""
        from mcap.records import Message, MessageIndex

        index = self._indexes.get(channel)
        if index is None:
            index = self._indexes[channel] = MessageIndex(channel_id=channel, records=[])
        index.records.append((time, self._chunk.count))
        self._times.append(time)
        self._counts[channel] += 1
        Message(channel_id=channel, data=data, log_time=time, publish_time=time, sequence=number).write(self._chunk)

    @property
    def large(self) -> bool:
        """The chunk had better end."""
        return bool(self._chunk.count >= _LARGEST)

    def end_chunk(self) -> None:
        """Write what was added."""
        from mcap.records import Chunk, ChunkIndex

        if not self._times:
            return
        start, end, plain = min(self._times), max(self._times), bytes(self._chunk.end())
        packed = self._pack(plain)
        chunk = self._bytes(
            Chunk(
                compression="zstd",
                data=packed,
                message_end_time=end,
                message_start_time=start,
                uncompressed_crc=zlib.crc32(plain),
                uncompressed_size=len(plain),
            )
        )
        at, offsets, indexes = self._file.size, {}, b""
        for number, index in self._indexes.items():
            offsets[number] = at + len(chunk) + len(indexes)
            indexes += self._bytes(index)
        self._indexes, self._times = {}, []
        self._file.append(chunk + indexes)
        self._chunks += 1
        self._span = (start, end) if self._span is None else (min(start, self._span[0]), max(end, self._span[1]))
        ChunkIndex(
            chunk_length=len(chunk),
            chunk_start_offset=at,
            compression="zstd",
            compressed_size=len(packed),
            message_end_time=end,
            message_index_length=len(indexes),
            message_index_offsets=offsets,
            message_start_time=start,
            uncompressed_size=len(plain),
        ).write(self._chunk_indexes)

    def finish(self) -> None:
        """Write the last chunk and the summary."""
        from mcap.opcode import Opcode
        from mcap.records import Channel, DataEnd, Footer, Schema, Statistics, SummaryOffset

        self.end_chunk()
        end = self._bytes(DataEnd(0))
        start, (first, last) = self._file.size + len(end), self._span or (0, 0)
        counted = Statistics(
            attachment_count=0,
            channel_count=self._channels,
            channel_message_counts=dict(self._counts),
            chunk_count=self._chunks,
            message_count=sum(self._counts.values()),
            message_end_time=last,
            message_start_time=first,
            metadata_count=1,
            schema_count=self._schemas,
        )
        groups = {
            Opcode.SCHEMA: self._bytes(*(kind for kind in self._kinds if isinstance(kind, Schema))),
            Opcode.CHANNEL: self._bytes(*(kind for kind in self._kinds if isinstance(kind, Channel))),
            Opcode.STATISTICS: self._bytes(counted),
            Opcode.CHUNK_INDEX: bytes(self._chunk_indexes.end()),
            Opcode.METADATA_INDEX: self._bytes(self._described),
        }
        summary, offsets = b"", b""
        for code, group in groups.items():
            if group:
                offsets += self._bytes(
                    SummaryOffset(group_length=len(group), group_opcode=code, group_start=start + len(summary))
                )
                summary += group
        told = summary + offsets
        footer = self._bytes(Footer(start, start + len(summary), 0))
        # The sum is of the summary and of the footer up to where it stands itself.
        footer = self._bytes(Footer(start, start + len(summary), zlib.crc32(told + footer[:-4])))
        self._file.append(end + told + footer + _MAGIC)
