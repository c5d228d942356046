"""An HTTP server on loopback that plays a camera, a file server or an attacker, and counts what it is asked for."""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

Answer = Callable[[BaseHTTPRequestHandler, threading.Event], None]
"""Writes a whole response; should end when the event is set."""


class Server:
    """Use as a context manager; `url` is its address, `hits` the paths that were asked for."""

    def __init__(self, answers: dict[str, Answer], port: int = 0) -> None:
        self.hits: list[str] = []
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.hits.append(self.path)
                answer = answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                    return
                with contextlib.suppress(OSError):
                    answer(self, server.closing)

            def log_message(self, *_: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port = int(self._http.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        """Drop every connection and stop listening."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


def file(data: bytes, kind: str = "application/octet-stream") -> Answer:
    """The bytes with their length, as a web server gives a file."""

    def answer(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def parts(data: bytes, *, refuse: str = "", at_most: int = 0) -> Answer:
    """The bytes, or the part of them that is asked for. Then the connection is closed, without the `Connection: close` of HTTP/1.1.

    refuse: a later part is answered by "416", or by the "whole", although parts are offered. at_most: each answer breaks off after
    so many bytes.
    """

    def answer(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        asked = handler.headers.get("Range", "")
        begin = int(asked.removeprefix("bytes=").partition("-")[0] or 0)
        if begin and refuse == "416":
            handler.wfile.write(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")
            return
        status = b"206 Partial Content" if asked else b"200 OK"
        if begin and refuse == "whole":
            begin, status = 0, b"200 OK"
        head = b"HTTP/1.1 %s\r\nAccept-Ranges: bytes\r\nContent-Length: %d\r\n" % (status, len(data) - begin)
        if status.startswith(b"206"):
            head += b"Content-Range: bytes %d-%d/%d\r\n" % (begin, len(data) - 1, len(data))
        handler.wfile.write(head + b"\r\n" + data[begin:][: at_most or None])

    return answer


def unmeasured(data: Callable[[], bytes]) -> Answer:
    """What `data` gives, in chunks, without a length."""

    def answer(handler: BaseHTTPRequestHandler, _: threading.Event) -> None:
        whole = data()
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for begin in range(0, len(whole), 50_000):
            chunk = whole[begin : begin + 50_000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def stream(chunks: Callable[[], Iterator[bytes]], kind: str = "video/mp2t", pause: float = 0.02) -> Answer:
    """Chunks without a length, one every `pause` seconds; after the last one the connection stays open and silent."""

    def answer(handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        for chunk in chunks():
            if closing.is_set():
                return
            handler.wfile.write(chunk)
            time.sleep(pause)
        closing.wait()

    return answer


def locked(user: str, password: str, inner: Answer) -> Answer:
    """`inner` behind basic authentication."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answer(handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        if handler.headers.get("Authorization") != wanted:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        inner(handler, closing)

    return answer
