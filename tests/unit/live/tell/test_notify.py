"""Apprise brings messages to a real receiver; what it does not take waits, and no address is ever shown."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from streamseg.config.live_notify import NotifyConfig
from streamseg.errors import ConfigError
from streamseg.live.bus import Bus
from streamseg.live.news import Warned
from streamseg.live.tell.delivery import Backoff
from streamseg.live.tell.notify import Notify
from tests.unit.live.tell.news import happened, until
from tests.unit.live.tell.test_webhook import Receiver

pytest.importorskip("apprise")
pytestmark = pytest.mark.filterwarnings(
    "ignore:'imghdr' is deprecated:DeprecationWarning"
)  # one of Apprise's services imports it


def begin(ended: list[Any], folder: Path, **options: Any) -> tuple[Bus, Notify]:
    bus = Bus()
    config = NotifyConfig(**options)
    notify = Notify(config, config.to[0], bus, folder, "1", Backoff(0.01, 0.05))
    ended.append(notify)
    notify.start()
    return bus, notify


def test_a_message_with_its_picture_arrives(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver()
    ended.append(receiver)
    to = [f"json://user:hush@127.0.0.1:{receiver.port}/hook"]
    bus, notify = begin(ended, tmp_path, to=to, title="At $camera", text="$class $event ($direction) $state at $place")
    bus.publish(happened(1, thumbnail=b"\xff\xd8jpeg"))
    until(lambda: notify.delivery.sent == 1)
    (message,) = receiver.data
    assert (message["title"], message["message"]) == ("At door", "person cross (in) at step")
    assert base64.b64decode(message["attachments"][0]["base64"]) == b"\xff\xd8jpeg"


def test_what_is_not_taken_waits_and_its_address_is_not_shown(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver(["500", "500"])
    ended.append(receiver)
    bus, notify = begin(ended, tmp_path, to=[f"json://user:hush@127.0.0.1:{receiver.port}/k3y"])
    warnings = bus.subscribe(Warned)
    for number in (1, 2):
        bus.publish(happened(number))
    until(lambda: notify.delivery.sent == 2)
    assert notify.delivery.failures == 2
    said = warnings.get(1)
    assert isinstance(said, Warned)
    assert "did not take a message" in said.text
    assert "hush" not in said.text
    assert "k3y" not in said.text
    assert b"hush" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_one_message_a_camera_in_a_time(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver()
    ended.append(receiver)
    bus, notify = begin(ended, tmp_path, to=[f"json://127.0.0.1:{receiver.port}"], every="1h")
    for number, camera in enumerate(("door", "door", "yard", "door")):
        bus.publish(happened(number, camera=camera))
    until(lambda: notify.delivery.sent == 2 and notify.left_out == 2)
    assert [message["title"] for message in receiver.data] == ["door", "yard"]


def test_old_news_is_not_told(tmp_path: Path, ended: list[Any]) -> None:
    receiver = Receiver(["500"] * 100)
    ended.append(receiver)
    bus, notify = begin(ended, tmp_path, to=[f"json://127.0.0.1:{receiver.port}"], max_age=0.2)
    bus.publish(happened())
    until(lambda: notify.delivery.failures > 0)
    time.sleep(0.25)
    until(lambda: len(notify.outbox) == 0 or notify.outbox.first() == [])
    assert notify.outbox.dropped == 1


def test_an_address_that_is_none_is_said_without_showing_it(tmp_path: Path, ended: list[Any]) -> None:
    config = NotifyConfig(to=["nosuch://hush@h"])
    with pytest.raises(ConfigError, match="notify 1: its address") as caught:
        Notify(config, config.to[0], Bus(), tmp_path, "1").start()
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigError, match="did you mean 'camera'"):
        NotifyConfig(to=["json://h"], title="$camra")
