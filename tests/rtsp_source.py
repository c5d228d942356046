"""An RTSP camera on loopback (RFC 2326): numbered H.264 pictures over the control connection (RFC 6184, interleaved)."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import struct
import threading
from pathlib import Path
from types import TracebackType

from tests import clips
from tests.clips import Video

CLOCK = 90_000
MAX_PAYLOAD = 1200


def access_units(folder: Path, frames: int = 200, gop: int = 10) -> list[list[bytes]]:
    """The NAL units of each picture of a numbered clip, parameter sets with each key frame."""
    data = clips.raw_h264(folder / "camera.h264", frames, video=Video(gop=gop)).read_bytes()
    units: list[list[bytes]] = [[]]
    for nal in filter(None, re.split(b"\0\0\0?\1", data)):
        if nal[0] & 31 in (1, 5):
            units[-1].append(nal)
            units.append([])
        else:
            units[-1].append(nal)
    return [unit for unit in units if unit]


class Camera:
    """Use as a context manager. user, password: asked for by basic authentication; pause: seconds between pictures.

    told: what its clock says when it begins to play, seconds since 1970, UTC; None: it sends no RTCP report.
    """

    def __init__(
        self,
        pictures: list[list[bytes]],
        *,
        user: str = "",
        password: str = "",
        pause: float = 0.04,
        port: int = 0,
        told: float | None = None,
    ) -> None:
        self._pictures, self._pause = pictures, pause
        self._told = told
        self._wanted = base64.b64encode(f"{user}:{password}".encode()).decode() if user else ""
        self._closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._thread.join(2)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            buffer = b""
            while not self._closing.is_set():
                while b"\r\n\r\n" not in buffer:
                    received = connection.recv(4096)
                    if not received:
                        return
                    buffer += received
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                self._answer(
                    connection, head[head.find(b" rtsp") > 0 and head.rfind(b"\n", 0, head.find(b" rtsp")) + 1 :].decode()
                )

    def _answer(self, connection: socket.socket, request: str) -> None:
        verb, url = request.split()[:2]
        sequence = re.search(r"CSeq: *(\d+)", request)
        lines, body = [f"CSeq: {sequence[1] if sequence else 0}"], ""
        status = "200 OK"
        if self._wanted and verb != "OPTIONS" and f"Basic {self._wanted}" not in request:
            status = "401 Unauthorized"
            lines.append('WWW-Authenticate: Basic realm="camera"')
        elif not url.rstrip("/").split("?")[0].endswith(("/main", "/track0")):
            status = "404 Not Found"
        elif verb == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")
        elif verb == "DESCRIBE":
            sets = ",".join(base64.b64encode(nal).decode() for nal in self._pictures[0] if nal[0] & 31 in (7, 8))
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                f"a=fmtp:96 packetization-mode=1; sprop-parameter-sets={sets}\r\na=control:track0\r\n"
            )
            lines += [f"Content-Base: {url.split('?')[0]}/", "Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif verb == "SETUP":
            lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        elif verb == "PLAY":
            lines.append("Session: 1")
        connection.sendall("\r\n".join([f"RTSP/1.0 {status}", *lines, "", body]).encode())
        if verb == "PLAY":
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        sequence = 0
        with contextlib.suppress(OSError):
            if self._told is not None:
                report = _report(self._told)
                connection.sendall(struct.pack(">cBH", b"$", 1, len(report)) + report)
            for number, picture in enumerate(self._pictures):
                payloads = [payload for nal in picture for payload in _payloads(nal)]
                for position, payload in enumerate(payloads):
                    last = position == len(payloads) - 1
                    time_stamp = int(number * self._pause * CLOCK)
                    header = struct.pack(">BBHII", 0x80, 96 | (0x80 if last else 0), sequence & 0xFFFF, time_stamp, 0x5EED)
                    connection.sendall(struct.pack(">cBH", b"$", 0, len(header) + len(payload)) + header + payload)
                    sequence += 1
                if self._closing.wait(self._pause):
                    return


def _report(utc: float) -> bytes:
    """An RTCP sender report (RFC 3550, 6.4.1) that says when the picture with the RTP time 0 was captured."""
    ntp = round((utc + 2_208_988_800) * 2**32)
    return struct.pack(">BBHIQIII", 0x80, 200, 6, 0x5EED, ntp, 0, 0, 0)


def _payloads(nal: bytes) -> list[bytes]:
    """A NAL unit as one RTP payload, or in fragments (FU-A)."""
    if len(nal) <= MAX_PAYLOAD:
        return [nal]
    parts = [nal[at : at + MAX_PAYLOAD] for at in range(1, len(nal), MAX_PAYLOAD)]
    indicator, kind = nal[0] & 0xE0 | 28, nal[0] & 31
    marks = [0x80] + [0] * (len(parts) - 2) + [0x40]
    return [bytes([indicator, mark | kind]) + part for mark, part in zip(marks, parts, strict=True)]
