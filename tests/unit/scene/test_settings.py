"""The section `scene` of a pipeline file, as far as it is about the way ahead."""

import pytest

from streamseg.config.scene import SceneConfig
from streamseg.config.schema import PipelineConfig
from streamseg.errors import ConfigError
from streamseg.scene import Road
from streamseg.scene.kinds import kind_of
from streamseg.scene.thresholds import PRESETS, RoadSettings, Thresholds


def scene(value):
    return PipelineConfig.model_validate({"scene": value}).scene


def test_on_is_as_usual():
    assert scene(True).watch
    assert scene(True).road == RoadSettings()
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
