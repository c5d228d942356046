"""What was seen a moment ago and may still be there: each object's last shapes, carried along the optical flow.

It knows nothing of the tracker, which looks for identities and forgets what is doubtful. Here a second sight of something more
hidden costs a few pixels, and one forgotten shows a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Instances
from streamseg.link.window import joined
from streamseg.temporal.flow import Flow
from streamseg.temporal.propagate import carry

__all__ = ["Remembered", "Thing"]

LINGER = 0.2
"""Seconds for which an older shape of something that is seen stays: a mask may lack an arm for a frame or two."""
APART = 0.05
"""Seconds between two such shapes, at least."""
SAME = 0.25
"""Least IoU of the boxes for a detection to be what was seen before."""
CONTINUES = 0.4
"""Added to that where the thing was seen in the last frame: else one that is found again near a lost one would take its place."""
TWICE, SURELY_TWICE = 0.6, 0.85
"""A doubtful detection whose box has this IoU with a surer one's shows the same, a sure one from the second on: it stands for
nothing else that was seen before."""
SPEED_TIME = 0.3
"""Seconds over which a speed is averaged."""
ONCE = 0.5
"""Of the time for which what was sure is remembered: what was seen in one frame alone."""
DOUBTFUL = 0.2
"""Seconds for which something that was never sure is remembered, at least; else for as long as it was seen."""

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Thing:
    """Something that was seen."""

    key: int
    first: float
    """Seconds."""
    last: float
    sure: bool
    """It was seen at least once with a score that begins an object."""
    box: FloatArray
    """[4] where it was last seen."""
    speed: FloatArray
    """[2] pixels a second."""

    def kept(self, hold: float) -> float:
        """Seconds for which it is remembered."""
        if self.sure:
            return hold if self.last > self.first else ONCE * hold
        return min(hold, max(DOUBTFUL, self.last - self.first))


class Remembered:
    """The things of one shot."""

    def __init__(self, hold: float) -> None:
        """`hold`: seconds for which what was sure is remembered."""
        self._hold = hold
        self._next, self._looked = 0, -np.inf
        self.things: dict[int, Thing] = {}
        self._shapes: Instances | None = None
        """Each with the key of its row for its `track_ids`."""
        self._rows: dict[int, tuple[int, float]] = {}
        """Key of a row → the thing, and when it looked so."""

    @property
    def boxes(self) -> FloatArray:
        """[S, 4] of all shapes, as they are carried so far."""
        return np.zeros((0, 4), np.float32) if self._shapes is None else self._shapes.boxes

    def forget(self) -> None:
        """All: a new shot begins."""
        self.things, self._shapes, self._rows = {}, None, {}

    def move(self, flow: Flow | None, width: int, height: int) -> None:
        """Carry all along the flow to the next frame; what leaves the picture is no more; None: nothing is left."""
        if flow is None:
            self.forget()
        elif self._shapes is not None and len(self._shapes):
            self._keep(carry(self._shapes, flow, width, height))

    def _keep(self, shapes: Instances) -> None:
        left = set(shapes.track_ids.tolist())
        self._shapes = shapes
        self._rows = {row: of for row, of in self._rows.items() if row in left}

    def see(self, found: Instances, sure: BoolArray, time: float) -> list[tuple[int, float]]:
        """Take in what was found [N]; gives the rows of what is new, or was lost, and since when nothing was seen of it."""
        novel = np.flatnonzero(~_twice(found.boxes, sure))
        matched, disputed = self._matched(found.boxes, novel, time)
        before, self._looked = self._looked, time
        appeared = []
        keys = np.zeros(len(found), np.int64)
        for row in novel.tolist():
            box, key = found.boxes[row], matched.get(row)
            if key is None:
                key = self._next = self._next + 1
                self.things[key] = Thing(key, time, time, bool(sure[row]), box, np.zeros(2, np.float32))
                appeared.append((row, -np.inf))
            else:
                thing = self.things[key]
                if thing.last < before or (sure[row] and not thing.sure):
                    appeared.append((row, thing.last if thing.sure else -np.inf))
                if row in disputed:
                    self._part(thing)
                _follow(thing, box, time, bool(sure[row]))
            keys[row] = key
        self._add(found[novel], keys[novel], time)
        self._age(time)
        return appeared

    def _part(self, thing: Thing) -> None:
        """Let something that is not seen now stand where this was: of two that were seen one is left, and it may be the other."""
        key = self._next = self._next + 1
        self.things[key] = replace(thing, key=key)
        newest = max(row for row, (owner, _) in self._rows.items() if owner == thing.key)
        self._rows[newest] = (key, self._rows[newest][1])

    def _matched(self, boxes: FloatArray, novel: IntArray, time: float) -> tuple[dict[int, int], set[int]]:
        """Row of a detection → the thing that it is: one for each, those first that agree best.

        And the rows that may as well be another thing, which was seen a frame ago, and which nothing else is now.
        """
        shapes = self._shapes
        if shapes is None or not len(shapes) or not len(novel):
            return {}, set()
        owners = np.array([self._rows[row][0] for row in shapes.track_ids.tolist()], np.int64)
        speedy = np.stack([self._gone_on(int(owner), time) for owner in owners])
        agreed = np.maximum(_iou(shapes.boxes, boxes[novel]), _iou(speedy, boxes[novel]))
        seen = np.array([self.things[int(owner)].last == self._looked for owner in owners])
        agreed += np.where((agreed >= SAME) & seen[:, None], CONTINUES, 0)
        matched: dict[int, int] = {}
        taken: set[int] = set()
        for at in np.argsort(-agreed, axis=None):
            shape, column = np.unravel_index(at, agreed.shape)
            if agreed[shape, column] < SAME:
                break
            row, owner = int(novel[column]), int(owners[shape])
            if row not in matched and owner not in taken:
                matched[row] = owner
                taken.add(owner)
        left = seen & ~np.isin(owners, list(taken))
        disputed = novel[(agreed[left] >= SAME).any(0)]
        return matched, set(disputed.tolist())

    def _gone_on(self, key: int, time: float) -> FloatArray:
        """[4] where a thing is if it went straight on."""
        thing = self.things[key]
        return np.asarray(thing.box + np.tile(thing.speed, 2) * np.float32(time - thing.last), np.float32)

    def _add(self, found: Instances, keys: IntArray, time: float) -> None:
        first = max(self._rows, default=0) + 1
        rows = np.arange(first, first + len(found), dtype=np.int64)
        self._rows |= {row: (key, time) for row, key in zip(rows.tolist(), keys.tolist(), strict=True)}
        new = replace(found, track_ids=rows, fine=(), masks=found.mask_or_box)
        self._shapes = new if self._shapes is None or not len(self._shapes) else joined(self._shapes, new)

    def _age(self, time: float) -> None:
        """Forget what was not seen for too long, and of what is seen all but a few shapes."""
        self.things = {key: it for key, it in self.things.items() if time - it.last <= it.kept(self._hold) + 1e-6}
        newest: dict[int, float] = {}
        kept = []
        assert self._shapes is not None
        for row in sorted(self._rows, reverse=True):
            key, when = self._rows[row]
            thing = self.things.get(key)
            if thing is None or thing.last - when > LINGER:
                continue
            if key not in newest or newest[key] - when >= APART:
                newest[key] = when
                kept.append(row)
        self._rows = {row: self._rows[row] for row in kept}
        self._shapes = self._shapes[np.isin(self._shapes.track_ids, kept)]

    def pass_by(self, time: float) -> None:
        """A frame in which nobody looked."""
        if self._shapes is not None:
            self._age(time)

    def shapes(self, time: float) -> tuple[Instances, FloatArray] | None:
        """All that is remembered, and for how long each was not seen [N], seconds; what was lost also where it went straight on."""
        shapes = self._shapes
        if shapes is None or not len(shapes):
            return None
        owners = [self.things[self._rows[row][0]] for row in shapes.track_ids.tolist()]
        unseen = np.array([time - thing.last for thing in owners], np.float32)
        whens = np.array([self._rows[row][1] for row in shapes.track_ids.tolist()])
        lasts = np.array([thing.last for thing in owners])
        lost = np.flatnonzero((unseen > 0) & (whens == lasts))
        if not len(lost):
            return shapes, unseen
        straight = replace(shapes[lost], boxes=np.stack([self._gone_on(owners[i].key, time) for i in lost.tolist()]))
        return joined(shapes, straight), np.concatenate([unseen, unseen[lost]])


def _follow(thing: Thing, box: FloatArray, time: float, sure: bool) -> None:
    elapsed = time - thing.last
    if elapsed > 0:
        step = (box - thing.box).reshape(2, 2).mean(0) / np.float32(elapsed)
        share = 1 - np.exp(-elapsed / SPEED_TIME)
        thing.speed = np.asarray(thing.speed + share * (step - thing.speed), np.float32)
    thing.box, thing.last, thing.sure = box, time, thing.sure or sure


def _twice(boxes: FloatArray, sure: BoolArray) -> BoolArray:
    """[N] boxes by falling score: which show what a surer one shows."""
    overlap = np.triu(_iou(boxes, boxes), 1)
    return np.asarray((overlap >= np.where(sure, SURELY_TWICE, TWICE)).any(0), bool)


def _iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """[N, M] of boxes xyxy."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.maximum(high - low, 0).prod(2)
    areas = [np.maximum(each[:, 2:] - each[:, :2], 0).prod(1) for each in (a, b)]
    return np.asarray(both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-6), np.float32)
