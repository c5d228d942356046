"""How the camera turned from frame to frame, and where it goes: from points of the picture that belong to no road user."""

from __future__ import annotations

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Scene

__all__ = ["Turning"]


class Turning:
    """Sets `turn`."""

    def __init__(self, camera: CameraModel | None) -> None:
        self._camera = camera

    def __call__(self, result: Result, scene: Scene) -> Scene:
        """Look at one frame."""
        return scene
