"""What the tracker knows: its tracks, and the detections of one frame, each as a structure of arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Instances
from streamseg.track.motion import KalmanFilters
from streamseg.track.overlap import bordered, contained

__all__ = ["Detected", "Tracks"]

COPY = 0.75
"""Where so much of one mask lies inside another of the same class, both show one thing. Masks, unlike boxes, of two people one
behind the other hardly overlap: where there are boxes alone, so much of each must lie inside the other."""
VOTE_TIME = 3.0
"""Seconds after which a vote for a class counts 1/e."""
LOOK_TIME = 1.0
"""Seconds over which a track's appearance is averaged."""
SCORE_TIME = 1.0
"""Seconds over which a track's score is averaged: longer than a network's scores flicker, shorter than a mistake should stay."""

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Detected:
    """The N detections of one frame, by falling score, and what is known of them before they are matched."""

    instances: Instances
    masks: BoolArray
    """[N, 30, 30] bordered."""
    looks: FloatArray
    """[N, BINS] colour histograms; all zero where nothing is known."""
    high: BoolArray
    """[N] at or above the confidence that is asked for; the others may continue tracks, but not begin any."""
    same: BoolArray
    """[N, N] symmetric: the two seem to show the same object."""
    copy: BoolArray
    """[N] another detection with a higher score shows the same object."""

    @classmethod
    def of(cls, instances: Instances, looks: FloatArray, conf: float) -> Self:
        """Detections with their histograms."""
        masks = bordered(instances.mask_or_box)
        share = contained(instances.boxes, masks)
        inner, outer = np.maximum(share, share.T), np.minimum(share, share.T)
        alike = instances.labels[:, None] == instances.labels
        same = (alike & (inner >= COPY)) | (outer >= COPY) if instances.has_shapes else outer >= COPY
        copy = np.zeros(len(instances), bool)
        for i in np.flatnonzero(same.any(1)):
            copy[i] = bool((same[i, :i] & ~copy[:i]).any())
        return cls(instances, masks, looks, instances.scores >= conf, same, copy)

    def __len__(self) -> int:
        return len(self.instances)


@dataclass(slots=True)
class Tracks:
    """The tracks alive, all of one length T."""

    ids: IntArray
    motion: KalmanFilters
    boxes: FloatArray
    """[T, 4] xyxy, frame pixels: the box last seen, moved and grown as `motion` has since."""
    seen: FloatArray
    """[T, 4] xyxy: the box last seen, moved only as the camera has since."""
    masks: BoolArray
    """[T, 30, 30] bordered: the mask last seen."""
    looks: FloatArray
    """[T, BINS] what it looks like, averaged."""
    scores: Doubles
    """[T] mean of its scores, older ones fading."""
    votes: FloatArray
    """[T, C] sum of the scores of each class, fading."""
    first: Doubles
    """[T] seconds of presentation time."""
    last: Doubles
    hits: IntArray
    unseen: Doubles
    """[T] seconds for which it was not seen although no known object was in front of it."""
    hidden: BoolArray
    """[T] not seen now, and a known object is in front of it."""
    doubled: Doubles
    """[T] seconds for which it has shown the same thing as an older track."""

    @classmethod
    def born(cls, found: Detected, rows: IntArray, ids: IntArray, time: float) -> Self:
        """New tracks for the detections `rows`."""
        instances, n = found.instances, len(rows)
        boxes = instances.boxes[rows]
        votes = np.zeros((n, len(instances.class_names)), np.float32)
        votes[np.arange(n), instances.labels[rows]] = instances.scores[rows]
        return cls(
            ids=ids,
            motion=KalmanFilters.born(boxes),
            boxes=boxes.copy(),
            seen=boxes.copy(),
            masks=found.masks[rows],
            looks=found.looks[rows],
            scores=instances.scores[rows].astype(np.float64),
            votes=votes,
            first=np.full(n, time),
            last=np.full(n, time),
            hits=np.ones(n, np.int64),
            unseen=np.zeros(n),
            hidden=np.zeros(n, bool),
            doubled=np.zeros(n),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, keep: BoolArray) -> Self:
        """Some of the tracks."""
        if keep.all():
            return self
        rest = {f.name: getattr(self, f.name)[keep] for f in fields(self) if f.name != "motion"}
        return replace(self, motion=self.motion.select(keep), **rest)

    def join(self, other: Self) -> Self:
        """These tracks and others behind them."""
        if not len(other):
            return self
        rest: dict[str, Any] = {
            f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self) if f.name != "motion"
        }
        return replace(self, motion=self.motion.join(other.motion), **rest)

    def confirmed(self, after: float) -> BoolArray:
        """[T] seen at least twice, over at least `after` seconds."""
        return (self.hits >= 2) & (self.last - self.first >= after)

    def familiar(self, labels: IntArray, share: float) -> BoolArray:
        """[T, N]: whether the track has been seen as that class in at least this share of its votes."""
        return np.asarray(self.votes[:, labels] >= share * np.maximum(self.votes.sum(1, keepdims=True), 1e-9))

    def update(
        self, rows: IntArray, found: Detected, columns: IntArray, doubt: Doubles, time: float, frame: tuple[int, int]
    ) -> None:
        """Take over what was seen of the tracks `rows`: the detections `columns`; `doubt`, `frame`: see KalmanFilters.update."""
        instances = found.instances
        elapsed = (time - self.last[rows]).astype(np.float32)
        boxes = instances.boxes[columns]
        self.motion.update(rows, boxes, doubt, frame)
        self.votes[rows] *= np.exp(-elapsed / VOTE_TIME)[:, None]
        self.votes[rows, instances.labels[columns]] += instances.scores[columns]
        fresh = np.maximum(1 / (self.hits[rows] + 1), 1 - np.exp(-elapsed / SCORE_TIME))
        self.scores[rows] += fresh * (instances.scores[columns] - self.scores[rows])
        # What is partly hidden shows in its box and mask some of what hides it: its look is better left as it was.
        gain = np.where(doubt > 1.5, 0.0, np.maximum(1 / self.hits[rows], 1 - np.exp(-elapsed / LOOK_TIME)))
        known = self.looks[rows].any(1)
        gain = np.where(known, gain, 1.0).astype(np.float32)[:, None]
        looks = found.looks[columns]
        self.looks[rows] += gain * (looks - self.looks[rows]) * looks.any(1, keepdims=True)
        self.boxes[rows], self.seen[rows], self.masks[rows] = boxes, boxes, found.masks[columns]
        self.last[rows] = time
        self.hits[rows] += 1
        self.unseen[rows], self.hidden[rows] = 0.0, False
