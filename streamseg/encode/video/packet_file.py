"""A file of encoded packets, as they left an encoder: one part of a film, to be put into the output's container later.

    SSPK 1 \\n          then for each packet, numbers little-endian:
    size u32 | side data u8 | flags u8 | pts i64 | dts i64 | duration i64 | side data … | bytes
    side data: kind u8 | size u32 | bytes

Times are in the ticks of the source; a time that is missing is -2^63. Flags: 1 for a key frame. Its SHA-256 stands
elsewhere (`Keeper.note`): the file itself takes its name only once all of it is on the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import uuid
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import av
from av.packet import PacketSideData, PktSideDataT

if TYPE_CHECKING:
    Packet = av.Packet[Any]

__all__ = ["PacketFile", "read_packets"]

_SIGNATURE = b"SSPK 1\n"
_FIXED = struct.Struct("<IBBqqq")
_SIDE = struct.Struct("<BI")
_NONE = -(1 << 63)
_KEY = 1
_CHUNK = 1 << 20
_OF_NO_USE = frozenset({"quality_stats"})
"""Side data that no muxer reads."""
_KINDS = get_args(PktSideDataT)
"""FFmpeg's kinds of side data, by their number."""


class PacketFile:
    """Writes one; it stands as a `.part` of its own until it is finished, since another may write the same. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
        self._file = self._part.open("wb", buffering=_CHUNK)
        self._digest = hashlib.sha256()
        self._put(_SIGNATURE)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)

    def write(self, packet: Packet) -> None:
        """Append a packet."""
        beside = [each for each in packet.iter_sidedata() if each.data_type not in _OF_NO_USE]
        times = (_NONE if ticks is None else ticks for ticks in (packet.pts, packet.dts, packet.duration))
        self._put(_FIXED.pack(packet.size, len(beside), _KEY * packet.is_keyframe, *times))
        for each in beside:
            self._put(_SIDE.pack(_KINDS.index(each.data_type), each.data_size))
            self._put(bytes(each))
        self._put(bytes(packet))

    def finish(self) -> str:
        """All of it is on the disk, under its name; gives its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)
        return self._digest.hexdigest()

    def leave(self) -> Path:
        """Close it unfinished; where what was written lies."""
        self._file.close()
        return self._part

    def discard(self) -> None:
        """Remove it; does not raise."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()


def read_packets(path: Path, time_base: Fraction) -> Iterator[Packet]:
    """The packets of a file, one in memory at a time. Raises OSError, or EOFError where it ends amid one."""
    with path.open("rb", buffering=_CHUNK) as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise EOFError(f"{path} is no file of packets")
        while front := file.read(_FIXED.size):
            yield _read(path, file, front, time_base)


def _read(path: Path, file: Any, front: bytes, time_base: Fraction) -> Packet:
    def take(size: int) -> bytes:
        data: bytes = file.read(size)
        if len(data) != size:
            raise EOFError(f"{path} ends amid a packet")
        return data

    if len(front) != _FIXED.size:
        raise EOFError(f"{path} ends amid a packet")
    size, beside, flags, *times = _FIXED.unpack(front)
    found = [(kind, take(length)) for kind, length in (_SIDE.unpack(take(_SIDE.size)) for _ in range(beside))]
    packet: Packet = av.Packet(size)
    if size:
        packet.update(take(size))
    packet.time_base = time_base
    packet.pts, packet.dts, packet.duration = (None if ticks == _NONE else ticks for ticks in times)
    packet.is_keyframe = bool(flags & _KEY)
    for kind, data in found:
        side = PacketSideData(kind, len(data))  # type: ignore[call-arg]
        if data:
            side.update(data)
        packet.set_sidedata(side, move=True)
    return packet
