"""One HTTP request for a file or the rest of it. A failure tells whether to try again or to give up.

Ranges are those of RFC 9110, section 14; proxies those of the environment (`https_proxy`, `no_proxy`, ...).

On the standard library: written on httpx it was longer (114 lines of code for 106), since what is ours stays ours: what a failure
means, which redirects are refused, If-Range. httpx takes four times as long to import (0.17 s for 0.04 s), brings six packages, and
trusts its own list of authorities in place of the system's unless told otherwise (tried on 2026-11-30, httpx 0.28.1).
"""

from __future__ import annotations

import base64
import http.client
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import IO

from streamseg.errors import ConfigError, ModelError

__all__ = ["Answer", "Broken", "ask", "host", "refuses_parts"]

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed (RFC 9110, 15.5 and 15.6; 425: RFC 8470, 429: RFC 6585)."""


class Broken(Exception):
    """A try failed in a way that another may not; says how."""

    def __init__(self, reason: str, *, wait: float = 0.0, offline: bool = False, changed: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        """Seconds that the server asks to wait."""
        self.offline = offline
        """The server was not reached."""
        self.changed = changed
        """The server's file is not the one that we have the beginning of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of a file from `first` on."""

    response: http.client.HTTPResponse
    first: int
    total: int | None
    """Bytes of the whole file; None: the server does not say."""
    validator: str
    """What tells this version of the file from others, for If-Range; empty: nothing does."""

    def read(self) -> bytes:
        """What has come since the last call, some of it at least; empty at the end. Raises Broken."""
        try:
            return self.response.read1(1 << 18)  # not read: that waits for all of it, and loses what came when it gives up
        except (OSError, http.client.HTTPException) as error:
            raise _why(error) from error


def ask(url: str, offset: int = 0, validator: str = "", timeout: float = 30.0) -> Answer:
    """Request the file at `url` from byte `offset` on, of the version of `validator`; another version is sent from its beginning.

    `timeout` is in seconds without a byte. Redirects are followed, but not from https to http. Credentials in the address are
    sent by basic authentication (RFC 7617).

    Raises Broken (try again), ModelError (that file cannot be had there) or ConfigError (not an address).
    """
    parts = urllib.parse.urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    address = urllib.parse.urlunsplit(parts._replace(netloc=place))
    request = urllib.request.Request(address, headers={"User-Agent": "streamseg", "Accept-Encoding": "identity"})
    if at:
        token = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    if offset:
        request.add_header("Range", f"bytes={offset}-")
        if validator:
            request.add_header("If-Range", validator)
    try:
        response: http.client.HTTPResponse = urllib.request.build_opener(_Redirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, url, offset) from error
    except urllib.error.URLError as error:
        raise _why(error.reason, connecting=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise _why(error) from error
    return _answer(response, url, offset)


def refuses_parts(url: str, timeout: float) -> bool:
    """Whether a server gives the file at `url`, but no part of it, whatever it says; False also if that cannot be told."""
    try:
        answer = ask(url, 1, timeout=timeout)
    except Broken as error:
        return error.changed
    except (ModelError, ConfigError, ValueError):
        return False
    answer.response.close()
    return answer.first == 0


def host(url: str) -> str:
    """The address's host and port, without credentials."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]


def _answer(response: http.client.HTTPResponse, url: str, offset: int) -> Answer:
    encoding = response.headers.get("Content-Encoding", "identity")
    if response.status not in (200, 206) or encoding != "identity":
        response.close()
        raise ModelError(
            f"{url} is answered by {response.status}, encoding {encoding}: not by the file itself; try another mirror"
        )
    tag = response.headers.get("ETag", "")
    # A weak tag says "means the same", not "the same bytes": If-Range does not take it (RFC 9110, 13.1.5).
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    if response.status == http.client.OK:
        length = response.headers.get("Content-Length", "")
        return Answer(response, 0, int(length) if length.isdigit() else None, validator)
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != offset:
        response.close()
        raise Broken("the server did not send the part that was asked for", changed=True)
    return Answer(response, offset, None if match[2] == "*" else int(match[2]), validator)


def _refusal(error: urllib.error.HTTPError, url: str, offset: int) -> Exception:
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
        return Broken("the file on the server has become shorter", changed=True)
    if error.code in _AGAIN:
        wait = error.headers.get("Retry-After", "")  # a date would depend on two clocks
        return Broken(f"the server answered {error.code} {error.reason}", wait=float(wait) if wait.strip().isdigit() else 0.0)
    hint = {401: "; put user:password@ before the host", 403: "; it is not given to us", 404: "; there is no such file"}
    return ModelError(f"cannot fetch {url}: {error.code} {error.reason}{hint.get(error.code, '')}")


def _why(error: object, connecting: bool = False) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ModelError(f"the server's certificate is not trusted ({error.verify_message}); is a proxy or the clock wrong?")
    if isinstance(error, http.client.InvalidURL):
        return ConfigError(f"the address is not one: {error}")
    if isinstance(error, TimeoutError):
        return Broken("nothing came in time", offline=connecting)
    if isinstance(error, OSError):
        return Broken(error.strerror or str(error), offline=connecting)
    return Broken(f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error), offline=connecting)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none that gives up encryption."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """The request to make next. Raises ModelError where it would be one without https after one with it."""
        old, new = (urllib.parse.urlsplit(url).scheme for url in (req.full_url, newurl))
        if new not in ("http", "https") or (old == "https" and new != "https"):
            raise ModelError(f"{req.full_url} redirects to {newurl}: from {old} to {new} is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
