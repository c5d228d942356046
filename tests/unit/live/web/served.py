"""Serves a Starlette app on a free port of this machine, as the page does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute


@contextlib.contextmanager
def served(routes: Sequence[BaseRoute]) -> Iterator[int]:
    """The port, while it is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 128 * 1024)  # as the page has it
    config = uvicorn.Config(
        Starlette(routes=routes), log_config=None, ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off"
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
