"""The JSON API: what may be asked of cameras (`live.control.Control`), and what happened. `openapi.py` describes it."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from streamseg.errors import ConfigError, StreamsegError
from streamseg.live.control import Control
from streamseg.live.health import Progress
from streamseg.live.news import Happened
from streamseg.live.web import plain
from streamseg.live.web.effects import drawn_of, effects
from streamseg.live.web.guard import allowed
from streamseg.live.web.hub import Hub
from streamseg.live.web.openapi import describe
from streamseg.system.version import installed_version

__all__ = ["Api", "Archive", "EventStore"]

_MAX_BODY = 64 * 1024
_MAX_EVENTS = 500

Endpoint = Callable[[Request], Awaitable[Response]]


class EventStore(Protocol):
    """Where events are kept (`live.keep`)."""

    def search(
        self, text: str = "", since: float | None = None, until: float | None = None, camera: str = "", limit: int = 100
    ) -> list[Mapping[str, Any]]:
        """The newest first, each with the fields of `plain.happened`, and `clip`: whether there is one."""

    def thumbnail(self, event: str) -> bytes:
        """JPEG; empty: there is none."""

    def clip(self, event: str) -> Path | None:
        """The film of an event, where it was recorded."""


Archive = Callable[[], EventStore | None]


class Refused(Exception):
    """A request that cannot be answered: HTTP status and a sentence."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class Api:
    """Endpoints. Whatever may wait is asked in `executor`, so that no camera holds up the server's loop."""

    def __init__(
        self, control: Control, hub: Hub, executor: Executor, store: Archive = lambda: None, ways: tuple[str, ...] = ("jpeg",)
    ) -> None:
        """`store`: gives what keeps events, as soon as there is one. `ways`: how moving pictures can be had: jpeg, mse, webrtc."""
        self._control, self._hub, self._executor, self._archive, self._ways = control, hub, executor, store, ways
        self._progress = Progress()

    async def about(self, _: Request) -> Response:
        """What the page needs to know once."""
        known = await self._ask(effects)
        return JSONResponse(
            {"version": installed_version(), "ways": self._ways, "kept": self._archive() is not None, "effects": known}
        )

    async def openapi(self, _: Request) -> Response:
        """The description of this API."""
        return JSONResponse(describe(installed_version()))

    async def cameras(self, request: Request) -> Response:
        """All cameras; a new one."""
        if request.method != "POST":
            return JSONResponse([plain.status(camera) for camera in await self._ask(self._control.cameras)])
        asked = await _json(request)
        name, options = asked.get("name"), asked.get("options")
        if not isinstance(name, str) or not name or not isinstance(options, dict) or set(asked) - {"name", "options"}:
            raise Refused(422, 'send {"name": "door", "options": {"source": "rtsp://..."}}')
        await self._ask(self._control.add, name, options)
        return await self._camera(name, 201)

    async def camera(self, request: Request) -> Response:
        """One camera: its status and options; changed; removed."""
        name = request.path_params["name"]
        if request.method == "PATCH":
            await self._ask(self._control.change, name, await _json(request))
        elif request.method == "DELETE":
            await self._ask(self._control.remove, name)
            return Response(status_code=204)
        return await self._camera(name)

    async def pause(self, request: Request) -> Response:
        """Let go of a camera."""
        await self._ask(self._control.pause, request.path_params["name"])
        return await self._camera(request.path_params["name"])

    async def resume(self, request: Request) -> Response:
        """Watch it again."""
        await self._ask(self._control.resume, request.path_params["name"])
        return await self._camera(request.path_params["name"])

    async def instances(self, request: Request) -> Response:
        """What is seen in the newest frame."""
        result = self._control.feed(request.path_params["name"]).latest()
        seen = {"instances": []} if result is None else await self._ask(plain.instances, result)
        known = [] if result is None else list(result.instances.class_names)
        return JSONResponse(seen | {"classes": known})

    async def events(self, request: Request) -> Response:
        """What happened, the newest first."""
        ask = request.query_params
        since, until, limit = (_number(ask.get(name), name) for name in ("since", "until", "limit"))
        wanted: dict[str, Any] = {
            "text": ask.get("text", ""),
            "since": since,
            "until": until,
            "camera": ask.get("camera", ""),
            "limit": int(min(max(limit or 100, 1), _MAX_EVENTS)),
        }
        if (store := self._archive()) is not None:
            return JSONResponse([dict(row) for row in await self._ask(functools.partial(store.search, **wanted))])
        found = [plain.happened(event, name) for event, name in self._hub.recent() if _means(event, name or "", wanted)]
        return JSONResponse(found[: wanted["limit"]])

    async def thumbnail(self, request: Request) -> Response:
        """The object of an event as it was shown."""
        event = request.path_params["id"]
        jpeg = self._hub.thumbnail(event)
        if not jpeg and (store := self._archive()) is not None:
            jpeg = await self._ask(store.thumbnail, event)
        if not jpeg:
            raise Refused(404, "there is no picture of this event (any more)")
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400, immutable"})

    async def clip(self, request: Request) -> Response:
        """The film of an event."""
        store = self._archive()
        path = None if store is None else await self._ask(store.clip, request.path_params["id"])
        if path is None or not path.is_file():
            raise Refused(404, "there is no film of this event (any more)")
        return FileResponse(path)

    async def health(self, request: Request) -> Response:
        """The truth about all cameras: 503 where one is away. Without the token only whether all is well."""
        health = await self._ask(self._control.health)
        shown = health if allowed(request.scope) else {"ok": health["ok"]}
        return JSONResponse(shown, 200 if health["ok"] else 503)

    async def alive(self, _: Request) -> Response:
        """The program runs and answers; 503 where frames that are said to come stand still, which a new start may mend."""
        stuck = self._progress.stuck(await self._ask(self._control.cameras), time.monotonic())
        return PlainTextResponse(f"{len(stuck)} standing still\n" if stuck else "ok\n", 503 if stuck else 200)

    async def ready(self, _: Request) -> Response:
        """Every camera was tried: 503 while one is still starting."""
        waiting = sum(camera.state == "starting" for camera in await self._ask(self._control.cameras))
        return PlainTextResponse(f"{waiting} starting\n" if waiting else "ready\n", 503 if waiting else 200)

    async def _camera(self, name: str, status: int = 200) -> Response:
        options = await self._ask(self._control.options, name)
        found = next((camera for camera in await self._ask(self._control.cameras) if camera.name == name), None)
        if found is None:
            raise Refused(404, f"there is no camera {name!r}")
        drawn = await self._ask(drawn_of, name, options)
        return JSONResponse({"status": plain.status(found), "options": options, "drawn": drawn}, status)

    async def _ask(self, what: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, what, *args)


def answered(endpoint: Endpoint, control: Control) -> Endpoint:
    """An endpoint whose errors are sentences in JSON: 404 for an unknown camera, 422 for what cannot be, 500 for the rest."""

    @functools.wraps(endpoint)
    async def wrapped(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as error:
            return JSONResponse({"error": str(error)}, error.status)
        except ConfigError as error:
            name = request.path_params.get("name")
            unknown = name is not None and name not in {camera.name for camera in control.cameras()}
            return JSONResponse({"error": str(error)}, 404 if unknown else 422)
        except StreamsegError as error:
            return JSONResponse({"error": str(error)}, 500)

    return wrapped


async def _json(request: Request) -> dict[str, Any]:
    """The object that was sent, 64 KiB at most."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "send application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY:
            raise Refused(413, f"more than {_MAX_BODY // 1024} KiB")
    try:
        sent = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"not JSON: {error}") from error
    if not isinstance(sent, dict):
        raise Refused(422, "send a JSON object")
    return sent


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _number(text: str | None, name: str) -> float | None:
    if text is None or not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e12:
        raise Refused(422, f"{name}: {text[:40]!r} is no number")
    return value


def _means(event: Happened, name: str, wanted: Mapping[str, Any]) -> bool:
    """Whether all words of the search begin a word of the event, within its times, at its camera."""
    what = event.event
    told = f"{event.camera} {name} {what.kind} {what.name} {what.place} {what.direction} {what.track_id}".casefold()
    words = told.replace("_", " ").replace("-", " ").split()
    return (
        all(any(word.startswith(part) for word in words) for part in wanted["text"].casefold().split())
        and (wanted["since"] is None or event.utc >= wanted["since"])
        and (wanted["until"] is None or event.utc <= wanted["until"])
        and (not wanted["camera"] or event.camera == wanted["camera"])
    )
