"""The section `webhooks` of cameras.yaml: addresses that are called with each event."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, field_validator

from streamseg.config.live_tell import Told, parse_text
from streamseg.config.secret import Secret
from streamseg.config.values import Positive
from streamseg.errors import scrub
from streamseg.errors.describe import brief

__all__ = ["WebhookConfig"]


def _address(value: Any) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    try:
        good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(character <= " " for character in str(value)):
        raise ValueError(f"{scrub(brief(value))} is not an address; write http://HOST/PATH or https://HOST/PATH")
    return str(value)


def _body(value: Any) -> Any:
    """Its texts checked, at any depth."""
    if isinstance(value, dict):
        return {str(key): _body(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_body(inner) for inner in value]
    return parse_text(value) if isinstance(value, str) else value


class WebhookConfig(Told):
    """One receiver of JSON by HTTP POST."""

    url: Annotated[str, PlainValidator(_address)]
    secret: Secret | None = None
    """With it each call is signed, as Standard Webhooks says: HMAC-SHA256 over id, time and body."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    """Further headers, as Authorization; not shown anywhere."""
    body: Annotated[Any, PlainValidator(_body)] = None
    """What is sent in place of the event as it is: a section in whose texts `$camera`, `$class` and so on stand for the event's."""
    thumbnail: bool = False
    """Send the object's picture, too: JPEG in base64, as `thumbnail`."""
    timeout: Positive = 10.0
    """Seconds for one call, all in all."""

    @field_validator("headers")
    @classmethod
    def _headers_are_headers(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise ValueError(f"{brief(name)} is not the name of a header")
        return value
