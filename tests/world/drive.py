"""The real stages behind the network, over the world: tracker, occlusion, events, scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Fix, Scene, Turn
from streamseg.events import EventDetector
from streamseg.occlusion import OcclusionEstimator
from streamseg.scene import SceneStage
from streamseg.track import Tracker
from tests.world.detector import Detector
from tests.world.truth import Truth
from tests.world.world import World

FOCUS = 3.0
"""Pixels: standard deviation of the told focus of expansion, anew in each frame."""


@dataclass
class Drive:
    """Iterate over it for (truth, result). `Pairs` say which instance is which road user."""

    world: World
    detector: Detector = field(default_factory=Detector)
    scene: SceneStage | None = None
    """None: one that knows the camera as it is."""
    told_turn: float | None = 0.0003
    """Radians: without pictures the camera's turn cannot be measured; it is told, with an error of this standard deviation.
    None: it is not told."""
    told_speed: bool = False
    """Whether the vehicle's speed is known, as from a receiver."""
    picture: Callable[[Truth], Truth] | None = None
    """A renderer."""

    def __iter__(self) -> Iterator[tuple[Truth, Result]]:
        stage = self._stage()
        tracker, occlusion = Tracker(), OcclusionEstimator()
        events = EventDetector()
        for known in self.world:
            truth = known if self.picture is None else self.picture(known)
            self._now = truth
            result = self.detector(truth)
            if not self.detector.ids:
                result = tracker(result)
            yield truth, stage(events(occlusion(result)))

    def _stage(self) -> SceneStage:
        stage = self.scene
        if stage is None:
            stage = SceneStage(self.world.camera, fixes=self._fix if self.told_speed else None)
        if self.picture is None and self.told_turn is not None:
            stage._turning = _Told(self, self.told_turn)  # type: ignore[assignment]
        return stage

    def _fix(self, result: Result) -> Fix:
        return Fix(0.0, 0.0, speed=self._now.own_speed)


class _Told:
    """Stands for `Turning`: the truth, with an error of known size."""

    def __init__(self, drive: Drive, std: float) -> None:
        self._drive, self._std = drive, std
        self._rng = np.random.default_rng(drive.detector.seed + 1)

    def __call__(self, result: Result, *given: object) -> Scene:
        scene = next(each for each in given if isinstance(each, Scene))
        truth = self._drive._now
        pitch, yaw, roll = (getattr(truth.turn, name) + self._rng.normal(0, self._std) for name in ("pitch", "yaw", "roll"))
        moves = truth.own_speed > 0.3
        h = truth.horizon
        at = np.array([h.x or 0.0, float(h.at(h.x or 0.0, truth.camera.cx))])
        x, y = self._rng.normal(at, FOCUS)
        focus = (float(x), float(y)) if moves else None
        return replace(scene, turn=Turn(pitch, yaw, roll, max(self._std, 1e-6), focus, float(moves), (FOCUS, FOCUS)))


def matched(truth: Truth, result: Result, least: float = 0.5, any_class: bool = False) -> dict[int, int]:
    """True id -> row of the instance that shows it: the best overlap of boxes, at least `least`, one each."""
    a, b = truth.boxes[:, None], result.boxes[None].astype(np.float64)
    both = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - both
    iou = both / np.maximum(union, 1e-6)
    if not any_class:
        iou = iou * (np.array(truth.names, object)[:, None] == np.array(result.names, object)[None])
    pairs = [(float(iou[i, j]), int(truth.ids[i]), int(j)) for i, j in zip(*np.nonzero(iou >= least), strict=True)]
    rows: dict[int, int] = {}
    for _, number, j in sorted(pairs, reverse=True):
        if number not in rows and j not in rows.values():
            rows[number] = j
    return rows


def camera_guessed(camera: CameraModel) -> CameraModel:
    """The same, as somebody would guess it who knows nothing but the picture's size: no height, focal length by 60 degrees."""
    return replace(camera, mounted=None, focal_std=0.2, source="guessed")
