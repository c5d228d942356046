"""One file behind HTTP, with ranges and versions, served as badly as a test asks for; for `tests.http_source.Server`."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler


@dataclass
class ServedFile:
    """Answers with `data`. Each request takes the next entry of `script`, and behaves well when there is none left:

    "cut:N"   ends the connection after N bytes of what it announced
    "stall:N" sends N bytes, then nothing
    "503" ... that status
    """

    data: bytes
    etag: str = '"1"'
    ranges: bool = True
    script: list[str] = field(default_factory=list)
    announce: int | None = None
    """Content-Length to lie with."""
    extra: dict[str, str] = field(default_factory=dict)
    """Further headers."""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    """Bytes of all answers' bodies."""

    def __call__(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        asked = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(asked)
        step, _, number = (self.script.pop(0) if self.script else "ok").partition(":")
        if step.isdigit():
            handler.send_response(int(step))
            self._headers(handler, 0)
            return
        first = self._first(asked)
        if first > len(self.data):
            handler.send_response(416)
            self._headers(handler, 0, {"Content-Range": f"bytes */{len(self.data)}"})
            return
        body = self.data[first:]
        place = {"Content-Range": f"bytes {first}-{len(self.data) - 1}/{len(self.data)}"} if first else {}
        handler.send_response(206 if first else 200)
        self._headers(handler, len(body) if self.announce is None else self.announce, place)
        part = body[: int(number)] if number else body
        handler.wfile.write(part)
        handler.wfile.flush()
        self.sent += len(part)
        if step == "stall":
            closing.wait(20)

    def _first(self, asked: dict[str, str]) -> int:
        if not self.ranges or "range" not in asked or asked.get("if-range", self.etag) != self.etag:
            return 0
        return int(asked["range"].removeprefix("bytes=").removesuffix("-"))

    def _headers(self, handler: BaseHTTPRequestHandler, length: int, more: dict[str, str] | None = None) -> None:
        tag = {"ETag": self.etag} if self.etag else {}
        for name, value in {"Content-Length": str(length), **tag, **self.extra, **(more or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
