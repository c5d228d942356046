"""What is answered at /metrics, /health, /healthz and /readyz: by the page, or by a small server on a port of its own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamseg.config.live_metrics import MetricsConfig
from streamseg.errors import OutputError
from streamseg.live.control import Control
from streamseg.live.health import Progress, health
from streamseg.live.tell.metrics import registry_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

__all__ = ["PATHS", "Answers", "MetricsServer", "tell_routes"]

PATHS = ("/metrics", "/health", "/healthz", "/readyz")
_JSON = "application/json"
_READ_TIMEOUT = 5.0
_MOST_CONNECTIONS = 16


class Answers:
    """Answers by path. Thread-safe."""

    def __init__(self, control: Control, services: Sequence[Any] = ()) -> None:
        """services: whose queues are told. Raises MissingExtra without prometheus-client."""
        self._control = control
        self._registry = registry_of(control, services)
        self._progress = Progress()

    def __call__(self, path: str, accept: str = "") -> tuple[int, str, bytes]:
        """Status, content type and body; `accept` as in the header of that name.

        /health is 503 while a camera is away, and says which. /healthz is 503 only where a restart may help: something says that it
        works, and stands still. /readyz is 503 until each camera has been seen, or found to be away.
        """
        if path == "/metrics":
            from prometheus_client.exposition import choose_encoder

            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self._registry)
        cameras = self._control.cameras()
        if path == "/health":
            found = health(cameras, time.time())
            return (200 if found.ok else 503), _JSON, _json(found.as_dict())
        if path == "/readyz":
            waiting = [each.name for each in cameras if each.state == "starting"]
            return (503 if waiting else 200), _JSON, _json({"ready": not waiting, "starting": waiting})
        stuck = self._progress.stuck(cameras, time.monotonic())
        return (503 if stuck else 200), _JSON, _json({"alive": not stuck, "standing_still": stuck})


def tell_routes(answers: Answers) -> list[Route]:
    """What the page's app has not of its own: /metrics."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        # In a thread: asking each camera takes its locks.
        status, kind, body = await run_in_threadpool(answers, request.url.path, request.headers.get("accept", ""))
        return Response(body, status, headers={"content-type": kind, "cache-control": "no-store"})

    return [Route("/metrics", answer)]


class MetricsServer:
    """The small server, as a service: `start`, `stop`."""

    name = "metrics"

    def __init__(self, config: MetricsConfig, answers: Answers) -> None:
        """Nothing listens yet."""
        self._config, self._answers = config, answers
        self._server: _Server | None = None
        self.port = config.port

    def start(self) -> None:
        """Raises OutputError where the port cannot be had."""
        host, port = self._config.host.strip("[]"), self._config.port
        try:
            self._server = _Server(host, port, self._answers)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"metrics: cannot listen at {host}:{port}: {why}; choose another `port`, or 0 for one that is free"
            ) from error
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="metrics", daemon=True).start()

    def stop(self, timeout: float) -> None:
        """Hang up. Twice is harmless."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 32

    def __init__(self, host: str, port: int, answers: Callable[[str, str], tuple[int, str, bytes]]) -> None:
        self.answers, self.loopback = answers, host in ("127.0.0.1", "localhost", "::1")
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without HTTPServer's reverse look-up of the host name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, or not at all where too many ask at once."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody went away while they were answered: no matter for the terminal."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "streamseg", ""
    timeout = _READ_TIMEOUT

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._may_ask():
            status, kind, body = 421, "text/plain", b"not asked for by the name of this machine\n"
        elif path not in PATHS:
            status, kind, body = 404, "text/plain", f"there are {', '.join(PATHS)}\n".encode()
        else:
            status, kind, body = self.server.answers(path, self.headers.get("Accept", ""))
        self.send_response(HTTPStatus(status))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _may_ask(self) -> bool:
        """A site whose name leads to this machine all of a sudden is no one to tell it of cameras."""
        asked = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return not self.server.loopback or asked in (None, "127.0.0.1", "localhost", "::1")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Not to the terminal."""


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()
