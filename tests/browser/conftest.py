"""The page in Debian's `chromium`, driven by `pip install playwright axe-playwright-python`; skipped where one is missing."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra live")
pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")

from playwright.sync_api import sync_playwright

from streamseg.config.live_page import PageConfig
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.live.live import Live
from streamseg.live.web.page import Page
from tests import clips, graphs
from tests.unit.live.fakes import FakeControl
from tests.unit.pictures import instances, noise

WIDTH, HEIGHT = 320, 180
LAP = 100
"""Frames in which the red box crosses the picture, at 25 a second."""


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Debian's package chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def browse(chromium) -> Iterator[Callable]:
    """`browse(address)`: a page of a fresh browser; what it complains of in its console fails the test."""
    with contextlib.ExitStack() as opened:
        complaints: list[str] = []

        def open_at(address: str, width: int = 1280, height: int = 800, **options):
            context = chromium.new_context(viewport={"width": width, "height": height}, **options)
            opened.callback(context.close)
            context.set_default_timeout(15000)
            page = context.new_page()
            page.complaints = complaints
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            return page

        yield open_at
        assert [each for each in complaints if "403" not in each and "ERR_" not in each and "WebSocket" not in each] == []


def lap(index: int) -> np.ndarray:
    """A red box that goes from left to right and begins again; a green one that stands."""
    rgb = np.full((HEIGHT, WIDTH, 3), 70, np.uint8)
    rgb[20:60, 250:290] = (0, 255, 0)
    x = round((index % LAP) / LAP * (WIDTH - 40))
    rgb[80:150, x : x + 36] = (255, 0, 0)
    return rgb


@pytest.fixture(scope="session")
def film(tmp_path_factory) -> Path:
    return clips.of_arrays(tmp_path_factory.mktemp("film") / "lap.mkv", (lap(i) for i in range(LAP)))


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "boxes.onnx"
    graphs.rectangle_model(path, colours=("red", "green"))
    return path


@pytest.fixture
def watch(model) -> Iterator[Callable[..., tuple[Live, str]]]:
    """`watch(cameras)`: `Live` with these, and the address of its page."""
    begun: list[Live] = []

    def begin(cameras: dict, **page):
        from streamseg.live.config import read_live

        file = read_live({"cameras": cameras, "page": {"port": 0, **page}}, "cameras")
        live = Live(file, model=str(model), threads=1)
        begun.append(live)
        live.start()
        return live, next(service.link for service in live.services if service.name == "page")

    yield begin
    for live in begun:
        live.stop()


@pytest.fixture
def fake() -> Iterator[FakeControl]:
    """Two cameras that show boxes, and one that is away."""
    control = FakeControl({name: {"source": f"rtsp://u:secret@10.0.0.7/{name}"} for name in ("door", "yard", "gone")})
    control.say("gone", state="lost", since_utc=time.time() - 125, reason="connection refused by 10.0.0.7")
    over = threading.Event()

    def show() -> None:
        picture, index = noise("yuv420p", WIDTH, HEIGHT), 0
        seen = instances([[40, 40, 100, 160], [200, 30, 280, 90]])
        while not over.wait(0.05):
            index += 1
            frame = Frame(picture, index, index, clips.Fraction(1, 25), arrived=time.monotonic())
            for name in ("door", "yard"):
                with contextlib.suppress(KeyError):
                    options = control.options(name)
                    found = seen[~np.isin(seen.track_ids, options.get("hide") or [])]
                    names = {int(track): called for track, called in (options.get("names") or {}).items()}
                    object.__setattr__(found, "track_names", names)
                    control.feeds[name].show(lap(index)[..., ::-1], Result(frame, found))
            if index % 10 == 1:
                for name in ("door", "yard"):
                    control.say(name, state="watching", width=WIDTH, height=HEIGHT, rate=19.5, now={"person": 1, "car": 1})

    showing = threading.Thread(target=show, daemon=True)
    showing.start()
    yield control
    over.set()
    showing.join(2)


@pytest.fixture
def serve(fake) -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []

    def start(**config) -> Page:
        pages.append(Page(fake, PageConfig(port=0, **config), ways=("jpeg",)))
        pages[-1].start()
        return pages[-1]

    yield start
    for page in pages:
        page.stop()
