"""Who may open the page: everybody on this machine while only this machine reaches it, otherwise who shows the token.

A link with `?token=` is answered with a cookie and the same address without the token, so that it stands in no history, bookmark or
log from then on; programs send `Authorization: Bearer`. Pages of other sites may not ask, even in a browser that runs here: Host,
Origin and Sec-Fetch-Site are checked, of WebSockets too (DNS rebinding; requests across sites).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.websockets import WebSocketClose

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Door", "Guard", "allowed"]

_OPEN_TO_ALL = {"/healthz", "/readyz", "/health"}
"""A watchdog asks without a token; `/health` says more to who shows one."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_WRONG_TOKEN_DELAY = 0.3


@dataclass(frozen=True)
class Door:
    """What opens the page."""

    token: str | None
    """None: nobody but this machine, or a trusted proxy, reaches it."""
    port: int
    host: str = "127.0.0.1"
    url: str = ""
    """What people type where a proxy stands before the page."""
    trust_proxy: bool = False
    """Requests that were forwarded need no token: the proxy asks for one."""

    @property
    def cookie(self) -> str:
        """Its name: cookies do not tell ports apart."""
        return f"streamseg-{self.port}"

    @property
    def pass_(self) -> str:
        """What the cookie holds: made of the token, which cannot be made of it."""
        return hmac.new((self.token or "").encode(), b"streamseg page", hashlib.sha256).hexdigest()

    @property
    def hosts(self) -> set[str]:
        """Values of Host that are this page, where no token is asked for."""
        names = {"127.0.0.1", "localhost", "[::1]", f"[{self.host}]" if ":" in self.host else self.host}
        own = {f"{name}:{self.port}" for name in names} | (names if self.port == 80 else set())
        return own | ({urlsplit(self.url).netloc} if self.url else set())

    def same_site(self, headers: Headers) -> bool:
        """Whether a page of this server asks, or no page at all."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        own = {f"http://{host}", f"https://{host}"}
        if self.url:
            parts = urlsplit(self.url)
            own.add(f"{parts.scheme}://{parts.netloc}")
        return origin is None or origin in own

    def knows(self, headers: Headers, cookies: dict[str, str]) -> bool:
        """Whether a request shows the token or the cookie; always where none is asked for."""
        if self.token is None:
            forwarded = any(name in headers for name in _FORWARDED)
            return headers.get("host", "") in self.hosts and (not forwarded or self.trust_proxy)
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return _same(cookies.get(self.cookie, ""), self.pass_) or _same(bearer, self.token)


def allowed(scope: Scope) -> bool:
    """Whether the request may see everything: false for what is open to all, asked without a token."""
    return bool(scope.get("streamseg.allowed"))


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


class Guard:
    """Asks `door` before the app, and adds headers that keep other sites and third parties out."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        guarded = _with_headers(send, asked.headers.get("host", "")) if scope["type"] == "http" else send
        if not self._door.same_site(asked.headers):
            await self._refuse(scope, receive, guarded, "not allowed: another site asks")
        elif self._door.knows(asked.headers, asked.cookies):
            scope["streamseg.allowed"] = True
            if scope["type"] == "http" and "token" in asked.query_params and scope["method"] == "GET":
                await self._without_token(asked)(scope, receive, guarded)
            else:
                await self._app(scope, receive, guarded)
        elif self._door.token is not None and _same(asked.query_params.get("token", ""), self._door.token):
            await self._welcome(scope, receive, guarded, asked)
        elif scope["path"] in _OPEN_TO_ALL and scope["type"] == "http":
            await self._app(scope, receive, guarded)
        else:
            if "token" in asked.query_params or "authorization" in asked.headers:
                await asyncio.sleep(_WRONG_TOKEN_DELAY)
            await self._refuse(scope, receive, guarded, self._why())

    async def _welcome(self, scope: Scope, receive: Receive, send: Send, asked: HTTPConnection) -> None:
        """The token in the address: of a browser that opens a page a cookie, of everything else just the answer."""
        if scope["type"] == "websocket" or scope["method"] != "GET" or "text/html" not in asked.headers.get("accept", ""):
            scope["streamseg.allowed"] = True
            await self._app(scope, receive, send)
            return
        answer = self._without_token(asked)
        answer.set_cookie(
            self._door.cookie,
            self._door.pass_,
            max_age=365 * 24 * 3600,
            httponly=True,
            samesite="lax",  # "strict" would not be sent on the way back from a link in a chat
            secure=self._door.url.startswith("https://"),
        )
        await answer(scope, receive, send)

    def _without_token(self, asked: HTTPConnection) -> RedirectResponse:
        left = urlencode([(key, value) for key, value in parse_qsl(asked.url.query) if key != "token"])
        # Relative: behind a proxy the page may lie in a folder that only the browser knows.
        last = asked.url.path.rsplit("/", 1)[-1]
        return RedirectResponse(f"./{last}{'?' + left if left else ''}", 303)

    def _why(self) -> str:
        if self._door.token is not None:
            return "not allowed: open the link that streamseg prints, which has the token in it"
        return (
            "not allowed: this page answers at "
            + ", ".join(sorted(self._door.hosts))
            + " and not through a proxy; for that write page: {url: https://..., token: ...} into cameras.yaml"
        )

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose(4403, why[:120])(scope, receive, send)
        else:
            await PlainTextResponse(why + "\n", 403)(scope, receive, send)


def _policy(host: str) -> str:
    # Safari before 15.4 does not take 'self' for WebSockets.
    named = f" ws://{host} wss://{host}" if host and not set(host) & set(" ;,'\"\r\n") else ""
    rules: Iterable[str] = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        f"connect-src 'self'{named}",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(rules)


def _with_headers(send: Send, host: str) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", "no-store")
            headers["Content-Security-Policy"] = _policy(host)
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Referrer-Policy"] = "no-referrer"
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
        await send(message)

    return guarded
