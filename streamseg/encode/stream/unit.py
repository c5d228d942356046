"""What a shared stream is made of: what it is encoded as, and one encoded picture after the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from streamseg.encode.stream import h264
from streamseg.encode.stream.fmp4 import TIMESCALE, fragment, init_segment

__all__ = ["StreamFormat", "Unit"]


@dataclass(frozen=True)
class StreamFormat:
    """What the pictures that follow are encoded as."""

    number: int
    """Grows by one with each that differs from the one before."""
    width: int
    """Pixels."""
    height: int
    epoch: int
    """Of the frames that follow; see `Frame.epoch`."""
    sps: bytes = field(repr=False)
    """Sequence parameter set, without a start code."""
    pps: bytes = field(repr=False)
    """Picture parameter set."""

    def like(self, other: StreamFormat) -> bool:
        """Whether pictures of both can follow one another without a word: all but the number is the same."""
        return replace(self, number=other.number) == other

    @property
    def codec(self) -> str:
        """As browsers call it: `avc1.42c01f`."""
        return h264.codec_string(self.sps)

    @cached_property
    def init(self) -> bytes:
        """The header of fragmented MP4, before any `Unit.fragment`."""
        return init_segment(self.width, self.height, h264.avcc(self.sps, self.pps))


@dataclass(frozen=True)
class Unit:
    """One encoded picture (an access unit), which is one frame of the camera."""

    data: bytes = field(repr=False)
    """NAL units with start codes; parameter sets before a key frame."""
    key: bool
    """Decoding can begin here."""
    ticks: int
    """When it is shown, in units of 1/90000 s; strictly rises through the whole stream, whatever the camera does."""
    index: int
    """`Frame.index` of the frame that it shows."""
    epoch: int
    pts: int
    """`Frame.pts`, in the source's units."""
    captured_utc: float
    """When the frame arrived: seconds since 1970, UTC; 0: that is not known."""
    arrived: float
    """`Frame.arrived`: on the clock of `time.monotonic`; 0: not known."""
    made: float
    """When it was encoded, on the same clock."""
    number: int
    """How many were encoded before it."""

    @property
    def time(self) -> float:
        """When it is shown, seconds of the stream's own time."""
        return self.ticks / TIMESCALE

    @cached_property
    def sample(self) -> bytes:
        """As MP4 stores it: lengths for start codes, without parameter sets."""
        return h264.length_prefixed(h264.nal_units(self.data))

    @cached_property
    def fragment(self) -> bytes:
        """It alone as fragmented MP4; made once for all who want it."""
        return fragment(self.number + 1, self.ticks, self.key, self.sample)
