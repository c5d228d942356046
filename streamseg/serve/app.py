"""The app: pictures and films looked at, and the bare network, behind one guard."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from streamseg.errors import ConfigError, EngineError, OutputError, SourceError, StreamsegError
from streamseg.live.web.guard import Door, Guard
from streamseg.serve import kserve
from streamseg.serve.lanes import Full, Lane
from streamseg.serve.uploads import Refused, body_of, upload

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.pipeline.session import Session

__all__ = ["Limits", "make_app"]

Handler = Callable[[Request], Awaitable[Response]]
_OPTIONS = ("classes", "conf", "privacy", "margin", "detect_every", "start", "duration", "select")
"""Of a run: what a request may ask for."""
_DRAWN = {"jpg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken."""

    picture: int = 32 * 10**6
    """Bytes of a picture, and of a request to the bare network."""
    film: int = 500 * 10**6
    """Bytes of a film."""
    seconds: float = 120.0
    """Of film."""
    workers: int = 2
    """Pictures, and films, that are worked on at once."""
    queue: int = 16
    """Requests of each kind that wait."""


class Served:
    """The session's answers."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self._session, self._limits = session, limits
        self._pictures = Lane("picture", limits.workers, limits.queue)
        self._films = Lane("film", limits.workers, limits.queue)
        self._client = session.client()

    def close(self) -> None:
        """Leave what waits."""
        self._client.close()
        for lane in (self._pictures, self._films):
            lane.close()

    async def picture(self, request: Request) -> Response:
        """`POST /pictures`: what is found in it as JSON; with ?draw=jpg or png, the picture with that drawn."""
        draw = request.query_params.get("draw")
        if draw is not None and draw not in _DRAWN:
            raise Refused(400, f"draw={draw}: allowed: {', '.join(_DRAWN)}")
        given = _options(request, "draw")
        async with self._pictures.place(), upload(request, self._limits.picture) as path:
            result = await self._pictures.run(lambda: self._look(path, given))
            if draw is None:
                return JSONResponse(await self._pictures.run(result.to_json))
            return Response(await self._pictures.run(lambda: _drawn(result, draw)), media_type=_DRAWN[draw])

    def _look(self, path: Path, given: dict[str, Any]) -> Result:
        with contextlib.closing(self._session.stream(path, **given)) as results:  # type: ignore[type-var]
            first: Result = next(iter(results))
        return first

    async def film(self, request: Request) -> Response:
        """`POST /films`: a line of JSON for each frame, as they are found; with ?draw=mp4, the film with that drawn."""
        draw = request.query_params.get("draw")
        if draw not in (None, "mp4"):
            raise Refused(400, f"draw={draw}: allowed: mp4")
        given = _options(request, "draw")
        async with contextlib.AsyncExitStack() as held:
            await held.enter_async_context(self._films.place())
            path = await held.enter_async_context(upload(request, self._limits.film))
            self._refuse_long(await self._films.run(lambda: _seconds(path)), given)
            if draw == "mp4":
                target = path.with_name("drawn.mp4")
                await self._films.run(lambda: self._session.run(path, target, **given))
                return FileResponse(target, media_type="video/mp4", background=BackgroundTask(held.pop_all().aclose))
            lines = self._lines(path, given)
            first = await anext(lines, None)  # what is wrong with it is told by the status, not in mid-answer
            kept = held.pop_all()
            return StreamingResponse(_all(first, lines, kept), media_type="application/x-ndjson")

    def _refuse_long(self, seconds: float | None, given: dict[str, Any]) -> None:
        """Raise Refused where more of a film would be looked at than is taken. `seconds`: its length; None: not known."""
        most = self._limits.seconds
        asked = given.get("duration", seconds)
        if asked is None or asked > most:
            known = "does not say how long it is" if asked is None else f"would be looked at for {asked:g} s"
            raise Refused(413, f"the film {known}, and at most {most:g} s are taken; ask for less, as ?duration={most:g}")

    async def _lines(self, path: Path, given: dict[str, Any]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        async with self._films.turn() as threads:
            results: Iterator[Result] = self._session.stream(path, **given)
            try:
                while True:
                    line = await loop.run_in_executor(threads, _next_line, results)
                    if line is None:
                        return
                    yield line
            finally:
                with contextlib.suppress(RuntimeError):  # the server ends, and its threads with it
                    await asyncio.shield(loop.run_in_executor(threads, _close, results))

    async def infer(self, request: Request) -> Response:
        """`POST /v2/models/NAME/infer`."""
        self._named(request)
        spec = self._session.spec
        async with self._pictures.place():
            body = await body_of(request, self._limits.picture + 65536)
            asked = kserve.asked_of(body, request.headers.get(kserve.HEADER), spec)
            outputs = await self._pictures.run(lambda: self._client.submit(asked.images).result())
            data, headers = kserve.answer(asked, outputs, spec)
        return Response(data, headers=headers)

    async def model(self, request: Request) -> Response:
        """`GET /v2/models/NAME`."""
        self._named(request)
        return JSONResponse(kserve.model_metadata(self._session.spec))

    async def ready(self, request: Request) -> Response:
        """`GET /v2/health/ready`, `/v2/models/NAME/ready`: 200, or 503 where the engine has not answered for long."""
        if "model" in request.path_params:
            self._named(request)
        silent = self._session.silent()
        return JSONResponse({"ready": silent < 30}, 200 if silent < 30 else 503)

    def _named(self, request: Request) -> None:
        name = self._session.spec.name
        if request.path_params["model"] != name or request.path_params.get("version", "1") != "1":
            raise Refused(404, f"there is no such model; the one here is {name!r}, version 1")


def make_app(session: Session, door: Door, limits: Limits | None = None) -> Starlette:
    """What the server runs; the session stays the caller's."""
    served = Served(session, limits or Limits())

    async def metadata(_: Request) -> Response:
        return JSONResponse(kserve.server_metadata())

    async def about(_: Request) -> Response:
        return JSONResponse(
            {"streamseg": kserve.server_metadata()["version"], **session.about, "classes": session.spec.classes}
        )

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            served.close()

    model = "/v2/models/{model}"
    routes = [
        Route("/", about),
        Route("/healthz", live),
        Route("/readyz", _answered(served.ready)),
        Route("/pictures", _answered(served.picture), methods=["POST"]),
        Route("/films", _answered(served.film), methods=["POST"]),
        Route("/v2", metadata),
        Route("/v2/health/live", live),
        Route("/v2/health/ready", _answered(served.ready)),
    ]
    for base in (model, f"{model}/versions/{{version}}"):
        routes += [
            Route(base, _answered(served.model)),
            Route(f"{base}/ready", _answered(served.ready)),
            Route(f"{base}/infer", _answered(served.infer), methods=["POST"]),
        ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Guard, door=door)])


def _answered(handler: Handler) -> Handler:
    """`handler` with its errors as statuses: whose fault it is, and why, in words."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as error:
            return _told(error.status, error.why)
        except Full:
            return _told(429, "too many requests wait already; come again in a moment", {"Retry-After": "1"})
        except ConfigError as error:
            return _told(400, str(error))
        except SourceError as error:
            return _told(422, _nameless(str(error)))
        except (EngineError, OutputError) as error:
            return _told(503, _nameless(str(error)))
        except StreamsegError as error:
            return _told(500, _nameless(str(error)))

    return guarded


def _told(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status, headers)


def _nameless(text: str) -> str:
    """Without the folder in which an upload lay: that is nobody's business."""
    words = [
        Path(word.rstrip(":,;")).name + word[len(word.rstrip(":,;")) :] if "streamseg-serve-" in word else word
        for word in text.split(" ")
    ]
    return " ".join(words)


def _options(request: Request, *others: str) -> dict[str, Any]:
    """Options of a run in a request's query. Raises Refused for one that there is not."""
    given = dict(request.query_params)
    for name in others:
        given.pop(name, None)
    if unknown := [name for name in given if name not in _OPTIONS]:
        raise Refused(400, f"unknown option {unknown[0]!r}; known: {', '.join((*_OPTIONS, *others))}")
    read: dict[str, Any] = dict(given)
    for name, kind in (("conf", float), ("start", float), ("duration", float), ("detect_every", int)):
        if name in read:
            try:
                read[name] = kind(read[name])
            except ValueError:
                raise Refused(400, f"{name}={given[name]}: a number is needed") from None
    return read


def _seconds(path: Path) -> float | None:
    from streamseg.decode import open_source

    with open_source(path, threads=1) as source:
        return source.info.duration


def _drawn(result: Result, draw: str) -> bytes:
    import cv2

    _, data = cv2.imencode(f".{draw}", result.plot("bgr24"))
    return data.tobytes()


def _next_line(results: Iterator[Result]) -> bytes | None:
    result = next(results, None)
    return None if result is None else json.dumps(result.to_json(), separators=(",", ":")).encode() + b"\n"


def _close(results: Any) -> None:
    with contextlib.suppress(StreamsegError):
        results.close()


async def _all(first: bytes | None, lines: AsyncIterator[bytes], held: contextlib.AsyncExitStack) -> AsyncIterator[bytes]:
    """The lines; an error in their midst is the last one, since the status is sent already."""
    async with held:
        try:
            if first is not None:
                yield first
            async for line in lines:
                yield line
        except StreamsegError as error:
            yield json.dumps({"error": _nameless(str(error))}).encode() + b"\n"
        finally:
            await lines.aclose()  # type: ignore[attr-defined]
