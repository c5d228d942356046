"""A camera's stream by WebRTC, `/live/NAME/whep` (WHEP, draft-ietf-wish-whep): the packets of the shared encode, as they are.

A viewer posts an offer that has its candidates in it and gets the answer. Nobody else is asked for anything (no STUN, no TURN), so
the two have to be in one network. It needs aiortc, the extra `webrtc`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from starlette.responses import PlainTextResponse, Response

from streamseg.encode.stream import Listener, SharedStream, Unit
from streamseg.encode.stream.fmp4 import TIMESCALE
from streamseg.errors import ConfigError
from streamseg.errors.extras import how_to_install

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection
    from starlette.requests import Request

    from streamseg.live.control import Control

__all__ = ["Whep"]

_KIND = "application/sdp"
_LONGEST_OFFER = 64 * 1024
_HANDSHAKE = 15.0
"""Seconds within which a viewer has to be connected."""
_MISSING = f"WebRTC needs aiortc: {how_to_install('webrtc')}; the page shows the stream without it, too"


class Whep:
    """Viewers by WebRTC. It belongs to the server's loop."""

    def __init__(self, control: Control, max_viewers: int) -> None:
        self._control, self._max_viewers = control, max_viewers
        self._sessions: dict[str, RTCPeerConnection] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def viewers(self) -> int:
        """Who is watching, or about to."""
        return len(self._sessions)

    async def offer(self, request: Request) -> Response:
        """POST: an offer in, the answer out, and in Location what ends it."""
        name = request.path_params["name"]
        try:
            stream = self._control.feed(name).stream
        except (ConfigError, AttributeError):
            return PlainTextResponse("no such stream\n", 404)
        if request.headers.get("content-type", "").partition(";")[0].strip() != _KIND:
            return PlainTextResponse(f"post an offer as {_KIND}\n", 415)
        if len(self._sessions) >= self._max_viewers:
            return PlainTextResponse("too many viewers\n", 503, {"Retry-After": "10"})
        body = await _read(request, _LONGEST_OFFER)
        if body is None:
            return PlainTextResponse("an offer is not so long\n", 413)
        try:
            await asyncio.get_running_loop().run_in_executor(None, __import__, "aiortc")
        except ImportError:
            return PlainTextResponse(_MISSING + "\n", 501)
        session = secrets.token_urlsafe(16)
        try:
            answer = await self._answer(session, stream, body.decode())
        except (ValueError, KeyError, IndexError, AttributeError, AssertionError) as error:
            await self._end(session)
            return PlainTextResponse(f"this offer cannot be answered: {error}\n", 400)
        return Response(answer, 201, {"Location": f"{request.url.path}/{session}"}, _KIND)

    async def end(self, request: Request) -> Response:
        """DELETE: the viewer goes."""
        known = request.path_params["session"] in self._sessions
        await self._end(request.path_params["session"])
        return Response(status_code=200 if known else 404)

    async def _answer(self, session: str, stream: SharedStream, offer: str) -> str:
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

        connection = self._sessions[session] = RTCPeerConnection(RTCConfiguration([]))
        transceiver = connection.addTransceiver(_track(stream), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([each for each in codecs if each.mimeType == "video/H264"])
        # aiortc has no call for it: a viewer that lost packets asks for a key frame, which only the shared encode can give.
        setattr(transceiver.sender, "_send_keyframe", stream.want_key)  # noqa: B010

        @connection.on("connectionstatechange")
        def changed() -> None:
            if connection.connectionState in ("failed", "closed"):
                self._forget(session)

        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if transceiver.mid is None:
            raise ValueError("it asks for no video")
        answer = await connection.createAnswer()
        if "H264/90000" not in answer.sdp:
            raise ValueError("it does not take H.264 in constrained baseline, packetization-mode 1")
        await connection.setLocalDescription(answer)
        asyncio.get_running_loop().call_later(_HANDSHAKE, self._give_up, session)
        return str(connection.localDescription.sdp)

    def _give_up(self, session: str) -> None:
        connection = self._sessions.get(session)
        if connection is not None and connection.connectionState != "connected":
            self._forget(session)

    def _forget(self, session: str) -> None:
        task = asyncio.ensure_future(self._end(session))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, session: str) -> None:
        connection = self._sessions.pop(session, None)
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        """End for everybody."""
        await asyncio.gather(*self._ending, *(self._end(session) for session in list(self._sessions)), return_exceptions=True)


def _track(stream: SharedStream) -> MediaStreamTrack:
    from aiortc import MediaStreamTrack
    from aiortc.mediastreams import MediaStreamError

    class StreamTrack(MediaStreamTrack):
        """Gives the stream's packets to aiortc, which puts them into RTP as they are."""

        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self._listener: Listener | None = None
            self._ready = asyncio.Event()

        async def recv(self) -> Any:
            loop = asyncio.get_running_loop()
            if self._listener is None:  # the viewer is there: what was encoded before would be late

                def on_ready() -> None:
                    with contextlib.suppress(RuntimeError):  # the loop has ended
                        loop.call_soon_threadsafe(self._ready.set)

                self._listener = await loop.run_in_executor(None, stream.listen, on_ready)
            while True:
                self._ready.clear()
                while (message := self._listener.take()) is not None:
                    if isinstance(message, Unit):
                        packet: av.Packet[Any] = av.Packet(message.data)
                        packet.pts, packet.time_base = message.ticks, Fraction(1, TIMESCALE)
                        return packet
                if self._listener.ended or self.readyState != "live":
                    self.stop()
                    raise MediaStreamError
                await self._ready.wait()

        def stop(self) -> None:
            super().stop()
            if self._listener is not None:
                self._listener.close()

    return StreamTrack()


async def _read(request: Request, most: int) -> bytes | None:
    """The body; None: it is longer than `most` bytes."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return body
