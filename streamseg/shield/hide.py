"""Hide: the last stage before the outputs, which gives them pictures in which nothing can be seen that must not be."""

from __future__ import annotations

from dataclasses import replace

from streamseg.composite.canvas import Canvas
from streamseg.composite.privacy import Hider, Privacy
from streamseg.core.result import Result
from streamseg.core.types import Instances, Occlusion

__all__ = ["Hide"]


class Hide:
    """Takes each result and gives it with its picture hidden: whatever comes behind, a view, a file or a program, has no other.

    A frame of which no stage said what is to be hidden is hidden whole. Where the picture before is held, so are its instances.
    """

    def __init__(self, effect: Privacy) -> None:
        self._effect, self._hider = effect, Hider(effect)
        self._shown: tuple[Instances, Occlusion | None] | None = None

    @property
    def unknown(self) -> int:
        """Frames that came without a cover."""
        return self._hider.unknown

    def __call__(self, result: Result) -> Result:
        """The result, its picture hidden."""
        frame = result.frame
        interlaced = frame.field_order is not None
        canvas = Canvas(frame.picture, interlaced=interlaced, time=frame.time, epoch=frame.epoch, covers=result.covers)
        held = self._hider.show(canvas, result.instances)
        hidden = replace(frame, picture=canvas.picture)
        if held and self._shown is not None:
            instances, occlusion = self._shown
            return replace(result, frame=hidden, instances=instances, occlusion=occlusion)
        self._shown = (result.instances, result.occlusion)
        return replace(result, frame=hidden)
