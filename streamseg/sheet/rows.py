"""Rows: what the sheet says of each track, and when its pictures are taken."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from streamseg.core.palette import color_of
from streamseg.edits import Film
from streamseg.record import TrackSummary
from streamseg.select.terms import quoted

__all__ = ["BINS", "Row", "clock", "rows_of"]

BINS = 400
"""Parts of the film's length in which a row says whether its track is seen."""


@dataclass(slots=True)
class Row:
    """One track."""

    track: TrackSummary
    name: str
    """What a person called it; "": nothing."""
    frames: tuple[int, ...] = ()
    """Numbers of the frames of which its pictures are taken."""
    seen: tuple[bool, ...] = ()
    """[BINS] of the film's length: whether it is seen then."""
    pictures: list[tuple[float, bytes]] = field(default_factory=list)
    """Time in seconds, and a square JPEG."""

    @property
    def words(self) -> str:
        """How a selection calls it: `Anna`, `person#3`."""
        return quoted(self.name) if self.name else f"{quoted(self.track.name)}#{self.track.track_id}"

    @property
    def colour(self) -> tuple[int, int, int]:
        """RGB in which it is drawn."""
        return color_of(self.track.track_id, 0)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        track = self.track
        return {
            "track_id": track.track_id,
            "name": self.name or None,
            "class": track.name,
            "votes": track.votes,
            "frames": track.frames,
            "first_frame": track.first_frame,
            "last_frame": track.last_frame,
            "first_time": round(track.first_time, 6),
            "last_time": round(track.last_time, 6),
            "longest_gap": round(track.longest_gap, 6),
            "confidence": round(track.score, 4),
            "mean_area": round(track.mean_area, 1),
            "area": round(track.area, 1),
        }


def clock(seconds: float) -> str:
    """Seconds as a person reads them and a selection takes them: 1:02.480, 1:00:02.480."""
    thousandths = round(abs(seconds) * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    return f"{sign}{hours}:{minutes:02}:{rest / 1000:06.3f}" if hours else f"{sign}{minutes}:{rest / 1000:06.3f}"


def rows_of(film: Film, tracks: Sequence[TrackSummary], pictures: int = 8) -> list[Row]:
    """A row for each of `tracks`, in that order; of each at most so many pictures, evenly over the frames in which it is seen."""
    numbers = _numbers(film, {track.track_id for track in tracks})
    rows = []
    for track in tracks:
        positions = np.frombuffer(numbers[track.track_id], np.int64)
        at = np.unique(np.linspace(0, len(positions) - 1, min(pictures, len(positions))).round().astype(int))
        here = np.zeros(len(film.results), bool)
        here[positions] = True
        seen = np.maximum.reduceat(here, np.arange(BINS) * len(here) // BINS)
        frames = tuple(film.results.numbers[positions[at]].tolist())
        rows.append(Row(track, film.edits.names.get(track.track_id, ""), frames, tuple(seen.tolist())))
    return rows


def _numbers(film: Film, wanted: set[int]) -> dict[int, array[int]]:
    """Track → positions in the file of the frames in which it is shown."""
    found: dict[int, array[int]] = {track: array("q") for track in wanted}
    time_base = film.results.time_base
    for position, columns in enumerate(film.results.columns()):
        for track in film.applied.columns(columns.values, float(columns.pts * time_base))["track_ids"].tolist():
            if track in found:
                found[track].append(position)
    return found
