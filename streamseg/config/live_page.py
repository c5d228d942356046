"""The section `page` of cameras.yaml: where the page of `streamseg live` listens, and who may open it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from streamseg.config.section import Section
from streamseg.system.hosts import is_loopback

__all__ = ["PageConfig", "page_of"]

_MIN_TOKEN = 8


def page_of(value: Any) -> Any:
    """The section as it may be written in short: `off`, `on`, a port, or HOST:PORT. Raises ValueError."""
    if value is None or value is False or (isinstance(value, str) and value == "off"):  # YAML's own off
        return None
    if value is True or value == "on":
        return {}
    if isinstance(value, int):
        return {"port": value}
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if not port.isascii() or not port.isdigit():
            raise ValueError(f"{value!r} is no place to listen at; write a port, HOST:PORT as 0.0.0.0:8080, or off")
        return {"port": int(port)} | ({"host": host.strip("[]")} if colon else {})
    return value


def _parse_token(value: Any) -> Any:
    if value is False or value is None:  # YAML's own off
        return "off" if value is False else "auto"
    return value


class PageConfig(Section):
    """page: the page in the browser."""

    host: str = "127.0.0.1"
    """Where it listens: 127.0.0.1 is this machine alone, 0.0.0.0 every network that it is in."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any that is free."""
    token: Annotated[str, BeforeValidator(_parse_token)] = "auto"
    """What who comes from elsewhere must show: `auto` makes one and keeps it; `off`, allowed where only this machine or a proxy of
    yours reaches the page; or a word of your own, eight characters or more."""
    url: str = ""
    """What people type, where a proxy of yours stands before the page, as https://cams.example.org/street/."""
    max_viewers: Annotated[int, Field(ge=1, le=10000)] = 64
    """Moving pictures that are sent at the same time, over all cameras; who comes later is told so."""
    max_rate: Annotated[float, Field(gt=0, le=120)] = 30.0
    """JPEG pictures a second that a viewer gets at most."""

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        if not host or "/" in host or "@" in host or any(c.isspace() for c in host):
            raise ValueError(f"{host!r} is no address to listen at; write 127.0.0.1, 0.0.0.0 or a name of this machine")
        return host

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("the page's url is what people type, as https://cams.example.org/street/")
        return url.rstrip("/") + "/"

    @model_validator(mode="after")
    def _who(self) -> PageConfig:
        if self.token == "off" and not is_loopback(self.host):
            raise ValueError(
                f"token: off needs host: 127.0.0.1 (with a proxy of yours before it), since everyone reaches {self.host}; "
                "leave the token out, and one is made"
            )
        if self.token not in ("auto", "off") and len(self.token) < _MIN_TOKEN:
            raise ValueError(f"a token has {_MIN_TOKEN} characters or more, or leave it out, and one is made")
        return self
