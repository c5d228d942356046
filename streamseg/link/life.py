"""What the link stage keeps of a track beyond its window: how long it was seen, as what, and how sure that is."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from streamseg.link.window import Moment, Sighting

__all__ = ["Life", "Lives"]

SCORE_TIME = 1.0
"""Seconds before and after a frame over which a track's score is averaged."""
LOOKS = 6
"""So many looks, the surest, say what a track looks like."""


@dataclass(slots=True, eq=False)
class Life:
    """One track, from its first sighting to its last."""

    track_id: int
    votes: npt.NDArray[np.float64]
    """[C] sum of the scores of each class that it was seen as, in all frames so far."""
    began: float = math.inf
    """Seconds: the first frame in which it was detected."""
    ended: float = -math.inf
    """The last one."""
    first: int = 0
    """The number of its first frame, in which it may have been carried."""
    last: int = -1
    """That of its last one, so far."""
    sightings: int = 0
    """Frames in which it was detected."""
    known: bool = False
    """It has been seen for long enough to be shown."""
    begun: bool = False
    """It has been followed back from its first sighting."""
    scores: deque[tuple[float, float]] = field(default_factory=deque)
    """(seconds, score) of its detections of late."""
    looks: list[tuple[float, npt.NDArray[np.float32]]] = field(default_factory=list)
    """(score, histogram) of its surest sightings."""

    def add(self, moment: Moment, sighting: Sighting) -> None:
        """It is in that frame; frames come in any order."""
        if self.last < 0:
            self.first = self.last = moment.number
        self.first, self.last = min(self.first, moment.number), max(self.last, moment.number)
        if sighting.detected:
            self.sightings += 1
            self.began, self.ended = min(self.began, moment.time), max(self.ended, moment.time)
            self.votes[sighting.label] += sighting.score
            self.scores.append((moment.time, sighting.score))

    def take(self, other: Life) -> None:
        """The other is the same object."""
        self.votes += other.votes
        self.began, self.ended = min(self.began, other.began), max(self.ended, other.ended)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.sightings += other.sightings
        self.known |= other.known
        self.begun |= other.begun
        self.scores.extend(other.scores)
        self.looks = sorted([*self.looks, *other.looks], key=lambda each: -each[0])[:LOOKS]

    def forget(self, time: float) -> None:
        """Forget scores from long before that time."""
        if self.scores and self.scores[0][0] < time - 3 * SCORE_TIME:
            self.scores = deque(each for each in self.scores if each[0] >= time - 3 * SCORE_TIME)

    def score(self, time: float) -> float:
        """The mean of its scores around that time, the nearer the more weight; the nearest alone where all are far."""
        pairs = np.array(self.scores, float)
        if not len(pairs):
            return 0.0
        away = np.abs(pairs[:, 0] - time) / SCORE_TIME
        weights = np.exp(away.min() - away)
        return float((weights * pairs[:, 1]).sum() / weights.sum())

    @property
    def look(self) -> npt.NDArray[np.float32] | None:
        """[BINS] its colours, the mean of the surest; None: not known."""
        return np.mean([look for _, look in self.looks], axis=0, dtype=np.float32) if self.looks else None

    def remember(self, score: float, look: npt.NDArray[np.float32]) -> None:
        """What it looked like when it was seen with that score."""
        if look.any():
            self.looks = sorted([*self.looks, (score, look)], key=lambda each: -each[0])[:LOOKS]


class Lives:
    """All tracks that may still be seen, and what each online identity is called."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.all: dict[int, Life] = {}
        self._names: dict[int, int] = {}

    def name(self, online: int) -> int:
        """What the tracker's track `online` is called here."""
        return self._names.get(online, online)

    def of(self, track: int) -> Life:
        """A track, known or new."""
        if track not in self.all:
            self.all[track] = Life(track, np.zeros(self._classes))
        return self.all[track]

    def join(self, younger: int, older: int) -> None:
        """Both are one object, which keeps the older id; where the tracker sees the older one again, it is something else."""
        self.all[older].take(self.all.pop(younger))
        for online in [o for o in {*self._names, younger, older} if self.name(o) in (younger, older)]:
            self._names[online] = older if self.name(online) == younger else younger

    def forget(self, time: float, seconds: float) -> None:
        """Forget those that were not seen for so many seconds before that time."""
        gone = [track for track, life in self.all.items() if life.ended < time - seconds]
        for track in gone:
            del self.all[track]
        if gone:
            self._names = {online: track for online, track in self._names.items() if track in self.all or online in self.all}
