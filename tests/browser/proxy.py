"""A reverse proxy as people put before such pages: it serves a folder, strips it, and says for whom it asks."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

__all__ = ["proxied"]


@contextlib.contextmanager
def proxied(port: int, folder: str, at: int) -> Iterator[None]:
    """A proxy at 127.0.0.1:`at` before 127.0.0.1:`port`. One request a connection, so that each can be rewritten."""
    listener = socket.create_server(("127.0.0.1", at))
    opened: list[socket.socket] = [listener]

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=pass_on, args=(client,), daemon=True).start()

    def pass_on(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536) or b"\r\n\r\n"
            head = re.sub(rb"^(\w+) " + folder.encode() + rb"/", rb"\1 /", head)
            head = re.sub(rb"\r\nConnection: keep-alive", b"\r\nConnection: close", head, flags=re.I)
            head = head.replace(b"\r\n", b"\r\nX-Forwarded-For: 203.0.113.9\r\n", 1)
            server = socket.create_connection(("127.0.0.1", port))
            opened.extend((client, server))
            server.sendall(head)
            threading.Thread(target=copy, args=(client, server), daemon=True).start()
            copy(server, client)

    def copy(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        for each in opened:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
