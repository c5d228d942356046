"""Where a stream can be pushed to, and what libav is told for each kind of address."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from streamseg.errors import OutputError
from streamseg.errors.credentials import shown
from streamseg.errors.extras import how_to_install

__all__ = ["SCHEMES", "PushTarget", "push_target"]


@dataclass(frozen=True, slots=True)
class _Way:
    muxer: str
    options: dict[str, str] = field(default_factory=dict)
    example: str = ""


_RTSP = {"rtsp_transport": "tcp"}
_FLV = {"flvflags": "no_duration_filesize"}
_TS = {"mpegts_flags": "resend_headers", "muxdelay": "0", "pat_period": "0.5"}
SCHEMES = {
    "rtsp": _Way("rtsp", _RTSP, "rtsp://user:password@10.0.0.2:8554/door"),
    "rtsps": _Way("rtsp", _RTSP, "rtsps://10.0.0.2:8322/door"),
    "rtmp": _Way("flv", _FLV, "rtmp://10.0.0.2/live/door"),
    "rtmps": _Way("flv", _FLV, "rtmps://host/app/key"),
    "srt": _Way("mpegts", _TS, "srt://10.0.0.2:8890?streamid=publish:door"),
    "udp": _Way("mpegts", _TS, "udp://10.0.0.2:1234"),
    "whip": _Way("whip", {}, "whip://10.0.0.2:8889/door/whip"),
    "whips": _Way("whip", {}, "whips://host/door/whip"),
}
"""By the scheme of the address."""
_NEEDS_PORT = frozenset({"srt", "udp"})


@dataclass(frozen=True, slots=True)
class PushTarget:
    """One place that a stream is pushed to."""

    url: str = field(repr=False)
    """What libav opens, credentials included: never to be shown."""
    name: str
    """What a user may see."""
    muxer: str
    options: dict[str, str]
    host: str


def push_target(address: str) -> PushTarget:
    """What an address says. Raises OutputError, which names what is wrong and gives an example."""
    scheme, name = address.partition("://")[0].lower(), shown(address)
    if scheme not in SCHEMES:
        raise OutputError(f"{name}: a stream is pushed to {', '.join(SCHEMES)}; not to {scheme}://")
    way = SCHEMES[scheme]
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise OutputError(f"{name}: {error}; write for example {way.example}") from error
    if not host or (scheme in _NEEDS_PORT and not port):
        missing = "host" if not host else "port"
        raise OutputError(f"{name}: the {missing} is missing; write for example {way.example}")
        raise OutputError(f"{name}: this Python has no ctypes, which SRT needs")
    if way.muxer == "whip" and importlib.util.find_spec("aiortc") is None:
        raise OutputError(f"{name}: WebRTC needs aiortc: {how_to_install('webrtc')}")
    url = address
    if scheme == "udp" and "pkt_size" not in parts.query:
        url += f"{'&' if parts.query else '?'}pkt_size=1316"
    if scheme in ("whip", "whips"):
        url = urlunsplit(("http" if scheme == "whip" else "https", *parts[1:]))
    return PushTarget(url, name, way.muxer, dict(way.options), host)
