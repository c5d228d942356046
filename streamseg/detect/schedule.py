"""Which frames the network looks at, when it does not look at all of them; masks are carried along the flow to the others."""

from __future__ import annotations

import math
from typing import Literal

import cv2

from streamseg.detect.preprocess import Prepared
from streamseg.track.cuts import Thumbnail, is_cut

__all__ = ["MOST", "Cadence", "Every"]

Every = int | Literal["auto"]

MOST = 8
"""`auto` does not leave more than MOST - 1 frames out: beyond that flow loses what moves."""
ROOM = 0.8
"""`auto` looks more often again once the network would need this share of the time that there is."""
CALM = 1.0
"""Seconds without a lost frame after which `auto` tries that."""
_FADE = 0.2


class Cadence:
    """Says of each frame, in order, whether the network is to look at it: every Nth, and after each cut or change of epoch.

    `auto` keeps up with the source: N is as large as it must be for the network's time (`served`) to fit into the time between
    frames, and grows while frames are lost before they come here.
    """

    def __init__(self, every: Every = 1) -> None:
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
        """Frames from one look to the next, at most."""
        return MOST if self.auto else self.every

    def served(self, seconds: float) -> None:
        """The network was busy for so long with one frame; called from any thread."""
        self._service += _FADE * (seconds - self._service) if self._service else seconds

    def __call__(self, prepared: Prepared) -> bool:
        """Whether the network is to look at this frame."""
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

    def _is_cut(self, prepared: Prepared) -> bool:
        """Whether the picture has little in common with the one before; a very fast pan counts too: flow would lose it."""
        grey = cv2.cvtColor(prepared.sample(4), cv2.COLOR_RGB2GRAY)
        before, self._thumbnail = self._thumbnail, Thumbnail.of(grey)  # type: ignore[arg-type]
        return before is not None and is_cut(before, self._thumbnail, support=0.0)

    def _adapt(self, before: Prepared, now: Prepared) -> None:
        """Follow the source's and the network's rates."""
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
        elif not lost and self.every > 1 and needed < ROOM * (self.every - 1) and time - self._last_change > CALM:
            self._change(self.every - 1, time)

    def _change(self, every: int, time: float) -> None:
        self.every, self._last_change = min(MOST, every), time
