"""The infer stage: hands prepared pictures to the engine in batches. What it passes on holds a future of the engine's outputs."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamseg.core.types import Frame
from streamseg.detect.preprocess import Prepared
from streamseg.detect.schedule import DetectionSchedule
from streamseg.engine.base import Engine
from streamseg.engine.images import DeviceImage, Images
from streamseg.engine.outputs import Outputs
from streamseg.errors import EngineError
from streamseg.pixels.letterbox import Letterbox
from streamseg.runtime import Skip

__all__ = ["NO_TURN", "STALE", "Infer", "Pending", "Work"]

NO_TURN = "network busy"
"""Why a frame is skipped that the network had to look at, and had no time for."""
STALE = "stale"
"""Why a frame is skipped that is too old by the time that the network could look at it."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A frame whose answer is under way."""

    frame: Frame
    letterbox: Letterbox
    future: Future[Outputs] | None
    """The outputs of the whole batch, shared by its frames; raises EngineError. None: the network does not run on this frame."""
    slot: int
    """This frame's row in the batch."""
    still: bool = False
    """The motion gate kept it off the network."""

    def __repr__(self) -> str:
        return f"Pending({self.frame!r}, slot={self.slot}, done={self.future is None or self.future.done()})"


class Work:
    """How much an engine did for this pipeline, and how long it took."""

    span = 15.0
    """Seconds of work at the beginning, and again at the end, over which the time of a picture is averaged."""

    def __init__(self) -> None:
        self.pictures = 0
        self.seconds = 0.0
        """In which at least one of this pipeline's pictures was under way."""
        self._marks: list[tuple[float, int]] = [(0.0, 0)]
        """(seconds, pictures), one each time `span` more has been worked."""

    def add(self, seconds: float, pictures: int) -> None:
        """A batch is done."""
        self.seconds += seconds
        self.pictures += pictures
        if self.seconds - self._marks[-1][0] >= self.span:
            self._marks.append((self.seconds, self.pictures))

    def at_first(self) -> float | None:
        """Seconds a picture at the beginning; None where it was too short to compare."""
        return self._between(0, 1) if len(self._marks) > 3 else None

    def at_last(self) -> float | None:
        """Seconds a picture at the end; None where it was too short to compare."""
        return self._between(-2, -1) if len(self._marks) > 3 else None

    def _between(self, start: int, stop: int) -> float:
        (began, before), (ended, after) = self._marks[start], self._marks[stop]
        return (ended - began) / max(1, after - before)


class Infer:
    """Gathers `batch` pictures and submits them together, or fewer where the engine wants fewer at once (`Engine.together`).

    A call returns at once, or as soon as the engine has room. With `batch` > 1 the outputs come only once the batch is full or
    flushed: a frame waits for up to batch - 1 that follow it, and the channel behind this stage must hold at least `batch` items.
    Frames that `schedule` leaves out, and placeholders of a lost camera, are passed on without outputs. One that is older than
    `stale` seconds is skipped.
    """

    def __init__(
        self, engine: Engine, batch: int = 1, schedule: DetectionSchedule | None = None, *, stale: float | None = None
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; allowed: 1 or more")
        self._stale = math.inf if stale is None else stale
        self._schedule = schedule or DetectionSchedule()
        self._done_at = 0.0
        self._under_way, self._lock = 0, threading.Lock()
        self.work = Work()
        self.last: Images | None = None
        """The batch that was submitted last."""
        self._engine = engine
        self._batch = batch
        self._images: list[npt.NDArray[np.uint8] | DeviceImage] = []
        self._future: Future[Outputs] = Future()

    def service(self) -> float:
        """Seconds that the network takes for a frame, lately; 0: that is not known yet."""
        return self._schedule.service

    @property
    def every(self) -> int:
        """The network runs on one frame of so many now."""
        return self._schedule.every

    @property
    def ahead(self) -> int:
        """Items that must find room behind this stage while the first of them waits for its answer."""
        return max(self._batch, 2 * self._schedule.most if self._schedule.most > 1 else 1)

    def __call__(self, prepared: Prepared) -> Pending | Skip:
        """Queue one picture. Raises EngineError if the engine is closed."""
        if time.monotonic() - prepared.frame.arrived > self._stale:
            return Skip(STALE)
        looks = self._looks(prepared)
        return Skip(NO_TURN) if looks is None else self._pass_on(prepared, looks)

    def adopt(self, former: object) -> None:
        """Submit what the former one gathered, and go on counting its work."""
        if isinstance(former, Infer):
            former.flush()
            self.work, self._done_at = former.work, former._done_at

    def take(self, prepared: Prepared) -> Pending:
        """As a call, however old the frame is, and however busy the network."""
        return self._pass_on(prepared, self._looks(prepared) is not False)

    def _looks(self, prepared: Prepared) -> bool | None:
        """Whether the network is to run on this frame; None: it has to, and has no time for it now."""
        if prepared.frame.lost:
            self.flush()  # what waits for a fuller batch would wait until the camera is back
            return False
        if prepared.still:
            self._schedule.rest(prepared)
            return False
        if not self._schedule(prepared):
            return False
        if self._has_room():
            return True
        self._schedule.postpone()
        return None if self._schedule.urgent else False

    def _pass_on(self, prepared: Prepared, looks: bool) -> Pending:
        if not looks:
            return Pending(prepared.frame, prepared.letterbox, None, 0, still=prepared.still)
        self._images.append(prepared.image)
        pending = Pending(prepared.frame, prepared.letterbox, self._future, len(self._images) - 1)
        if len(self._images) >= min(self._batch, self._engine.together):
            self.flush()
        return pending

    def _has_room(self) -> bool:
        """Whether the network can take one more picture now, or must. Else masks are carried to it, and nothing waits; where others
        use the network, too, a frame to which they cannot be carried is left out: it would wait for theirs."""
        if not self._schedule.auto:
            return True
        turn = getattr(self._engine, "turn", None)
        if turn is not None:
            return bool(turn())
        return self._schedule.urgent or self._under_way < self._engine.in_flight * self._batch

    def flush(self) -> None:
        """Submit what has been gathered: the input has ended, or no more will come for a while."""
        if not self._images:
            return
        images, promise = self._images, self._future
        self._images, self._future = [], Future()
        try:
            self.last = batch = _batch(images)
            answer = self._engine.submit(batch)
        except BaseException as error:
            promise.set_exception(error)  # frames handed out before share this batch: they must not wait for good
            raise
        began, count = time.monotonic(), len(images)
        with self._lock:
            self._under_way += count
        answer.add_done_callback(lambda done: self._served(began, count))
        answer.add_done_callback(lambda done: _forward(done, promise))

    def _served(self, began: float, count: int) -> None:
        """Tell the schedule how long the network took for a frame, without the time that it waited for the batch before."""
        done = time.monotonic()
        with self._lock:
            self._under_way -= count
        seconds = done - max(began, self._done_at)
        self._schedule.served(seconds / count)
        self.work.add(seconds, count)
        self._done_at = done

    def close(self) -> None:
        """Give up on a batch that was not submitted, so that nobody waits for it. The engine stays open: it is its owner's."""
        if self._images:
            self._images = []
            self._future.set_exception(EngineError("the infer stage was closed before the batch was full"))
            self._future = Future()


def _batch(images: list[npt.NDArray[np.uint8] | DeviceImage]) -> Images:
    """One batch: pictures on the GPU stay there if all of them are."""
    there = [image for image in images if isinstance(image, DeviceImage)]
    if len(there) == len(images):
        return there
    return np.stack([image.host() if isinstance(image, DeviceImage) else image for image in images])


def _forward(answer: Future[Outputs], promise: Future[Outputs]) -> None:
    if answer.cancelled():
        promise.set_exception(EngineError("the engine was closed before it ran this batch"))
    elif (error := answer.exception()) is not None:
        promise.set_exception(error)
    else:
        promise.set_result(answer.result())
