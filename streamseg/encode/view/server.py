"""The web server of a live view: its page, its stream, its snapshots and figures, each viewer in a thread of their own."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import cv2

from streamseg.errors import StreamsegError

if TYPE_CHECKING:
    from email.message import Message

    from streamseg.encode.sink import SinkCounters
    from streamseg.encode.view.board import Board

__all__ = ["View", "ViewServer"]

_SEND_TIMEOUT = 2.0
_READ_TIMEOUT = 5.0
_MAX_CONNECTIONS = 32
_MAX_VIEWERS = 8
# Pictures waiting in the kernel are seconds old when a slow viewer gets them.
_SEND_BUFFER = 128 * 1024
_PAGES = {"/": ("index.html", "text/html"), "/view.css": ("view.css", "text/css"), "/view.js": ("view.js", "text/javascript")}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'self'; style-src 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class View(Protocol):
    """What is shown, and to whom."""

    board: Board
    counters: SinkCounters
    warnings: list[str]
    max_rate: float
    """Pictures a second that a viewer gets at most."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def is_open(self) -> bool:
        """False: viewers are to go."""

    def may_look(self, path: str, headers: Message) -> bool:
        """Whether a request comes from somebody who may see the pictures."""

    def stats(self) -> dict[str, Any]:
        """What /stats answers."""


class ViewServer(HTTPServer):
    """One thread a connection, not more than _MAX_CONNECTIONS of them, all of which can be hung up."""

    # A port of a run that has just ended can be taken again at once.
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, view: View, host: str, port: int) -> None:
        self.view = view
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's reverse look-up of the host name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, or hang up when there are too many."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), name="viewer", daemon=True)
        with self._lock:
            full = len(self._open) >= _MAX_CONNECTIONS
            if not full:
                self._open[request] = thread
        if full:
            self.shutdown_request(request)
        else:
            thread.start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:  # the viewer went away, or was too slow
            pass
        except (StreamsegError, cv2.error, ValueError) as error:
            self.view.warnings.append(f"{self.view.name}: a picture could not be shown: {error}")
        finally:
            with self._lock:
                self._open.pop(request, None)
            self.shutdown_request(request)

    def hang_up(self) -> None:
        """End every connection, also one that is stuck in sending."""
        with self._lock:
            connections = list(self._open.items())
        for connection, _ in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in connections:
            thread.join(1.0)


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "streamseg", ""
    timeout = _READ_TIMEOUT

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        super().setup()

    def do_GET(self) -> None:
        view, path = self.server.view, urlsplit(self.path).path
        if path == "/health":
            self._answer(b'{"status":"ok"}', "application/json")
        elif not view.may_look(self.path, self.headers):
            self._answer(b"not allowed: wrong address, token or site\n", "text/plain", HTTPStatus.FORBIDDEN)
        elif path in _PAGES:
            name, kind = _PAGES[path]
            self._answer(resources.files("streamseg.encode.view").joinpath("page", name).read_bytes(), kind)
        elif path == "/stats":
            self._answer(json.dumps(view.stats()).encode(), "application/json")
        elif path == "/snapshot.jpg":
            shown = view.board.wait(0, _SEND_TIMEOUT)
            if shown is None:
                self._answer(b"no picture yet\n", "text/plain", HTTPStatus.SERVICE_UNAVAILABLE)
            else:
                self._answer(shown[1], "image/jpeg")
        elif path == "/stream.mjpg":
            self._stream(view)
        else:
            self._answer(b"not found; see /\n", "text/plain", HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind if kind.startswith("image") else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, view: View) -> None:
        board = view.board
        self.close_connection = True
        if not board.enter(_MAX_VIEWERS):
            self._answer(b"too many viewers\n", "text/plain", HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.send_header("Connection", "close")
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.connection.settimeout(_SEND_TIMEOUT)
            number = 0
            while self.command != "HEAD" and view.is_open:
                shown = board.wait(number, 1.0)
                if shown is not None:
                    number, due = shown[0], time.monotonic() + 1 / view.max_rate
                    self._send_part(shown[1])
                    time.sleep(max(0.0, due - time.monotonic()))
        finally:
            board.leave()

    def _send_part(self, data: bytes) -> None:
        head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self.connection.sendall(head.encode() + data + b"\r\n")
        self.server.view.counters.bytes += len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: their addresses may hold the token."""
