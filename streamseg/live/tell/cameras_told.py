"""What a broker knows of each camera, kept true: only what has changed is told, and what is no more is taken away."""

from __future__ import annotations

import json
from typing import Any, Protocol

from streamseg.config.live_mqtt import MqttConfig
from streamseg.core.types import Activity
from streamseg.errors import ConfigError
from streamseg.live.control import Control
from streamseg.live.news import CameraStatus
from streamseg.live.tell.event_json import as_json
from streamseg.live.tell.home_assistant import device_topic, discovery
from streamseg.live.tell.outbox import Outbox
from streamseg.live.tell.settings import SETTINGS
from streamseg.live.tell.topics import level, of_camera, status_json

__all__ = ["CamerasTold", "Publishes"]

_STATUS_EVERY = 10
"""The JSON of a camera, in which something changes with every frame, is told at every so many looks and changes of state."""


class Publishes(Protocol):
    """A connection."""

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> int:
        """Send it."""


class CamerasTold:
    """Used by one thread, but for `thumbnails`."""

    def __init__(self, config: MqttConfig, control: Control, memory: Outbox) -> None:
        """memory: keeps what is retained at the broker, so that cameras which are gone at the next start are taken away there."""
        self._config, self._control, self._memory = config, control, memory
        self._told: dict[str, dict[str, bytes]] = {}
        self._messages: dict[str, bytes] = {}
        self._looks = 0
        self.thumbnails: dict[str, bytes] = {}
        """The newest of each camera that is not told yet."""
        kept = _read(memory.noted("retained"))
        self._retained: set[str] = {str(topic) for topic in kept.get("topics", [])}
        self._entities: dict[str, dict[str, str]] = kept.get("entities", {})

    def begin(self, link: Publishes) -> None:
        """At a new connection, or where Home Assistant has begun anew: tell all of it, as if nothing had been told."""
        self._told, self._messages, self._looks = {}, {}, 0
        self.tell(link)

    def tell(self, link: Publishes) -> None:
        """Look at each camera, and tell what has changed."""
        before = set(self._retained)
        whole = self._looks % _STATUS_EVERY == 0
        self._looks += 1
        wanted = self._config.cameras
        cameras = [each for each in self._control.cameras() if wanted is None or each.name in wanted]
        for status in cameras:
            self._tell_one(link, status, whole)
        self._take_away({level(each.name) for each in cameras}, link)
        if before != self._retained:
            self._memory.note("retained", json.dumps({"topics": sorted(self._retained), "entities": self._entities}))

    def _tell_one(self, link: Publishes, status: CameraStatus, whole: bool) -> None:
        try:
            options = self._control.options(status.name)
            result = self._control.feed(status.name).latest()
        except ConfigError:  # it was removed just now
            return
        activity = None if result is None else result.activity
        root = f"{self._config.topic}/{level(status.name)}"
        if (told := self._told.get(status.name)) is None:
            # What the broker may still hold from before: to be told anew, or taken away.
            told = {topic.removeprefix(f"{root}/"): b"" for topic in self._retained if topic.startswith(f"{root}/")}
            self._told[status.name] = told
        now = of_camera(status, activity, told)
        if self._config.control:
            now |= {f"{each.name}/state": each.read(status, options).encode() for each in SETTINGS}
        if whole or now["state"] != told.get("state"):
            now["status"] = status_json(status, activity)
        if (thumbnail := self.thumbnails.pop(status.name, None)) is not None:
            now["thumbnail"] = thumbnail
        for topic in [topic for topic in told if topic not in now and topic not in ("status", "thumbnail")]:
            self._publish(link, f"{root}/{topic}", b"")
            del told[topic]
        if self._config.home_assistant:
            # First the entities, then what they show.
            self._discover(link, status, activity, {*told, *now})
        for topic, payload in now.items():
            if told.get(topic) != payload:
                self._publish(link, f"{root}/{topic}", payload)
                told[topic] = payload

    def _discover(self, link: Publishes, status: CameraStatus, activity: Activity | None, topics: set[str]) -> None:
        names = {*status.total, *status.now, *(self._config.classes or ())}
        if activity is not None:
            names |= {*activity.zones, *activity.lines, *(way for ways in activity.lines.values() for way in ways)}
        topic = device_topic(self._config.home_assistant, self._config.topic, status.name)
        message = discovery(
            self._config.topic,
            status.name,
            topics,
            {level(name): name for name in names},
            self._entities.get(topic, {}),
            control=self._config.control,
            thumbnails=self._config.thumbnails,
        )
        payload = as_json(message)
        if self._messages.get(topic) != payload:
            self._publish(link, topic, payload)
            self._messages[topic] = payload
            self._entities[topic] = {
                name: entity["platform"] for name, entity in message["components"].items() if len(entity) > 1
            }

    def _take_away(self, here: set[str], link: Publishes) -> None:
        """Topics of cameras that are no more, of this run or of one before it."""
        base, prefix = f"{self._config.topic}/", self._config.home_assistant
        devices = {device_topic(prefix, self._config.topic, name) for name in self._names(here)} if prefix else set()
        for topic in sorted(self._retained):
            at = topic.removeprefix(base).partition("/")[0] if topic.startswith(base) else None
            if topic not in devices and at not in here:
                self._publish(link, topic, b"")
                self._entities.pop(topic, None)
                self._messages.pop(topic, None)
        for name in [name for name in self._told if level(name) not in here]:
            del self._told[name]

    def _names(self, here: set[str]) -> list[str]:
        return [name for name in self._told if level(name) in here]

    def _publish(self, link: Publishes, topic: str, payload: bytes) -> None:
        link.publish(topic, payload, retain=True)
        if payload:
            self._retained.add(topic)
        else:
            self._retained.discard(topic)


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
