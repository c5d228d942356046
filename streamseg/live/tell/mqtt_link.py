"""One connection to an MQTT broker, from its beginning to its end. What comes over it waits in queues that the service empties.

Nothing is kept from one connection to the next: what has to arrive waits in the outbox, and is sent again there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamseg.config.live_mqtt import MqttConfig
from streamseg.errors import ConfigError, MissingExtra, scrub
from streamseg.live.tell.delivery import Later

if TYPE_CHECKING:
    from paho.mqtt.client import Client

__all__ = ["Command", "Link", "need_paho"]

_CONNECT_TIMEOUT = 10.0
_GOODBYE = 0.5
_MOST_COMMANDS = 200
_MOST_PAYLOAD = 4096


def need_paho() -> None:
    """Raises MissingExtra where the library is not installed."""
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError as error:
        raise MissingExtra("paho-mqtt", "mqtt") from error


@dataclass(frozen=True, slots=True)
class Command:
    """A message that came to one of our topics."""

    topic: str
    text: str
    retained: bool
    """The broker had it before we came."""


class Link:
    """Connects when it is made. `changed` is notified at everything that comes; what came is read under its lock."""

    def __init__(
        self, config: MqttConfig, client_id: str, will_topic: str, subscribe: list[str], changed: threading.Condition
    ) -> None:
        """Raises Later where the broker cannot be reached or refuses us, ConfigError for files that cannot be read."""
        self.changed = changed
        self.lost = ""
        """Why the connection is gone."""
        self.taken_over = False
        """Another client of the same id has come."""
        self.arrived: deque[int] = deque()
        """Ids of messages that the broker has taken."""
        self.refused: deque[tuple[int, str]] = deque()
        """Of those that it has not, and why."""
        self.commands: deque[Command] = deque(maxlen=_MOST_COMMANDS)
        self.cannot_subscribe: list[str] = []
        self._subscribe, self._client_id = subscribe, client_id
        self._answered = ""
        credentials = config.credentials
        versions = ["5", "3.1.1"] if config.version == "auto" else [config.version]
        for version in versions:
            self._client = self._make(config, version, will_topic)
            if credentials is not None:
                self._client.username_pw_set(*credentials)
            if self._connect(config, version) or version == versions[-1]:
                break
        if self._answered != "ok":
            self.close()
            raise Later(self._answered or f"did not answer within {_CONNECT_TIMEOUT:g} s")

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> int:
        """Hand it over to be sent; its id, which `arrived` will have for a qos of 1."""
        return int(self._client.publish(topic, payload, qos, retain).mid)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent. A library's thread that has died counts as a loss."""
        if not self.lost and not any(
            thread.name == self._thread_name and thread.is_alive() for thread in threading.enumerate()
        ):
            self._end("the connection broke off")
        return not self.lost

    def close(self) -> None:
        """Say good-bye, if anybody listens. Returns within a moment."""
        self._client.disconnect()
        with self.changed:
            self.changed.wait_for(lambda: bool(self.lost), _GOODBYE)
        # What cannot be sent by now is not waited for: a broker that does not read would hold us for ever.
        connection = self._client.socket()
        if connection is not None:
            with contextlib.suppress(OSError), _twin(connection) as twin:
                twin.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()
        # Without a circle of references the library closes what it has open when it is dropped.
        client = self._client
        client.on_connect = client.on_disconnect = client.on_publish = client.on_subscribe = client.on_message = None

    @property
    def _thread_name(self) -> str:
        return f"paho-mqtt-client-{self._client_id}"

    def _make(self, config: MqttConfig, version: str, will_topic: str) -> Client:
        from paho.mqtt.client import Client, MQTTv5, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion

        sockets = config.parts.scheme in ("ws", "wss")
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            # Nothing that was asked while we were away is done long after.
            clean_session=True if version == "3.1.1" else None,
            protocol=MQTTv5 if version == "5" else MQTTv311,
            transport="websockets" if sockets else "tcp",
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT
        if sockets:
            client.ws_set_options(path=config.parts.path or "/mqtt")
        if config.encrypted:
            client.tls_set_context(_context(config))
        client.will_set(will_topic, b"offline", qos=1, retain=True)
        # Else each small message waits for the broker's kernel to have acknowledged the one before it: 40 ms.
        client.on_socket_open = lambda _client, _data, opened: _at_once(opened)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_subscribe, client.on_message = self._on_publish, self._on_subscribe, self._on_message
        return client

    def _connect(self, config: MqttConfig, version: str) -> bool:
        """Whether the broker has answered, be it yes or no. False: it does not know the protocol's version."""
        self._answered = self.lost = ""
        try:
            if version == "5":
                self._client.connect(config.host, config.port, round(config.keep_alive), clean_start=True)
            else:
                self._client.connect(config.host, config.port, round(config.keep_alive))
        except (OSError, ValueError) as error:
            self._answered = _why(error)
            return True
        self._client.loop_start()
        with self.changed:
            self.changed.wait_for(lambda: self._answered or self.lost, _CONNECT_TIMEOUT)
            if self._answered == "ok" or not (self._answered or self.lost):
                return True
            unknown = "protocol version" in self._answered.lower() or not self._answered
            self._answered = self._answered or self.lost
        if unknown:
            self.close()
        return not unknown

    def _end(self, why: str) -> None:
        with self.changed:
            self.lost = self.lost or why
            self.changed.notify_all()

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self.changed:
            self._answered = f"refuses us: {reason}" if reason.is_failure else "ok"
            self.changed.notify_all()
        if not reason.is_failure and self._subscribe:
            client.subscribe([(topic, 1) for topic in self._subscribe])

    def _on_disconnect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.taken_over = str(reason) == "Session taken over"
        self._end(
            "another program has connected with the same client id" if self.taken_over else f"the connection is gone ({reason})"
        )

    def _on_publish(self, _client: Client, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        with self.changed:
            if reason.is_failure:
                self.refused.append((mid, str(reason)))
            else:
                self.arrived.append(mid)
            self.changed.notify_all()

    def _on_subscribe(self, _client: Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        with self.changed:
            self.cannot_subscribe += [
                topic for topic, reason in zip(self._subscribe, reasons, strict=False) if reason.is_failure
            ]
            self.changed.notify_all()

    def _on_message(self, _client: Client, _data: Any, message: Any) -> None:
        text = bytes(message.payload[:_MOST_PAYLOAD]).decode("utf-8", "replace")
        with self.changed:
            self.commands.append(Command(message.topic, text, bool(message.retain)))
            self.changed.notify_all()


def _twin(connection: Any) -> socket.socket:
    """The connection once more, whatever the library has wrapped it in. Raises OSError."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def _at_once(connection: Any) -> None:
    with contextlib.suppress(OSError), _twin(connection) as twin:
        twin.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _context(config: MqttConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca)
        if config.certificate is not None:
            context.load_cert_chain(config.certificate, config.key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(name for name in (config.ca, config.certificate, config.key) if name)
        raise ConfigError(f"mqtt: cannot use the certificates or the key ({files}): {_words(error)}") from error
    return context


def _words(error: BaseException) -> str:
    return scrub(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return f"did not answer within {_CONNECT_TIMEOUT:g} s"
    return f"cannot be reached ({_words(error)})"
