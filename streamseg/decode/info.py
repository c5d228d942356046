"""What a source is, as its header and its first picture together tell: what `Decoder.open` gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av

from streamseg.core.timecode import Timecode
from streamseg.core.types import Frame
from streamseg.decode.address import Kind
from streamseg.decode.color_tags import ColorTags
from streamseg.decode.header import Header, StreamInfo
from streamseg.pixels.fields import FieldOrder
from streamseg.pixels.orient import Orientation
from streamseg.pixels.sidedata import Kept

__all__ = ["SourceInfo", "bit_depth", "source_info"]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What `Decoder.open` learned. Sizes are those of the upright picture."""

    name: str
    """The source as the user named it, without credentials."""
    kind: Kind
    live: bool
    """Its end is a loss, and reading on cannot wait."""
    width: int
    height: int
    pix_fmt: str
    """As given by `Frame.picture.format.name`."""
    bit_depth: int
    time_base: Fraction
    """Seconds per unit of every `Frame.pts` of the run."""
    rate: Fraction | None
    """Nominal frames a second; never compute time from it."""
    duration: float | None
    """Seconds the whole source says it lasts."""
    frame_count: int | None
    """How many frames this run will give, estimated from the header."""
    color: ColorTags
    rotation: int
    """Counter-clockwise degrees (0, 90, 180, 270) that the source is tagged with, and that were applied."""
    sample_aspect_ratio: Fraction | None
    """Of the upright picture; None if unknown or square by omission."""
    metadata: dict[str, str]
    streams: tuple[StreamInfo, ...]
    container: str
    """libav's name of the format; 'images' for stills."""
    start_pts: int = 0
    """`Frame.pts` of the first frame of this run."""
    start: float = 0.0
    """Seconds that were asked to be left out at the start."""
    chapters: tuple[dict[str, Any], ...] = ()
    """As PyAV's `OutputContainer.set_chapters` takes them: id, start, end, time_base, metadata."""
    timecode: Timecode | None = None
    """The label of the first frame of this run."""
    reel: str = ""
    """Name of the tape or card that it was taken from."""
    codec: str = ""
    mirrored: bool = False
    """The source's tag also asked to mirror the picture left to right (before the turn), which was done."""
    video_index: int = 0
    """Which of `streams` is decoded."""
    field_order: FieldOrder | None = None
    """Of the first frame: interlaced, top (`tff`) or bottom (`bff`) field first; None: progressive."""
    beside: tuple[Kept, ...] = ()
    """What lies beside the first picture as decoded: HDR metadata, captions, an ICC profile; see `sidedata.kinds`."""
    picture_metadata: dict[str, str] = field(default_factory=dict)
    """What the first picture says of itself: a photo's EXIF, by libav's names, as `ExifIFD/FocalLengthIn35mmFilm`."""

    @property
    def start_time(self) -> float:
        """Seconds, on the source's clock, of the first frame of this run."""
        return float(self.start_pts * self.time_base)


def source_info(
    header: Header,
    first: Frame,
    orientation: Orientation,
    start: Fraction,
    duration: Fraction | None,
    label: tuple[Timecode, Fraction] | None = None,
    beside: tuple[Kept, ...] = (),
) -> SourceInfo:
    """The header and the first frame of a run, put together. label: a timecode, and the seconds of the picture that bears it.

    beside: the side data of the first picture as decoded.
    """
    timecode = None
    if label is not None:
        code, at = label[0].counted_at(header.rate), label[1]
        timecode = code + round((first.pts * header.time_base - at) * (header.rate or code.rate))
    aspect = header.sample_aspect_ratio
    return SourceInfo(
        name=header.name,
        kind=header.kind,
        live=header.live,
        width=first.width,
        height=first.height,
        pix_fmt=first.picture.format.name,
        bit_depth=bit_depth(first.picture.format),
        time_base=header.time_base,
        rate=header.rate,
        duration=header.duration,
        frame_count=_run_length(header, start, duration),
        color=ColorTags.of(first.picture),
        rotation=orientation.degrees,
        mirrored=orientation.mirrored,
        sample_aspect_ratio=1 / aspect if aspect and orientation.transpose else aspect,
        metadata=header.metadata,
        streams=header.streams,
        container=header.container,
        chapters=header.chapters,
        timecode=timecode,
        reel=header.labels.reel,
        codec=header.codec,
        video_index=header.video_index,
        start_pts=first.pts,
        start=float(start),
        field_order=first.field_order,
        beside=beside,
    )


def _run_length(header: Header, start: Fraction, duration: Fraction | None) -> int | None:
    """Frames between `start` and its end, by the header's count or duration; None if neither is known."""
    rate = header.rate
    total = header.frame_count
    if total is None and header.duration and rate:
        total = round(header.duration * rate)
    if rate is None or (total is None and duration is None):
        return total
    wanted = None if duration is None else round(duration * rate)
    left = None if total is None else total - int(start * rate)
    return max(1, min(n for n in (wanted, left) if n is not None))


def bit_depth(pixel_format: av.VideoFormat) -> int:
    """Bits of a luma (or colour) sample."""
    return int(pixel_format.components[0].bits)
