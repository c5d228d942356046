"""Tells from a key frame whether a camera's picture is still what it was: some change size over one connection."""

from __future__ import annotations

import io
from dataclasses import replace

import av

from streamseg.encode.video.copied import CopiedStreams
from streamseg.encode.video.remux import AV_ERRORS, keep_video
from streamseg.live.keep.packets import StoredPacket

__all__ = ["Parameters"]

_START = (b"\0\0\1", b"\0\0\0\1")
_SETS = {"h264": (0x1F, 7), "hevc": (0x7E, 33 << 1)}
"""Where a NAL unit's first byte tells its type, and what it says of a sequence parameter set (ITU-T H.264, 7.3.1; H.265,
7.3.1.2)."""


class Parameters:
    """Compares the sequence parameter sets of key frames over one connection."""

    def __init__(self, streams: CopiedStreams) -> None:
        self._streams, self._codec = streams, streams.codec
        self._known: frozenset[bytes] = frozenset()

    def changed(self, packet: StoredPacket) -> CopiedStreams | None:
        """The streams from this key frame on, where its picture is another than that of those before it; None: it is not."""
        sets = self._of(packet.data)
        if not sets or sets == self._known:
            return None
        first, self._known = not self._known, sets
        if first:
            return None
        try:
            with av.open(io.BytesIO(packet.data), format=self._codec) as container:
                kept = keep_video(container.streams.video[0])
        except AV_ERRORS:
            return None
        kept.time_base = packet.time_base
        self._streams = replace(self._streams, kept={**self._streams.kept, self._streams.video: kept})
        return self._streams

    def _of(self, data: bytes) -> frozenset[bytes]:
        if self._codec not in _SETS or not data.startswith(_START):
            return frozenset()
        mask, wanted = _SETS[self._codec]
        units = (part.rstrip(b"\0") for part in data.split(b"\0\0\1"))
        return frozenset(unit for unit in units if unit and unit[0] & mask == wanted)
