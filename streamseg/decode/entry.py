"""Whether a key frame is one by its codec's own rules, so that all shown behind it can be decoded from there to the bit.

Of H.264 also pictures count as key frames that only promise recovery (ITU-T H.264, D.2.8). Some encoders let pictures behind them
lean on pictures before them nevertheless. Those of type 5 (IDR) empty what a decoder remembers (7.4.1.2.4). In H.265 and in the
other codecs every key frame that libav flags is enough for what is shown behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["stands_alone"]

_SLICES = (1, 2, 5)
"""NAL units that hold pictures of H.264 (Table 7-1)."""
_IDR = 5


def stands_alone(codec: str, extradata: bytes | None, data: memoryview) -> bool:
    """Whether nothing behind a key frame leans on what is before it. data: its packet."""
    if codec != "h264":
        return True
    kind = next((kind for kind in _kinds(extradata, data) if kind in _SLICES), None)
    return kind == _IDR


def _kinds(extradata: bytes | None, data: memoryview) -> Iterator[int]:
    """The types of a packet's NAL units: behind start codes (Annex B), or behind their lengths (ISO/IEC 14496-15)."""
    if extradata and extradata[0] == 1 and len(extradata) > 4:
        width, at = (extradata[4] & 3) + 1, 0
        while at + width < len(data):
            yield data[at + width] & 31
            at += width + int.from_bytes(data[at : at + width], "big")
        return
    stream = bytes(data)
    at = stream.find(b"\0\0\1")
    while 0 <= at < len(stream) - 3:
        yield stream[at + 3] & 31
        at = stream.find(b"\0\0\1", at + 3)
