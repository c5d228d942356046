"""Tells an MQTT broker how the cameras are and what they see, and does what is asked through it.

States are retained and told anew at each connection. Events wait on disk until the broker has taken them (QoS 1): one that is sent
twice, since the connection broke before the broker's answer, has the same `id`.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from pathlib import Path
from typing import Any

from streamseg.config.live_mqtt import MqttConfig
from streamseg.errors import ConfigError, StreamsegError
from streamseg.live.control import Control
from streamseg.live.tell.cameras_told import CamerasTold
from streamseg.live.tell.collect import Collector, Complaints
from streamseg.live.tell.delivery import Backoff, Later
from streamseg.live.tell.event_json import as_json
from streamseg.live.tell.mqtt_link import Command, Link, need_paho
from streamseg.live.tell.outbox import Outbox
from streamseg.live.tell.settings import SETTINGS
from streamseg.live.tell.topics import level

__all__ = ["Mqtt"]

_WINDOW = 20
"""Events that are on their way at once."""
_STEADY = 30.0
"""Seconds after which a connection counts as good: one that is lost sooner is made again more and more slowly."""
_SHORT = 5.0
"""One that is lost sooner than this was ended on purpose, if it happens again and again."""


class Mqtt:
    """A service: `start`, `stop`."""

    def __init__(self, config: MqttConfig, control: Control, folder: Path, backoff: Backoff | None = None) -> None:
        """folder: of its outbox. Raises OutputError, and MissingExtra without paho-mqtt."""
        need_paho()
        self._config, self._control = config, control
        self.name = f"mqtt {config.host}:{config.port}"
        self._say = Complaints(control.bus)
        digest = hashlib.sha256(f"{config.host}:{config.port}/{config.topic}".encode()).hexdigest()[:12]
        self.outbox = Outbox(folder / f"mqtt-{digest}.sqlite", config.queue, config.max_age, self._say)
        self.collector = Collector(control.bus, self._take, self.name, self._say)
        unique = hashlib.sha256(f"{socket.gethostname()} {self.outbox.path.absolute()}".encode()).hexdigest()[:8]
        self._client_id = config.client_id or f"streamseg-{unique}"
        self._backoff = backoff or Backoff()
        self._changed = threading.Condition()
        self._new_letters = False
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._told = CamerasTold(config, control, self.outbox)
        self._short_lived = 0
        self._in_flight: dict[int, Any] = {}
        self._last_sent = 0
        self._trouble_since = 0.0
        self.sent = 0
        """Events that the broker has taken."""
        self.failures = 0
        """Connections that were refused, or lost before they were good."""
        self.connected = False

    def start(self) -> None:
        """Begin; a broker that is away is tried again. Raises ConfigError for secrets and certificates that cannot be read."""
        _ = self._config.credentials
        self._thread.start()
        self.collector.start()

    def stop(self, timeout: float) -> None:
        """Send what can be sent, say `offline`, and end; what has not arrived is kept for the next start."""
        self.collector.stop(timeout / 4)
        with self._changed:
            self._stop_at = time.monotonic() + timeout / 2
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout * 0.7)
        self.outbox.close()

    def _take(self, data: dict[str, Any], thumbnail: bytes) -> None:
        if not self._config.wants(data):
            return
        # `event_type` is what Home Assistant's event entities read.
        body = data | {"event_type": data["event"]}
        self.outbox.put(data["id"], as_json(body), f"{self._config.topic}/{level(data['camera'])}/events")
        with self._changed:
            if thumbnail and self._config.thumbnails:
                self._told.thumbnails[data["camera"]] = thumbnail
            self._new_letters = True
            self._changed.notify_all()

    def _run(self) -> None:
        while self._stop_at is None:
            begun = time.monotonic()
            try:
                link = Link(self._config, self._client_id, f"{self._config.topic}/status", self._subscriptions(), self._changed)
            except (Later, ConfigError) as error:
                self._failed(str(error))
            else:
                self._serve(link)
                if link.lost and self._stop_at is None:
                    self._lost(link, time.monotonic() - begun)
            wait = self._backoff.next()
            with self._changed:
                self._changed.wait_for(lambda: self._stop_at is not None, wait)

    def _lost(self, link: Link, lived: float) -> None:
        if lived >= _STEADY:
            self._backoff.reset()
        self._short_lived = self._short_lived + 1 if lived < _SHORT else 0
        self._failed(link.lost)
        # Not every broker says so.
        if link.taken_over or self._short_lived == 3:
            self._say(
                f"{self.name}: connections are ended as soon as they are made; is another program connected with the client id "
                f"{self._client_id}? Give each its own `topic` and `client_id`"
            )

    def _subscriptions(self) -> list[str]:
        topics = [f"{self._config.topic}/+/{each.name}/set" for each in SETTINGS] if self._config.control else []
        return topics + ([f"{self._config.home_assistant}/status"] if self._config.home_assistant else [])

    def _serve(self, link: Link) -> None:
        """Until it is lost or the end has come."""
        self.connected = True
        self._in_flight, self._last_sent = {}, 0
        link.publish(f"{self._config.topic}/status", b"online", qos=1, retain=True)
        self._told.begin(link)
        begun, due = time.monotonic(), 0.0
        try:
            while self._stop_at is None and link.is_open:
                if time.monotonic() >= due:
                    self._told.tell(link)
                    due = time.monotonic() + self._config.interval
                self._post(link)
                self._obey(link)
                if time.monotonic() - begun >= _SHORT:
                    self._works()
                with self._changed:
                    self._changed.wait_for(lambda: self._news(link), max(0.0, due - time.monotonic()))
                    self._new_letters = False
            if self._stop_at is not None and not link.lost:
                self._say_goodbye(link, self._stop_at)
        finally:
            self.connected = False
            link.close()

    def _news(self, link: Link) -> bool:
        waiting = self._new_letters or link.arrived or link.refused or link.commands or link.cannot_subscribe
        return bool(waiting) or bool(link.lost) or self._stop_at is not None

    def _post(self, link: Link) -> None:
        """Forget what has arrived, and send what waits, so that no more than a window of it is on its way."""
        for mid in _emptied(link.arrived):
            letter = self._in_flight.pop(mid, None)
            if letter is not None:
                self.outbox.done(letter)
                self.sent += 1
                self._works()
        for mid, why in _emptied(link.refused):
            if self._in_flight.pop(mid, None) is not None:
                # Kept: whoever may write to the broker may be changed there. The connection ends so that it is tried later.
                link.lost = link.lost or f"does not take an event ({why})"
        for letter in self.outbox.first(_WINDOW - len(self._in_flight), self._last_sent) if not link.lost else ():
            self._in_flight[link.publish(letter.topic, letter.body, qos=1)] = letter
            self._last_sent = letter.number

    def _obey(self, link: Link) -> None:
        for topic in _emptied(link.cannot_subscribe):
            self._say(f"{self.name}: does not let us subscribe to {topic}: what is asked there is not heard")
        for command in _emptied(link.commands):
            if command.topic == f"{self._config.home_assistant}/status":
                if command.text == "online" and not command.retained:
                    self._told.begin(link)
                continue
            self._do(link, command)

    def _do(self, link: Link, command: Command) -> None:
        at, name, _ = command.topic.removeprefix(f"{self._config.topic}/").split("/")
        camera = next((each.name for each in self._control.cameras() if level(each.name) == at), None)
        setting = next(each for each in SETTINGS if each.name == name)
        if command.retained:
            self._say(f"{self.name}: {command.topic} is retained there, and was not done: it is older than this connection")
            return
        if camera is None:
            self._say(f"{self.name}: {command.topic}: there is no such camera")
            return
        try:
            setting.write(self._control, camera, command.text)
        except StreamsegError as error:
            link.publish(f"{self._config.topic}/{at}/error", str(error).encode(), qos=1)
            self._say(f"{self.name}: {camera} is left as it is: {error}")
        self._told.tell(link)

    def _say_goodbye(self, link: Link, stop_at: float) -> None:
        """A clean end does not make the broker say `offline` for us."""
        while time.monotonic() < stop_at and link.is_open and len(self.outbox):
            self._post(link)
            with self._changed:
                self._changed.wait_for(
                    lambda: bool(link.arrived or link.refused or link.lost), max(0.0, stop_at - time.monotonic())
                )
        mid = link.publish(f"{self._config.topic}/status", b"offline", qos=1, retain=True)
        with self._changed:
            self._changed.wait_for(lambda: mid in link.arrived or bool(link.lost), max(0.1, stop_at - time.monotonic()))

    def _failed(self, reason: str) -> None:
        self.failures += 1
        if not self._trouble_since:
            self._trouble_since = time.monotonic()
            self._say(f"{self.name}: {reason}; events wait for it on disk")

    def _works(self) -> None:
        if self._trouble_since:
            self._say(f"{self.name}: takes messages again, after {time.monotonic() - self._trouble_since:.0f} s")
            self._trouble_since = 0.0


def _emptied(queue: Any) -> list[Any]:
    """All that is in a deque or list now, which is then empty; others may add to it meanwhile."""
    found = []
    while queue:
        found.append(queue.popleft() if hasattr(queue, "popleft") else queue.pop(0))
    return found
