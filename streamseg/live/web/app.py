"""The app: pages, API, pictures and news behind one guard."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from streamseg.config.live_page import PageConfig
from streamseg.live.control import Control
from streamseg.live.web.api import Api, Archive, answered
from streamseg.live.web.guard import Door, Guard
from streamseg.live.web.hub import Hub
from streamseg.live.web.openapi import OPERATIONS
from streamseg.live.web.pictures import Pictures
from streamseg.live.web.stream import WAYS, Streams

__all__ = ["make_app"]

_THREADS = 3
"""For JPEGs and answers of `Control`; more would take the cores from the network."""


class _Static(StaticFiles):
    """The page's files: asked for anew each time, answered with 304 while they are the same."""

    def file_response(self, full_path, stat_result, scope: Scope, status_code: int = 200):  # type: ignore[no-untyped-def]
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        return response


def make_app(
    control: Control,
    page: PageConfig,
    door: Door,
    *,
    store: Archive = lambda: None,
    routes: Sequence[BaseRoute] = (),
    ways: tuple[str, ...] = WAYS,
) -> Starlette:
    """What the server runs.

    Args:
        control: The cameras.
        page: Its settings.
        door: Who may come in.
        store: Gives where events are kept and searched; None: the last few are remembered.
        routes: What others answer, as metrics. They stand behind the same guard.
        ways: How moving pictures can be had, the best first: mse, webrtc, jpeg.
    """
    executor = ThreadPoolExecutor(_THREADS, "page")
    hub = Hub(control, executor)
    api = Api(control, hub, executor, store, ways)
    pictures = Pictures(control, executor, max_viewers=page.max_viewers, max_rate=page.max_rate)
    streams = Streams(control, max_viewers=page.max_viewers)
    static = resources.files("streamseg.live.web").joinpath("static")

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.start()
        try:
            yield
        finally:
            hub.stop()
            await streams.close()
            executor.shutdown(wait=False, cancel_futures=True)

    methods: dict[tuple[str, str], list[str]] = {}
    for operation in OPERATIONS:
        methods.setdefault((operation.path, operation.name), []).append(operation.method)
    return Starlette(
        routes=[
            *(Route(path, answered(getattr(api, name), control), methods=verbs) for (path, name), verbs in methods.items()),
            Route("/api/openapi.json", api.openapi),
            WebSocketRoute("/api/news", hub.serve),
            Route("/live/{name}.jpg", answered(pictures.one, control)),
            Route("/live/{name}.mjpg", answered(pictures.stream, control)),
            WebSocketRoute("/live/{name}.jpeg.ws", pictures.socket),
            WebSocketRoute("/live/{name}.results.ws", pictures.results),
            *streams.routes,
            *routes,
            Mount("/", _Static(directory=str(static), html=True)),
        ],
        middleware=[Middleware(Guard, door=door)],
        lifespan=lifespan,
    )
