"""When there is no scene to look at: the camera stands, as most cameras that watch a street or a room do.

The usual pipeline looks at the scene of every film, and a camera that does not drive must not pay for it. One that has not moved
for long is looked at now and then only, to see whether it sets off. It never rests where somebody said that it drives: where the
height of the camera is given, or a receiver's positions come with the film.
"""

from __future__ import annotations

import math

from streamseg.core.result import Result
from streamseg.core.scene import Turn

__all__ = ["Rest"]

BEGIN = 1.5
"""Seconds of film after which a camera that has not moved yet rests."""
LIGHTS = 90.0
"""Seconds for which one that has driven may stand before it rests: at traffic lights it still matters who crosses."""
LOOK = 0.2
"""Seconds between two looks of one that rests."""
MOVES = 0.5
"""Probability above which it moves."""


class Rest:
    """Asked before each frame, told what was seen."""

    def __init__(self, *, never: bool) -> None:
        self._never = never
        self._epoch = -1
        self._begin(0.0)

    def _begin(self, time: float) -> None:
        self._until, self._looked, self._moved = time + BEGIN, -math.inf, -math.inf

    def drives(self, result: Result) -> bool:
        """Whether the camera is known to drive, or to wait: else who comes near comes to a camera on a wall."""
        return self._never or result.frame.time <= self._moved + LIGHTS

    def now(self, result: Result) -> bool:
        """Whether the scene of this frame need not be looked at."""
        if self._never:
            return False
        if result.frame.epoch != self._epoch:
            self._epoch = result.frame.epoch
            self._begin(result.frame.time)
        return result.frame.time > self._until

    def looks(self, result: Result) -> bool:
        """Of one that rests: whether it is time to see whether it moves."""
        if result.frame.time - self._looked < LOOK:
            return False
        self._looked = result.frame.time
        return True

    def learn(self, result: Result, turn: Turn | None) -> None:
        """What was seen. Where nothing can be told, it does not rest: it may be night."""
        time = result.frame.time
        if turn is None or turn.moving is None:
            self._until = max(self._until, time + BEGIN)
        elif turn.moving > MOVES:
            self._moved, self._until = time, time + LIGHTS
