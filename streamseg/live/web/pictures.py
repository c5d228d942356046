"""Pictures of cameras as JPEG: one, a stream for other programs (multipart/x-mixed-replace), and a WebSocket for the page.

Each picture is encoded at most once for each width, when somebody wants it. Over the WebSocket a viewer asks for the next picture
when it has shown the last, and gets the newest: nothing can pile up on the way, and a wall of cameras does not take up the six
connections that a browser has for a host.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamseg.errors import ConfigError
from streamseg.live.control import Control, Feed
from streamseg.live.web import plain

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

__all__ = ["Pictures"]

_WIDTHS = (320, 480, 640, 960, 1280, 1920)
_FIRST = 2.0
"""Seconds for which who asks for one picture waits for it."""
_STILL = 5.0
"""Seconds without a new picture after which it is looked whether the camera is still there."""
_RESULTS_RATE = 12.0


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as it is sent."""

    number: int
    jpeg: bytes
    about: dict[str, int]
    """frame, epoch, and age: milliseconds from capture to now."""


class Shown:
    """What one camera shows, while somebody looks. It belongs to the server's loop."""

    def __init__(self, feed: Feed, executor: Executor) -> None:
        self.feed, self._executor = feed, executor
        self.lookers = 0
        self.number = 0
        """Of the newest picture."""
        self._new = asyncio.Event()
        self._shots: dict[int, asyncio.Task[Shot]] = {}
        self._unwatch: Callable[[], None] | None = None

    def begin(self) -> None:
        """Begin to be told of pictures."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._told)

        self._unwatch = self.feed.watch(told)
        self.number = 1  # what it shows already

    def end(self) -> None:
        """Be told no more."""
        if self._unwatch is not None:
            self._unwatch()

    def _told(self) -> None:
        self.number += 1
        new, self._new = self._new, asyncio.Event()
        new.set()

    async def wait(self, after: int, timeout: float) -> bool:
        """Whether there is a picture after number `after`, within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.number <= after:
            try:
                await asyncio.wait_for(self._new.wait(), deadline - time.monotonic())
            except TimeoutError:
                return False
        return True

    async def shot(self, after: int, width: int, timeout: float) -> Shot | None:
        """The newest picture as soon as it is newer than `after`; None: there is none."""
        deadline = time.monotonic() + timeout
        while await self.wait(after, deadline - time.monotonic()):
            made = self._shots.get(width)
            if made is None or (made.done() and (made.exception() is not None or made.result().number < self.number)):
                made = self._shots[width] = asyncio.ensure_future(self._make(width))
            shot = await asyncio.shield(made)
            if shot.jpeg:
                return shot
            after = shot.number  # it shows nothing yet
        return None

    async def _make(self, width: int) -> Shot:
        number, loop = self.number, asyncio.get_running_loop()
        jpeg = await loop.run_in_executor(self._executor, self.feed.snapshot, width)
        return Shot(number, jpeg, self._about())

    def _about(self) -> dict[str, int]:
        result = self.feed.latest()
        if result is None:
            return {}
        frame = result.frame
        age = {"age": round((time.monotonic() - frame.arrived) * 1000)} if frame.arrived else {}
        return {"frame": frame.index, "epoch": frame.epoch} | age


class Pictures:
    """Cameras' pictures for viewers. It belongs to the server's loop, as what it gives."""

    def __init__(self, control: Control, executor: Executor, *, max_viewers: int = 64, max_rate: float = 30.0) -> None:
        self._control, self._executor = control, executor
        self._max_viewers, self._pause = max_viewers, 1 / max_rate
        self._shown: dict[str, Shown] = {}
        self.viewers = 0
        """Moving pictures that are being sent."""

    @contextlib.contextmanager
    def looking(self, name: str) -> Iterator[Shown]:
        """`Shown` of a camera, while somebody looks. Raises ConfigError for an unknown name."""
        feed = self._control.feed(name)
        shown = self._shown.get(name)
        if shown is None or shown.feed is not feed:
            shown = self._shown[name] = Shown(feed, self._executor)
        shown.lookers += 1
        try:
            if shown.lookers == 1:
                shown.begin()
            yield shown
        finally:
            shown.lookers -= 1
            if not shown.lookers:
                shown.end()
                if self._shown.get(name) is shown:
                    del self._shown[name]

    def is_there(self, name: str, shown: Shown) -> bool:
        """Whether a camera still shows itself so."""
        try:
            return self._control.feed(name) is shown.feed
        except ConfigError:
            return False

    async def one(self, request: Request) -> Response:
        """`/live/NAME.jpg?width=`: the newest picture."""
        with self.looking(request.path_params["name"]) as shown:
            shot = await shown.shot(0, _width(request.query_params.get("width"), 1280), _FIRST)
        if shot is None:
            return PlainTextResponse("no picture yet\n", 503, {"Retry-After": "1"})
        headers = {"X-Frame": str(shot.about.get("frame", "")), "X-Age-Ms": str(shot.about.get("age", ""))}
        return Response(shot.jpeg, media_type="image/jpeg", headers=headers)

    async def stream(self, request: Request) -> Response:
        """`/live/NAME.mjpg?width=`: a moving picture for other programs (RFC 2046, 5.1)."""
        name = request.path_params["name"]
        self._control.feed(name)
        if self.viewers >= self._max_viewers:
            return PlainTextResponse("too many viewers\n", 503, {"Retry-After": "10"})
        return _Multipart(self, name, _width(request.query_params.get("width"), 1280), self._pause)

    async def socket(self, viewer: WebSocket) -> None:
        """`/live/NAME.jpeg.ws?width=`: text (frame, epoch, age), then the JPEG; the viewer says anything to get the next."""
        name, width = viewer.path_params["name"], _width(viewer.query_params.get("width"), 640)
        await viewer.accept()
        if self.viewers >= self._max_viewers:
            await viewer.close(4429, "too many viewers")
            return
        self.viewers += 1
        try:
            with self.looking(name) as shown:
                await self._answer(viewer, name, shown, width)
        except ConfigError:
            await viewer.close(4404, "no such camera")
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            self.viewers -= 1

    async def _answer(self, viewer: WebSocket, name: str, shown: Shown, width: int) -> None:
        number = 0
        while True:
            await viewer.receive_text()
            due = time.monotonic() + self._pause
            while (shot := await shown.shot(number, width, _STILL)) is None:
                if not self.is_there(name, shown):
                    await viewer.close(4404, "the camera is gone")
                    return
                await viewer.send_text('{"still": true}')  # also finds out whether the viewer is still there
            number = shot.number
            await viewer.send_text(json.dumps(shot.about))
            await viewer.send_bytes(shot.jpeg)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def results(self, viewer: WebSocket) -> None:
        """`/live/NAME.results.ws`: what is seen in each new frame as JSON; the viewer says anything to get the next."""
        name = viewer.path_params["name"]
        await viewer.accept()
        loop = asyncio.get_running_loop()
        try:
            with self.looking(name) as shown:
                number = 0
                while True:
                    await viewer.receive_text()
                    while not await shown.wait(number, _STILL):
                        if not self.is_there(name, shown):
                            await viewer.close(4404, "the camera is gone")
                            return
                    number = shown.number
                    result = shown.feed.latest()
                    seen = {} if result is None else await loop.run_in_executor(self._executor, plain.instances, result)
                    await viewer.send_text(json.dumps(seen))
                    await asyncio.sleep(1 / _RESULTS_RATE)
        except ConfigError:
            await viewer.close(4404, "no such camera")
        except (WebSocketDisconnect, RuntimeError):
            return


class _Multipart(Response):
    """Pictures for as long as somebody takes them."""

    def __init__(self, pictures: Pictures, name: str, width: int, pause: float) -> None:
        super().__init__(media_type="multipart/x-mixed-replace; boundary=picture", headers={"Connection": "close"})
        del self.headers["content-length"]
        self._pictures, self._name, self._width, self._pause = pictures, name, width, pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        gone = asyncio.ensure_future(_disconnected(receive))
        sending = asyncio.ensure_future(self._send(send, scope["method"] == "HEAD"))
        self._pictures.viewers += 1
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pictures.viewers -= 1
            gone.cancel()
            sending.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)

    async def _send(self, send: Send, head: bool) -> None:
        with self._pictures.looking(self._name) as shown:
            number = 0
            while not head:
                due = time.monotonic() + self._pause
                shot = await shown.shot(number, self._width, _STILL)
                if shot is not None:
                    number = shot.number
                    begin = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(shot.jpeg)}\r\n\r\n".encode()
                    await send({"type": "http.response.body", "body": begin + shot.jpeg + b"\r\n", "more_body": True})
                elif not self._pictures.is_there(self._name, shown):
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _width(asked: str | None, usual: int) -> int:
    """One of a few widths, so that many viewers share few pictures; the next above what is asked for."""
    wanted = int(asked) if asked is not None and asked.isascii() and asked.isdigit() and len(asked) < 6 else usual
    return next((width for width in _WIDTHS if width >= wanted), _WIDTHS[-1])
