"""Calls an address with each event: JSON by HTTP POST, signed, in order, and again until it has arrived.

Id, time and signature are those of Standard Webhooks (standardwebhooks.com, version 1.0.0), for which receivers have libraries:

    webhook-id: the event's id          webhook-timestamp: seconds since 1970          webhook-signature: v1,BASE64

where the signature is HMAC-SHA256 of `ID.TIMESTAMP.BODY` with the secret (where it begins with `whsec_`: with what the rest is in
base64). A receiver that remembers ids counts nothing twice.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import http.client
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamseg.config.live_tell import fill
from streamseg.config.live_webhooks import WebhookConfig
from streamseg.errors import ConfigError, scrub
from streamseg.live.bus import Bus
from streamseg.live.tell.collect import Collector, Complaints
from streamseg.live.tell.delivery import Backoff, Delivery, Later, Refused
from streamseg.live.tell.event_json import as_json
from streamseg.live.tell.outbox import Letter, Outbox
from streamseg.runtime.alarm import Alarm

__all__ = ["Webhook", "signature"]

_OF_THE_MESSAGE = frozenset({400, 405, 406, 409, 411, 413, 415, 422, 431})
"""Answers that say of this message that it is wrong; others that are no success may be mended, at the receiver or on the way."""
_MOST_ANSWER = 64 << 10


class Webhook:
    """One receiver, as a service: `start`, `stop`."""

    def __init__(self, config: WebhookConfig, bus: Bus, folder: Path, backoff: Backoff | None = None) -> None:
        """folder: of its outbox. Raises OutputError."""
        self._config = config
        self.name = f"webhook {host(config.url)}"
        say = Complaints(bus)
        self.outbox = Outbox(folder / f"webhook-{_digest(config.url)}.sqlite", config.queue, config.max_age, say)
        self.delivery = Delivery(self.name, self.outbox, self._send, say, backoff)
        self.collector = Collector(bus, self._take, self.name, say)
        self._call = _Call(config.timeout)

    def start(self) -> None:
        """Raises ConfigError where a secret cannot be read."""
        self._headers("", b"")
        self.delivery.start()
        self.collector.start()

    def stop(self, timeout: float) -> None:
        """What has not arrived is kept for the next start."""
        self.collector.stop(timeout / 4)
        self.delivery.stop(timeout / 2)
        self._call.abort()
        self.outbox.close()

    def _take(self, data: dict[str, Any], thumbnail: bytes) -> None:
        config = self._config
        if not config.wants(data):
            return
        body = data if config.body is None else _filled(config.body, data)
        if config.thumbnail and thumbnail and isinstance(body, dict):
            body = body | {"thumbnail": base64.b64encode(thumbnail).decode()}
        self.outbox.put(data["id"], as_json(body))
        self.delivery.wake()

    def _headers(self, id: str, body: bytes) -> dict[str, str]:
        config, stamp = self._config, str(int(time.time()))
        headers = {name: secret.get() for name, secret in config.headers.items()}
        for name, value in headers.items():
            if not value.isprintable() or not value.isascii():
                raise ConfigError(f"{self.name}: what is to stand in the header {name} is not plain text in one line")
        headers |= {"webhook-id": urllib.parse.quote(id), "webhook-timestamp": stamp}
        if config.secret is not None:
            headers["webhook-signature"] = signature(config.secret.get(), headers["webhook-id"], stamp, body)
        return headers

    def _send(self, letter: Letter) -> None:
        try:
            headers = self._headers(letter.id, letter.body)
        except ConfigError as error:
            raise Later(str(error)) from error
        self._call(self._config.url, letter.body, headers)


class _Call:
    """One request after the other, each over within `timeout` seconds whatever the receiver does."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._aborted = self._late = False
        self._alarm = Alarm(self._too_late, "webhook deadline")

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Raises Later or Refused."""
        parts = urllib.parse.urlsplit(url)
        user, at, place = parts.netloc.rpartition("@")
        address = urllib.parse.urlunsplit(parts._replace(netloc=place, fragment=""))
        headers = {"Content-Type": "application/json", "User-Agent": "streamseg"} | headers
        if at:
            token = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
            headers.setdefault("Authorization", f"Basic {token}")
        request = urllib.request.Request(address, body, headers, method="POST")
        self._late = False
        self._alarm.set(time.monotonic() + self._timeout)
        try:
            with _opener(self._connected).open(request, timeout=self._timeout) as answer:
                answer.read(_MOST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Later(self._why(error)) from error
        finally:
            self._alarm.set(None)
            self._socket = None

    def abort(self) -> None:
        """Hang up, now and for ever."""
        self._aborted = True
        self._too_late()
        self._alarm.close()

    def _connected(self, sock: socket.socket) -> None:
        self._socket = sock
        if self._aborted:
            self._too_late()

    def _too_late(self) -> None:
        self._late = True
        sock = self._socket
        if sock is not None:
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which another thread may be reading
            except OSError:  # it is closed already
                return

    def _why(self, error: Exception) -> str:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if self._late or isinstance(reason, TimeoutError):
            return f"did not answer within {self._timeout:g} s"
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({reason.verify_message})"
        if isinstance(reason, OSError):
            return f"cannot be reached ({scrub(reason.strerror or str(reason))})"
        return f"does not answer as a web server does ({scrub(f'{type(error).__name__}: {error}')})"


def signature(secret: str, id: str, stamp: str, body: bytes) -> str:
    """As in the header `webhook-signature`. Raises ConfigError for a `whsec_` that is no base64."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error as error:
            raise ConfigError("a secret that begins with whsec_ goes on with base64; this one does not") from error
    digest = hmac.digest(key, b".".join((id.encode(), stamp.encode(), body)), hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def host(url: str) -> str:
    """What messages call an address: its host and port, nothing that may be a key."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _filled(body: Any, data: dict[str, Any]) -> Any:
    if isinstance(body, dict):
        return {key: _filled(value, data) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, data) for value in body]
    return fill(body, data) if isinstance(body, str) else body


def _refusal(error: urllib.error.HTTPError) -> Exception:
    said = f"answers {error.code} {error.reason}"
    if error.code in _OF_THE_MESSAGE:
        return Refused(said)
    wait = (error.headers.get("Retry-After") or "").strip()  # a date would depend on two clocks
    return Later(said, min(float(wait), 3600.0) if wait.isdigit() else 0.0)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whom the system trusts; reading that takes tens of milliseconds of a core, each time."""
    return ssl.create_default_context()


def _opener(connected: Callable[[socket.socket], None]) -> urllib.request.OpenerDirector:
    """Follows no redirects (a call that is signed for one receiver is not for another), and tells each socket."""

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

    class Encrypted(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            connected(self.sock)

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class Https(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Encrypted, req, context=_trusted())

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return urllib.request.build_opener(Http, Https, NoRedirects)
