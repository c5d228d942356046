"""Serves a Starlette app on a free port of this machine, as the page does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from streamseg.live.control import Control
from streamseg.live.web.stream import Streams


@contextlib.contextmanager
def served(control: Control, *, max_viewers: int = 64, routes: Sequence[BaseRoute] = ()) -> Iterator[int]:
    """The port, while streams of `control` are served."""
    streams = Streams(control, max_viewers=max_viewers)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await streams.close()

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 * 1024)  # as the page has it
    config = uvicorn.Config(
        Starlette(routes=[*streams.routes, *routes], lifespan=lifespan),
        log_config=None,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(5)
        assert not thread.is_alive()
