"""A program of its own that sends encoded pictures to a media server, so that whoever is stuck in it can be killed.

PyAV holds Python's lock while libav connects and while it shakes hands: a server that does not answer would stop the whole
pipeline, and nothing could end that. So each push has a process; `push.Pusher` starts it by its path (nothing else of streamseg is
imported).

Standard input: a line of JSON {"url", "format", "options", "begin"}, then units, each a head of 13 bytes (big-endian: uint32
length, uint64 ticks of 1/90000 s, uint8 key) and a sample as MP4 has it (for WHIP with start codes). Standard output: "connected",
or what failed.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import ctypes.util
import io
import json
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from struct import Struct
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import av

HEAD = Struct(">IQB")
CLOCK = Fraction(1, 90_000)
_SRT_PAYLOAD = 1316
"""Seven packets of MPEG-TS: what every SRT receiver expects in live mode."""


_SRT_LINGER = 0.5
"""Seconds in which what was sent last arrives, and is asked for again where it got lost."""


class SrtSocket(io.RawIOBase):
    """Writes to an SRT listener. PyAV's libav has no SRT, so this is libsrt itself. Raises OSError."""

    _SENDER, _STREAMID, _PASSPHRASE, _LATENCY, _PBKEYLEN, _CONNECT, _TRANSTYPE = 21, 46, 26, 23, 27, 36, 50

    def __init__(self, url: str) -> None:
        self._lib = _libsrt()
        parts = urlsplit(url)
        asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        if asked.get("mode", "caller") != "caller":
            raise OSError(f"mode={asked['mode']}: streamseg calls, the server listens; leave mode out")
        self._lib.srt_startup()
        self._socket = self._lib.srt_create_socket()
        self._set(self._SENDER, 1)
        self._set(self._CONNECT, 5000)
        if "latency" in asked:
            self._set(self._LATENCY, int(asked["latency"]) // (1000 if int(asked["latency"]) >= 10_000 else 1))
        for option, name in ((self._STREAMID, "streamid"), (self._PASSPHRASE, "passphrase")):
            if name in asked:
                self._set(option, unquote(asked[name]).encode())
        self._connect(parts.hostname or "", parts.port or 0)
        self._buffer = b""

    def _set(self, option: int, value: int | bytes) -> None:
        data = ctypes.c_int(value) if isinstance(value, int) else ctypes.create_string_buffer(value, len(value))
        size = ctypes.sizeof(data) if isinstance(value, int) else len(value)
        self._check(self._lib.srt_setsockflag(self._socket, option, ctypes.byref(data), size))

    def _connect(self, host: str, port: int) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        where = socket.inet_pton(family, str(address[0]))
        head = family.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big")
        raw = head + (where + bytes(8) if family == socket.AF_INET else bytes(4) + where + bytes(4))
        self._check(self._lib.srt_connect(self._socket, raw, len(raw)))

    def _check(self, result: int) -> None:
        if result == -1:
            raise OSError(self._lib.srt_getlasterror_str().decode(errors="replace"))

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Send whole packets; the rest waits for more."""
        self._buffer += bytes(data)
        while len(self._buffer) >= _SRT_PAYLOAD:
            self._send(_SRT_PAYLOAD)
        return len(data)

    def flush(self) -> None:
        """Send the rest: the picture is whole."""
        if self._buffer:
            self._send(len(self._buffer))

    def _send(self, size: int) -> None:
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        self._check(self._lib.srt_sendmsg(self._socket, part, len(part), -1, 1))


def _libsrt() -> Any:
    for name in ("srt-openssl", "srt-gnutls", "srt"):
        found = ctypes.util.find_library(name)
        if found:
            library = ctypes.CDLL(found)
            library.srt_getlasterror_str.restype = ctypes.c_char_p
            return library
    raise OSError("libsrt is not installed (Debian: apt install libsrt1.5-openssl)")


class Whip:
    """Publishes by WebRTC (WHIP, RFC 9725) with aiortc: libav's own muxer for it shakes hands with few servers."""

    def __init__(self, url: str) -> None:
        import aiortc  # of the extra webrtc

        self._rtc, self._url = aiortc, url
        self._units: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue(128)

    async def run(self, source: BinaryIO, connected: Callable[[], None]) -> None:
        """Connect, and send until `source` ends. Raises OSError."""
        rtc, loop = self._rtc, asyncio.get_running_loop()
        connection = rtc.RTCPeerConnection(rtc.RTCConfiguration([]))
        there: asyncio.Future[bool] = loop.create_future()

        def changed() -> None:
            if connection.connectionState in ("connected", "failed", "closed") and not there.done():
                there.set_result(connection.connectionState == "connected")
            elif connection.connectionState in ("failed", "closed"):
                print("the connection broke off", flush=True)
                os._exit(1)

        connection.on("connectionstatechange", changed)
        transceiver = connection.addTransceiver(self._track(), direction="sendonly")
        codecs = rtc.RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([each for each in codecs if each.mimeType == "video/H264"])
        await connection.setLocalDescription(await connection.createOffer())
        answer, session = await asyncio.to_thread(self._post, connection.localDescription.sdp)
        await connection.setRemoteDescription(rtc.RTCSessionDescription(answer, "answer"))
        if not await there:
            raise OSError("the server answered, but no connection came about (UDP between the two may be blocked)")
        connected()
        while (unit := await asyncio.to_thread(_unit, source)) is not None:
            await self._units.put(unit[:2])
        await self._units.put(None)
        await asyncio.sleep(0.1)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._ask, urllib.request.Request(session, method="DELETE"))
        await connection.close()

    def _track(self) -> Any:
        units = self._units
        from aiortc.mediastreams import MediaStreamError

        class Track(self._rtc.MediaStreamTrack):  # type: ignore[name-defined,misc]
            kind = "video"

            async def recv(self) -> Any:
                unit = await units.get()
                if unit is None:
                    self.stop()
                    raise MediaStreamError
                packet: av.Packet[Any] = av.Packet(unit[0])
                packet.pts, packet.time_base = unit[1], CLOCK
                return packet

        return Track()

    def _post(self, offer: str) -> tuple[str, str]:
        request = urllib.request.Request(self._url, offer.encode(), {"Content-Type": "application/sdp"}, method="POST")
        with self._ask(request) as answer:
            if answer.status != 201:
                raise OSError(f"the server answered {answer.status}, not 201")
            return answer.read().decode(), urljoin(self._url, answer.headers.get("Location", ""))

    def _ask(self, request: urllib.request.Request) -> Any:
        parts = urlsplit(request.full_url)
        mine = urlsplit(self._url)
        if mine.username:
            name = unquote(mine.username)
            basic = base64.b64encode(f"{name}:{unquote(mine.password or '')}".encode()).decode()
            request.add_header("Authorization", f"Basic {basic}" if mine.password else f"Bearer {name}")
        request.full_url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return urllib.request.urlopen(request, timeout=8)


def main() -> None:
    """Connect, and send until standard input ends."""
    source, answer = sys.stdin.buffer, sys.stdout
    asked = json.loads(source.readline())
    try:
        _relay(source, asked, lambda: print("connected", file=answer, flush=True))
    except (av.FFmpegError, OSError, ValueError) as error:
        text = (getattr(error, "strerror", None) or str(error)).replace("\n", " ")
        logged = av.logging.get_last_error()[1]
        print(f"{text}{f' ({logged[2].strip()})' if logged else ''}", file=answer, flush=True)
        sys.exit(1)


def _relay(source: BinaryIO, asked: dict[str, Any], connected: Callable[[], None]) -> None:
    if asked["format"] == "whip":
        asyncio.run(Whip(asked["url"]).run(source, connected))
        return
    # The muxer copies the parameters of a stream that a demuxer has read; WHIP's wants those that a picture tells, too.
    template = av.open(io.BytesIO(bytes.fromhex(asked["begin"]))).streams.video[0]
    srt = SrtSocket(asked["url"]) if asked["url"].startswith("srt://") else None
    container = av.open(srt or asked["url"], "w", format=asked["format"], container_options=asked["options"])
    stream = container.add_stream_from_template(template)
    stream.time_base = CLOCK
    container.start_encoding()
    connected()
    origin: int | None = None
    while (unit := _unit(source)) is not None:
        sample, ticks, key = unit
        origin = ticks if origin is None else origin
        packet: av.Packet[Any] = av.Packet(sample)
        packet.stream, packet.time_base, packet.is_keyframe = stream, CLOCK, key
        packet.pts = packet.dts = ticks - origin
        container.mux_one(packet)
        if srt is not None:
            srt.flush()
    container.close()
    if srt is not None:
        time.sleep(_SRT_LINGER)


def _unit(source: BinaryIO) -> tuple[bytes, int, bool] | None:
    head = source.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size, ticks, key = HEAD.unpack(head)
    sample = source.read(size)
    return (sample, ticks, bool(key)) if len(sample) == size else None


if __name__ == "__main__":
    av.logging.set_level(av.logging.ERROR)
    main()
