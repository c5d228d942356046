"""Home Assistant finds each camera, and everything that it is told to look at is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streamseg.config.live_mqtt import MqttConfig
from streamseg.core.types import Activity
from streamseg.errors import ConfigError
from streamseg.live.tell.cameras_told import CamerasTold
from streamseg.live.tell.outbox import Outbox
from streamseg.live.tell.topics import level
from tests.unit.live.fakes import FakeControl
from tests.unit.live.tell.home_assistant_schema import DISCOVERY_TOPIC, SCHEMA


class Broker:
    """Remembers what is retained, as a broker does."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.sent: list[str] = []

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> int:
        assert retain
        self.sent.append(topic)
        self.retained[topic] = payload
        if not payload:
            del self.retained[topic]
        return len(self.sent)

    @property
    def devices(self) -> dict[str, Any]:
        return {topic: json.loads(payload) for topic, payload in self.retained.items() if topic.endswith("/config")}


class Shown:
    def __init__(self, zones: tuple[str, ...], lines: tuple[str, ...] = ()) -> None:
        counts = {"inside": 1, "entered": 1, "left": 0}
        self.activity = Activity({}, {}, {line: {"in": 1, "out": 0} for line in lines}, dict.fromkeys(zones, counts))


@pytest.fixture
def memory(tmp_path: Path) -> Any:
    outbox = Outbox(tmp_path / "a.sqlite")
    yield outbox
    outbox.close()


def made(memory: Outbox, cameras: FakeControl, **options: Any) -> tuple[CamerasTold, Broker]:
    config = MqttConfig(broker="mqtt://h", home_assistant=True, thumbnails=True, **options)
    return CamerasTold(config, cameras, memory), Broker()


NAMES = ["door", "Küche.1", "a.b", "a_b", "front door", "日本", "x/+#"]
"""Dots, spaces and other letters: Home Assistant takes letters, digits, _ and - alone, and says nothing to who sends others."""


def test_what_is_sent_is_what_is_documented(memory: Outbox) -> None:
    cameras = FakeControl({name: {"source": "0"} for name in NAMES})
    for name in NAMES:
        cameras.say(name, state="watching", now={"person": 1}, total={"person": 3, "traffic light": 1})
        cameras.feeds[name]._result = Shown(("Fußweg", "drive way"), ("gate.1",))  # type: ignore[assignment]
    told, broker = made(memory, cameras)
    told.thumbnails = dict.fromkeys(NAMES, b"\xff\xd8")
    told.begin(broker)
    assert len(broker.devices) == len(NAMES)
    identities = []
    for topic, device in broker.devices.items():
        assert re.fullmatch(DISCOVERY_TOPIC, topic)
        jsonschema.validate(device, SCHEMA, jsonschema.Draft202012Validator)
        identities += [entity["unique_id"] for entity in device["components"].values()]
        for entity in [device, *device["components"].values()]:
            read = [entity[key] for key in ("state_topic", "image_topic", "json_attributes_topic") if key in entity]
            read += [each["topic"] for each in entity.get("availability", ())]
            # Events are not retained: they are told when they happen.
            assert [t for t in read if t not in broker.retained and not t.endswith("/events") and t != "streamseg/status"] == []
    assert len(set(identities)) == len(identities)
    door = next(device for device in broker.devices.values() if device["device"]["name"] == "door")
    titles = {name: entity["name"] for name, entity in door["components"].items()}
    assert titles["count_person"] == "Person"
    assert titles[f"count_{level('traffic light')}"] == "Traffic light"
    assert titles[f"zone_{level('Fußweg')}"] == "Fußweg"
    assert titles[f"line_{level('gate.1')}_in"] == "gate.1: in"


def test_entities_come_before_what_they_show(memory: Outbox) -> None:
    """Else Home Assistant has no entity yet when the first state comes; retained states help only those that subscribe later."""
    cameras = FakeControl({"door": {"source": "0"}})
    cameras.say("door", state="watching", now={"person": 1})
    told, broker = made(memory, cameras)
    told.begin(broker)
    assert broker.sent[0].endswith("/config")


def test_a_zone_that_is_gone_is_taken_away_and_said_to_be_gone(memory: Outbox) -> None:
    cameras = FakeControl({"door": {"source": "0"}})
    cameras.say("door", state="watching")
    cameras.feeds["door"]._result = Shown(("step", "lawn"))  # type: ignore[assignment]
    told, broker = made(memory, cameras)
    told.begin(broker)
    cameras.feeds["door"]._result = Shown(("step",))  # type: ignore[assignment]
    told.tell(broker)
    (device,) = broker.devices.values()
    jsonschema.validate(device, SCHEMA, jsonschema.Draft202012Validator)
    assert device["components"]["zone_lawn"] == {"platform": "sensor"}
    assert "streamseg/door/zone/lawn" not in broker.retained
    assert broker.retained["streamseg/door/zone/step"] == b"1"


def test_nothing_is_sent_while_nothing_changes(memory: Outbox) -> None:
    cameras = FakeControl({"door": {"source": "0"}})
    cameras.say("door", state="watching", now={"person": 1})
    told, broker = made(memory, cameras)
    told.begin(broker)
    broker.sent.clear()
    for _ in range(8):
        told.tell(broker)
    assert broker.sent == []
    cameras.say("door", now={"person": 2})
    told.tell(broker)
    assert broker.sent == ["streamseg/door/count/person"]


def test_two_programs_at_one_broker_are_two_devices_each(memory: Outbox) -> None:
    devices = []
    for base in ("shop", "home"):
        told, broker = made(memory, FakeControl({"door": {"source": "0"}}), topic=base)
        told.begin(broker)
        devices += [*broker.devices]
    assert len(set(devices)) == 2


@pytest.mark.parametrize(
    ("name", "topic"),
    [("door", "door"), ("a_b", "a_b"), ("a.b", "a_b-2e7336"), ("Küche", "Kuche-a9ec87"), ("日本", "cf2abf")],
)
def test_names_become_levels_of_topics_and_two_stay_two(name: str, topic: str) -> None:
    """The characters behind are of the SHA-256 of the name, so that they are the same on every machine."""
    assert level(name) == topic


def test_many_names_make_as_many_topics() -> None:
    names = ["a.b", "a_b", "a b", "a/b", "a+b", "a#b", "ä.b", "...", "日本", "日木", ""]
    assert len({level(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"broker": "http://h"}, "is no broker"),
        ({"broker": "mqtt://user:pa ss@h"}, r"\*\*\*@h"),
        ({"broker": "h", "topic": "a/#"}, "is no topic"),
        ({"broker": "h", "topic": "/a"}, "is no topic"),
        ({"broker": "h", "password": 1234}, "not shown here"),
        ({"broker": "h", "key": "k.pem"}, "a key without `certificate`"),
        ({"broker": "h", "version": 4}, "allowed: 'auto', '5' or '3.1.1'"),
        ({"broker": "h", "brocker": 1}, "did you mean 'broker'"),
    ],
)
def test_what_cannot_be_is_refused_in_words(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        MqttConfig(**options)
    assert "1234" not in str(caught.value)


def test_user_and_password_of_the_address_or_beside_it() -> None:
    assert MqttConfig(broker="mqtts://cam:p%40ss@h").credentials == ("cam", "p@ss")
    assert MqttConfig(broker="h", user="cam", password="x").credentials == ("cam", "x")
    assert MqttConfig(broker="h").credentials is None
    assert (MqttConfig(broker="h").port, MqttConfig(broker="mqtts://h").port, MqttConfig(broker="h:99").port) == (
        1883,
        8883,
        99,
    )
