"""The socket that a server of ours listens at."""

from __future__ import annotations

import socket

from streamseg.encode.view.mjpeg import why_not_listening
from streamseg.errors import OutputError

__all__ = ["listen"]


def listen(host: str, port: int, *, called: str = "", send_buffer: int | None = None) -> socket.socket:
    """Listen; port 0 is any that is free. `called`: begins the error; `send_buffer`: bytes, of connections. Raises OutputError."""
    bare = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # connections inherit it
        listener.bind((bare, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OutputError(f"{called}cannot listen at {host}:{port}: {why_not_listening(error, port)}") from error
    return listener
