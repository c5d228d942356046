"""News for those who have the page open: written once for all, and never waited for who is slow.

One thread takes the news from the bus and hands them to the server's loop. Once a second everyone also gets all cameras' figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from streamseg.errors import ConfigError
from streamseg.live.control import Control
from streamseg.live.news import Happened
from streamseg.live.web import plain

__all__ = ["Hub"]

_KEPT = 200
"""Events that who opens the page sees, where no store keeps them."""
_WAITING = 256
"""News that may wait for one viewer, who is then dropped."""
_EVERY = 1.0


class Hub:
    """The bus, for the server's loop. `start` and `stop` belong to that loop; `recent` and `thumbnail` to any thread."""

    def __init__(self, control: Control, executor: Executor) -> None:
        self._control, self._executor = control, executor
        self._viewers: set[asyncio.Queue[str | None]] = set()
        self._lock = threading.Lock()
        self._events: OrderedDict[str, tuple[Happened, str | None]] = OrderedDict()
        self._subscription = control.bus.subscribe(size=1024)
        self._thread: threading.Thread | None = None
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._listen, args=(loop,), name="page news", daemon=True)
        self._thread.start()
        self._ticking = loop.create_task(self._tick())

    def stop(self) -> None:
        """Hang up on every viewer."""
        self._subscription.close()
        if self._ticking is not None:
            self._ticking.cancel()
        self._tell(None)

    def recent(self) -> list[tuple[Happened, str | None]]:
        """Events since the page was started, the newest first, a few hundred at most, with the names of their objects."""
        with self._lock:
            return list(reversed(self._events.values()))

    def thumbnail(self, event: str) -> bytes:
        """JPEG; empty: there is none (any more)."""
        with self._lock:
            return self._events[event][0].thumbnail if event in self._events else b""

    async def serve(self, viewer: WebSocket) -> None:
        """`/api/news`: news as JSON, until the viewer goes."""
        await viewer.accept()
        queue: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        self._viewers.add(queue)
        gone = asyncio.ensure_future(_gone(viewer))
        try:
            await viewer.send_text(await self._figures())
            while not gone.done():
                text = asyncio.ensure_future(queue.get())
                await asyncio.wait({text, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not text.done():
                    text.cancel()
                    return
                if (told := text.result()) is None:
                    await viewer.close(1012)
                    return
                await viewer.send_text(told)
        except (WebSocketDisconnect, RuntimeError):  # it went while it was sent to
            return
        finally:
            gone.cancel()
            self._viewers.discard(queue)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for item in self._subscription:
            name = self._name(item) if isinstance(item, Happened) else None
            if isinstance(item, Happened):
                with self._lock:
                    self._events[item.id] = item, name
                    while len(self._events) > _KEPT:
                        self._events.popitem(last=False)
            if self._viewers:
                text = json.dumps(plain.news(item, name))
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._tell, text)

    def _name(self, event: Happened) -> str | None:
        """What a person called the object, as far as it is still in view."""
        try:
            result = self._control.feed(event.camera).latest()
        except ConfigError:  # the camera is gone
            return None
        return None if result is None else result.instances.track_names.get(event.event.track_id)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            if self._viewers:
                self._tell(await self._figures())

    async def _figures(self) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._all_figures)

    def _all_figures(self) -> str:
        cameras: Iterable[Any] = self._control.cameras()
        return json.dumps({"kind": "cameras", "cameras": [plain.status(camera) for camera in cameras]})

    def _tell(self, text: str | None) -> None:
        for queue in list(self._viewers):
            if queue.full():  # so slow that what it would get is no news
                self._viewers.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)
            else:
                queue.put_nowait(text)


async def _gone(viewer: WebSocket) -> None:
    """Returns when the viewer has gone; what it says is not listened to."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await viewer.receive_text()
