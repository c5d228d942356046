"""Listens, and serves an app until it is told to end."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

from streamseg.encode.view.mjpeg import why_not_listening
from streamseg.errors import OutputError

__all__ = ["listen", "serve"]

_GRACE = 5.0
"""Seconds in which requests under way may be finished."""
_CONNECTIONS = 256


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OutputError."""
    bare = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bare, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OutputError(f"cannot listen at {host}:{port}: {why_not_listening(error, port)}") from error
    return listener


def serve(app: ASGIApp, listener: socket.socket) -> uvicorn.Server:
    """A server for the app, to be run: `server.run(sockets=[listener])` ends with SIGINT or SIGTERM."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            lifespan="on",
            log_config=None,
            log_level="critical",  # what is ended by the server's own end is no news
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE,  # type: ignore[arg-type]  # asyncio takes fractions
        )
    )
