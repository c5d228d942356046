"""The track stage: gives each instance an identity that lasts through time.

Tracking by detection as in SORT (Bewley et al., ICIP 2016): predict where each track is now, match predictions and detections by
overlap with the Hungarian method, update. What differs: overlap is that of boxes and of masks, so that two people whose boxes cross
are still told apart; all times are presentation times in seconds, so that variable frame rates and dropped frames change nothing;
the class is voted on over time, because networks waver between car and truck.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from streamseg.result import Result
from streamseg.types import MASK_SIZE, Instances, Track

__all__ = ["Tracker"]

MIN_OVERLAP = 0.2
"""Least mean of box and mask IoU of a match."""
OTHER_CLASS_PENALTY = 0.35
"""Taken off the overlap where the class is not one that the track has been seen as: only a near-certain match survives it."""
LOST_PENALTY = 0.35
LOST_TIME = 0.25
"""This share is taken off the overlap of a track that was lost from view LOST_TIME seconds ago or more, and less of one that was
only just lost: of two at one place the one in view wins, unless it fits much worse. Alone, a lost one matches as well as any."""
FAMILIAR = 0.2
"""Share of a track's votes from which a class counts as one that it has been seen as."""
BUFFER = 0.5
"""For what is still unmatched boxes grow by this share of their size on every side: small and fast things move clear of themselves
between two frames (buffered IoU: Yang et al., WACV 2023)."""
MIN_BUFFERED = 0.3
MIN_BUFFERED_NEW = 0.1
"""For tracks seen once or twice, whose velocity is not known: up to 1.6 of their size away, otherwise 1.1."""
VELOCITY_TIME = 0.15
"""Seconds over which velocity is averaged (exponentially)."""
VOTE_TIME = 3.0
"""Seconds after which a vote for a class counts 1/e."""
GRID = 14
"""Points a side at which two masks are compared."""
CANDIDATES = 3
"""Tracks per detection, the best by box IoU, whose masks are compared."""

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Tracks:
    """The tracks alive, as a structure of arrays of one length T."""

    ids: IntArray
    boxes: FloatArray
    """[T, 4] xyxy when last seen, frame pixels."""
    masks: BoolArray
    """[T, 30, 30]: the mask when last seen, with a border of False for points outside of it."""
    velocity: FloatArray
    """[T, 2] of the centre, pixels a second."""
    votes: FloatArray
    """[T, C] sum of the scores of each class, fading."""
    first: npt.NDArray[np.float64]
    """[T] seconds."""
    last: npt.NDArray[np.float64]
    hits: IntArray

    @classmethod
    def born(cls, instances: Instances, masks: BoolArray, ids: IntArray, time: float) -> Self:
        n = len(ids)
        votes = np.zeros((n, len(instances.class_names)), np.float32)
        votes[np.arange(n), instances.labels] = instances.scores
        times = np.full(n, time)
        return cls(
            ids, instances.boxes.copy(), masks, np.zeros((n, 2), np.float32), votes, times, times.copy(), np.ones(n, np.int64)
        )

    def select(self, keep: BoolArray) -> Self:
        return replace(self, **{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def join(self, other: Self) -> Self:
        return replace(self, **{f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)})

    def predicted(self, time: float) -> FloatArray:
        """[T, 4] boxes now, had each gone on at its velocity."""
        shift = self.velocity * (time - self.last)[:, None].astype(np.float32)
        return np.asarray(self.boxes + np.concatenate([shift, shift], axis=1), np.float32)


class Tracker:
    """Sets `track_ids`, and the class that a track has been seen as most.

    Ids are positive, rise from 1 and are never used again, not even over a change of epoch, which ends all tracks. A track that is
    not seen for `max_age` seconds ends; until then it keeps its id through an occlusion.
    """

    def __init__(self, max_age: float = 1.0) -> None:
        if max_age <= 0:
            raise ValueError(f"max_age is {max_age}; allowed: more than 0 seconds")
        self._max_age = max_age
        self._next_id = 1
        self._epoch: int | None = None
        self._tracks: _Tracks | None = None

    @property
    def tracks(self) -> list[Track]:
        """Those alive: seen in the last `max_age` seconds of video."""
        t = self._tracks
        if t is None:
            return []
        rows = zip(t.ids, t.votes.argmax(1), t.first, t.last, t.hits, strict=True)
        return [Track(int(i), int(label), float(first), float(last), int(hits)) for i, label, first, last, hits in rows]

    def __call__(self, result: Result) -> Result:
        """Identify the instances of one frame; frames must come in the order of their pts."""
        instances, time = result.instances, result.frame.time
        masks = np.zeros((len(instances), MASK_SIZE + 2, MASK_SIZE + 2), bool)
        masks[:, 1:-1, 1:-1] = instances.masks > 127
        if self._epoch != result.frame.epoch or self._tracks is None:
            self._epoch = result.frame.epoch
            tracks = _Tracks.born(instances[:0], masks[:0], np.zeros(0, np.int64), time)
        else:
            tracks = self._tracks.select(time - self._tracks.last <= self._max_age)
        rows, columns = self._match(tracks, instances, masks, time)
        _update(tracks, rows, instances[columns], masks[columns], time)
        new = np.ones(len(instances), bool)
        new[columns] = False
        ids = np.zeros(len(instances), np.int64)
        ids[columns] = tracks.ids[rows]
        ids[new] = np.arange(self._next_id, self._next_id + int(new.sum()))
        self._next_id += int(new.sum())
        labels = instances.labels.copy()
        labels[columns] = tracks.votes[rows].argmax(1)
        self._tracks = tracks.join(_Tracks.born(instances[new], masks[new], ids[new], time))
        return replace(result, instances=replace(instances, track_ids=ids, labels=labels))

    def _match(self, tracks: _Tracks, found: Instances, masks: BoolArray, time: float) -> tuple[IntArray, IntArray]:
        """Indices (track, instance) of the pairs: first by overlap, then, for those left, by buffered overlap."""
        if not len(tracks.ids) or not len(found):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        boxes = tracks.predicted(time)
        share = tracks.votes / np.maximum(tracks.votes.sum(1, keepdims=True), 1e-9)
        stranger = share[:, found.labels] < FAMILIAR
        lost = np.minimum((tracks.last.max() - tracks.last) / LOST_TIME, 1.0)
        weight = (1 - LOST_PENALTY * lost)[:, None]
        overlap = _overlap(boxes, tracks.masks, found.boxes, masks) - OTHER_CLASS_PENALTY * stranger
        rows, columns = _assign(overlap * weight, overlap >= MIN_OVERLAP)
        free_rows, free_columns = np.setdiff1d(np.arange(len(boxes)), rows), np.setdiff1d(np.arange(len(found)), columns)
        if not len(free_rows) or not len(free_columns):
            return rows, columns
        near = box_iou(_grown(boxes[free_rows]), _grown(found.boxes[free_columns]))
        near[stranger[np.ix_(free_rows, free_columns)]] = 0
        least = np.where(tracks.hits[free_rows] < 3, MIN_BUFFERED_NEW, MIN_BUFFERED)[:, None]
        more_rows, more_columns = _assign(near * weight[free_rows], near >= least)
        return np.concatenate([rows, free_rows[more_rows]]), np.concatenate([columns, free_columns[more_columns]])


def _assign(score: npt.NDArray[np.floating], allowed: BoolArray) -> tuple[IntArray, IntArray]:
    """Those pairs (row, column) among the allowed that maximise the sum of `score`, which is positive there."""
    rows, columns = linear_sum_assignment(np.where(allowed, score, 0.0), maximize=True)
    keep = allowed[rows, columns]
    return rows[keep].astype(np.int64), columns[keep].astype(np.int64)


def _update(tracks: _Tracks, rows: IntArray, seen: Instances, masks: BoolArray, time: float) -> None:
    """Take over what was seen of the tracks `rows`."""
    elapsed = (time - tracks.last[rows]).astype(np.float32)
    moved = (seen.boxes[:, :2] + seen.boxes[:, 2:] - tracks.boxes[rows, :2] - tracks.boxes[rows, 2:]) / 2
    measured = moved / np.maximum(elapsed, 1e-3)[:, None]
    # The plain mean of the first few, so that a new track moves at once; then an exponential mean.
    gain = np.maximum(1 / tracks.hits[rows], 1 - np.exp(-elapsed / VELOCITY_TIME)).astype(np.float32)[:, None]
    tracks.velocity[rows] += gain * (measured - tracks.velocity[rows])
    tracks.votes[rows] *= np.exp(-elapsed / VOTE_TIME)[:, None]
    tracks.votes[rows, seen.labels] += seen.scores
    tracks.boxes[rows], tracks.masks[rows] = seen.boxes, masks
    tracks.last[rows] = time
    tracks.hits[rows] += 1


def box_iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N, M] intersection over union of boxes xyxy [N, 4] and [M, 4]; 0 where both are empty."""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    both = np.prod(np.maximum(size, 0), axis=2)
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None, :] - both
    return np.asarray(both / np.maximum(union, 1e-9), np.float32)


def _grown(boxes: FloatArray) -> FloatArray:
    margin = BUFFER * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def _overlap(boxes: FloatArray, masks: BoolArray, found_boxes: FloatArray, found_masks: BoolArray) -> FloatArray:
    """[T, N] mean of box and mask IoU; 0 where the boxes do not meet or others meet better."""
    iou = box_iou(boxes, found_boxes)
    result = np.zeros_like(iou)
    best = np.argpartition(-iou, min(CANDIDATES, len(iou)) - 1, axis=0)[:CANDIDATES]
    columns = np.broadcast_to(np.arange(iou.shape[1]), best.shape)
    meet = iou[best, columns] > 0
    rows, columns = best[meet], columns[meet]
    result[rows, columns] = (
        iou[rows, columns] + _mask_iou(boxes[rows], masks[rows], found_boxes[columns], found_masks[columns])
    ) / 2
    return result


def _mask_iou(a: FloatArray, masks_a: BoolArray, b: FloatArray, masks_b: BoolArray) -> FloatArray:
    """[P] IoU of pairs of masks, sampled at GRID x GRID points over the box that encloses both."""
    low = np.minimum(a[:, :2], b[:, :2])
    step = (np.maximum(a[:, 2:], b[:, 2:]) - low) / GRID
    points = np.asarray(low[:, None] + (np.arange(GRID)[:, None] + 0.5) * step[:, None], np.float32)  # [P, GRID, 2]
    in_a, in_b = _sample(masks_a, a, points), _sample(masks_b, b, points)
    both = (in_a & in_b).sum((1, 2))
    either = (in_a | in_b).sum((1, 2))
    return np.asarray(both / np.maximum(either, 1), np.float32)


def _sample(masks: BoolArray, boxes: FloatArray, points: FloatArray) -> BoolArray:
    """[P, GRID, GRID]: each mask at its points [P, GRID, 2] (x, y); the masks' border answers for what is outside of the box."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    cells = np.floor((points - boxes[:, None, :2]) / size[:, None] * MASK_SIZE).astype(np.int64) + 1
    cells = np.clip(cells, 0, MASK_SIZE + 1)
    sampled: BoolArray = masks[np.arange(len(masks))[:, None, None], cells[:, :, None, 1], cells[:, None, :, 0]]
    return sampled
