"""What can be set by a text, and what it then is."""

from __future__ import annotations

from typing import Any

import pytest

from streamseg.errors import ConfigError
from streamseg.live.config import CameraConfig
from streamseg.live.tell.settings import SETTINGS
from tests.unit.live.fakes import FakeControl

BY_NAME = {each.name: each for each in SETTINGS}


def cameras(**options: Any) -> FakeControl:
    return FakeControl({"door": {"source": "0"} | options})


def so(control: FakeControl, name: str) -> str:
    return BY_NAME[name].read(control.cameras()[0], control.options("door"))


def test_recording_comes_back_as_it_was() -> None:
    """OFF and ON again must not turn clips alone into recording all the time."""
    asked = {"continuous": False, "clips": {"before": 3}}
    control = cameras(record=asked)
    assert so(control, "record") == "ON"
    BY_NAME["record"].write(control, "door", "OFF")
    BY_NAME["record"].write(control, "door", "OFF")
    assert (so(control, "record"), control.options("door")["record"]) == ("OFF", False)
    BY_NAME["record"].write(control, "door", "ON")
    BY_NAME["record"].write(control, "door", "ON")
    assert control.options("door")["record"] == asked
    never = cameras()
    BY_NAME["record"].write(never, "door", "ON")
    assert never.options("door")["record"] is True


@pytest.mark.parametrize(
    ("name", "asked", "option"),
    [
        ("conf", " 0.35 ", {"conf": 0.35}),
        ("conf", "default", {}),
        ("classes", "person, car,", {"classes": ["person", "car"]}),
        ("classes", "all", {}),
        ("detect_every", "3", {"detect_every": 3}),
        ("detect_every", "AUTO", {"detect_every": "auto"}),
        ("motion", "1", {"motion": True}),
    ],
)
def test_a_text_becomes_an_option_that_a_camera_takes(name: str, asked: str, option: dict[str, Any]) -> None:
    control = cameras(conf=0.5)
    BY_NAME[name].write(control, "door", asked)
    found = control.options("door")
    assert {key: found[key] for key in option} == option
    if not option:
        assert name not in found
    CameraConfig(**{key: value for key, value in found.items() if key != "motion" or "motion" in CameraConfig.model_fields})


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("conf", "0,5"),
        ("conf", "-1"),
        ("conf", "inf"),
        ("detect_every", "0"),
        ("detect_every", "101"),
        ("pause", ""),
        ("motion", "2"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(name: str, asked: str) -> None:
    control = cameras(conf=0.5)
    before = control.options("door")
    with pytest.raises(ConfigError, match=name):
        BY_NAME[name].write(control, "door", asked)
    assert control.options("door") == before
