"""Moving pictures as H.264 in fragmented MP4 over a WebSocket, `/live/NAME.ws`, for Media Source Extensions (`static/mse.js`).

Text is JSON: {"type": "stream", "codec", "width", "height", "epoch", "number"} before the first picture and whenever it changes,
and {"type": "state", "state", "reason"} while no picture comes. Binary messages are a head of 24 bytes, big-endian, and what a
SourceBuffer takes:

    uint8    1: initialisation segment; 2: fragment, which is one frame
    uint8    1: a key frame
    uint16   0
    uint32   Frame.index
    float64  media time in seconds, as requestVideoFrameCallback tells it
    float64  when the frame arrived: seconds since 1970, UTC; 0: not known

A viewer is never waited for: who does not take what was sent for two seconds is hung up on, and told why where it still hears.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib.util import find_spec
from struct import pack
from typing import TYPE_CHECKING

from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from streamseg.encode.stream import Listener, SharedStream, StreamFormat, Unit
from streamseg.errors import ConfigError
from streamseg.live.web.whep import Whep

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from streamseg.live.control import Control

__all__ = ["WAYS", "Streams"]

WAYS = ("mse", *(("webrtc",) if find_spec("aiortc") else ()), "jpeg")
"""How moving pictures can be had here, the best first."""
GONE, TOO_SLOW, REMOVED, FULL = 4404, 4408, 4410, 4429
"""Why a WebSocket is closed."""
_HEAD = ">BBHIdd"
_PATIENCE = 2.0
_STILL = 2.0
"""Seconds without a picture after which a viewer is told how the camera is."""


class Streams:
    """Cameras' streams for viewers, by WebSocket and by WebRTC. It belongs to the server's loop."""

    def __init__(self, control: Control, *, max_viewers: int = 64) -> None:
        self._control, self._max_viewers = control, max_viewers
        self.viewers = 0
        """By WebSocket."""
        self.whep = Whep(control, max_viewers)

    @property
    def routes(self) -> list[BaseRoute]:
        """What a Starlette app answers."""
        return [
            WebSocketRoute("/live/{name}.ws", self.socket),
            Route("/live/{name}/whep", self.whep.offer, methods=["POST"]),
            Route("/live/{name}/whep/{session}", self.whep.end, methods=["DELETE"]),
        ]

    async def close(self) -> None:
        """End what a server does not end of itself, when it stops: viewers by WebRTC."""
        await self.whep.close()

    async def socket(self, viewer: WebSocket) -> None:
        """One viewer, until it goes."""
        name = viewer.path_params["name"]
        await viewer.accept()
        try:
            stream = self._control.feed(name).stream
        except (ConfigError, AttributeError):
            await viewer.close(GONE, "no such stream")
            return
        if self.viewers >= self._max_viewers:
            await viewer.close(FULL, "too many viewers")
            return
        self.viewers += 1
        listening = asyncio.ensure_future(self._show(viewer, name, stream))
        leaving = asyncio.ensure_future(_left(viewer))
        try:
            await asyncio.wait({listening, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.viewers -= 1
            listening.cancel()
            leaving.cancel()
            await asyncio.gather(listening, leaving, return_exceptions=True)

    async def _show(self, viewer: WebSocket, name: str, stream: SharedStream) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()

        def on_ready() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ready.set)

        # The newest picture may be encoded for it, which takes a moment.
        listener = await loop.run_in_executor(None, lambda: stream.listen(on_ready, patience=_PATIENCE))
        try:
            code, why = await self._send(viewer, name, stream, listener, ready)
        except TimeoutError:
            code, why = TOO_SLOW, "too slow"
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            listener.close()
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            await asyncio.wait_for(viewer.close(code, why[:100]), 1.0)

    async def _send(
        self, viewer: WebSocket, name: str, stream: SharedStream, listener: Listener, ready: asyncio.Event
    ) -> tuple[int, str]:
        while True:
            ready.clear()
            while (message := listener.take()) is not None:
                if isinstance(message, StreamFormat):
                    await asyncio.wait_for(viewer.send_text(_said(message)), _PATIENCE)
                    await asyncio.wait_for(viewer.send_bytes(pack(_HEAD, 1, 0, 0, 0, 0.0, 0.0) + message.init), _PATIENCE)
                else:
                    await asyncio.wait_for(viewer.send_bytes(_head(message) + message.fragment), _PATIENCE)
            if listener.ended:
                return (TOO_SLOW if "slow" in listener.ended else REMOVED), listener.ended
            if stream.failed:
                return GONE, stream.failed
            try:
                await asyncio.wait_for(ready.wait(), _STILL)
            except TimeoutError:
                state = next((each for each in self._control.cameras() if each.name == name), None)
                if state is not None:
                    text = json.dumps({"type": "state", "state": state.state, "reason": state.reason})
                    await asyncio.wait_for(viewer.send_text(text), _PATIENCE)


def _said(format: StreamFormat) -> str:
    keys = ("codec", "width", "height", "epoch", "number")
    return json.dumps({"type": "stream"} | {key: getattr(format, key) for key in keys})


def _head(unit: Unit) -> bytes:
    return pack(_HEAD, 2, unit.key, 0, unit.index & 0xFFFFFFFF, unit.time, unit.captured_utc)


async def _left(viewer: WebSocket) -> None:
    while (await viewer.receive())["type"] != "websocket.disconnect":
        pass
