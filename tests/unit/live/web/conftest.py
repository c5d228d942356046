"""A page that listens on this machine, over cameras that show what a test says."""

import contextlib
import warnings

import pytest

pytest.importorskip("starlette", reason="needs the extra live")

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette 1.x would rather have httpx2, which few have
    from starlette.testclient import TestClient

from streamseg.config.live_page import PageConfig
from streamseg.live.web.app import make_app
from streamseg.live.web.guard import Door
from streamseg.live.web.link import token_of
from streamseg.live.web.page import Page
from tests.unit.live.fakes import FakeControl
from tests.unit.pictures import instances, noise, result


def shown(index: int = 0):
    """A picture of one grey, and what is seen in it: two walkers."""
    seen = result(noise("yuv420p", 160, 90), instances([[16, 9, 48, 81], [80, 18, 120, 72]]))
    return np.full((90, 160, 3), 40 + index % 200, np.uint8), seen


@pytest.fixture
def control():
    control = FakeControl({"door": {"source": "rtsp://user:secret@10.0.0.7/main"}, "yard": {"source": "yard.mp4"}})
    control.say("door", state="watching", width=160, height=90, rate=14.96, latency_ms={"p50": 40.04, "p95": 71.0, "p99": 80.0})
    return control


@pytest.fixture
def serve(control):
    """Start a page with these settings; all are stopped at the end."""
    pages = []

    def start(store=lambda: None, routes=(), **config):
        page = Page(control, PageConfig(port=0, **config), store=store, routes=routes)
        pages.append(page)
        page.start()
        return page

    yield start
    for page in pages:
        page.stop()


@pytest.fixture
def page(serve):
    return serve()


@pytest.fixture
def enter(control):
    """Open the app itself, without a server: it is asked as if at 127.0.0.1:8080."""
    with contextlib.ExitStack() as stack:

        def opened(store=lambda: None, routes=(), **config):
            settings = PageConfig(**config)
            door = Door(token_of(settings), 8080, settings.host, settings.url, settings.token == "off")
            app = make_app(control, settings, door, store=store, routes=routes)
            return stack.enter_context(TestClient(app, "http://127.0.0.1:8080", follow_redirects=False))

        yield opened


@pytest.fixture
def client(enter):
    return enter()
