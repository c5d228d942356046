"""A decoded picture before it is a frame: as libav gave it, with its time in the run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av

from streamseg.pixels.fields import FieldOrder

__all__ = ["DecodedPicture"]


@dataclass(slots=True)
class DecodedPicture:
    """A decoded picture as libav gave it, and its time: the source's, shifted so that it goes on over jumps and reconnects."""

    image: av.VideoFrame
    pts: int | None
    time_base: Fraction
    duration: int = 0
    broken: bool = False
    """Continuity is lost before this picture: a new epoch."""
    guessed: bool = False
    """`pts` was made from the next picture's."""
    field_order: FieldOrder | None = None
    """Of an interlaced picture, once it has been read (`decode.interlace`)."""
    arrived: float | None = None
    """Live: when the packet was read with which the picture came (monotonic seconds)."""
    came: float | None = None
    """The same, of a picture that libav held back while it was looking into the source: when it really came."""
    told: float | None = None
    """When it was captured as the camera says, seconds since 1970, UTC."""
    lost: str = ""
    """Why the camera is away: this is a placeholder."""
