"""The timecode of a source: of its first picture, as the container states it, or as a picture states its own.

A `tmcd` track (QuickTime, MP4), a tag (Matroska, AVI), the packages of MXF and the packs of DV all become metadata in libav.
MPEG-2 says it with each group of pictures, H.264 and HEVC with each picture (SEI), if at all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.sidedata.sidedata import Type

from streamseg.core.timecode import Timecode
from streamseg.pixels import sidedata

if TYPE_CHECKING:
    from collections.abc import Sequence

    import av
    from av.container import InputContainer
    from av.stream import Stream

__all__ = ["NO_LABELS", "Labels", "counts_from_start", "first_label", "labels_of"]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a container says; empty where it says nothing."""

    timecode: str = ""
    reel: str = ""


NO_LABELS = Labels()


def labels_of(container: InputContainer, stream: Stream) -> Labels:
    """The timecode and the reel's name of a video stream, of its timecode track, or of the whole file."""
    data = [other.metadata for other in container.streams if other.type == "data"]
    places = [stream.metadata, *data, container.metadata]
    return Labels(_find(places, "timecode"), _find(places, "reel_name"))


def _find(places: Sequence[Mapping[str, str]], key: str) -> str:
    return next((value for place in places for name, value in place.items() if name.lower() == key and value.strip()), "")


def first_label(
    labels: Labels, origin: Fraction, rate: Fraction | None, image: av.VideoFrame, at: Fraction
) -> tuple[Timecode, Fraction] | None:
    """A timecode, and the seconds of the picture that bears it: from the container, else from the picture itself.

    origin: seconds of the source's first picture; image: any of its pictures, as decoded, of `at` seconds.
    """
    told = Timecode.parse(labels.timecode, rate)
    if told is not None:
        return told, origin
    own = next(_carried(image, rate), None)
    return None if own is None else (own, at)


def counts_from_start(image: av.VideoFrame) -> bool:
    """Whether a picture tells the label of its group, which is that of the one shown first: a B-frame where groups are open."""
    return any(data.type == Type.GOP_TIMECODE for data in sidedata.listed(image) or ())


def _carried(image: av.VideoFrame, rate: Fraction | None) -> Iterator[Timecode]:
    for data in sidedata.listed(image) or ():
        text = ""
        if data.type == Type.S12M_TIMECODE:
            count, first = struct.unpack_from("=II", bytes(data))
            text = _smpte(first, rate) if count else ""
        elif data.type == Type.GOP_TIMECODE:
            text = _group(struct.unpack_from("=q", bytes(data))[0])
        if (code := Timecode.parse(text, rate)) is not None:
            yield code


def _smpte(word: int, rate: Any) -> str:
    """SMPTE ST 12-1 as libav packs it (av_timecode_get_smpte): pairs of BCD digits, and above 30 pictures a second a field bit."""
    hours, minutes, seconds, frames = (
        _decimal(word >> shift & mask) for shift, mask in ((0, 63), (8, 127), (16, 127), (24, 63))
    )
    if rate and rate > 30:
        frames = 2 * frames + bool(word & 1 << (7 if round(rate) == 50 else 23))
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if word & 1 << 30 else ':'}{frames:02}"


def _decimal(digits: int) -> int:
    return 10 * (digits >> 4) + (digits & 15)


def _group(word: int) -> str:
    """The time_code of ISO/IEC 13818-2, 6.3.8. All zero is what encoders write that know none."""
    hours, minutes, seconds, frames = word >> 19 & 31, word >> 13 & 63, word >> 6 & 63, word & 63
    if not (hours or minutes or seconds or frames):
        return ""
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if word & 1 << 24 else ':'}{frames:02}"
