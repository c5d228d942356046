"""Compositor: the effects of one output, applied in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamseg.composite.canvas import Canvas
from streamseg.result import Result
from streamseg.types import AnyPicture, Instances

__all__ = ["Compositor", "Effect", "Rendered"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result and the picture to show for it."""

    result: Result
    picture: AnyPicture
    """The decoder's own picture when no effect changed anything: not to be written into."""


class Effect(Protocol):
    """One thing that is done to the picture."""

    def __call__(self, canvas: Canvas, instances: Instances, /) -> None:
        """Draw onto `canvas`, or replace its picture."""


class Compositor:
    """Applies `effects` in order to a copy of each frame's picture, made only when one of them draws.

    The copy has the same format, time and colour tags; pixels that no effect touches are bit-identical to the decoder's.
    """

    def __init__(self, effects: Sequence[Effect] = ()) -> None:
        self._effects = tuple(effects)

    def __call__(self, result: Result) -> Rendered:
        """The picture for one result. Raises ConfigError when an effect names a class that the model does not know."""
        if not self._effects:
            return Rendered(result, result.frame.picture)
        interlaced = result.frame.field_order is not None
        canvas = Canvas(result.frame.picture, result.activity, interlaced=interlaced)
        for effect in self._effects:
            effect(canvas, result.instances)
        return Rendered(result, canvas.picture)
