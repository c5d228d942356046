"""Finds the cameras of the network that speak ONVIF: one question to all (WS-Discovery 1.0, which ONVIF asks for), or to one host.

The question goes out of every network of this machine as multicast, which routers do not pass on: a camera elsewhere is asked by
its address.
"""

from __future__ import annotations

import contextlib
import ipaddress
import selectors
import socket
import struct
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from streamseg.errors import SourceError

__all__ = ["NetworkCamera", "discover", "probe_message", "read_matches"]

GROUP, PORT = "239.255.255.250", 3702
_WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
_TYPES = "http://www.onvif.org/ver10/network/wsdl"
_REPEAT = 0.5
"""Seconds after which it is asked once more: UDP loses questions and answers."""
_SCOPE = "onvif://www.onvif.org/"


@dataclass(frozen=True, slots=True)
class NetworkCamera:
    """A camera that has answered."""

    id: str
    """The same whatever its address is, as `urn:uuid:...`."""
    service: str
    """Where it is asked for more, as `http://10.0.0.7/onvif/device_service`."""
    name: str = ""
    hardware: str = ""
    location: str = ""

    @property
    def host(self) -> str:
        """Its address on the network."""
        return urlsplit(self.service).hostname or ""


def discover(timeout: float = 3.0, hosts: Sequence[str] = ()) -> list[NetworkCamera]:
    """Ask all, or only `hosts` (`10.0.0.7`, or with another port `127.0.0.1:3703`); answers within `timeout` seconds, by address.

    Raises SourceError for a host that is no address or not known.
    """
    targets = [_target(host) for host in hosts]
    found: dict[str, NetworkCamera] = {}
    with contextlib.ExitStack() as open_, selectors.DefaultSelector() as selector:
        sockets = [_unicast(open_)] if targets else list(_multicast(open_))
        for each in sockets:
            selector.register(each, selectors.EVENT_READ)
        message = probe_message()
        deadline, again = time.monotonic() + timeout, 0.0
        while (now := time.monotonic()) < deadline:
            if now >= again:
                _ask(sockets, targets or [(GROUP, PORT)], message)
                again = now + _REPEAT if not again else deadline
            for key, _ in selector.select(max(0.0, min(deadline, again or deadline) - now)):
                for camera in _answer(key.fileobj):
                    found.setdefault(camera.id, camera)
    return sorted(found.values(), key=_order)


def _order(camera: NetworkCamera) -> tuple[int, int | str]:
    try:
        return 0, int(ipaddress.ip_address(camera.host))
    except ValueError:
        return 1, camera.host


def _target(host: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{host}")
        where = (parts.hostname or "", parts.port or PORT)
        return str(socket.getaddrinfo(*where, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0]), where[1]
    except (OSError, ValueError) as error:
        raise SourceError(f"{host}: no host is known by this name; give an address, as 10.0.0.7") from error


def _unicast(open_: contextlib.ExitStack) -> socket.socket:
    return open_.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


def _multicast(open_: contextlib.ExitStack) -> Iterator[socket.socket]:
    """A socket for each network of this machine, whichever of them has the way to everywhere else."""
    for index, _ in socket.if_nameindex():
        each = _unicast(open_)
        each.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, struct.pack("B", 1))
        with contextlib.suppress(OSError):  # one that is down or has no multicast
            each.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _interface(index))
            yield each


def _interface(index: int) -> bytes:
    """How a network is named to the system: by its number (struct ip_mreqn; in Windows that number as an address)."""
    return struct.pack("!I", index) if sys.platform == "win32" else struct.pack("=4s4si", b"", b"", index)


def _ask(sockets: Sequence[socket.socket], targets: Sequence[tuple[str, int]], message: bytes) -> None:
    for each in sockets:
        for target in targets:
            with contextlib.suppress(OSError):  # no route: nobody answers from there
                each.sendto(message, target)


def _answer(ready: object) -> list[NetworkCamera]:
    assert isinstance(ready, socket.socket)
    try:
        data, (host, _) = ready.recvfrom(65535)
    except OSError:  # that nobody listens there
        return []
    return read_matches(data, host)


def probe_message() -> bytes:
    """The question: which video devices are there?"""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="{_ENVELOPE}" xmlns:w="{_WSA}" xmlns:d="{_WSD}" '
        f'xmlns:dn="{_TYPES}"><e:Header><w:MessageID>urn:uuid:{uuid.uuid4()}</w:MessageID>'
        "<w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>"
        f"<w:Action>{_WSD}/Probe</w:Action></e:Header>"
        "<e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    ).encode()


def read_matches(data: bytes, host: str = "") -> list[NetworkCamera]:
    """The cameras of an answer that came from `host`; what cannot be read says nothing."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return []
    found = []
    for match in root.iter(f"{{{_WSD}}}ProbeMatch"):
        services = (match.findtext(f"{{{_WSD}}}XAddrs") or "").split()
        # A camera tells all its addresses; the one from which it answers can be reached.
        service = next((each for each in services if _host(each) == host), next(iter(services), ""))
        if _host(service):
            told = _scopes(match.findtext(f"{{{_WSD}}}Scopes") or "")
            id_ = (match.findtext(f"{{{_WSA}}}EndpointReference/{{{_WSA}}}Address") or service).strip()
            found.append(NetworkCamera(id_, service, told.get("name", ""), told.get("hardware", ""), told.get("location", "")))
    return found


def _host(service: str) -> str:
    try:
        parts = urlsplit(service)
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


def _scopes(text: str) -> dict[str, str]:
    """`onvif://www.onvif.org/name/Front%20Door` → {"name": "Front Door"}; the first of each kind."""
    told: dict[str, str] = {}
    for scope in text.split():
        kind, _, value = scope.removeprefix(_SCOPE).partition("/")
        if scope.startswith(_SCOPE) and value:
            told.setdefault(kind, " ".join(unquote(value).split()))
    return told
