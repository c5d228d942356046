"""The track stage: gives each instance an identity that lasts through time.

Tracking by detection, in the order in which `Tracker.__call__` reads: see how the picture moved (`camera`), predict where each
track is now (`motion`), match tracks and detections (`match`), update, and decide what becomes of those that were not seen.

A track is *tentative* until it has been seen for `confirm` seconds, then *confirmed*. Not seen, it is *occluded* if something
known is in front of where it should be, else *lost*. Time in which it is occluded does not count towards `max_age`; for
`reidentify` seconds after it was last seen it may still be recognised by its colours near where it should be. All times are
seconds of presentation time, all lengths shares of the object's own size, so that frame rates and dropped frames change
nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Instances, Track
from streamseg.track.appearance import BINS, histograms
from streamseg.track.camera import CameraMotion
from streamseg.track.match import associate
from streamseg.track.motion import to_boxes
from streamseg.track.overlap import box_cover
from streamseg.track.state import Detected, Tracks
from streamseg.track.tracked import Tracked

__all__ = ["Tracker"]

HIDDEN = 0.5
"""A track counts as occluded if boxes detected in this frame cover at least this share of its own box."""
DOUBLED_TIME = 0.5
"""If two tracks cover the same object for this many seconds, one of them ends. Two people pass each other in less time."""
SURER = 0.2
"""Of these two tracks the older one stays, unless the other's score is higher by this much."""
COVER_DOUBT = 3.0
"""A measured box's standard deviation is multiplied by 1 + this factor times the share of the box that others cover."""
AGREED = 0.05
"""Flow inside an object is used if its points agree to within this share of its size. Otherwise some lie on something else."""
LOW_DOUBT = 2.0
"""For a detection with a low score the standard deviation is also multiplied by this."""
UNBOUNDED = (1 << 30, 1 << 30)
"""Width and height to assume for a frame without a picture, so that no border cuts an object off."""

IntArray = npt.NDArray[np.int64]
State = Literal["tentative", "confirmed", "occluded", "lost"]


class Tracker:
    """Assigns detections to tracks: sets `track_ids`, and gives each track the class that it was detected as most often.

    Ids rise from 1 and are never used again. A cut and a change of epoch end all tracks. The tracker passes on instances with a
    score of at least `conf`, and those that continue a confirmed track whose mean score (over `state.SCORE_TIME`) is at least
    `keep`. It drops second detections of the same object. A frame without a picture (recorded results) is tracked by motion and
    masks alone.
    """

    def __init__(
        self,
        conf: float = 0.5,
        *,
        keep: float = 0.3,
        max_age: float = 1.0,
        confirm: float = 0.1,
        reidentify: float = 3.0,
        tells_others: bool = False,
    ) -> None:
        """`conf` and `keep` are scores, the others seconds. Raises ValueError for a value out of range.

        With `tells_others` it gives a `Tracked`, which also holds the detections that are not shown.
        """
        for name, value in (("max_age", max_age), ("confirm", confirm), ("reidentify", reidentify)):
            if not value >= 0 or (name == "max_age" and value == 0):
                raise ValueError(f"{name} is {value}; allowed: {'more than 0' if name == 'max_age' else '0 or more'} seconds")
        for name, value in (("conf", conf), ("keep", keep)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} is {value}; allowed: 0 to 1")
        self._keep = min(keep, conf)
        self._conf, self._max_age, self._confirm, self._reidentify = conf, max_age, confirm, reidentify
        self._tells_others, self._cut = tells_others, False
        self._camera = CameraMotion()
        self._next_id = 1
        self._epoch: int | None = None
        self._time = 0.0
        self._tracks: Tracks | None = None

    def adopt(self, former: object) -> None:
        """Go on with its tracks."""
        if isinstance(former, Tracker):
            self._camera, self._next_id, self._tracks = former._camera, former._next_id, former._tracks
            self._epoch, self._time, self._cut = former._epoch, former._time, former._cut

    @property
    def tracks(self) -> list[Track]:
        """Those alive: seen, or not in view for less than `max_age` seconds of video."""
        if self._tracks is None:
            return []
        t = self._tracks.select(self._tracks.unseen <= self._max_age)
        sure, labels = t.confirmed(self._confirm), t.votes.argmax(1)
        tracks = []
        for k in range(len(t)):
            state: State = "confirmed" if t.last[k] == self._time else "occluded" if t.hidden[k] else "lost"
            state = state if sure[k] else "tentative"
            tracks.append(Track(int(t.ids[k]), int(labels[k]), float(t.first[k]), float(t.last[k]), int(t.hits[k]), state))
        return tracks

    def __call__(self, result: Result) -> Result:
        """Identify the instances of one frame; frames must come in the order of their pts.

        A frame that the network did not run on passes unchanged: that nothing was detected in it says nothing. If it is still, all
        that was seen is known to be where it was.
        """
        if not result.detected:
            if result.still:
                self._rest(result.frame.time)
            return result
        frame, time = result.frame, result.frame.time
        has_picture = frame.picture is not None
        looks = histograms(frame, result.instances) if has_picture else np.zeros((len(result), BINS), np.float32)
        found = Detected.of(result.instances, looks, self._conf)
        if self._epoch != frame.epoch or self._tracks is None:
            self._epoch, self._time = frame.epoch, time
            self._camera.forget()
            self._tracks = Tracks.born(found, np.zeros(0, np.int64), np.zeros(0, np.int64), time)
        tracks, elapsed = self._tracks, max(0.0, time - self._time)
        self._cut = False
        if has_picture:
            tracks = self._look(result, tracks, elapsed)
        _advance(tracks, elapsed)
        rows, columns = associate(tracks, found, time, max_age=self._max_age, confirm=self._confirm)
        size = (frame.width, frame.height) if has_picture else UNBOUNDED
        tracks.update(rows, found, columns, _doubt(found, columns), time, size)
        born = self._born(found, columns)
        ids = np.zeros(len(found), np.int64)
        ids[columns] = tracks.ids[rows]
        ids[born] = np.arange(self._next_id, self._next_id + len(born))
        self._next_id += len(born)
        tracks = self._age(tracks, rows, found, columns, elapsed)
        if len(born):
            tracks = tracks.join(Tracks.born(found, born, ids[born], time))
        self._tracks, ended = _merge(tracks, found, ids, elapsed)
        self._time = time
        if len(ended):
            ids[np.isin(ids, ended)] = 0
        known, keep = self._known(found, ids)
        if not self._tells_others:
            return replace(result, instances=known[keep])
        copies = ((found.same & keep).any(1) & ~keep) | (found.copy & ~keep)
        seen_as = dict(zip(ids.tolist(), found.instances.labels.tolist(), strict=True))
        return Tracked(
            frame,
            known[keep],
            answered=result.answered,
            covers=result.covers,
            others=known[~keep & ~copies],
            seen_as=seen_as,
            cut=self._cut,
        )

    def _look(self, result: Result, tracks: Tracks, elapsed: float) -> Tracks:
        """Let the tracks follow what the picture shows of the camera's motion and of their own; none is left after a cut."""
        seen = np.flatnonzero(tracks.last == self._time)
        change = self._camera(result.frame, tracks.seen[seen], tracks.masks[seen])
        self._cut = change.cut
        if change.cut:
            return tracks.select(np.zeros(len(tracks), bool))
        size = np.sqrt(np.maximum(np.prod(tracks.motion.place[seen, 2:], axis=1), 1.0))
        known = change.deviation < AGREED * size
        if known.any() and elapsed > 0:
            rows = seen[known]
            centres = tracks.motion.place[rows, :2]
            by_camera = centres @ change.matrix[:, :2].T + change.matrix[:, 2] - centres
            tracks.motion.observe_speed(rows, (change.shift[known] - by_camera) / elapsed, change.deviation[known] / elapsed)
        if len(tracks) and not np.array_equal(change.matrix, np.eye(2, 3)):
            before = to_boxes(tracks.motion.place)
            tracks.motion.warp(change.matrix)
            moved = to_boxes(tracks.motion.place) - before
            tracks.boxes += moved
            tracks.seen += moved
        return tracks

    def _rest(self, time: float) -> None:
        """Nothing has moved: what was seen in the frame before is seen in this one, at the same place."""
        tracks = self._tracks
        if tracks is None:
            return
        seen = tracks.last == self._time
        tracks.last[seen] = time
        tracks.motion.speed[seen] = 0.0
        tracks.unseen[~seen] += max(0.0, time - self._time)
        self._time = time

    def _born(self, found: Detected, columns: IntArray) -> IntArray:
        """The detections that begin a track: sure enough, and not of an object that has one."""
        taken = np.zeros(len(found), bool)
        taken[columns] = True
        born = []
        for i in np.flatnonzero(found.high & ~taken):
            if not (found.same[i] & taken).any():
                taken[i] = True
                born.append(i)
        return np.array(born, np.int64)

    def _age(self, tracks: Tracks, rows: IntArray, found: Detected, columns: IntArray, elapsed: float) -> Tracks:
        """Mark the tracks that were not seen as occluded or lost, and end those that were not seen for too long."""
        missed = np.ones(len(tracks), bool)
        missed[rows] = False
        if not missed.any():
            return tracks
        cover = box_cover(to_boxes(tracks.motion.place), found.instances.boxes[columns])
        tracks.hidden[:] = missed & (cover.max(1, initial=0) >= HIDDEN)
        tracks.unseen[missed & ~tracks.hidden] += elapsed
        sure, gone = tracks.confirmed(self._confirm), self._time + elapsed - tracks.last
        longest = max(self._max_age, self._reidentify)
        keep = tracks.unseen <= np.where(sure, self._max_age, min(2 * self._confirm, self._max_age))
        keep |= sure & tracks.looks.any(1)
        return tracks.select(~missed | (keep & (gone <= longest)))

    def _known(self, found: Detected, ids: IntArray) -> tuple[Instances, npt.NDArray[np.bool_]]:
        """The detections with their ids, and the classes and mean scores of their tracks; and which of them are passed on."""
        assert self._tracks is not None
        tracks = self._tracks
        labels, scores, keep = found.instances.labels.copy(), found.instances.scores.copy(), ids > 0
        mine = np.flatnonzero(keep)
        by_id = np.argsort(tracks.ids)
        own = by_id[np.searchsorted(tracks.ids, ids[mine], sorter=by_id)]
        labels[mine], scores[mine] = tracks.votes[own].argmax(1), tracks.scores[own]
        # A low score may carry on what is known, but neither for ever nor show a second time what a high one shows.
        twice = (found.same[mine] & found.high & keep).any(1)
        carried = tracks.confirmed(self._confirm)[own] & (scores[mine] >= self._keep) & ~twice
        keep[mine] = found.high[mine] | carried
        return replace(found.instances, track_ids=ids, labels=labels, track_scores=scores, doubtful=scores < self._conf), keep


def _advance(tracks: Tracks, elapsed: float) -> None:
    before = to_boxes(tracks.motion.place)
    tracks.motion.predict(elapsed)
    tracks.boxes += to_boxes(tracks.motion.place) - before


def _doubt(found: Detected, columns: IntArray) -> npt.NDArray[np.float64]:
    """Factor on the standard deviation of each detection in `columns`: more where others cover its box, or its score is low."""
    boxes = found.instances.boxes
    cover = box_cover(boxes[columns], boxes[found.high])
    own = columns[:, None] == np.flatnonzero(found.high)[None]
    same = found.same[columns][:, found.high]
    cover = np.where(own | same, 0, cover).max(1, initial=0)
    return np.asarray((1 + COVER_DOUBT * cover) * np.where(found.high[columns], 1.0, LOW_DOUBT), np.float64)


def _merge(tracks: Tracks, found: Detected, ids: IntArray, elapsed: float) -> tuple[Tracks, IntArray]:
    """Where two tracks have shown the same object for long, end one: the less sure one, or else the younger.

    Gives the tracks that go on, and the ids of those that ended.
    """
    scores, lesser = found.instances.scores, []
    for i, j in zip(*np.nonzero(np.triu(found.same)), strict=True):
        if ids[i] and ids[j]:
            pair = (i, j) if abs(scores[i] - scores[j]) > SURER else sorted((i, j), key=lambda k: int(ids[k]))
            lesser.append(int(ids[pair[1]]))
    if not lesser:
        tracks.doubled[:] = 0.0
        return tracks, tracks.ids[:0]
    doubled = np.isin(tracks.ids, lesser)
    tracks.doubled[:] = np.where(doubled, tracks.doubled + elapsed, 0.0)
    over = tracks.doubled > DOUBLED_TIME
    return tracks.select(~over), tracks.ids[over]
