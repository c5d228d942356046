"""What the link stage knows of the frames in its window: each frame, and where each track is in it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.pixels.memory import picture_bytes
from streamseg.track.tracked import Tracked

__all__ = ["Moment", "Sighting", "Window", "joined", "read", "stacked"]

Kind = Literal["sure", "weak", "carried"]


@dataclass(slots=True, eq=False)
class Sighting:
    """Where a track is in one frame."""

    box: npt.NDArray[np.float32]
    """[4] xyxy, frame pixels."""
    mask: npt.NDArray[np.uint8]
    """[M, M]."""
    score: float
    """Of the detection; of what was carried here, its track's."""
    label: int
    kind: Kind
    """Detected with a score that begins an object, or with a lower one; or not detected, but followed here."""
    shown: bool = True
    """False: nobody knows yet whether it will be."""

    @property
    def detected(self) -> bool:
        """The network saw it in this frame."""
        return self.kind != "carried"


def stacked(sightings: list[Sighting], names: tuple[str, ...]) -> Instances:
    """Sightings as instances, in their order."""
    return Instances(
        np.stack([s.box for s in sightings]).astype(np.float32),
        np.array([s.score for s in sightings], np.float32),
        np.array([s.label for s in sightings], np.int64),
        np.stack([s.mask for s in sightings]),
        names,
    )


def joined(a: Instances, b: Instances) -> Instances:
    """Both, one behind the other; of one model."""
    return Instances(
        np.concatenate([a.boxes, b.boxes]),
        np.concatenate([a.scores, b.scores]),
        np.concatenate([a.labels, b.labels]),
        np.concatenate([a.masks, b.masks]),
        a.class_names,
        np.concatenate([a.track_ids, b.track_ids]),
        np.concatenate([a.track_scores, b.track_scores]),
        np.concatenate([a.doubtful, b.doubtful]),
    )


@dataclass(slots=True, eq=False)
class Moment:
    """One frame of the window."""

    result: Result
    number: int
    """Counts the frames that the network looked at; -1 for the others."""
    rows: dict[int, Sighting] = field(default_factory=dict)
    """Track id -> where it is."""
    free: list[Sighting] = field(default_factory=list)
    """Detections with low scores that belong to no track."""

    @property
    def frame(self) -> Frame:
        """Its picture and time."""
        return self.result.frame

    @property
    def time(self) -> float:
        """Seconds."""
        return self.result.frame.time


def read(result: Result, number: int, conf: float) -> Moment:
    """What the tracker said of a frame."""
    moment = Moment(result, number)
    seen_as = result.seen_as if isinstance(result, Tracked) else {}
    found = result.instances
    for i, track in enumerate(found.track_ids.tolist()):
        sighting = _sighting(found, i, seen_as.get(track), conf)
        if track > 0:
            moment.rows[track] = sighting
    others = result.others if isinstance(result, Tracked) else None
    for i, track in enumerate(() if others is None else others.track_ids.tolist()):
        sighting = _sighting(others, i, seen_as.get(track), conf)  # type: ignore[arg-type]
        sighting.shown = False
        if track > 0 and track not in moment.rows:
            moment.rows[track] = sighting
        else:
            moment.free.append(sighting)
    return moment


def _sighting(found: Instances, i: int, seen_as: int | None, conf: float) -> Sighting:
    score = float(found.scores[i])
    label = int(found.labels[i]) if seen_as is None else seen_as
    return Sighting(found.boxes[i], found.masks[i], score, label, "sure" if score >= conf else "weak")


class Window:
    """The frames that are held, in order; bounded in seconds and in bytes of pictures."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds, self._memory = seconds, memory
        self._held: deque[Moment] = deque()
        self._seen: deque[Moment] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, moment: Moment) -> None:
        """The next frame."""
        self._held.append(moment)
        self._bytes += picture_bytes(moment.frame.picture)
        if moment.number >= 0:
            self._seen.append(moment)

    @property
    def full(self) -> bool:
        """Whether the oldest frame must go."""
        if len(self._held) < 2:
            return False
        return self._held[-1].time - self._held[0].time > self._seconds or self._bytes > self._memory

    def oldest(self) -> Moment:
        """The frame that is the next to go."""
        return self._held[0]

    def drop(self) -> None:
        """Let the oldest frame go."""
        moment = self._held.popleft()
        self._bytes -= picture_bytes(moment.frame.picture)
        if moment.number >= 0:
            self._seen.popleft()

    def at(self, number: int) -> Moment | None:
        """The frame of that number among those the network looked at; None: it is not here, any more or yet."""
        if not self._seen or not self._seen[0].number <= number <= self._seen[-1].number:
            return None
        return self._seen[number - self._seen[0].number]

    @property
    def first(self) -> int:
        """The number of the oldest frame here that the network looked at; the window must hold one."""
        return self._seen[0].number

    @property
    def last(self) -> int:
        """That of the newest."""
        return self._seen[-1].number

    @property
    def interval(self) -> float:
        """Seconds from one frame that the network looked at to the next, on the whole; 0 where there is but one."""
        if len(self._seen) < 2:
            return 0.0
        return (self._seen[-1].time - self._seen[0].time) / (len(self._seen) - 1)
