"""What was worked out for instances is kept while nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from streamseg.core.result import Result
from streamseg.core.types import Instances

__all__ = ["Held"]


class Held:
    """A stage around another that improves instances: in a still frame it gives those of the frame before again."""

    def __init__(self, stage: Callable[[Result], Result]) -> None:
        self._stage = stage
        self._taken: Instances | None = None
        self._given: Instances | None = None

    def __call__(self, result: Result) -> Result:
        """The result with better instances."""
        if result.still and result.instances is self._taken and self._given is not None:
            return replace(result, instances=self._given)
        better = self._stage(result)
        self._taken, self._given = result.instances, better.instances
        return better
