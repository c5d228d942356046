"""The effects of one output, drawn on the device in the picture's own planes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from streamseg.composite import Effect
from streamseg.composite.effect import builtin
from streamseg.core.types import Activity, Instances
from streamseg.gpu.kernels.pack import Scratch, Upload
from streamseg.gpu.kernels.surface import Surface
from streamseg.system.registry import import_reference

__all__ = ["CompositeKernels"]

Kernel = Callable[[Any, Surface, Instances, Activity | None, Upload, Scratch], Surface]
"""Draws an effect, given first, into the planes of the picture, or gives the picture that takes its place."""


class CompositeKernels:
    """Draws `effects`, the same objects that `streamseg.composite.Compositor` takes, in order, on pictures on a device.

    One for each output, used by one thread. It keeps what it needs for a frame (tables, text, scratch memory) from one to the next.
    Results are those of the CPU's compositor within one code; samples that no effect touches are not written.
    """

    def __init__(self, effects: Sequence[Effect], device: torch.device | str) -> None:
        if not self.can_draw(effects):
            kinds = ", ".join(kind.__name__ for kind in builtin().values() if kind.kernel is not None)
            names = [type(effect).__name__ for effect in effects]
            raise ValueError(f"the device draws {kinds}, Matte last; got {names}: draw in host memory")
        self._effects = tuple(effects)
        kernels = [effect.fitting_kernel() for effect in effects]
        self._draw: list[Kernel] = [import_reference(kernel) for kernel in kernels if kernel is not None]
        self._upload, self._scratch = Upload(torch.device(device)), Scratch(torch.device(device))

    @staticmethod
    def can_draw(effects: Sequence[Effect]) -> bool:
        """Whether all of `effects` have kernels for their options; if not, the picture has to be drawn on in host memory.

        None draws on grey: Matte must come last.
        """
        return all(e.fitting_kernel() is not None for e in effects) and not any(e.replaces for e in effects[:-1])

    def changes(self, instances: Instances, activity: Activity | None = None) -> bool:
        """False when no effect would draw anything, so that the picture need not be copied."""
        return any(effect.changes(instances, activity) for effect in self._effects)

    def __call__(self, picture: Surface, instances: Instances, activity: Activity | None = None) -> Surface:
        """Draw into the planes of `picture`, on the current stream, without waiting for the device.

        `picture` must be nobody else's: copy the decoder's planes first. Returns it, or the picture that takes its place (Matte:
        layout `gray`, full range, memory of its own). Raises ConfigError when an effect names a class that the model does not
        know.
        """
        for effect, draw in zip(self._effects, self._draw, strict=True):
            picture = draw(effect, picture, instances, activity, self._upload, self._scratch)
        return picture
