"""Compositor: the effects of one output, drawn on the device in the picture's own planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from streamseg import composite
from streamseg.composite import Effect
from streamseg.composite.choose import chosen
from streamseg.core.types import Activity, Instances
from streamseg.gpu.kernels.overlay import draw_overlay
from streamseg.gpu.kernels.pack import Scratch, Upload
from streamseg.gpu.kernels.places import draw_places
from streamseg.gpu.kernels.soften import draw_blur, draw_matte, draw_pixelate
from streamseg.gpu.kernels.surface import Surface

__all__ = ["Compositor"]

_DRAW: dict[type, Callable[..., Surface]] = {
    composite.Overlay: draw_overlay,
    composite.Blur: draw_blur,
    composite.Pixelate: draw_pixelate,
    composite.Matte: draw_matte,
    composite.Zones: draw_places,
    composite.Counts: draw_places,
}
"""How each kind of effect is drawn, of the instances; Zones and Counts, of the activity."""


class Compositor:
    """Draws `effects`, the same objects that `streamseg.composite.Compositor` takes, in order, on pictures on a device.

    One for each output, used by one thread. It keeps what it needs for a frame (tables, text, scratch memory) from one to the next.
    Results are those of the CPU's compositor within one code; samples that no effect touches are not written.
    """

    def __init__(self, effects: Sequence[Effect], device: torch.device | str) -> None:
        if not self.can_draw(effects):
            kinds = ", ".join(kind.__name__ for kind in _DRAW)
            names = [type(effect).__name__ for effect in effects]
            raise ValueError(f"the device draws {kinds}, Matte last; got {names}: draw in host memory")
        self._effects = tuple(effects)
        self._upload, self._scratch = Upload(torch.device(device)), Scratch(torch.device(device))

    @staticmethod
    def can_draw(effects: Sequence[Effect]) -> bool:
        """Whether all of `effects` have kernels; if not, the picture has to be drawn on in host memory.

        None draws on grey: Matte must come last.
        """
        return all(type(effect) in _DRAW for effect in effects) and not any(
            isinstance(e, composite.Matte) for e in effects[:-1]
        )

    def changes(self, instances: Instances, activity: Activity | None = None) -> bool:
        """False when no effect would draw anything, so that the picture need not be copied."""
        return any(_changes(effect, instances, activity) for effect in self._effects)

    def __call__(self, picture: Surface, instances: Instances, activity: Activity | None = None) -> Surface:
        """Draw into the planes of `picture`, on the current stream, without waiting for the device.

        `picture` must be nobody else's: copy the decoder's planes first. Returns it, or the picture that takes its place (Matte:
        layout `gray`, full range, memory of its own). Raises ConfigError when an effect names a class that the model does not
        know.
        """
        for effect in self._effects:
            shown = activity if isinstance(effect, composite.Zones | composite.Counts) else instances
            picture = _DRAW[type(effect)](effect, picture, shown, self._upload, self._scratch)
        return picture


def _changes(effect: Effect, instances: Instances, activity: Activity | None) -> bool:
    if isinstance(effect, composite.Zones | composite.Counts):
        return activity is not None and bool(activity.places if isinstance(effect, composite.Zones) else activity.total)
    if isinstance(effect, composite.Matte):
        return True
    if isinstance(effect, composite.Blur | composite.Pixelate) and effect.where == "background":
        return True
    classes = effect.classes if isinstance(effect, composite.Overlay | composite.Blur | composite.Pixelate) else None
    return len(chosen(instances, classes)) > 0
