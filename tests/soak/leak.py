"""A stage that leaks, for the test of the soak itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from streamseg.composite import Canvas, Effect
from streamseg.core.types import Instances

__all__ = ["Leaking"]

_KEPT: list[np.ndarray[Any, Any]] = []


@dataclass(frozen=True)
class Leaking(Effect):
    """Keeps something of every frame."""

    kilobytes: int = 64
    remembers: ClassVar[bool] = True

    def __call__(self, canvas: Canvas, instances: Instances) -> None:
        """Draw nothing, and forget nothing."""
        _KEPT.append(np.ones(1024 * self.kilobytes, np.uint8))
