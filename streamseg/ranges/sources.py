"""What tasks read the film with."""

from __future__ import annotations

import zlib

from streamseg.decode.stretch import NotDivisible, Stretch
from streamseg.decode.timetable import Timetable
from streamseg.errors import ResultsError
from streamseg.pipeline.opening import decoder_options
from streamseg.ranges.order import FilmOrder

__all__ = ["NotDivisible", "read_table", "stretch_of"]


def read_table(order: FilmOrder) -> Timetable:
    """The film's timetable. Raises ResultsError."""
    try:
        return Timetable.unpacked(order.table.read_bytes())
    except (OSError, ValueError, zlib.error) as error:
        raise ResultsError(f"{order.table}: cannot be read: {error}") from error


def stretch_of(order: FilmOrder, first: int, end: int | None) -> Stretch:
    """Frames of the film, not open yet."""
    return Stretch(order.source, read_table(order), first, end, decoder_options(order.config))
