"""The number of a picture in its source, counted in the order of display, without decoding the pictures before it.

mp4, mov and AVI list every picture in an index, so only the packets from the last key frame on are read. Other containers list key
frames or nothing. Their packets are read from the start and counted: that takes as long as reading the file, but decodes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from streamseg.decode.address import Address
from streamseg.decode.container import open_container
from streamseg.decode.demux import demux
from streamseg.decode.faults import AV_ERRORS
from streamseg.decode.reader import PacketReader
from streamseg.decode.timeline import HELD_BACK

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

    Packet = av.Packet[Any]

__all__ = ["makes_a_picture", "number_of"]

_VP8_SHOWN = 0x10
"""Bit of a VP8 frame's first byte (RFC 6386, 9.1)."""


def number_of(address: Address, reader: PacketReader, pts: int | None, *, timeout: float) -> int | None:
    """How many pictures of a file are shown before the one at `pts` (the stream's time base); None if that cannot be known.

    reader: the one that sought that picture. The packet that it began with has to come up in the count, with the same time: else
    two places of the file have that time (joined recordings, each with a clock that starts at zero), or the container tells other
    times after a seek than without one (MPEG-PS). It has to be a key frame: libav also seeks amid a group of pictures (MPEG-4 in a
    transport stream), and what is decoded from there is grey.
    """
    log = reader.log
    if pts is None or log.began_at is None or not log.began_with_key:
        return None
    try:
        with open_container(address, timeout) as container:
            video = cast("VideoStream", container.streams[reader.stream.index])
            known = _start_by_index(container, video, pts)
            seen = None if known is None else _count(_shown(container, video), pts, (log.began_at, log.began_with))
            return None if known is None or seen is None else known + seen
    except AV_ERRORS:
        return None


def _start_by_index(container: InputContainer, stream: VideoStream, pts: int) -> int | None:
    """Move `container` to a key frame not later than `pts`: the number of pictures before that; 0 where the start is best."""
    entries = stream.index_entries
    if not stream.frames or stream.frames != len(entries):
        return 0
    container.seek(pts, stream=stream)
    key = next((p for p in demux(container, stream) if p.size), None)
    if key is None or key.dts is None:
        return None
    at = entries.search_timestamp(key.dts, any_frame=True)
    if at < 0 or entries[at].timestamp != key.dts or (key.pts is not None and key.pts > pts):
        return None
    container.seek(pts, stream=stream)
    return sum(entry.size > 0 and not entry.is_discard for entry in islice(entries, at))


def _shown(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """The packets that make a picture each."""
    return (packet for packet in demux(container, stream) if makes_a_picture(packet, stream))


def makes_a_picture(packet: Packet, stream: VideoStream) -> bool:
    """Whether a packet of that stream makes a picture that is shown: not one that an edit list cuts off, or a hidden one of VP8."""
    if not packet.size or packet.is_discard:
        return False
    return stream.codec_context.name not in ("vp8", "libvpx") or bool(memoryview(packet)[0] & _VP8_SHOWN)


def _count(packets: Iterable[Packet], pts: int, place: tuple[int, int | None]) -> int | None:
    """How many packets are shown before `pts`; None if the first of them has no pts, or none has this position and pts."""
    before = beyond = 0
    met = False
    for packet in packets:
        met = met or (packet.pos, packet.pts) == place
        if packet.pts is None and not before and not beyond:
            return None
        if packet.pts is None:
            continue  # the second field of a picture
        before += packet.pts < pts
        beyond = 0 if packet.pts < pts else beyond + 1
        if beyond > HELD_BACK:
            break
    return before if met else None
