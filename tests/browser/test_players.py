"""The players, in Chromium: the picture on the screen is the frame that they say it is, through gaps, other sizes and restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from importlib import resources

import pytest
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from streamseg.core.types import Frame
from tests import clips
from tests.unit.encode.helpers import rendered
from tests.unit.live.fakes import FakeControl
from tests.unit.live.web.served import served

pytestmark = pytest.mark.long
SIZE = (320, 192)
PAGE = """<!doctype html><video id="v" muted></video><script type="module">
import {MsePlayer} from "/mse.js"; import {WhepPlayer} from "/whep.js";
const video = document.getElementById("v"), canvas = new OffscreenCanvas(160, 8);
const context = canvas.getContext("2d", {willReadFrequently: true});
const read = () => {  // the bar code along the top, see tests/clips.py
  context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 4, 0, 0, 160, 8);
  const {data} = context.getImageData(0, 4, 160, 1);
  let value = 0;
  for (let i = 0; i < 8; i++) value = value * 2 + (data[4 * (i * 20 + 10)] > 128 ? 1 : 0);
  return value;
};
window.shown = []; window.states = []; window.formats = [];
const told = {
  onframe: (frame) => window.shown.push([frame.index ?? -1, read(), frame.utc ? Date.now() / 1000 - frame.utc : 0]),
  onformat: (format) => window.formats.push([format.width, format.height, format.number]),
  onstate: (state) => window.states.push(state),
};
const whep = location.search === "?whep";
window.player = whep ? new WhepPlayer(video, "/live/door/whep", told) : new MsePlayer(video, "/live/door.ws", told);
</script>"""


class Camera:
    """Films numbered pictures into a control's camera `door`, in real time."""

    def __init__(self, control: FakeControl) -> None:
        self.control, self.number, self.time, self.epoch = control, 0, 0.0, 0

    def film(self, count: int, size: tuple[int, int] = SIZE, step: float = 0.04) -> None:
        for _ in range(count):
            picture = clips.picture(self.number % 256, *size)
            pts = round(self.time * 90_000)
            frame = Frame(picture, self.number, pts, Fraction(1, 90_000), epoch=self.epoch, arrived=time.monotonic())
            self.control.feeds["door"].stream.put(rendered(frame))
            self.number += 1
            self.time += step
            time.sleep(step)


@pytest.fixture
def camera() -> Camera:
    return Camera(FakeControl({"door": {"source": "0"}}))


@pytest.fixture
def address(camera: Camera) -> Iterator[str]:
    static = StaticFiles(directory=str(resources.files("streamseg.live.web").joinpath("static")))
    routes = [Route("/players", lambda _: HTMLResponse(PAGE)), Mount("/", static)]
    with served(camera.control, routes=routes) as port:
        yield f"http://127.0.0.1:{port}/players"


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def shown(page) -> list[tuple[int, int, float]]:
    return [tuple(each) for each in page.evaluate("window.shown.splice(0)")]


def agree(found: list[tuple[int, int, float]]) -> None:
    """Each picture on the screen was the frame that the player told of, or the next: a repaint may come between the two."""
    ahead = [(seen - index) % 256 for index, seen, _ in found]
    assert set(ahead) <= {0, 1}, found
    assert ahead.count(0) > len(found) / 2, found


def test_what_is_on_the_screen_is_the_frame_that_is_told(camera: Camera, address: str, page) -> None:
    page.goto(address)
    camera.film(25)  # it finds its place
    shown(page)
    camera.film(75)
    found = shown(page)
    assert len(found) > 30  # a loaded machine does not repaint each time
    agree(found)
    waits = sorted(wait for *_, wait in found)
    assert waits[len(waits) * 95 // 100] < 0.3
    # a pause of three seconds; pictures at odd times; another size and epoch; the source begins anew
    time.sleep(3)
    camera.time += 3
    camera.film(20)
    for step in (0.7, 0.03, 1.4, 0.1, 0.02, 0.5):
        camera.film(1, step=step)
    camera.epoch += 1
    camera.film(25, (256, 144))
    camera.number, camera.time = 0, 0.0
    camera.film(25, (256, 144))
    found = shown(page)
    agree(found)
    assert {100, 110, 119, 120, 122, 125} <= {index for index, *_ in found}
    assert {5, 15, 23} <= {index for index, *_ in found[-30:]}
    assert page.evaluate("window.formats") == [[*SIZE, 0], [256, 144, 1]]
    assert page.evaluate("document.getElementById('v').videoWidth") == 256
    assert found[-1][2] < 0.5


def test_a_player_that_stood_still_shows_now_and_the_buffer_does_not_grow(camera: Camera, address: str, page) -> None:
    page.goto(address)
    camera.film(30)
    filming = threading.Thread(target=camera.film, args=(400,), daemon=True)
    filming.start()
    page.evaluate("document.getElementById('v').pause()")
    time.sleep(1.5)
    page.evaluate("{ const end = Date.now() + 1500; while (Date.now() < end); }")  # the page itself stands still
    time.sleep(1)
    shown(page)
    time.sleep(2)
    found = shown(page)
    agree(found)
    assert found[-1][2] < 0.5
    filming.join(20)
    kept = page.evaluate(
        "(({buffered}) => buffered.end(buffered.length - 1) - buffered.start(0))(document.getElementById('v'))"
    )
    assert kept < 16


def test_it_comes_back_after_the_camera_was_gone_for_good(camera: Camera, address: str, page) -> None:
    page.goto(address)
    camera.film(20)
    camera.control.remove("door")
    page.wait_for_function("window.states.includes('gone')", timeout=5000)


@pytest.mark.skipif("not __import__('aioice').ice.get_host_addresses(True, False)", reason="only a loopback address is there")
def test_webrtc_shows_the_pictures(camera: Camera, address: str, page) -> None:
    page.goto(f"{address}?whep")
    camera.film(40)
    shown(page)
    camera.film(50)
    found = [seen for _, seen, _ in shown(page)]
    assert len(set(found)) > 25
    assert found == sorted(found)
    assert page.evaluate("window.states")[-1] == "playing"
