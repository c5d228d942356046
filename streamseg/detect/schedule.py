"""Which frames the network runs on where it does not run on all of them; the others get their masks along the optical flow."""

from __future__ import annotations

import math
from typing import Literal

import cv2

from streamseg.detect.preprocess import Prepared
from streamseg.system.callbacks import Message
from streamseg.track.cuts import Thumbnail, is_cut

__all__ = ["LONGEST_INTERVAL", "DetectEvery", "DetectionSchedule"]

DetectEvery = int | Literal["auto"]

LONGEST_INTERVAL = 8
"""`auto` runs the network on at least one frame of so many: over more, the flow loses what moves."""
BUSY = 0.8
"""`auto` makes the interval shorter again where the network would then be busy for less than this share of the time."""
SECONDS_WITHOUT_LOSS = 1.0
"""`auto` tries a shorter interval once no frame was lost for so long."""
SETTLED = 3.0
"""Seconds for which an interval must have lasted to be told of."""
_FADE = 0.2


class DetectionSchedule:
    """Decides, frame by frame, whether the network runs on it: on every Nth, and on the first after a cut or in a new epoch.

    With `auto`, N follows the source: it is as large as it must be for the network's time (`served`) to fit into the time between
    frames, and grows while frames are dropped before they come here. `say` is told of it, once it has lasted.
    """

    def __init__(self, every: DetectEvery = 1, *, max_rate: float | None = None, say: Message | None = None) -> None:
        """max_rate: frames a second that are let through at most: those that are left out for that are not lost."""
        if every != "auto" and every < 1:
            raise ValueError(f"every is {every}; allowed: 1 or more, or auto")
        self._new = self._must = False
        """The last frame, and the next one, cannot be carried on."""
        self.auto = every == "auto"
        self.every: int = 1 if every == "auto" else every
        self._since = self._before_last = 0
        self._before: Prepared | None = None
        self._thumbnail: Thumbnail | None = None
        self._service = 0.0
        self._interval = 0.0
        self._last_change = -math.inf
        self._shortest = 0.0 if max_rate is None else 1 / max_rate
        self._say, self._told, self._lost = say, (1, False), 0
        self.urgent = False
        """The frame that was last asked for has to be looked at, however long that takes: flow would lose what is in it."""

    @property
    def most(self) -> int:
        """The network runs at least once in so many frames."""
        return LONGEST_INTERVAL if self.auto else self.every

    @property
    def service(self) -> float:
        """Seconds that the network takes for a frame, lately; 0: that is not known yet."""
        return self._service

    def served(self, seconds: float) -> None:
        """The network was busy for so long with one frame; called from any thread."""
        self._service += _FADE * (seconds - self._service) if self._service else seconds

    def __call__(self, prepared: Prepared) -> bool:
        """Whether the network is to run on this frame."""
        if self.most == 1:
            return True
        before, self._before = self._before, prepared
        fresh = before is None or before.frame.epoch != prepared.frame.epoch
        if self.auto and before is not None and not fresh:
            self._adapt(before, prepared)
        self._since += 1
        new = self._new = self._is_cut(prepared) or fresh or self._must
        self._must = False
        if new or self._since >= self.every:
            self.urgent = new or not self.auto or self._since >= LONGEST_INTERVAL
            self._before_last, self._since = self._since, 0
            return True
        return False

    def postpone(self) -> None:
        """The network has no room for the frame that was last asked for: it runs on the next one."""
        self._since, self._must = self._before_last, self._new

    def rest(self, prepared: Prepared) -> None:
        """Nothing moves in this frame, and the network does not run on it: it does on the next one that comes to a call."""
        self._before, self._since = prepared, self.every

    def _is_cut(self, prepared: Prepared) -> bool:
        """Whether the picture has little in common with the one before; a very fast pan counts too: flow would lose it."""
        grey = cv2.cvtColor(prepared.sample(4), cv2.COLOR_RGB2GRAY)
        before, self._thumbnail = self._thumbnail, Thumbnail.of(grey)  # type: ignore[arg-type]
        return before is not None and is_cut(before, self._thumbnail, support=0.0)

    def _adapt(self, before: Prepared, now: Prepared) -> None:
        """Fit N to the rates of the source and of the network."""
        frames, seconds = now.frame.index - before.frame.index, now.frame.time - before.frame.time
        if frames < 1 or seconds <= 0:
            return
        interval = max(seconds / frames, self._shortest)
        self._interval += _FADE * (interval - self._interval) if self._interval else interval
        needed = self._service / self._interval
        time = now.frame.time
        lost = frames > 1 and seconds > 1.5 * self._shortest
        self._lost += int(lost)
        if needed > self.every or (lost and time - self._last_change > 4 * self.every * self._interval):
            self._change(max(math.ceil(needed), self.every + int(lost)), time)
        elif (
            not lost and self.every > 1 and needed < BUSY * (self.every - 1) and time - self._last_change > SECONDS_WITHOUT_LOSS
        ):
            self._change(self.every - 1, time)
        if time - self._last_change >= SETTLED:
            self._tell()

    def _change(self, every: int, time: float) -> None:
        if every <= LONGEST_INTERVAL or self.every < LONGEST_INTERVAL:
            self._last_change, self._lost = time, 0
        self.every = min(LONGEST_INTERVAL, every)

    def _tell(self) -> None:
        """Say how often the network runs, where that has settled at something else than was told last."""
        left_out = self.every == LONGEST_INTERVAL and self._lost > 0
        if self._say is None or (self.every, left_out) == self._told:
            return
        self._told = (self.every, left_out)
        if self.every == 1:
            self._say("load: there is time again: the network looks at every frame")
        elif left_out:
            self._say(
                f"load: the network looks at every {self.every}th frame only, and frames are left out all the same; a lower "
                "--max-rate, a smaller --size or another model costs less"
            )
        else:
            self._say(f"load: the network looks at every {_th(self.every)} frame, to keep up; masks are carried to the others")


def _th(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")
