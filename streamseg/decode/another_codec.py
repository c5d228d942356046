"""Finds the place where a transport stream goes on in another codec, as files do that were joined with `cat`.

libav keeps the decoder of the first codec. At the place where the program map names another codec, libav drops the picture that it
was about to give. It may also append the first picture of the new codec to the last one of the old, which the decoder then takes
for damage, and drops the pictures that it still holds. So the packets end here at such a place, and the last pictures of a file are
read again, as if the file ended there.

An access unit of H.264, H.265 or MPEG-1, -2 and -4 begins with a start code (00 00 01) and a type, of which few may stand there:
ITU-T H.264, table 7-1; ITU-T H.265, table 7-1; ISO/IEC 13818-2, table 6-1; ISO/IEC 14496-2, table 6-3. Program maps: ISO/IEC
13818-1, 2.4.4.8.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from streamseg.decode.demux import demux
from streamseg.decode.faults import AV_ERRORS

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    Packet = av.Packet[Any]

__all__ = ["OneCodec"]

_SURE, _AT_END = 8, 3
"""So many pictures in a row, or at the end of the film, begin as none of the codec: single ones may be damaged."""
_AGAIN = 16 * 2**20
"""Bytes that are read again at most; a program map comes ten times a second."""
_START = b"\x00\x00\x01"
_MPEG = ("mpeg1video", "mpeg2video")
_LAST_OBJECT, _LAYERS = 0x1F, range(0x20, 0x30)
_SIZE = 188
_SYNC = 0x47
_MAP = 2
"""The table id of a program map."""


class OneCodec:
    """Gives packets as long as their video is of one codec. It gives them one picture late, since the last may not be whole."""

    def __init__(self, stream: VideoStream, codec: str, file: str | None) -> None:
        """codec: libav's name of the stream's. file: a path where the stream can be read again."""
        self._stream, self._codec, self._file = stream, codec, file
        self._given: int | None = None
        self.changed = False
        """Whether another codec came, so that the packets ended."""

    @staticmethod
    def knows(codec: str) -> bool:
        """Whether what is not of this codec can be told."""
        return codec in ("h264", "hevc", "mpeg4", *_MPEG)

    def packets(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Packets until another codec comes."""
        held: list[Packet] = []
        strange: list[Packet] = []
        for packet in packets:
            if packet.stream_index == self._stream.index and packet.size:
                if self._begins(packet):
                    yield from self._give(held)
                    held, strange = [], []
                else:
                    strange.append(packet)
            held.append(packet)
            if len(strange) >= _SURE:
                break
        if len(strange) < _AT_END:
            yield from self._give(held)
            return
        self.changed = True
        before = held[: next(at for at, packet in enumerate(held) if packet is strange[0])]
        yield from (p for p in before if p.stream_index != self._stream.index)
        yield from self._again(next((p.pos for p in strange if p.pos), None))

    def _give(self, packets: list[Packet]) -> Iterator[Packet]:
        for packet in packets:
            if packet.stream_index == self._stream.index and packet.dts is not None:
                self._given = packet.dts
            yield packet

    def _begins(self, packet: Packet) -> bool:
        """Whether it begins as a picture of the codec does."""
        units = list(islice(_units(bytes(packet)), 2))
        kinds = [kind for kind, _ in units]
        if self._codec in _MPEG:
            return not units or kinds[0] in (0x00, 0xB3, 0xB8)
        if self._codec == "mpeg4":
            return not units or _is_mpeg4(kinds[0], kinds[1] if len(kinds) > 1 else None)
        if self._codec == "h264":
            return all(_is_h264(kind) for kind in kinds)
        # Of the first layer, H.265's identifiers of layer and sublayer are 0, and 1 to 7; a second view is of the layer behind.
        return all(kind < 0x80 and not kind & 1 for kind in kinds) and all(0 < second < 8 for _, second in units[:1])

    def _again(self, end: int | None) -> Iterator[Packet]:
        """The pictures between those that were given and the program map before `end` that names another codec."""
        if self._file is None or self._given is None or end is None:
            return
        try:
            with Path(self._file).open("rb") as file:
                file.seek(max(0, end - _AGAIN) // _SIZE * _SIZE)
                data = file.read(end - file.tell())
            cut = _other_map(data, self._stream.id)
            with av.open(io.BytesIO(data[: cut or 0]), "r", format="mpegts") as container:
                same = [s for s in container.streams.video if s.id == self._stream.id]
                for packet in demux(container, *same) if same else ():
                    if packet.size and packet.dts is not None and packet.dts > self._given:
                        packet.stream = self._stream
                        yield packet
        except AV_ERRORS:
            return  # without them it is as it was


def _is_h264(kind: int) -> bool:
    """Whether a unit of H.264 may be of this type, and of this use for others."""
    used, number = kind >> 5, kind & 31
    if kind >= 0x80 or number in (0, 2, 3, 4):
        return False
    return bool(used) if number in (5, 7, 8) else not (used and number in (6, 9, 10, 11, 12))


def _is_mpeg4(kind: int, following: int | None) -> bool:
    """Whether a picture of MPEG-4 may begin with units of these types: its headers (user data, B2, anywhere), or itself, B6."""
    if kind in (0xB0, 0xB2, 0xB6) or kind in _LAYERS:
        return True
    if kind <= _LAST_OBJECT:
        return following is None or following in _LAYERS
    return (kind == 0xB3 and following in (None, 0xB2, 0xB6)) or (
        kind == 0xB5 and (following in (None, 0xB2) or following <= _LAST_OBJECT)
    )


def _units(data: bytes) -> Iterator[tuple[int, int]]:
    """The two bytes behind each start code: the type, and what belongs to it."""
    at = data.find(_START)
    while 0 <= at < len(data) - 4:
        yield data[at + 3], data[at + 4]
        at = data.find(_START, at + 3)


def _other_map(data: bytes, pid: int) -> int | None:
    """Where the last program map begins that names another kind of stream for `pid` than the map before it; None: there is none."""
    found, former = None, None
    for at in range(0, len(data) - _SIZE + 1, _SIZE):
        kind = _kind(data[at : at + _SIZE], pid)
        if kind is not None:
            found, former = (at if former not in (None, kind) else found), kind
    return found


def _kind(packet: bytes, pid: int) -> int | None:
    """The kind of the stream `pid` by the program map in this packet; None: it holds none, or not this stream."""
    if packet[0] != _SYNC or not packet[1] & 0x40 or not packet[3] & 0x10:
        return None
    body = packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
    table = body[1 + body[0] :] if body else b""
    if len(table) < 12 or table[0] != _MAP:
        return None
    end = min(len(table), 3 + ((table[1] & 15) << 8 | table[2]) - 4)
    at = 12 + ((table[10] & 15) << 8 | table[11])
    while at + 5 <= end:
        if (table[at + 1] & 31) << 8 | table[at + 2] == pid:
            return table[at]
        at += 5 + ((table[at + 3] & 15) << 8 | table[at + 4])
    return None
