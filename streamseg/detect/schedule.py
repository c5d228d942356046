"""Which frames the network runs on where it does not run on all of them; the others get their masks along the optical flow."""

from __future__ import annotations

import math
from typing import Literal

import cv2

from streamseg.detect.preprocess import Prepared
from streamseg.track.cuts import Thumbnail, is_cut

__all__ = ["LONGEST_INTERVAL", "DetectEvery", "DetectionSchedule"]

DetectEvery = int | Literal["auto"]

LONGEST_INTERVAL = 8
"""`auto` runs the network on at least one frame of so many: over more, the flow loses what moves."""
BUSY = 0.8
"""`auto` makes the interval shorter again where the network would then be busy for less than this share of the time."""
SECONDS_WITHOUT_LOSS = 1.0
"""`auto` tries a shorter interval once no frame was lost for so long."""
_FADE = 0.2


class DetectionSchedule:
    """Decides, frame by frame, whether the network runs on it: on every Nth, and on the first after a cut or in a new epoch.

    With `auto`, N follows the source: it is as large as it must be for the network's time (`served`) to fit into the time between
    frames, and grows while frames are dropped before they come here.
    """

    def __init__(self, every: DetectEvery = 1) -> None:
        if every != "auto" and every < 1:
            raise ValueError(f"every is {every}; allowed: 1 or more, or auto")
        self.auto = every == "auto"
        self.every: int = 1 if every == "auto" else every
        self._since = 0
        self._before: Prepared | None = None
        self._thumbnail: Thumbnail | None = None
        self._service = 0.0
        self._interval = 0.0
        self._last_change = -math.inf

    @property
    def most(self) -> int:
        """The network runs at least once in so many frames."""
        return LONGEST_INTERVAL if self.auto else self.every

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
        if self._is_cut(prepared) or fresh or self._since >= self.every:
            self._since = 0
            return True
        return False

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
        interval = seconds / frames
        self._interval += _FADE * (interval - self._interval) if self._interval else interval
        needed = self._service / self._interval
        time = now.frame.time
        lost = frames > 1
        if needed > self.every or (lost and time - self._last_change > 4 * self.every * self._interval):
            self._change(max(math.ceil(needed), self.every + int(lost)), time)
        elif (
            not lost and self.every > 1 and needed < BUSY * (self.every - 1) and time - self._last_change > SECONDS_WITHOUT_LOSS
        ):
            self._change(self.every - 1, time)

    def _change(self, every: int, time: float) -> None:
        self.every, self._last_change = min(LONGEST_INTERVAL, every), time
