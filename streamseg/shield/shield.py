"""Shield: says of each frame what must not be seen, from all that the network gave of it and of the frames around it.

A cell is hidden where one of these says so; each can be seen to be needed (`Safeties`):

- `sure`: a detection with a score that begins an object;
- `low`: one with any lower score that the model gives: below what is shown and below what is followed;
- `before`: how something that is seen looked a moment ago, carried here along the optical flow: a mask may lack a limb for a frame;
- `lost`: what is not seen any more, carried along the flow and, should it be hidden, straight on, grown the more the longer ago;
- `later`: what is found a moment later, carried back: it was there before the network saw it;

and all of it with a margin. A frame that the network did not look at, or whose answer was nonsense, is held, hidden whole, or,
where that is asked for, hidden as what is remembered says. Over a cut or a new epoch nothing is carried, and nothing is held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from streamseg.composite.cells import blank, longer_sides, mark, step_of
from streamseg.composite.privacy import Privacy
from streamseg.core import masks
from streamseg.core.cover import Cover, Unanswered
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.pixels.memory import picture_bytes
from streamseg.shield.remembered import Remembered
from streamseg.shield.safeties import Safeties
from streamseg.temporal.flow import FlowCache, small_luma
from streamseg.temporal.propagate import carry
from streamseg.track.cuts import Thumbnail, is_cut

__all__ = ["Shield", "Shields"]

SURE, LOW, BEFORE, LOST, LATER, BARE = 1, 2, 4, 8, 16, 32
"""Bits of a cell. BARE: a sure detection without its margin."""
GROWTH = 0.45
"""Of an object's longer side, times the root of the seconds: by how much what is not seen is grown the more. A limb swings far in
a fifth of a second, and not five times as far in a second."""
MEMORY = 256 << 20
"""Bytes of pictures that wait at most."""
_FLOWS = 64
"""Flows and small pictures that are remembered: those of `ahead`, both ways."""
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A frame whose cover may grow yet."""

    result: Result
    cells: ByteArray
    step: int
    unanswered: Unanswered
    begins: bool
    """Another shot begins with it."""
    largest: float = 0.0

    def mark(self, bit: int, found: Instances, grow: npt.NDArray[np.float32]) -> None:
        frame = self.result.frame
        mark(self.cells, bit, found, grow.tolist(), (frame.width, frame.height), self.step)
        self.largest = max(self.largest, float(longer_sides(found.boxes).max(initial=0.0)))

    def alone(self, shapes: Instances) -> npt.NDArray[np.float32]:
        """[N] of each shape the share that no sure detection of this frame covers: what is behind one need not be looked for."""
        shares = np.ones(len(shapes), np.float32)
        if not (self.cells & BARE).any():
            return shares
        frame = self.result.frame
        for i, (mask, box) in enumerate(zip(shapes.mask_or_box, shapes.boxes, strict=True)):
            (x0, y0, x1, y1), soft = masks.paste(mask, box, frame.width, frame.height, scale=self.step)
            within = soft >= 128
            if count := int(np.count_nonzero(within)):
                shares[i] = np.count_nonzero(within & (self.cells[y0:y1, x0:x1] & BARE == 0)) / count
        return shares


class Shield:
    """A stage behind `postprocess`: gives each result with a cover for `effect`, and with those instances alone that are shown."""

    delays = True

    def __init__(
        self,
        effect: Privacy,
        *,
        sure: float,
        ahead: float,
        shows: Callable[[Instances], BoolArray] | None = None,
        memory: int = MEMORY,
    ) -> None:
        """`sure`: the score that begins an object. `ahead`: seconds for which frames wait. `shows`: which instances go on [N]."""
        self.effect, self.safeties = effect, Safeties()
        self._sure, self._ahead, self._shows, self._memory = sure, ahead, shows, memory
        self._flows = FlowCache(_FLOWS)
        self._things = Remembered(effect.seconds_held)
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._thumbnail: Thumbnail | None = None
        self._before: Result | None = None
        self._answered = False
        """A frame of this shot was answered: there is a picture that may be held."""

    def __call__(self, result: Result) -> list[Result]:
        """The frames whose covers are settled. Raises ConfigError for a class that the model does not know."""
        given: list[Result] = []
        begins = self._begins(result)
        if begins:
            given += self.flush()
            self._things.forget()
            self._answered = False
        else:
            assert self._before is not None
            boxes = self._things.boxes
            flow = self._flows.between(self._before.frame, result.frame, boxes) if len(boxes) else None
            self._things.move(flow, result.frame.width, result.frame.height)
        self._before = result
        self._waiting.append(self._look(result, begins))
        self._bytes += picture_bytes(result.frame.picture)
        while self._full:
            given.append(self._leave())
        return given

    def adopt(self, former: Shield) -> None:
        """Take over what a shield of the same setting knows, and the frames that wait there."""
        self.safeties, self._flows, self._things = former.safeties, former._flows, former._things
        self._waiting, self._bytes = former._waiting, former._bytes
        self._thumbnail, self._before, self._answered = former._thumbnail, former._before, former._answered

    def flush(self) -> list[Result]:
        """The frames that wait."""
        given = []
        while self._waiting:
            given.append(self._leave())
        return given

    @property
    def _full(self) -> bool:
        if not self._waiting:
            return False
        waits = self._waiting[-1].result.frame.time - self._waiting[0].result.frame.time
        return waits >= self._ahead or (self._bytes > self._memory and len(self._waiting) > 1)

    def _begins(self, result: Result) -> bool:
        """Whether what was before has nothing to do with this frame."""
        before, frame = self._before, result.frame
        grey, self._thumbnail = self._thumbnail, Thumbnail.of(small_luma(frame))
        if before is None or grey is None or before.frame.epoch != frame.epoch:
            return True
        if (before.frame.width, before.frame.height) != (frame.width, frame.height):
            return True
        return is_cut(grey, self._thumbnail, support=0.0)

    def _look(self, result: Result, begins: bool) -> _Waiting:
        """The frame with what is known of it when it comes; and what it tells of those that wait."""
        frame, step = result.frame, step_of(result.frame)
        away = bool(frame.lost)  # the picture says why there is none, and shows nothing else
        answered = away or (result.detected and result.answered)
        here = _Waiting(result, blank(frame, step), step, self._instead(answered), begins)
        found = result.instances[self.effect.hides(result.instances)]
        sure = found.scores >= self._sure
        here.mark(BARE, found[sure], np.zeros(int(sure.sum()), np.float32))
        here.mark(SURE, found[sure], self._margin(found[sure], here))
        here.mark(LOW, found[~sure], self._margin(found[~sure], here))
        appeared = []
        if result.detected:
            appeared = self._things.see(found, sure, frame.time)
        else:
            self._things.pass_by(frame.time)
        self._answered |= answered and not away
        self._mark_remembered(here)
        self._look_back(here, found, appeared, sure)
        return here

    def _instead(self, answered: bool) -> Unanswered:
        """What is done with a frame that was not answered."""
        asked = cast("Unanswered", self.effect.unanswered)
        return "" if answered else "cover" if asked == "hold" and not self._answered else asked

    def _margin(self, found: Instances, here: _Waiting) -> npt.NDArray[np.float32]:
        """[N] pixels by which each is grown; of an interlaced picture by what moves from field to field, too."""
        pixels, share = self.effect.reach
        fields = 0.0 if here.result.frame.field_order is None else 2.0
        return np.asarray(pixels + fields + share * longer_sides(found.boxes), np.float32)

    def _mark_remembered(self, here: _Waiting) -> None:
        told = self._things.shapes(here.result.frame.time)
        if told is None:
            return
        shapes, unseen = told
        lost = unseen > 0
        grow = self._margin(shapes, here)
        grow[lost] += GROWTH * np.sqrt(unseen[lost]) * here.alone(shapes[lost]) * longer_sides(shapes.boxes[lost])
        here.mark(BEFORE, shapes[~lost], grow[~lost])
        here.mark(LOST, shapes[lost], grow[lost])

    def _look_back(self, here: _Waiting, found: Instances, appeared: list[tuple[int, float]], sure: BoolArray) -> None:
        """Hide what appeared, and is sure, in the frames that wait, back to when it was seen before."""
        if here.begins or not appeared or not self._waiting:
            return
        now = here.result.frame.time
        rows = np.array([row for row, _ in appeared if sure[row]], np.int64)
        since = np.array([when for row, when in appeared if sure[row]], np.float64)
        moved = replace(found[rows], track_ids=np.arange(len(rows), dtype=np.int64), fine=())
        later = here.result
        for earlier in reversed(self._waiting):
            time, frame = earlier.result.frame.time, earlier.result.frame
            moved = moved[since[moved.track_ids] < time]
            flow = self._flows.between(later.frame, frame, moved.boxes) if len(moved) else None
            if flow is None:
                return
            moved = carry(moved, flow, frame.width, frame.height)
            more = np.float32(GROWTH * (now - time) ** 0.5) * earlier.alone(moved)
            grow = self._margin(moved, earlier) + more * longer_sides(moved.boxes)
            earlier.mark(LATER, moved, grow)
            later = earlier.result

    def _leave(self) -> Result:
        here = self._waiting.popleft()
        result = here.result
        self._bytes -= picture_bytes(result.frame.picture)
        hidden = here.cells & np.uint8(~BARE & 255)
        cover = Cover(
            here.step,
            np.where(hidden > 0, 255, 0).astype(np.uint8),
            here.largest,
            here.unanswered,
            _needed(here.cells, here.step),
        )
        self.safeties.add(result.frame, cover)
        instances = result.instances
        if self._shows is not None:
            instances = instances[self._shows(instances)]
        return replace(result, instances=instances, covers={**result.covers, self.effect: cover})


def _needed(cells: ByteArray, step: int) -> dict[str, int]:
    """Pixels that are hidden for one safety, and would be seen without it and all that comes after it in this list."""
    told, known = {}, (cells & BARE) > 0
    for name, bit in (("margin", SURE), ("low", LOW), ("before", BEFORE), ("later", LATER), ("lost", LOST)):
        more = ((cells & bit) > 0) & ~known
        known |= more
        if count := int(np.count_nonzero(more)):
            told[name] = count * step**2
    return told


class Shields:
    """The stage for several settings at once: one `Shield` behind the other."""

    delays = True

    def __init__(
        self, effects: Sequence[Privacy], *, sure: float, live: bool, shows: Callable[[Instances], BoolArray] | None = None
    ) -> None:
        """`effects`: one or more, all different; `sure`, `shows`: see Shield. `live`: what happens happens now."""
        last = len(effects) - 1
        self.shields = [
            Shield(effect, sure=sure, ahead=effect.seconds_delayed(live), shows=shows if at == last else None)
            for at, effect in enumerate(effects)
        ]

    def adopt(self, former: object) -> None:
        """Take over what a stage knows in whose place this one comes, where it hides the same."""
        known = {each.effect: each for each in former.shields} if isinstance(former, Shields) else {}
        for shield in self.shields:
            if shield.effect in known:
                shield.adopt(known[shield.effect])

    def __call__(self, result: Result) -> list[Result]:
        """The frames that all have settled."""
        return self._from(0, [result])

    def _from(self, first: int, results: list[Result]) -> list[Result]:
        for shield in self.shields[first:]:
            results = [given for result in results for given in shield(result)]
        return results

    def flush(self) -> list[Result]:
        """The frames that wait."""
        given = []
        for at, shield in enumerate(self.shields):
            given += self._from(at + 1, shield.flush())
        return given
