"""The way ahead: the ego corridor, who is in it, who leads, who is hidden; alerts, and what happens."""

from __future__ import annotations

from streamseg.core.result import Result
from streamseg.core.scene import Scene
from streamseg.core.types import Event

__all__ = ["Road"]


class Road:
    """Sets `in_path`, `lead`, `corridor`, `hidden` and `alert`, and tells events."""

    def __call__(self, result: Result, scene: Scene) -> tuple[Scene, tuple[Event, ...]]:
        """Look at one frame, of which all else is known."""
        return scene, ()
