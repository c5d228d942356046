"""The section `scene` of a pipeline file, as far as it is about the way ahead."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from streamseg.cli.events import in_words
from streamseg.config.live_record import ClipOptions
from streamseg.config.live_tell import KINDS, parse_kinds
from streamseg.config.scene import SceneConfig
from streamseg.config.schema import PipelineConfig
from streamseg.core.types import EVENT_KINDS, ROAD_EVENTS
from streamseg.errors import ConfigError
from streamseg.live.keep.rows import KeptEvent
from streamseg.pipeline.configure import configure
from streamseg.scene import Road
from streamseg.scene.kinds import kind_of
from streamseg.scene.thresholds import PRESETS, RoadSettings, Thresholds


def scene(value):
    return PipelineConfig.model_validate({"scene": value}).scene


def test_on_is_as_usual():
    assert scene(True).watch
    usual, asked = RoadSettings(), scene(True)
    assert all(getattr(asked, name) == getattr(usual, name) for name in RoadSettings.__dataclass_fields__)
    assert not scene(False).watch


def test_who_sets_anything_of_it_wants_it():
    assert scene({"width": 2.2}).watch
    assert not scene({"width": 2.2, "watch": False}).watch
    assert not scene({}).watch


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (True, Thresholds()),
        ("on", Thresholds()),
        (False, None),
        ("off", None),
        (None, None),
        ("early", Thresholds("early")),
        ({"preset": "late", "car": 1.8}, Thresholds("late", {"car": 1.8})),
        ({"car": "2400ms", "person": "off", "dog": False}, Thresholds(times={"car": 2.4, "person": 0.0, "dog": 0.0})),
    ],
)
def test_alerts_as_people_write_them(said, meant):
    assert scene({"alerts": said}).alerts == meant


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"alerts": "nhtas"}, r"'nhtas' is no preset.*did you mean 'nhtsa'.*early, late"),
        ({"alerts": {"preset": 3}}, "3 is no preset"),
        ({"alerts": {"car": "soon"}}, "car: 'soon' is not a time.*off"),
        ({"alerts": {"car": -1}}, "car"),
        ({"alerts": {"car": 200}}, "car: 200 s is not allowed.*20 seconds"),
        ({"alerts": {"car": float("nan")}}, "car"),
        ({"alerts": [2.4]}, "write off, a preset"),
        ({"width": 0}, "width"),
        ({"hidden": "forever"}, "hidden"),
    ],
)
def test_what_is_wrong_is_refused_in_words(said, words):
    with pytest.raises(ConfigError, match=words):
        SceneConfig(**said)


def test_a_class_that_the_model_does_not_know_is_refused():
    road = Road(RoadSettings(alerts=Thresholds(times={"cart": 2.0})))
    with pytest.raises(ConfigError, match=r"scene: alerts: unknown class 'cart'.*did you mean 'car'"):
        road.check_classes(("person", "car"))


def test_each_kind_has_a_time_in_each_preset_and_vehicles_the_longest():
    for name in PRESETS:
        times = [Thresholds(name).of(each) for each in ("car", "bicycle", "person", "dog")]
        assert times == sorted(times, reverse=True)
    assert Thresholds().of("traffic light") is None
    assert Thresholds(times={"traffic light": 2.0}).of("traffic light") == 2.0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("car", "vehicle"),
        ("Truck", "vehicle"),
        ("construction_vehicle", "vehicle"),
        ("motorcycle", "cycle"),
        ("rider", "cycle"),
        ("pedestrian", "person"),
        ("Person_sitting", "person"),
        ("deer", "animal"),
        ("traffic light", None),
        ("potted plant", None),
    ],
)
def test_road_users_by_the_names_that_models_give_them(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("given", "watches"),
    [
        ({"scene": True}, True),
        ({"scene": False, "camera_height": 1.3}, False),
        ({"scene": True, "camera_height": 1.3}, True),
        ({"scene": {"alerts": "early"}, "camera_height": 1.3}, True),
        ({"pipeline": {"scene": True}, "scene": False}, False),
    ],
)
def test_the_option_switches_it_and_keeps_what_else_is_said(given, watches):
    scene = configure(given).scene
    assert scene.watch == watches
    assert scene.camera_height == given.get("camera_height")


def test_everywhere_kinds_of_events_are_listed_those_of_the_road_are():
    schema = json.loads(files("streamseg.encode.results").joinpath("results.schema.json").read_text())
    assert schema["$defs"]["event"]["properties"]["event"]["enum"] == list(EVENT_KINDS)
    assert {*ROAD_EVENTS, "state"} < set(KINDS)
    assert parse_kinds("near_miss, cut_in") == ("near_miss", "cut_in")
    assert set(ROAD_EVENTS) - {"hidden", "reappear"} < set(ClipOptions().events)
    page = files("streamseg.live.web").joinpath("static/js/events.js").read_text()
    assert set(EVENT_KINDS) <= set(re.findall(r"^    (\w+): `", page, re.M))
    said = {in_words(KeptEvent("1", "door", 0.0, kind, "car", 7)) for kind in ROAD_EVENTS}
    assert len(said) == len(ROAD_EVENTS)
    assert all("_" not in words and words.startswith("car#7 ") for words in said)
    docs = (Path(__file__).parents[3] / "docs/events.md").read_text()
    assert all(f"| `{kind}` |" in docs for kind in EVENT_KINDS)
