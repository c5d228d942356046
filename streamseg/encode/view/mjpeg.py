"""The live view: a page with the picture, its stream as MJPEG (multipart/x-mixed-replace, RFC 2046 5.1), snapshots and figures.

    /  /stream.mjpg  /snapshot.jpg  /stats  /health

Who may look: everybody on this machine when it listens on a loopback address, otherwise who has the token. Web pages of other
sites may not, even if the browser runs here: Host, Origin and Sec-Fetch-Site are checked (DNS rebinding, cross-site images).

A viewer is never waited for. It gets the newest picture when it can take one; who takes none for two seconds is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import ipaddress
import json
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import parse_qs, urlsplit

import cv2

from streamseg.encode.sink import OutputKind, OutputRequest, SinkCounters
from streamseg.encode.view.board import Board
from streamseg.errors import OutputError, StreamsegError

if TYPE_CHECKING:
    from streamseg.encode.sink import RenderedPicture

__all__ = ["MjpegServer", "Run"]

_SEND_TIMEOUT = 2.0
_READ_TIMEOUT = 5.0
_MAX_CONNECTIONS = 32
_MAX_VIEWERS = 8
# Pictures waiting in the kernel are seconds old when a slow viewer gets them.
_SEND_BUFFER = 128 * 1024
_MIN_TOKEN = 8
_PAGES = {"/": ("index.html", "text/html"), "/view.css": ("view.css", "text/css"), "/view.js": ("view.js", "text/javascript")}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; connect-src 'self'; script-src 'self'; style-src 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Run(Protocol):
    """A run whose pictures are shown."""

    @property
    def dropped(self) -> int:
        """Frames that it left out so far to keep up."""


class MjpegServer(OutputKind):
    """A sink that shows the pictures at `http://host:port/`."""

    newest: ClassVar[bool] = True

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        *,
        token: str | None = None,
        title: str = "",
        max_width: int = 1280,
        quality: int = 80,
        max_rate: float = 60.0,
    ) -> None:
        self.host, self.port, self.title = host, port, title
        self.counters = SinkCounters()
        self.warnings: list[str] = []
        self.max_rate = max_rate
        self.board = Board(max_width, quality)
        self.run: Run | None = None
        """What feeds it, once that is known: /stats says what it dropped."""
        self._token = token
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @classmethod
    def at(cls, url: str, title: str, token: str | None = None) -> MjpegServer:
        """The view of an address; `?token=` in it stands for a token that is not given. Raises OutputError for one that is none."""
        address = urlsplit(url)
        try:
            port = 80 if address.port is None else address.port
        except ValueError as error:
            raise OutputError(f"{url}: {error}; write for example http://127.0.0.1:8080") from error
        return cls(
            address.hostname or "127.0.0.1", port, token=token or parse_qs(address.query).get("token", [None])[0], title=title
        )

    @classmethod
    def make(cls, request: OutputRequest) -> MjpegServer:
        """See OutputKind."""
        return cls.at(str(request.path), request.info.name, request.token)

    @property
    def name(self) -> str:
        """The address, without the token."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def open(self) -> None:
        """Listen; twice is once. Raises OutputError when the port is taken, or a foreign address is given without a token."""
        if self.is_open:
            return
        if not _is_loopback(self.host) and len(self._token or "") < _MIN_TOKEN:
            raise OutputError(
                f"{self.name}: an output with http:// is a live view, which listens at this address and uploads nothing to it. "
                f"Others can reach it, so it needs a token of at least {_MIN_TOKEN} characters: write them behind "
                f"{self.name}/?token= or listen on 127.0.0.1"
            )
        try:
            self._server = _Server(self, self.host, self.port)
        except (OSError, OverflowError) as error:
            raise OutputError(f"{self.name}: cannot listen there: {_why(error, self.port)}") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name=f"view {self.port}", daemon=True)
        self._thread.start()

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Show a picture; never waits."""
        self.board.put(rendered)
        self.counters.frames += 1
        self.counters.dropped = self.board.missed

    def close(self) -> None:
        """Say goodbye to all viewers; their threads are gone within a second."""
        self.board.close()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.hang_up()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def abort(self) -> None:
        """As `close`."""
        self.close()

    def stats(self) -> dict[str, Any]:
        """What /stats answers."""
        more = {"dropped": self.run.dropped} if self.run is not None else {}
        return {"title": self.title, **self.board.stats(), "bytes": self.counters.bytes, **more}

    def may_look(self, request: BaseHTTPRequestHandler) -> bool:
        """Whether a request comes from somebody who may see the pictures."""
        headers = request.headers
        host = headers.get("Host", "")
        if headers.get("Origin", f"http://{host}") != f"http://{host}":
            return False
        if headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
            return False
        if self._token is None:
            return host in {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]", self.host)}
        given = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
        given = given or headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._token.encode())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: Exception, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"port {port} is in use; stop what listens there or choose another port, such as {port + 1}"
    if number == errno.EACCES:
        return f"port {port} is for administrators only; choose one above 1023"
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return "a view listens (it uploads nothing), and this machine has no such address; use 127.0.0.1"
    return str(error)


class _Server(HTTPServer):
    """One thread a connection, not more than _MAX_CONNECTIONS of them, all of which can be hung up."""

    # A port of a run that has just ended can be taken again at once.
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, view: MjpegServer, host: str, port: int) -> None:
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
    server: _Server
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
        elif not view.may_look(self):
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

    def _stream(self, view: MjpegServer) -> None:
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
