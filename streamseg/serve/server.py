"""Serves an app until it is told to end."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

__all__ = ["serve"]

_GRACE = 5.0
"""Seconds in which requests under way may be finished."""
_CONNECTIONS = 256


def serve(app: ASGIApp) -> uvicorn.Server:
    """A server for the app, to be run: `server.run(sockets=[...])` ends with SIGINT or SIGTERM."""
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
