"""A real Mosquitto on a free port of loopback, which can be killed, stopped and started again; and a client that remembers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = [
    pytest.mark.long,
    pytest.mark.skipif(MOSQUITTO is None, reason="needs a real broker: Debian's package mosquitto"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """`lines` go into its configuration."""

    def __init__(self, folder: Path, *lines: str, port: int | None = None) -> None:
        self.port, self._process = port or free_port(), None
        store = folder / "mosquitto"
        store.mkdir(exist_ok=True)
        self._config = folder / "mosquitto.conf"
        settings = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {store}/", "log_dest none"]
        settings.append("max_queued_messages 100000")
        if not any(line.startswith("allow_anonymous") for line in lines):
            settings.append("allow_anonymous true")
        if os.geteuid() == 0:
            settings.append("user root")
        self._config.write_text("\n".join([*settings, *lines]) + "\n")

    def start(self) -> Broker:
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._config)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return self
            assert self._process.poll() is None, "mosquitto ended"
            assert time.monotonic() < end, "mosquitto does not listen"
            time.sleep(0.02)

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            if number in (signal.SIGKILL, signal.SIGTERM):
                self._process.wait(10)
                self._process = None

    def close(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()


AT_ONCE = ("autosave_on_changes true", "autosave_interval 1", "max_inflight_messages 0")
"""What changes is saved soon, and what comes is handed on before it is acknowledged. Slow."""


class Listener:
    """Subscribes, in a session that the broker keeps, and comes back whenever it can."""

    def __init__(self, port: int, topic: str = "#", client_id: str = "listener", clean: bool = False, **tls: Any) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean)
        self.client.reconnect_delay_set(1, 1)
        if "ca" in tls:
            self.client.tls_set(tls["ca"])
        if "user" in tls:
            self.client.username_pw_set(tls["user"], tls["password"])
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _c, _d, message: self.messages.append((message.topic, message.payload, message.retain))
        self.client.connect("localhost" if tls.get("ca") else "127.0.0.1", port, 10)
        self.client.loop_start()
        assert self._subscribed.wait(10)

    def of(self, end: str) -> list[bytes]:
        return [payload for topic, payload, _ in self.messages if topic.endswith(end)]

    def last(self, topic: str) -> bytes | None:
        return next((payload for name, payload, _ in reversed(self.messages) if name == topic), None)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.of("/events")]

    def say(self, topic: str, text: str, retain: bool = False) -> None:
        self.client.publish(topic, text, 1, retain).wait_for_publish(5)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        # Without a circle of references the client closes its sockets when it is dropped.
        self.client.on_connect = self.client.on_subscribe = self.client.on_message = None
