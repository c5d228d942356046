"""A camera on loopback that speaks ONVIF: WS-Discovery over UDP, and SOAP with user names and digests (WSS UsernameToken 1.0).

It answers GetSystemDateAndTime, GetServices, GetProfiles and GetStreamUri, as the WSDLs of ONVIF say.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import threading
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">{head}'
    "<s:Body>{body}</s:Body></s:Envelope>"
)
FAULT = (
    '<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:ter="http://www.onvif.org/ver10/error">'
    'ter:NotAuthorized</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">Sender not authorized</s:Text></s:Reason>'
    "</s:Fault>"
)


class OnvifDevice:
    """Use as a context manager. `streams`: (name, address, codec, width, height, rate)."""

    def __init__(
        self,
        streams: list[tuple[str, str, str, int, int, int]],
        *,
        user: str = "admin",
        password: str = "secret",
        group: str = "",
    ) -> None:
        """group: multicast of loopback, on which it is asked, too."""
        self._streams, self._user, self._password = streams, user, password
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((group or "127.0.0.1", 0))
        if group:
            loopback = struct.pack("=4s4si", socket.inet_aton(group), b"", socket.if_nametoindex("lo"))
            self._udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, loopback)
        self._where = group or "127.0.0.1"
        self.port = int(self._udp.getsockname()[1])
        """Of discovery."""
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, text = device._answer(request)
                self.send_response(status)
                self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.service = f"http://127.0.0.1:{self._http.server_address[1]}/onvif/device_service"
        self.probes: list[str] = []
        self._threads = [
            threading.Thread(target=self._discovered, daemon=True),
            threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True),
        ]

    def __enter__(self) -> OnvifDevice:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            if self._where != "127.0.0.1":
                loopback = struct.pack("=4s4si", b"", b"", socket.if_nametoindex("lo"))
                last.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
            last.sendto(b"", (self._where, self.port))
        for thread in self._threads:
            thread.join(2)
        self._udp.close()

    def _discovered(self) -> None:
        while True:
            data, sender = self._udp.recvfrom(65535)
            if not data:
                return
            self.probes.append(data.decode())
            question = re.search(r"MessageID>([^<]+)<", data.decode())
            asked = question[1] if question else ""
            head = (
                f"<s:Header><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID><a:RelatesTo>{asked}</a:RelatesTo>"
                "<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
                "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action></s:Header>"
            )
            body = (
                "<d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:00000000-0000-1000-8000-00125e000001"
                "</a:Address></a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>"
                "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Front%20Door "
                f"onvif://www.onvif.org/hardware/M1065-L onvif://www.onvif.org/location/hall</d:Scopes><d:XAddrs>"
                f"http://192.0.2.7/onvif/device_service {self.service}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
                "</d:ProbeMatch></d:ProbeMatches>"
            )
            self._udp.sendto(ENVELOPE.format(head=head, body=body).encode(), sender)

    def _answer(self, request: str) -> tuple[int, str]:
        if "GetSystemDateAndTime" in request:
            return 200, ENVELOPE.format(head="", body=_now())
        if not self._knows(request):
            return 400, ENVELOPE.format(head="", body=FAULT)
        if "GetServices" in request:
            media = self.service.replace("device_service", "media_service")
            return 200, ENVELOPE.format(head="", body=_services(self.service, media))
        if "GetProfiles" in request:
            profiles = "".join(_profile(number, *stream) for number, stream in enumerate(self._streams))
            return 200, ENVELOPE.format(head="", body=f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>")
        token = re.search(r"ProfileToken>profile(\d+)<", request)
        assert token is not None, request
        address = self._streams[int(token[1])][1]
        uri = f"<tt:Uri>{address}</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        rest = "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
        return 200, ENVELOPE.format(
            head="", body=f"<trt:GetStreamUriResponse><trt:MediaUri>{uri}{rest}</trt:MediaUri></trt:GetStreamUriResponse>"
        )

    def _knows(self, request: str) -> bool:
        """Whether the digest is that of the password."""
        found = [
            re.search(rf"<(?:\w+:)?{name}[^>]*>([^<]+)</", request) for name in ("Username", "Password", "Nonce", "Created")
        ]
        if not all(found):
            return False
        user, digest, nonce, created = (match[1] for match in found if match is not None)
        wanted = hashlib.sha1(base64.b64decode(nonce) + created.encode() + self._password.encode()).digest()
        return user == self._user and base64.b64decode(digest) == wanted


def _now() -> str:
    at = datetime.now(UTC)
    clock = (
        f"<tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute><tt:Second>{at.second}</tt:Second></tt:Time>"
    )
    day = f"<tt:Date><tt:Year>{at.year}</tt:Year><tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date>"
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
        f"<tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>{clock}{day}</tt:UTCDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def _services(device: str, media: str) -> str:
    version = "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version>"
    rows = (("http://www.onvif.org/ver10/device/wsdl", device), ("http://www.onvif.org/ver10/media/wsdl", media))
    told = "".join(
        f"<tds:Service><tds:Namespace>{space}</tds:Namespace><tds:XAddr>{where}</tds:XAddr>{version}</tds:Service>"
        for space, where in rows
    )
    return f"<tds:GetServicesResponse>{told}</tds:GetServicesResponse>"


def _profile(number: int, name: str, address: str, codec: str, width: int, height: int, rate: int) -> str:
    return (
        f'<trt:Profiles token="profile{number}" fixed="true"><tt:Name>{name}</tt:Name>'
        f'<tt:VideoEncoderConfiguration token="encoder{number}"><tt:Name>{name}</tt:Name><tt:UseCount>1</tt:UseCount>'
        f"<tt:Encoding>{codec}</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        f"<tt:Quality>4</tt:Quality><tt:RateControl><tt:FrameRateLimit>{rate}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>4096</tt:BitrateLimit></tt:RateControl>"
        "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
        "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        "<tt:SessionTimeout>PT60S</tt:SessionTimeout></tt:VideoEncoderConfiguration></trt:Profiles>"
    )
