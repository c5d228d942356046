"""The timecode of a source's first picture, from its container or from a picture, which may have to be fetched for that."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av

from streamseg.core.timecode import Timecode
from streamseg.decode.header import Header
from streamseg.decode.labels import counts_from_start, first_label
from streamseg.decode.picture import DecodedPicture
from streamseg.system.callbacks import Message

__all__ = ["label_of_source"]


def label_of_source(
    header: Header, picture: DecodedPicture, very_first: Callable[[], av.VideoFrame | None] | None, on_message: Message
) -> tuple[Timecode, Fraction] | None:
    """A timecode of the source, and the time, in seconds, of the picture that has it; None where there is none.

    picture: the first that was decoded. very_first: gives the source's first picture, if `picture` is a later one after a seek.
    `on_message` hears of a timecode that cannot be.
    """
    if header.live:
        return None
    image, at = picture.image, picture.pts if picture.pts is None else picture.pts * picture.time_base
    origin = at if very_first is None or header.origin is None else header.origin * header.time_base
    if very_first is not None and not header.labels.timecode and counts_from_start(image):
        image, at = very_first() or image, origin
    origin = origin or Fraction(0)
    label = first_label(header.labels, origin, header.rate, image, origin if at is None else at)
    if label is None and (text := header.labels.timecode):
        rate = f"{float(header.rate):g} frames a second" if header.rate else "an unknown rate"
        on_message(f"{header.name}: its timecode {text} is left out: it is not valid at {rate}")
    return label
