"""The section `mqtt` of cameras.yaml: the broker, what it is told and what it may ask."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator

from streamseg.config.live_tell import Told
from streamseg.config.secret import Secret, SecretText
from streamseg.config.values import Positive
from streamseg.errors import scrub
from streamseg.errors.describe import brief

__all__ = ["MqttConfig"]

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


def _broker(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    text = text if "://" in text or not text else f"mqtt://{text}"
    try:
        parts = urlsplit(text)
        good = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
        good = good and (parts.path in ("", "/") or parts.scheme in ("ws", "wss"))
    except ValueError:
        good = False
    if not good or any(character <= " " for character in text):
        raise ValueError(f"{scrub(brief(value))} is no broker; write mqtt://HOST:PORT, mqtts:// with TLS, ws:// or wss://")
    return text


def _topic(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    if not text or len(text) > 200 or re.search(r"[+#\x00-\x1f\x7f]|^[/$]|/$|//", text):
        raise ValueError(f"{brief(value)} is no topic to begin with; write a name such as streamseg or house/cameras")
    return text


def _prefix(value: Any) -> str:
    """True is Home Assistant's own default."""
    if value is True or value is None or value is False:
        return "homeassistant" if value else ""
    return _topic(value)


def _text(value: Any) -> Any:
    """YAML reads 5 as a number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class MqttConfig(Told):
    """One broker."""

    broker: Annotated[str, PlainValidator(_broker)]
    """mqtt://HOST:PORT, mqtts:// with TLS, ws:// and wss:// through web sockets. It may hold user:password@."""
    user: str | None = None
    password: Secret | None = None
    topic: Annotated[str, PlainValidator(_topic)] = "streamseg"
    """What all topics begin with. Two programs at one broker need two."""
    client_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """By default one that is the same at each start, and no other program's."""
    ca: str | None = None
    """File of the authority that has signed the broker's certificate; default: those that the system trusts."""
    certificate: str | None = None
    """File of a certificate of our own, for a broker that asks for one."""
    key: str | None = None
    """File of its key."""
    version: Annotated[Literal["auto", "5", "3.1.1"], BeforeValidator(_text)] = "auto"
    """Of the protocol; `auto`: 5, and 3.1.1 where the broker does not know it."""
    keep_alive: Annotated[Positive, Field(ge=1, le=3600)] = 30.0
    """Seconds of silence after which either side asks whether the other is there."""
    interval: Annotated[Positive, Field(ge=0.1)] = 1.0
    """How often counts and states are looked at; what has changed is told."""
    thumbnails: bool = False
    """Tell the picture of each event's object, too: JPEG, retained, under CAMERA/thumbnail."""
    control: bool = True
    """Whether cameras may be paused and changed through the broker."""
    home_assistant: Annotated[str, BeforeValidator(_prefix)] = ""
    """True, or the prefix of its discovery topics: Home Assistant then finds the cameras by itself."""

    @field_validator("key")
    @classmethod
    def _key_of_a_certificate(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("certificate") is None:
            raise ValueError("a key without `certificate`, to which it belongs")
        return value

    @property
    def parts(self) -> SplitResult:
        """The broker's address."""
        return urlsplit(self.broker)

    @property
    def host(self) -> str:
        """Where it listens."""
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.parts.port or _PORTS[self.parts.scheme]

    @property
    def encrypted(self) -> bool:
        """Whether TLS is used."""
        return self.parts.scheme in ("mqtts", "wss")

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password; None: neither. Raises ConfigError where a secret cannot be read."""
        parts = self.parts
        user = self.user or unquote(parts.username or "")
        password = self.password or (SecretText("text", unquote(parts.password)) if parts.password else None)
        return (user, password.get() if password else "") if user or password else None
