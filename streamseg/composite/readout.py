"""Numbers with their error bars as text that can be read while the film runs: rounded to what is known, renewed seldom."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from streamseg.composite.canvas import Canvas
from streamseg.composite.memory import Memory
from streamseg.core.scene import Scene
from streamseg.core.types import Instances

__all__ = ["KINDS", "Readouts", "Seconds", "numbers_of", "spoken"]

HOLD = 0.4
"""Seconds for which a number stays, and for which it is still shown when it is not known any more."""
_UNSURE = 8.0  # a deviation from which whole units say nothing
_SEEN = 2.0  # seconds after which a road user that is not seen is forgotten
_MARGIN = 0.75  # of a rounding step: a value on the border between two does not go back and forth


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of number is written."""

    unit: str
    scale: float = 1.0
    """From the scene's unit to this one."""
    fine: float = 0.0
    """Below so much (and with a deviation below 1) it is written with one decimal."""
    most: float = math.inf
    """Above, it is not written."""
    signed: bool = False


KINDS: dict[str, Kind] = {
    "ttc": Kind("s", fine=10, most=10),
    "distance": Kind("m", fine=10, most=1000),
    "speed": Kind("km/h", scale=3.6, most=1000, signed=True),
}
"""By the names of the fields of a label; each is an array of `Scene`, and `NAME_std` its deviations."""


def spoken(kind: Kind, value: float, std: float) -> str:
    """`2.4 s ±0.3`, `31 m ±3`: in the unit that is written; without the bar where the deviation is not known."""
    step = _step(kind, value, std)
    number = f"{_rounded(value, step):+g}" if kind.signed else f"{_rounded(value, step):g}"
    if step < 1:
        number = f"{value:+.1f}" if kind.signed else f"{value:.1f}"
    number = number.replace("-", "−")
    if not math.isfinite(std):
        return f"{number} {kind.unit}"
    return f"{number} {kind.unit} ±{max(std, step):.1f}" if step < 1 else f"{number} {kind.unit} ±{math.ceil(round(std, 2)):g}"


def numbers_of(scene: Scene, kind: str, i: int) -> tuple[float, float]:
    """The value and the deviation of an instance, in the unit that is written."""
    scale = KINDS[kind].scale
    return float(getattr(scene, kind)[i]) * scale, float(getattr(scene, f"{kind}_std")[i]) * scale


def _step(kind: Kind, value: float, std: float) -> float:
    if abs(value) < kind.fine and not std >= 1:
        return 0.1
    return 5.0 if abs(value) >= 100 or std >= _UNSURE else 1.0


def _rounded(value: float, step: float) -> float:
    return round(value / step) * step + 0.0  # no negative zero


@dataclass(slots=True)
class _Shown:
    text: str
    value: float
    step: float
    written: float
    """When, seconds."""
    known: float
    """When its value was last known."""
    seen: float


class Readouts:
    """The numbers of the road users of one film."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._shown: dict[tuple[str, int], _Shown] = {}

    @classmethod
    def of(cls, canvas: Canvas) -> Readouts:
        """Those of the canvas's film, at its frame: all effects that write a number write the same."""
        found = canvas.common(cls)
        found.begin(canvas)
        return found

    def begin(self, canvas: Canvas) -> None:
        """Of one frame; forgets what is over."""
        if self._memory.step(canvas) is None:
            self._shown.clear()
        old = [key for key, shown in self._shown.items() if canvas.time - shown.seen > _SEEN]
        for key in old:
            del self._shown[key]

    def text(self, kind: str, track: int, time: float, value: float, std: float) -> str:
        """What stands for a number at `time` (seconds); empty where it is not known. `track` 0: nothing is remembered."""
        how, shown = KINDS[kind], self._shown.get((kind, track))
        limit = how.most * (1.2 if shown is not None and shown.text else 1.0)
        if not (math.isfinite(value) and abs(value) <= limit):
            if shown is None:
                return ""
            shown.seen = time
            if time - shown.known > HOLD:
                shown.text = ""
            return shown.text
        step = _step(how, value, std)
        if shown is None or not shown.text or (time - shown.written >= HOLD and self._moved(shown, value, step)):
            shown = _Shown(spoken(how, value, std), value, step, time, time, time)
            if track > 0:
                self._shown[kind, track] = shown
        shown.known = shown.seen = time
        return shown.text

    @staticmethod
    def _moved(shown: _Shown, value: float, step: float) -> bool:
        return abs(value - shown.value) >= _MARGIN * step or step > shown.step

    def fields(self, kinds: Iterable[str], canvas: Canvas, instances: Instances, i: int) -> dict[str, str]:
        """The fields of a label for the frame's instance `i`."""
        scene, track = canvas.scene, int(instances.track_ids[i])
        if scene is None:
            return dict.fromkeys(kinds, "")
        return {kind: self.text(kind, track, canvas.time, *numbers_of(scene, kind, i)) for kind in kinds}


class Seconds:
    """A number of the whole picture, as `Readouts` has it: renewed at most once in `hold` seconds."""

    def __init__(self, hold: float = HOLD) -> None:
        self._hold, self._text, self._written = hold, "", -math.inf

    def __call__(self, time: float, text: str) -> str:
        """What is shown at `time` where `text` would be new."""
        if not self._text or not text or time - self._written >= self._hold or time < self._written:
            if text != self._text:
                self._written = time
            self._text = text
        return self._text
