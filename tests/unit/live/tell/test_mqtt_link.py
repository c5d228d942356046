"""Brokers that do not do as they should: of another age, mute, or sending what is no MQTT. Each is lost, and nothing hangs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from streamseg.config.live_mqtt import MqttConfig
from streamseg.errors import ConfigError
from streamseg.live.tell import mqtt_link
from streamseg.live.tell.delivery import Later
from streamseg.live.tell.mqtt_link import Link
from tests.unit.live.tell.news import until

pytest.importorskip("paho.mqtt.client")


class Odd:
    """A server that answers each connection as the test says; `heard` is what each sent first."""

    def __init__(self, *answers: Callable[[socket.socket, bytes], None]) -> None:
        self.heard: list[bytes] = []
        self._answers = [*answers]
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self.heard.append(connection.recv(1024))
                answer(connection, self.heard[-1])
            except OSError:
                return

    def close(self) -> None:
        for each in (*self._open, self._listener):
            each.close()


def accept(connection: socket.socket, heard: bytes) -> None:
    version = heard[8]
    connection.sendall(bytes([0x20, 3, 0, 0, 0]) if version == 5 else bytes([0x20, 2, 0, 0]))


def refuse_version(connection: socket.socket, heard: bytes) -> None:
    connection.sendall(bytes([0x20, 2, 0, 1]))
    connection.close()


def garbage(*sent: int) -> Callable[[socket.socket, bytes], None]:
    def answer(connection: socket.socket, heard: bytes) -> None:
        accept(connection, heard)
        time.sleep(0.05)
        connection.sendall(bytes(sent))

    return answer


def mute(connection: socket.socket, heard: bytes) -> None:
    """Says nothing at all."""


def link(server: Odd, **options: Any) -> Link:
    return Link(MqttConfig(broker=f"127.0.0.1:{server.port}", **options), "me", "streamseg/status", [], threading.Condition())


def test_a_broker_that_knows_no_version_5_is_asked_in_3(ended: list[Any]) -> None:
    server = Odd(refuse_version, accept)
    ended.append(server)
    made = link(server)
    ended.append(made)
    assert [heard[8] for heard in server.heard] == [5, 4]
    assert made.is_open
    other = Odd(refuse_version)
    ended.append(other)
    with pytest.raises(Later, match="protocol version"):
        link(other, version="5")


def test_a_broker_that_says_nothing_is_given_up(ended: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_link, "_CONNECT_TIMEOUT", 0.2)
    server = Odd(mute)
    ended.append(server)
    begun = time.monotonic()
    with pytest.raises(Later, match="did not answer"):
        link(server)
    assert time.monotonic() - begun < 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "sent", [(0x00, 0x00), (0xFF, 0x03, 1, 2, 3), (0x90, 0x02, 0, 0), (0x30, 0x02, 0xFF, 0xFF), (0x40, 0x01, 7)]
)
def test_what_is_no_mqtt_is_a_loss(ended: list[Any], sent: tuple[int, ...]) -> None:
    server = Odd(garbage(*sent))
    ended.append(server)
    made = link(server)
    ended.append(made)
    until(lambda: not made.is_open, 5)
    assert made.lost


def test_files_that_are_no_certificates_are_said(ended: list[Any], tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"cannot use the certificates or the key \(.*ca\.pem"):
        Link(MqttConfig(broker="mqtts://127.0.0.1:9", ca=str(tmp_path / "ca.pem")), "me", "s", [], threading.Condition())
