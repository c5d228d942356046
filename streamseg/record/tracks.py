"""Who was seen in a film: its tracks, summed up from a results file."""

from dataclasses import dataclass
from fractions import Fraction

from streamseg.record.frames import Columns
from streamseg.system.unchanging import unchanging

__all__ = ["Summing", "TrackSummary"]


@unchanging
@dataclass(frozen=True, slots=True)
class TrackSummary:
    """One track through the film."""

    track_id: int
    name: str
    """The class that it had in most of its frames."""
    votes: dict[str, int]
    """In how many frames it had which class, most first."""
    frames: int
    """In which it was seen."""
    first_frame: int
    """0-based number in the source."""
    last_frame: int
    first_time: float
    """Seconds, presentation time of `first_frame`."""
    last_time: float
    longest_gap: float
    """Seconds from one frame in which it was seen to the next, less one frame; 0: it was seen in all between first and last."""
    score: float
    """Mean, 0 to 1."""
    area: float
    """Frame pixels that its mask covers, summed over its frames."""

    @property
    def mean_area(self) -> float:
        """Frame pixels that its mask covers in a frame in which it is seen."""
        return self.area / self.frames

    def __repr__(self) -> str:
        return (
            f"TrackSummary({self.name}#{self.track_id}, {self.frames} frames, {self.first_time:.2f} to {self.last_time:.2f} s)"
        )


@dataclass(slots=True)
class _Sum:
    votes: dict[int, int]
    first: tuple[int, int]
    """Number and pts."""
    last: tuple[int, int]
    position: int
    """Of `last` among the frames of the file."""
    frames: int = 0
    gap: int = 0
    score: float = 0.0
    area: float = 0.0


class Summing:
    """Adds up the frames of a film, in order."""

    def __init__(self, class_names: tuple[str, ...], time_base: Fraction) -> None:
        self._names, self._time_base = class_names, time_base
        self._sums: dict[int, _Sum] = {}
        self._position = 0
        self._before = 0
        """Pts of the frame before."""

    def add(self, columns: Columns) -> None:
        """Take the next frame."""
        values, here = columns.values, (columns.index, columns.pts)
        rows = zip(*(values[name].tolist() for name in ("track_ids", "labels", "scores", "areas")), strict=True)
        for track, label, score, area in rows:
            if track == 0:
                continue
            found = self._sums.get(track)
            if found is None:
                found = self._sums[track] = _Sum({}, here, here, self._position)
            elif self._position > found.position + 1:
                found.gap = max(found.gap, self._before - found.last[1])
            found.votes[label] = found.votes.get(label, 0) + 1
            found.last, found.position = here, self._position
            found.frames += 1
            found.score += score
            found.area += area
        self._position += 1
        self._before = columns.pts

    def tracks(self) -> tuple[TrackSummary, ...]:
        """By falling area, summed over their frames; those of equal area by their numbers."""
        made = [self._summary(track, found) for track, found in self._sums.items()]
        return tuple(sorted(made, key=lambda each: (-each.area, each.track_id)))

    def _summary(self, track: int, found: _Sum) -> TrackSummary:
        votes = sorted(found.votes.items(), key=lambda vote: (-vote[1], vote[0]))
        return TrackSummary(
            track,
            self._names[votes[0][0]],
            {self._names[label]: count for label, count in votes},
            found.frames,
            found.first[0],
            found.last[0],
            float(found.first[1] * self._time_base),
            float(found.last[1] * self._time_base),
            float(found.gap * self._time_base),
            found.score / found.frames,
            found.area,
        )
