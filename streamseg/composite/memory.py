"""What effects remember from frame to frame, by presentation time: forgotten at a new epoch and where the time jumps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from streamseg.composite.canvas import Canvas

__all__ = ["SLACK", "Driving", "Memory", "Slack", "Steady"]

T = TypeVar("T")
_LONGEST = 2.0
SLACK = 3.0
"""Pixels of a 1080p picture by which marks may be beside what they mark."""
_MOST = 256  # road users remembered at most


class Memory:
    """When the frame before was."""

    def __init__(self, longest: float = _LONGEST) -> None:
        """`longest`: seconds between two frames over which something is remembered."""
        self._longest = longest
        self._seen: tuple[float, int] | None = None

    def step(self, canvas: Canvas) -> float | None:
        """Seconds since the frame before; None: there is none that counts, begin anew."""
        before, self._seen = self._seen, (canvas.time, canvas.epoch)
        if before is None or before[1] != canvas.epoch:
            return None
        passed = canvas.time - before[0]
        return passed if 0 <= passed <= self._longest else None


class Driving:
    """Whether the camera is one that drives: drawings of a drive do not belong in a film whose camera stands.

    Once it was seen to drive it is taken to go on for the epoch, also while it waits. Where nobody looked at the road (no `scene`)
    there is nothing that speaks against it.
    """

    _SURE = 0.3
    """Seconds of certain motion."""

    def __init__(self) -> None:
        self._memory, self._moved, self._driven = Memory(math.inf), 0.0, False

    @classmethod
    def of(cls, canvas: Canvas) -> bool:
        """What all effects of the canvas's film take for true, so that they begin together."""
        return canvas.common(cls)(canvas)

    def __call__(self, canvas: Canvas) -> bool:
        """Look at one frame."""
        passed, scene = self._memory.step(canvas), canvas.scene
        if passed is None:
            self._moved, self._driven = 0.0, False
        if scene is None or self._driven:
            return True
        mounted = scene.camera is not None and scene.camera.mounted is not None  # somebody said so
        moving = None if scene.turn is None else scene.turn.moving
        if moving is not None:
            self._moved = min(max(0.0, self._moved + 2 * (moving - 0.5) * (passed or 0.0)), self._SURE)
        self._driven = mounted or scene.fix is not None or scene.own_speed is not None or self._moved >= self._SURE
        return self._driven


class _Kept(Generic[T]):
    """Numbers of each road user, as they were shown last."""

    def __init__(self, keep: float) -> None:
        """`keep`: seconds that one may be out of sight."""
        self._keep = keep
        self._known: dict[T, tuple[float, tuple[float, ...]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "__orig_class__"}  # of `Steady[int]()`

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()

    def __call__(self, key: T, time: float, wanted: Sequence[float]) -> tuple[float, ...]:
        """The values of `key` to be shown at `time`; where one of them is not finite they pass, and are not remembered."""
        values = tuple(wanted)
        if not all(map(math.isfinite, values)):
            return values
        before = self._known.pop(key, None)
        if before is not None and 0 <= time - before[0] <= self._keep:
            values = self._next(before[1], values, time - before[0])
        self._known[key] = time, values  # the newest comes last
        while len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return values

    def _next(self, before: tuple[float, ...], wanted: tuple[float, ...], passed: float) -> tuple[float, ...]:
        raise NotImplementedError


class Steady(_Kept[T]):
    """Numbers that follow what they are asked to be within some time, instead of trembling with it."""

    def __init__(self, settling: float, keep: float = 0.5) -> None:
        """`settling`: seconds after which two thirds of a step are done."""
        super().__init__(keep)
        self._settling = settling

    def _next(self, before: tuple[float, ...], wanted: tuple[float, ...], passed: float) -> tuple[float, ...]:
        share = 1 - math.exp(-passed / self._settling)
        return tuple(old + share * (new - old) for old, new in zip(before, wanted, strict=True))


class Slack(_Kept[T]):
    """Places that stay where they are while what they mark trembles, and never lag behind it by more than some pixels."""

    slack = 0.0
    """Pixels."""

    def __init__(self, keep: float = 0.5) -> None:
        super().__init__(keep)

    def _next(self, before: tuple[float, ...], wanted: tuple[float, ...], passed: float) -> tuple[float, ...]:
        slack = self.slack
        return tuple(min(max(old, new - slack), new + slack) for old, new in zip(before, wanted, strict=True))
