"""A camera that stands for long costs next to nothing, and is looked at again as soon as it sets off."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.scene import CameraModel, Fix, Scene, Turn
from streamseg.core.types import Activity, Event, Frame, Instances
from streamseg.scene import SceneStage
from streamseg.scene.rest import LIGHTS
from tests import clips

RATE = 25


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """Times at which each part looked; how the camera moves is said by `moves`, time -> probability."""
    looked: dict[str, list[float]] = {"turn": [], "growth": []}
    moves: dict[str, object] = {"at": lambda time: 0.0}

    def turning(self, result: Result, scene: Scene) -> Scene:
        looked["turn"].append(result.frame.time)
        moving = moves["at"](result.frame.time)
        return scene if moving is None else replace(scene, turn=Turn(0, 0, 0, 0.001, None, moving))

    def growth(self, result: Result, scene: Scene) -> Scene:
        looked["growth"].append(result.frame.time)
        return scene

    monkeypatch.setattr("streamseg.scene.stage.Turning.__call__", turning)
    monkeypatch.setattr("streamseg.scene.stage.Growth.__call__", growth)
    looked["moves"] = moves  # type: ignore[assignment]
    return looked


def watch(stage: SceneStage, begin: float, end: float, epoch: int = 0) -> list[Result]:
    picture = clips.picture(0)
    numbers = range(round(begin * RATE), round(end * RATE))
    results = [
        Result(Frame(picture, k, k, Fraction(1, RATE), epoch=epoch), Instances.empty(("car",)), None, Activity({}, {}, {}, {}))
        for k in numbers
    ]
    return [stage(result) for result in results]


def test_a_camera_that_stands_is_looked_at_now_and_then(seen) -> None:
    results = watch(SceneStage(), 0, 20)
    assert max(seen["growth"]) <= 1.6
    assert len(seen["turn"]) < 40 + 5 * 20
    assert all(result.scene is not None and len(result.scene.growth) == 0 for result in results)


def test_it_wakes_when_it_sets_off_and_waits_at_lights(seen) -> None:
    seen["moves"]["at"] = lambda time: 1.0 if 10 <= time < 12 else 0.0
    watch(SceneStage(), 0, 10 + LIGHTS + 20)
    awake = [time for time in seen["growth"] if time > 2]
    assert 10 <= awake[0] <= 10.4
    assert awake[-1] == pytest.approx(12 + LIGHTS, abs=0.5)


def test_night_is_no_rest(seen) -> None:
    """Where nothing can be told of the motion, it may drive."""
    seen["moves"]["at"] = lambda time: None
    watch(SceneStage(), 0, 10)
    assert seen["growth"][-1] > 9.9


def test_who_says_that_it_drives_is_believed(seen) -> None:
    camera = CameraModel(96, 64, 80, 80, 48, 32, mounted=1.3)
    for stage in (SceneStage(camera), SceneStage(fixes=lambda result: Fix(52.5, 13.4))):
        seen["growth"].clear()
        watch(stage, 0, 5)
        assert len(seen["growth"]) == 5 * RATE


def test_a_new_epoch_is_looked_at_anew(seen) -> None:
    stage = SceneStage()
    watch(stage, 0, 5)
    seen["growth"].clear()
    watch(stage, 5, 8, epoch=1)
    assert seen["growth"][0] == 5
    assert seen["growth"][-1] <= 6.6
    assert np.isfinite(seen["growth"]).all()


class Alarm:
    """A road on which something is always the matter."""

    def __call__(self, result: Result, scene: Scene) -> tuple[Scene, tuple[Event, ...]]:
        return replace(scene, lead=7), (Event("alert", result.frame.time, 7, "car"),)


def test_nothing_happens_on_a_road_before_a_camera_on_a_wall(seen) -> None:
    """Who walks up to a camera in a room is no near miss, also where its motion cannot be told."""
    for moving in (0.0, None):
        seen["moves"]["at"] = lambda time, moving=moving: moving
        results = watch(SceneStage(road=Alarm()), 0, 4)  # type: ignore[arg-type]
        assert not any(result.activity.events or result.scene.lead for result in results)
    seen["moves"]["at"] = lambda time: 1.0 if time > 1 else 0.0
    results = watch(SceneStage(road=Alarm()), 0, 4)  # type: ignore[arg-type]
    assert [bool(result.activity.events) for result in results] == [k > 25 for k in range(100)]
