"""The link stage: looks at the tracks of a film once more, with what came after known.

It holds the frames of a window, a second by default, and lets them go in order. For a frame that leaves it is known what was seen
before and for so long after:

- A track begins where its object comes into view: from its first sighting it is followed backwards (`follow`).
- Where it was missed between two sightings it is filled in from both sides, unless it is hidden.
- It ends where the object does: it is followed on from its last sighting, and what is seen of it with low scores after that is
  dropped where the mean of what came before and after is too low.
- An object that was lost and found again as a new one keeps its older id (`join`).
- What was seen for less than `min_track` is dropped.
- Its class is the one that most frames voted for, of all before and those in the window. Its score is the mean around the frame.

Ids are the tracker's. Cuts, changes of epoch and the end of the film end the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.link.follow import Follower, can_follow, pixels
from streamseg.link.join import older_one
from streamseg.link.life import LOOKS, SCORE_TIME, Life, Lives
from streamseg.link.window import Moment, Sighting, Window, joined, read, stacked
from streamseg.track.tracked import Tracked

__all__ = ["Link"]

AGREED = 0.4
"""Least mean of box and mask IoU of what was followed from both sides, for it to be blended."""
STRAIGHT = 0.25
"""Seconds: over longer gaps an object is not taken to have gone straight on where the flow does not find it."""
SPEED_TIME = 0.3
"""Seconds of sightings that tell how fast an object is."""


class Link:
    """Takes `Tracked` results in order, gives results in order, later. Holds frames for `look_ahead` seconds, and at most
    `memory` bytes of pictures.
    """

    delays = True

    def __init__(
        self,
        conf: float = 0.5,
        *,
        keep: float = 0.3,
        look_ahead: float = 1.0,
        fill: float = 1.0,
        min_track: float = 0.15,
        memory: int = 256 * 10**6,
        remembered: float = 3.0,
    ) -> None:
        """See `config.schema.TrackConfig`. `remembered`: seconds for which the tracker may find an object again."""
        self._conf, self._keep = conf, min(keep, conf)
        self._fill, self._min_track, self._remembered = min(fill, look_ahead), min_track, remembered + look_ahead
        self._look_ahead = look_ahead
        self._window = Window(look_ahead, memory)
        self._lives: Lives | None = None
        self._follower: Follower | None = None
        self._number = 0
        self._epoch: int | None = None
        self._shot_began = 0.0
        self._ending = False

    def __call__(self, result: Result) -> list[Result]:
        """The frames whose tracks are settled now."""
        given: list[Result] = []
        if result.frame.epoch != self._epoch or (isinstance(result, Tracked) and result.cut):
            given += self.flush()
            self._epoch, self._shot_began = result.frame.epoch, result.frame.time
        names = result.instances.class_names
        self._lives, self._follower = self._lives or Lives(len(names)), self._follower or Follower(names)
        moment = read(result, self._number if result.detected else -1, self._conf)
        moment.rows = {self._lives.name(track): row for track, row in moment.rows.items()}
        self._window.add(moment)
        if result.detected:
            self._number += 1
            self._arrive(moment)
        while self._window.full:
            given.append(self._leave())
        return given

    def flush(self) -> Iterator[Result]:
        """The frames that are left: nothing comes after them that has to do with them."""
        self._ending = True
        while len(self._window):
            yield self._leave()
        self._ending, self._lives, self._follower = False, None, None

    # --- a frame comes ----------------------------------------------------------------------------------------------------

    def _arrive(self, moment: Moment) -> None:
        """Note who is seen in it, and settle what that tells of the frames before."""
        assert self._lives is not None
        assert self._follower is not None
        for track in [track for track, row in sorted(moment.rows.items()) if row.shown]:
            life, row = self._lives.of(track), moment.rows[track]
            before, new = life.last, life.last < 0
            life.add(moment, row)
            if row.kind == "sure" and (len(life.looks) < LOOKS or row.score > life.looks[-1][0]):
                self._follower.learn(life, row, moment.frame)
            if new:
                life = self._joined(life)
            elif before < moment.number - 1:
                self._bridge(life, before, moment.number)
            if not life.known and self._long_enough(life):
                life.known = True
                self._joined(life)

    def _long_enough(self, life: Life) -> bool:
        return self._seen(life) >= self._min_track - 1e-6

    def _seen(self, life: Life) -> float:
        """Seconds for which it was detected."""
        return life.sightings * self._window.interval

    def _joined(self, life: Life) -> Life:
        """The track that it is part of: itself, or an older one that was lost, which then goes on in its place."""
        assert self._lives is not None
        assert self._follower is not None
        older = older_one(life, self._lives, self._window, self._follower, self._look_ahead)
        if older is None:
            return life
        last, first = older.last, life.first
        for number in range(max(first, self._window.first), self._window.last + 1):
            moment = self._window.at(number)
            if moment is not None and life.track_id in moment.rows:
                moment.rows[older.track_id] = moment.rows.pop(life.track_id)
        self._lives.join(life.track_id, older.track_id)
        self._bridge(older, last, first)
        return older

    def _bridge(self, life: Life, before: int, after: int) -> None:
        """Fill in a track between two of its frames, from both sides."""
        start, end = self._window.at(before), self._window.at(after)
        if end is None or after - before < 2 or not can_follow(end.frame):
            return
        if start is None or end.time - start.time > self._fill or life.track_id not in start.rows:
            if life.known:
                self._extend(life, before, 1, until=after)
                self._extend(life, after, -1, until=before)
            return
        assert self._follower is not None
        forward = dict(self._chain(life, before, range(before + 1, after)))
        backward = dict(self._chain(life, after, range(after - 1, before, -1)))
        first, last = start.rows[life.track_id], end.rows[life.track_id]
        for number in range(before + 1, after):
            moment = self._window.at(number)
            assert moment is not None
            share = (moment.time - start.time) / max(1e-6, end.time - start.time)
            found = self._between(moment, forward.get(number), backward.get(number), share)
            if found is None and end.time - start.time <= STRAIGHT:
                found = self._follower.straight(life, first, last, share, moment)
            if found is not None:
                self._place(life, moment, found)

    def _between(self, moment: Moment, a: Sighting | None, b: Sighting | None, share: float) -> Sighting | None:
        """What was followed from before and from after to one frame, as one."""
        assert self._follower is not None
        if a is None or b is None or a is b:
            return a or b
        if a.detected or b.detected:
            return a if a.detected else b
        if self._follower.agreement(a, b) < AGREED:
            return a if share < 0.5 else b
        return self._follower.blended(a, b, share, moment.frame)

    # --- following --------------------------------------------------------------------------------------------------------

    def _chain(self, life: Life, start: int, numbers: range) -> Iterator[tuple[int, Sighting]]:
        """Where a track is in frames one after the other, from the frame `start` on, until it is not found."""
        assert self._follower is not None
        source, way = self._window.at(start), self._speed(life, start, numbers.step)
        if source is None:
            return
        sighting = source.rows[life.track_id]
        area = pixels(sighting)
        for number in numbers:
            target = self._window.at(number)
            if target is None:
                break
            moved = self._follower.step(life, sighting, source, target, area, way * np.float32(target.time - source.time))
            if moved is None:
                break
            sighting, source = moved, target
            area = pixels(moved) if moved.detected else area
            yield number, moved

    def _begin(self, moment: Moment) -> None:
        """Follow back those tracks whose first sighting is so late after `moment` that this is how far they are followed.

        What is seen here and there for a moment may be a mistake: it is followed for no longer than it was seen. So that a track
        has been seen for long, this is put off as long as it can be.
        """
        assert self._lives is not None
        for life in self._lives.all.values():
            first = self._window.at(life.first)
            if life.begun or not life.known or first is None:
                continue
            ahead = first.time - moment.time
            if ahead <= min(self._fill, self._seen(life)):
                life.begun = True
                self._extend(life, life.first, -1)

    def _extend(self, life: Life, start: int, direction: int, until: int | None = None) -> None:
        """Follow a track beyond its first or its last sighting; `until`: not as far as that frame."""
        reach, stop = min(self._fill, self._seen(life)), until
        if stop is None:
            stop = self._window.first - 1 if direction < 0 else self._window.last + 1
        origin = self._window.at(start)
        if origin is None or life.track_id not in origin.rows:
            return
        mean, last = life.score(origin.time), origin.time
        for number, sighting in self._chain(life, start, range(start + direction, stop, direction)):
            moment = self._window.at(number)
            assert moment is not None
            if sighting.detected:
                mean += (1 - np.exp(-abs(moment.time - last) / SCORE_TIME)) * (sighting.score - mean)
                last = moment.time
            if abs(moment.time - last) > reach + 1e-6 or mean < self._keep:
                return
            self._place(life, moment, sighting)

    def _place(self, life: Life, moment: Moment, sighting: Sighting) -> None:
        """The track is there in that frame."""
        if sighting in moment.free:
            moment.free.remove(sighting)
        sighting.shown = True
        moment.rows[life.track_id] = sighting
        life.add(moment, sighting)

    def _speed(self, life: Life, number: int, direction: int) -> npt.NDArray[np.float32]:
        """[2] pixels a second, by its sightings on the other side of a frame; 0 where there are none."""
        here = self._window.at(number)
        row = None if here is None else here.rows.get(life.track_id)
        if here is None or row is None:
            return np.zeros(2, np.float32)
        speed = np.zeros(2, np.float32)
        at = number - direction
        while (there := self._window.at(at)) is not None and abs(there.time - here.time) <= SPEED_TIME:
            other = there.rows.get(life.track_id)
            if other is not None and other.detected and there.time != here.time:
                step = (row.box - other.box).reshape(2, 2).mean(0) / (here.time - there.time)
                speed = step.astype(np.float32)
            at -= direction
        return speed

    # --- a frame leaves -----------------------------------------------------------------------------------------------------

    def _leave(self) -> Result:
        moment = self._window.oldest()
        if moment.number < 0:
            self._window.drop()
            return moment.result
        assert self._lives is not None
        self._begin(moment)
        for track, row in list(moment.rows.items()):
            life = self._lives.all.get(track)
            if life is not None and life.known and life.last == moment.number and row.detected:
                self._extend(life, moment.number, 1)
        rows = [(track, row) for track, row in moment.rows.items() if row.shown and self._wanted(track, row, moment)]
        found = self._instances(rows, moment)
        self._window.drop()
        self._lives.forget(moment.time, self._remembered)
        before = moment.result
        return Result(moment.frame, found, before.occlusion, before.activity, answered=before.answered, covers=before.covers)

    def _wanted(self, track: int, row: Sighting, moment: Moment) -> bool:
        """Whether a track is shown in the frame that leaves."""
        assert self._lives is not None
        life = self._lives.of(track)
        if not life.known and self._proven_short(life):
            return False
        return row.kind != "weak" or self._sure_later(life, moment) or life.score(moment.time) >= self._keep

    def _proven_short(self, life: Life) -> bool:
        """Whether it is certain that a track was seen too short: not where the shot or the window ends too early to tell."""
        newest = self._window.at(self._window.last)
        assert newest is not None
        if life.began <= self._shot_began or (self._ending and life.last == newest.number):
            return False
        return self._ending or newest.time - life.began >= self._min_track

    def _sure_later(self, life: Life, moment: Moment) -> bool:
        for number in range(moment.number + 1, min(life.last, self._window.last) + 1):
            later = self._window.at(number)
            row = None if later is None else later.rows.get(life.track_id)
            if row is not None and row.kind == "sure":
                return True
        return False

    def _instances(self, rows: list[tuple[int, Sighting]], moment: Moment) -> Instances:
        """What is shown, by falling score."""
        assert self._lives is not None
        found = moment.result.instances
        loose = found[found.track_ids == 0]
        if not rows:
            return loose
        lives = [self._lives.of(track) for track, _ in rows]
        means = np.array([life.score(moment.time) for life in lives], np.float32)
        scores = [row.score if row.detected else mean for (_, row), mean in zip(rows, means.tolist(), strict=True)]
        made = stacked([row for _, row in rows], found.class_names)
        made = replace(
            made,
            scores=np.array(scores, np.float32),
            labels=np.array([int(life.votes.argmax()) for life in lives], np.int64),
            track_ids=np.array([track for track, _ in rows], np.int64),
            track_scores=means,
            doubtful=means < self._conf,
        )
        for life in lives:
            life.forget(moment.time)
        made = joined(made, loose) if len(loose) else made
        return made[np.argsort(-made.scores, kind="stable")]
