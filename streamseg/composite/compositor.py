"""Compositor: the effects of one output, applied in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from av.video.format import VideoFormat

from streamseg.composite.canvas import Canvas
from streamseg.composite.effect import Effect
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.pixels import planes
from streamseg.pixels.layouts import layout
from streamseg.pixels.picture import AnyPicture

__all__ = ["Compositor", "Rendered", "colours_grey"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result and the picture to show for it."""

    result: Result
    picture: AnyPicture
    """The decoder's own picture when no effect changed anything: not to be written into."""


def colours_grey(effects: Sequence[Effect], form: VideoFormat) -> bool:
    """Whether pictures of this format are grey, and one of the effects draws in colour: in grey, two identities look alike."""
    known = layout(form.name)
    return known is not None and known.family == "gray" and any(effect.in_color for effect in effects)


class Compositor:
    """Applies `effects` in order to a copy of each frame's picture, made only when one of them draws.

    The copy has the same format, time and colour tags; pixels that no effect touches are bit-identical to the decoder's. Grey gets
    chroma (4:2:0, the same luma) where an effect draws in colour: every picture, so that a film is of one kind. `keep_grey`:
    not.
    """

    def __init__(self, effects: Effect | Sequence[Effect] = (), *, keep_grey: bool = False) -> None:
        """`effects`: one, several, or a chain made by `>>`. Raises what their `begin` does."""
        self._effects = (effects,) if isinstance(effects, Effect) else tuple(effects)
        self._keep_grey = keep_grey
        self._film: dict[type, Any] = {}
        self._drawing: list[Callable[[Canvas, Instances], None]] = []
        try:
            for effect in self._effects:
                self._drawing.append(effect.begin())
        except BaseException:
            self.close()
            raise

    def __call__(self, result: Result) -> Rendered:
        """The picture for one result. Raises ConfigError when an effect names a class that the model does not know."""
        if not self._effects:
            return Rendered(result, result.frame.picture)
        interlaced = result.frame.field_order is not None
        picture = result.frame.picture
        if not self._keep_grey and colours_grey(self._effects, picture.format):
            picture = planes.with_chroma(planes.supported(picture))
        frame = result.frame
        canvas = Canvas(
            picture,
            result.activity,
            interlaced=interlaced,
            time=frame.time,
            epoch=frame.epoch,
            covers=result.covers,
            scene=result.scene,
            utc=frame.utc,
            arrived=frame.arrived or None,
            film=self._film,
        )
        for draw in self._drawing:
            draw(canvas, result.instances)
        return Rendered(result, canvas.picture)

    def close(self) -> None:
        """Give back what the effects opened; twice is harmless."""
        for draw in self._drawing:
            close = getattr(draw, "close", None)
            if close is not None:
                close()
