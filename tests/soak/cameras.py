"""Cameras on loopback that can be killed, stalled, and started again with another size: Motion JPEG over HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

import cv2
import numpy as np

from tests.http_source import Server

__all__ = ["BOX", "INPUT", "Camera", "covered"]

INPUT = (96, 160)
"""Height and width of the input of the model, which always finds a person at `BOX` of it."""
BOX = (40.0, 20.0, 120.0, 76.0)
RATE = 12.0
SIZES = ((320, 192), (160, 96), (480, 288))
"""Of the model's own shape, so that its box is at the same place in each."""


def _jpegs(size: tuple[int, int], seed: int) -> Sequence[bytes]:
    """Noise, so that whatever is not covered is far from flat."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(6):
        coarse = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
        done, data = cv2.imencode(".jpg", cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST))
        assert done
        made.append(data.tobytes())
    return made


def covered(picture: np.ndarray[Any, Any]) -> bool:
    """Whether nothing is seen of a person in an RGB picture."""
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = BOX
    rows = slice(int((y0 + 4) / INPUT[0] * height), int((y1 - 4) / INPUT[0] * height))
    columns = slice(int((x0 + 4) / INPUT[1] * width), int((x1 - 4) / INPUT[1] * width))
    return bool(np.ptp(picture[rows, columns].astype(int), axis=(0, 1)).max() <= 6)


class Camera:
    """One of them; it begins switched on."""

    def __init__(self, seed: int) -> None:
        self._pictures = {size: _jpegs(size, seed) for size in SIZES}
        self.size = SIZES[0]
        self.damage = threading.Event()
        self.running = threading.Event()
        self.running.set()
        self._server: Server | None = None
        self._port = 0
        self.on()
        self.good_since = time.monotonic()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}/live.mjpg"

    @property
    def good(self) -> bool:
        """Whether it gives pictures."""
        return self._server is not None and self.running.is_set() and not self.damage.is_set()

    def on(self) -> None:
        if self._server is None:
            self._server = Server({"/live.mjpg": self._answer}, self._port)
            self._server.__enter__()
            self._port = self._server.port
        self.running.set()
        self.damage.clear()
        self.good_since = time.monotonic()

    def off(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.kill()

    def become(self, size: tuple[int, int]) -> None:
        """Another size, as after a restart."""
        self.off()
        self.size = size
        self.on()

    def _answer(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        pictures, count = self._pictures[self.size], 0
        while not closing.wait(1 / RATE):
            if not self.running.is_set():
                continue
            data = pictures[count % len(pictures)]
            if self.damage.is_set():
                data = data[: len(data) // 3]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            handler.wfile.write(head + data + b"\r\n")
            count += 1
