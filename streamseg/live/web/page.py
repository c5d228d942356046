"""The page as a service of `streamseg live`: a server in a thread of its own, which ends within a second whatever viewers do."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from streamseg.config.live_page import PageConfig
from streamseg.errors import OutputError
from streamseg.live.control import Control
from streamseg.live.web.api import Archive
from streamseg.live.web.app import make_app
from streamseg.live.web.guard import Door
from streamseg.live.web.link import link, qr, token_of
from streamseg.live.web.listen import listen
from streamseg.live.web.stream import WAYS

__all__ = ["Page"]

_PATIENCE = 10.0
"""Seconds for which a viewer may take nothing of what waits for it."""
_SEND_BUFFER = 128 * 1024
"""Pictures waiting in the kernel are seconds old when a slow viewer gets them."""
_CONNECTIONS = 512
_STARTING = 10.0
_GRACE = 0.4
"""Seconds in which answers under way may be ended."""


class _Impatient:
    """A connection that is ended at once when its other side takes nothing for long: what waits for it would never be sent."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    _giving_up: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]
        if self._giving_up is None:
            self._giving_up = self.loop.call_later(_PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()  # type: ignore[misc]
        self._forgive()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)  # type: ignore[misc]
        self._forgive()

    def _forgive(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


class _Http(_Impatient, H11Protocol):
    pass


class _WebSocket(_Impatient, WebSocketsSansIOProtocol):
    pass


class Page:
    """The server: `start`, then `link` opens it, then `stop`."""

    name = "page"

    def __init__(
        self,
        control: Control,
        config: PageConfig,
        *,
        store: Archive = lambda: None,
        routes: Sequence[BaseRoute] = (),
        ways: tuple[str, ...] = WAYS,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        """See `make_app`. `on_message`: told the link, once it opens."""
        self._control, self._config = control, config
        self._more: dict[str, Any] = {"store": store, "routes": routes, "ways": ways}
        self._on_message = on_message
        self._token = token_of(config)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = config.port

    @property
    def link(self) -> str:
        """What to open in a browser; the token is in it."""
        return link(self._config, self.port, self._token)

    @property
    def code(self) -> str:
        """The link as a QR code for a terminal; empty where only this machine could open it."""
        return qr(self.link) if self._token is not None else ""

    def start(self) -> None:
        """Listen. Raises OutputError where that cannot be."""
        config = self._config
        listener = listen(config.host.strip("[]"), config.port, called="page: ", send_buffer=_SEND_BUFFER)
        self.port = int(listener.getsockname()[1])
        door = Door(self._token, self.port, config.host, config.url, trust_proxy=config.token == "off")
        app = make_app(self._control, config, door, **self._more)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_Http,
                ws=_WebSocket,
                lifespan="on",
                log_config=None,
                access_log=False,  # addresses may hold the token
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE,  # type: ignore[arg-type]  # asyncio takes fractions
                ws_max_size=_SEND_BUFFER,
                ws_ping_interval=20.0,
                ws_ping_timeout=20.0,
                ws_per_message_deflate=False,  # pictures are compressed already
            )
        )
        self._thread = threading.Thread(target=self._run, args=(self._server, listener), name="page", daemon=True)
        self._thread.start()
        deadline = threading.Event()
        for _ in range(int(_STARTING / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            deadline.wait(0.02)
        if not self._server.started:
            raise OutputError(f"the page at {config.host}:{self.port} does not start; see the log")
        if self._on_message is not None:
            self._on_message(f"page: {self.link}")

    def stop(self, timeout: float = 1.0) -> None:
        """Hang up on all viewers and end."""
        server, thread, loop = self._server, self._thread, self._loop
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.should_exit = True
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_hang_up, server)
        thread.join(timeout)

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await server.serve(sockets=[listener])

        asyncio.run(serve())


def _hang_up(server: uvicorn.Server) -> None:
    """End connections without waiting for what a viewer does not take."""
    for connection in list(server.server_state.connections):
        transport = connection.transport
        if transport.get_write_buffer_size():
            transport.abort()
