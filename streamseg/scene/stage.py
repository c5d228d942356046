"""The scene stage: adds `scene` to each result, and what happened on the road to its events.

Four parts look one after the other, each a module, each given what those before it found:

1. `turn`: how the camera turned since the frame before, and where it goes.
2. `growth`: how fast each road user's picture grows, which is one over the time to collision.
3. `ground`: the horizon, and from it where on the road each stands, and how fast it moves there.
4. `road`: the way ahead, who is in it, who leads, who is hidden, alerts and events.

Before them, what was found on the own bonnet, on dirt or in a burned-in text (`static`) is left out. Of a camera that stands for
long nothing is known (`rest`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Fix, Scene
from streamseg.scene.grey import Greys
from streamseg.scene.ground import Ground
from streamseg.scene.growth import Growth
from streamseg.scene.rest import Rest
from streamseg.scene.road import Road
from streamseg.scene.static import Static
from streamseg.scene.turn import Turning

__all__ = ["SceneStage"]


class SceneStage:
    """Frames must come in the order of their pts; a new epoch begins anew."""

    def __init__(
        self,
        camera: CameraModel | None = None,
        *,
        road: Road | None = None,
        fixes: Callable[[Result], Fix | None] | None = None,
    ) -> None:
        """`camera`: as far as it is known; `fixes`: gives what a receiver said at a frame's time."""
        self._camera, self._fixes = camera, fixes
        greys = Greys()
        self._static = Static(greys)
        self._turning, self._growth, self._ground = Turning(camera, greys), Growth(camera, greys), Ground(camera)
        self._road = Road() if road is None else road
        self._rest = Rest(never=fixes is not None or (camera is not None and camera.mounted is not None))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_fixes": None}  # a function, of which the stage that goes on has its own

    def given_as(self, made: SceneStage) -> None:
        """Take what `made` was given, of a stage that goes on where another one was frozen."""
        self._fixes = made._fixes

    def __call__(self, result: Result) -> Result:
        """Look at one frame."""
        if self._rest.now(result):
            return self._glance(result)
        result = self._static.without(result)
        fix = None if self._fixes is None else self._fixes(result)
        scene = replace(Scene.unknown(len(result)), fix=fix, own_speed=None if fix is None else fix.speed)
        scene = self._turning(result, scene)
        self._rest.learn(result, scene.turn)
        self._static.learn(result, scene.turn)
        scene = self._growth(result, scene)
        scene = self._ground(result, scene)
        looked, events = self._road(result, scene)
        if self._rest.drives(result):
            scene = looked
        else:
            events = ()
        activity = result.activity
        if activity is not None and events:
            activity = replace(activity, events=(*activity.events, *events))
        return replace(result, scene=scene, activity=activity)

    def _glance(self, result: Result) -> Result:
        """A frame of a camera that rests: nothing is said of it."""
        unknown = Scene.unknown(len(result))
        if self._rest.looks(result):
            self._rest.learn(result, self._turning(result, unknown).turn)
        return replace(result, scene=unknown)
