"""The frames that a remover holds: those that wait, and those given that are still looked at. Bounded in time and bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.composite.choose import matte
from streamseg.composite.remove import Remove
from streamseg.core.masks import Region
from streamseg.core.result import Result
from streamseg.pixels import planes
from streamseg.pixels.memory import picture_bytes
from streamseg.removal.align import Grey, corners, motion, small_grey

__all__ = ["Held", "Window"]

ByteArray = npt.NDArray[np.uint8]
_KEPT = 10
"""Given frames that are kept where memory is short: spread over the window."""


class Cover(NamedTuple):
    """How much of each pixel of a frame is covered: only where something is, since most of a frame is not."""

    region: Region
    part: ByteArray
    """[region height, region width]."""

    @classmethod
    def of(cls, whole: ByteArray) -> Cover:
        """`whole` is [height, width]."""
        x, y, width, height = cv2.boundingRect(whole)
        return cls((x, y, x + width, y + height), whole[y : y + height, x : x + width].copy())

    def whole(self, width: int, height: int) -> ByteArray:
        """[height, width]."""
        (x0, y0, x1, y1), made = self.region, np.zeros((height, width), np.uint8)
        made[y0:y1, x0:x1] = self.part
        return made


@dataclass(slots=True, eq=False)
class Held:
    """A frame, and what is where in it."""

    result: Result
    removed: Cover
    """What is to be removed."""
    beside: Cover
    """What other objects cover, which are no background either."""
    grey: Grey
    picture: av.VideoFrame
    """In host memory, in a format that `planes.views` reads; its memory is that of `views`."""
    views: planes.Planes
    stands_since: int
    """Index of the frame since which the camera has not moved."""
    first: Grey
    """Of that frame: each is compared with it, so that a camera that creeps is not taken for one that stands."""

    @classmethod
    def of(cls, result: Result, effect: Remove) -> Held:
        """Raises ConfigError for a class that the effect names and the model does not know."""
        frame, found = result.frame, result.instances
        unit = min(frame.width, frame.height) / 1080
        shape = effect.shape(unit)
        mine = effect.shown(found)
        hole = matte(mine, frame.width, frame.height, shape)
        rest = found[~np.isin(np.arange(len(found)), _places(found.boxes, mine.boxes))] if len(mine) else found
        others = matte(rest, frame.width, frame.height)
        picture = planes.supported(frame.picture)
        covered = np.maximum(hole, others)
        grey = small_grey(frame, covered)
        return cls(result, Cover.of(hole), Cover.of(others), grey, picture, planes.views(picture), frame.index, grey)

    @property
    def time(self) -> float:
        """Seconds."""
        return self.result.frame.time

    @property
    def region(self) -> Region | None:
        """The pixels around the hole; None: there is none."""
        return self.removed.region if self.removed.part.size else None

    @property
    def hole(self) -> ByteArray:
        """[height, width]: how much of each pixel is to be removed."""
        return self.removed.whole(self.views.width, self.views.height)

    @property
    def others(self) -> ByteArray:
        """[height, width]: how much of each pixel other objects cover."""
        return self.beside.whole(self.views.width, self.views.height)

    @property
    def bytes(self) -> int:
        """What it takes in memory."""
        return (
            picture_bytes(self.result.frame.picture)
            + self.removed.part.nbytes
            + self.beside.part.nbytes
            + 2 * self.grey.picture.nbytes
        )


def _places(boxes: npt.NDArray[np.float32], of: npt.NDArray[np.float32]) -> list[int]:
    """Where the rows `of` stand among `boxes`."""
    return [int(np.flatnonzero((boxes == row).all(1))[0]) for row in of]


def _stands(before: Grey, now: Grey) -> bool:
    """Whether the camera stood still between two frames."""
    height, width = now.picture.shape
    known, moved = motion(now, corners(now, (0, 0, round(width * now.scale[0]), round(height * now.scale[1]))), before, None)
    return known and moved is None


class Window:
    """Frames of one epoch and kind, in order."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds, self._memory = seconds, memory
        self.given: list[Held] = []
        self.waiting: list[Held] = []
        self.short = False
        """Memory allowed less than the seconds that were asked for."""

    @property
    def bytes(self) -> int:
        """Of all that is held."""
        return sum(held.bytes for held in (*self.given, *self.waiting))

    def fits(self, result: Result) -> bool:
        """Whether a frame goes on with those that are held."""
        last = (self.waiting or self.given)[-1].result.frame if self.waiting or self.given else None
        frame = result.frame
        return last is None or (
            (last.epoch, last.width, last.height, last.picture.format.name)
            == (frame.epoch, frame.width, frame.height, frame.picture.format.name)
        )

    def add(self, held: Held) -> None:
        """A frame that comes behind all others."""
        before = self.waiting[-1] if self.waiting else self.given[-1] if self.given else None
        if before is not None and _stands(before.first, held.grey):
            held.stands_since, held.first = before.stands_since, before.first
        self.waiting.append(held)
        self._shrink()

    @property
    def ready(self) -> bool:
        """Whether all that will be looked at for the first one that waits is there, or memory allows no more."""
        if not self.waiting:
            return False
        full = self.bytes > self._memory and len(self.waiting) > 1
        seen = self.waiting[-1].time - self.waiting[0].time > self._seconds
        self.short |= full and not seen
        return full or seen

    def around(self) -> list[Held]:
        """The frames that may show what is behind the first one that waits, the nearest in time first."""
        first = self.waiting[0]
        others = [h for h in (*self.given, *self.waiting[1:]) if abs(h.time - first.time) <= self._seconds + 1e-9]
        return sorted(others, key=lambda held: abs(held.time - first.time))

    def give(self) -> Held:
        """The first one that waits; it is kept as long as others look at it."""
        first = self.waiting.pop(0)
        self.given.append(first)
        now = self.waiting[0].time if self.waiting else first.time
        self.given = [held for held in self.given if now - held.time <= self._seconds + 1e-9]
        self._shrink()
        return first

    def _shrink(self) -> None:
        """Give up given frames, while memory is short and more of them are left than a few, or than half of those that wait."""
        while self.bytes > self._memory and len(self.given) > max(2, min(_KEPT, len(self.waiting) // 2)):
            self.short = True
            self._thin()

    def _thin(self) -> None:
        """Give up the one of the given frames that lies nearest to its neighbours in time."""
        times = [held.time for held in self.given]
        gaps = [times[i + 1] - times[i - 1] for i in range(1, len(times) - 1)]
        del self.given[1 + int(np.argmin(gaps))]

    def clear(self) -> None:
        """Forget all."""
        self.given, self.waiting = [], []
