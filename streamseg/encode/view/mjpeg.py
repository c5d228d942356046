"""The live view: a page with the picture, its stream as MJPEG (multipart/x-mixed-replace, RFC 2046 5.1), snapshots and figures.

    /  /stream.mjpg  /snapshot.jpg  /stats  /health

Who may look: everybody on this machine when it listens on a loopback address, otherwise who has the token. Web pages of other
sites may not, even if the browser runs here: Host, Origin and Sec-Fetch-Site are checked (DNS rebinding, cross-site images).

A viewer is never waited for. It gets the newest picture when it can take one; who takes none for two seconds is dropped.
"""

from __future__ import annotations

import errno
import hmac
import socket
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import parse_qs, urlsplit

from streamseg.encode.sink import OutputKind, OutputRequest, SinkCounters
from streamseg.encode.view.board import Board
from streamseg.encode.view.server import ViewServer
from streamseg.errors import OutputError
from streamseg.system.hosts import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

    from streamseg.encode.sink import RenderedPicture

__all__ = ["MjpegServer", "Run", "why_not_listening"]

_MIN_TOKEN = 8


class Account(Protocol):
    """What became of a run's frames: see `streamseg.pipeline.account`."""

    @property
    def captured(self) -> int: ...
    @property
    def processed(self) -> int: ...
    @property
    def detected(self) -> int: ...
    @property
    def gated(self) -> int: ...
    @property
    def under_way(self) -> int: ...
    @property
    def skipped(self) -> Mapping[str, int]: ...
    @property
    def dropped(self) -> int: ...


class Run(Protocol):
    """A run whose pictures are shown."""

    def account(self) -> Account:
        """What became of its frames so far."""

    def latency_ms(self) -> dict[str, float]:
        """From capture to the composited picture, over the last minute: `p50`, `p95`, `p99`."""


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
        self._server: ViewServer | None = None
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
        if not is_loopback(self.host) and len(self._token or "") < _MIN_TOKEN:
            raise OutputError(
                f"{self.name}: an output with http:// is a live view, which listens at this address and uploads nothing to it. "
                f"Others can reach it, so it needs a token of at least {_MIN_TOKEN} characters: write them behind "
                f"{self.name}/?token= or listen on 127.0.0.1"
            )
        try:
            self._server = ViewServer(self, self.host, self.port)
        except (OSError, OverflowError) as error:
            raise OutputError(f"{self.name}: cannot listen there: {why_not_listening(error, self.port)}") from error
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
        return {"title": self.title, **self.board.stats(), "bytes": self.counters.bytes, **_told(self.run)}

    def may_look(self, path: str, headers: Message) -> bool:
        """Whether a request comes from somebody who may see the pictures."""
        host = headers.get("Host", "")
        if headers.get("Origin", f"http://{host}") != f"http://{host}":
            return False
        if headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
            return False
        if self._token is None:
            return host in {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]", self.host)}
        given = parse_qs(urlsplit(path).query).get("token", [""])[0]
        given = given or headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._token.encode())


def _told(run: Run | None) -> dict[str, Any]:
    if run is None:
        return {}
    account = run.account()
    names = ("captured", "processed", "detected", "gated", "under_way", "dropped")
    told = {name: getattr(account, name) for name in names}
    return told | {"skipped": dict(account.skipped), "latency": run.latency_ms()}


def why_not_listening(error: Exception, port: int) -> str:
    """What keeps a server from a port, in a person's words."""
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"port {port} is in use; stop what listens there or choose another port, such as {port + 1}"
    if number == errno.EACCES:
        return f"port {port} is for administrators only; choose one above 1023"
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return "a view listens (it uploads nothing), and this machine has no such address; use 127.0.0.1"
    return str(error)
