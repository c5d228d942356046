"""Applied: edits that fit a film, made on what was found in its frames."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Instances
from streamseg.edits.edits import Edits
from streamseg.record import TrackSummary

__all__ = ["EARLY", "Applied"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
EARLY = 0.0005
"""Seconds by which a frame may come before a split and belong to what is behind it: people write times with few digits."""


@dataclass(frozen=True, slots=True)
class _Span:
    """What holds from a time on."""

    numbers: Mapping[int, int]
    """Track → its number now, of those that have another."""


class Applied:
    """Edits made on one film: `numbers` of a frame's tracks, `instances` of a frame.

    Whether they fit is not asked here (`edits.fit.check`).
    """

    def __init__(self, edits: Edits, tracks: Sequence[TrackSummary] = (), class_names: Sequence[str] = ()) -> None:
        """`tracks`: those of the film; a merged one gets the class of the first of them, one of `class_names`, if none is given."""
        self.edits = edits
        self._kept = {track: group[0] for group in edits.merges for track in group[1:]}
        self._times = sorted({each.at - EARLY for each in edits.splits})
        self._spans = [_Span(self._numbers(time)) for time in (-np.inf, *self._times)]
        self._forbidden = np.array(edits.forbidden, np.int64)
        self._labels = self._of_merged(tracks, class_names)

    def _of_merged(self, tracks: Sequence[TrackSummary], class_names: Sequence[str]) -> dict[int, int]:
        names, came_from = {each.track_id: each.name for each in tracks}, {each.into: each.track for each in self.edits.splits}
        labels = {}
        for group in self.edits.merges:
            first = group[0]
            while first not in names and first in came_from:
                first = came_from[first]
            if first in names:
                labels[group[0]] = class_names.index(names[first])
        return labels | {track: class_names.index(name) for track, name in self.edits.classes.items() if name in class_names}

    def _numbers(self, time: float) -> dict[int, int]:
        """The tracks that have another number at `time` than the one that was found."""
        begun = sorted((each for each in self.edits.splits if each.at - EARLY <= time), key=lambda each: each.at)
        later: dict[int, int] = {}
        for each in begun:
            later[each.track] = each.into
        numbers = {}
        for track in {each.track for each in self.edits.splits} | set(self._kept):
            now = track
            while now in later:
                now = later[now]
            now = self._kept.get(now, now)
            if now != track:
                numbers[track] = now
        return numbers

    def numbers(self, track_ids: IntArray, time: float) -> IntArray:
        """[N] int64: the number of each instance's track as it is now; `time` is the frame's, seconds."""
        changed = self._spans[bisect_right(self._times, time)].numbers
        if not changed:
            return track_ids
        return np.array([changed.get(track, track) for track in track_ids.tolist()], np.int64)

    def shown(self, numbers: IntArray) -> BoolArray:
        """[N] bool: which are not forbidden."""
        return ~np.isin(numbers, self._forbidden)

    def labels(self, numbers: IntArray, labels: IntArray) -> IntArray:
        """[N] int64: the classes; those of merged tracks are that of the first of them."""
        if not self._labels:
            return labels
        pairs = zip(numbers.tolist(), labels.tolist(), strict=True)
        return np.array([self._labels.get(number, label) for number, label in pairs], np.int64)

    def instances(self, found: Instances, time: float) -> Instances:
        """What is left of a frame's instances, under their numbers and names; `time` in seconds."""
        numbers = self.numbers(found.track_ids, time)
        edited = replace(
            found,
            track_ids=numbers,
            labels=self.labels(numbers, found.labels),
            track_names=self.edits.names or found.track_names,
        )
        keep = self.shown(numbers)
        return edited if keep.all() else edited[keep]

    def columns(self, values: Mapping[str, npt.NDArray[Any]], time: float) -> dict[str, npt.NDArray[Any]]:
        """The same of a record's columns (`record.frames.Columns.values`)."""
        numbers = self.numbers(values["track_ids"].astype(np.int64), time)
        labels = self.labels(numbers, values["labels"].astype(np.int64))
        keep = self.shown(numbers)
        return {name: column[keep] for name, column in (dict(values) | {"track_ids": numbers, "labels": labels}).items()}
