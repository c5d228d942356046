"""Which frames of a run needed which safety, for its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamseg.core.cover import Cover
from streamseg.core.types import Frame

__all__ = ["Safeties", "told_of"]

MOST_STRETCHES = 500
"""Stretches of frames that are listed; more are counted."""
_WORDS = {
    "low": "a low score",
    "before": "an older shape",
    "later": "what was found later",
    "lost": "a lost object",
    "hold": "held",
    "cover": "hidden whole",
    "carry": "carried on unseen",
}


@dataclass(slots=True)
class Safeties:
    """Counts covers as they are settled."""

    frames: int = 0
    hidden: int = 0
    """Pixels hidden in all frames together, of those that are not hidden whole."""
    pixels: int = 0
    """Pixels of these frames."""
    counts: dict[str, list[int]] = field(default_factory=dict)
    """Safety → frames that needed it, pixels that it hid."""
    stretches: list[dict[str, Any]] = field(default_factory=list)
    """`why`, the `first` and `last` frame's index, `time` of the first, `pixels`; the newest of each kind last."""
    unlisted: int = 0
    _open: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, frame: Frame, cover: Cover) -> None:
        """The next frame's cover."""
        told = cover.to_json()
        self.frames += 1
        size = frame.width * frame.height
        if not cover.whole:
            self.hidden += min(size, told["hidden"])
            self.pixels += size
        needs = {name: pixels for name, pixels in cover.needed.items() if name != "margin"}
        if cover.unanswered:
            needs[cover.unanswered] = size if cover.whole else 0
        for name, pixels in needs.items():
            count = self.counts.setdefault(name, [0, 0])
            count[0] += 1
            count[1] += pixels
            self._note(name, frame, pixels)
        for name in [name for name in self._open if name not in needs]:
            del self._open[name]

    def _note(self, name: str, frame: Frame, pixels: int) -> None:
        known = self._open.get(name)
        if known is not None:
            known["last"] = frame.index
            known["pixels"] += pixels
            return
        entry = {"why": name, "first": frame.index, "last": frame.index, "time": round(frame.time, 3), "pixels": pixels}
        self._open[name] = entry
        if len(self.stretches) < MOST_STRETCHES:
            self.stretches.append(entry)
        else:
            self.unlisted += 1

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "frames": self.frames,
            "hidden_share": round(self.hidden / self.pixels, 5) if self.pixels else 0.0,
            "needed": {name: {"frames": frames, "pixels": pixels} for name, (frames, pixels) in self.counts.items()},
            "stretches": self.stretches,
            "unlisted": self.unlisted,
        }


def told_of(report: Mapping[str, Any]) -> str:
    """What `Safeties.to_json` says, in a line for a person."""
    parts = [f"{_WORDS.get(name, name)} in {each['frames']}" for name, each in report["needed"].items()]
    needed = f"; beside sure detections it took: {', '.join(parts)}" if parts else ""
    return f"{100 * report['hidden_share']:.1f} % of the pictures hidden, in {report['frames']} frames{needed}"
