"""Glass to glass: from a picture at the camera to the same picture on the screen of a browser, by MSE and by WebRTC.

    python benchmarks/glass.py [--way mse|webrtc] [--seconds 20] [--size 1280x720] [--rate 25]

With --live the pictures first go out as a camera's (MPEG-TS by UDP), and through the whole of `streamseg live` with a network.

A clock is drawn into each picture as black and white fields when it is taken. It goes through one shared encode and the page's own
server and player to Chromium (/usr/bin/chromium, driven by Playwright), where a canvas reads it back at each repaint and compares
it with the same machine's clock. What a real camera and its network add is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from fractions import Fraction
from importlib import resources
from types import SimpleNamespace

import av
import numpy as np
import uvicorn
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import streamseg
from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.encode.stream import SharedStream
from streamseg.encode.stream.push import Pusher
from streamseg.live.web.stream import Streams

BITS = 24
"""Of the clock: milliseconds, for four and a half hours."""
PAGE = """<!doctype html><video id="v" style="width:640px"></video><script type="module">
import {%(player)s as Player} from "/%(module)s.js";
const bits = %(bits)d, video = document.getElementById("v");
const canvas = new OffscreenCanvas(bits * 8, 8), context = canvas.getContext("2d", {willReadFrequently: true});
window.seen = []; window.shown = []; window.said = [];
let last = -1;
window.player = new Player(video, "%(url)s", {
  onframe: (f) => window.shown.push([f.index, Date.now() / 1000 - f.utc]),
  onformat: (f) => window.said.push(f.codec), onstate: (s, r) => window.said.push([s, r]), %(options)s});
const read = () => {
  requestAnimationFrame(read);
  if (!video.videoWidth) return;
  context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 9, 0, 0, bits * 8, 8);
  const now = performance.timeOrigin + performance.now();
  const {data} = context.getImageData(0, 4, bits * 8, 1);
  let value = 0;
  for (let i = 0; i < bits; i++) value = value * 2 + (data[4 * (i * 8 + 4)] > 128 ? 1 : 0);
  if (value !== last) { last = value; window.seen.push([value, now - %(began)d]); }
};
read();
</script>"""


def picture(milliseconds: int, width: int, height: int, back: np.ndarray, number: int) -> av.VideoFrame:
    """A moving picture with the clock along its top."""
    luma = np.roll(back, 7 * number, axis=1)
    fields = np.array([16 if not milliseconds >> (BITS - 1 - bit) & 1 else 235 for bit in range(BITS)], np.uint8)
    luma[: height // 9] = np.repeat(fields, -(-width // BITS))[:width]
    grey = np.full((height // 2, width), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.concatenate([luma, grey.reshape(-1, width)]), format="yuv420p")


def film(stream: SharedStream, size: tuple[int, int], rate: int, began: float, ending: threading.Event) -> None:
    """Put pictures at their times until `ending`."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 12, (height, width))
    back = (90 + 50 * np.sin(x / 37) * np.cos(y / 23) + noise).astype(np.uint8)
    start, number, empty = time.monotonic(), 0, Instances.empty(("car",))
    while not ending.is_set():
        ending.wait(max(0.0, start + number / rate - time.monotonic()))
        arrived, now = time.monotonic(), round((time.time() - began) * 1000)
        made = picture(now, width, height, back, number)
        frame = Frame(made, number, number, Fraction(1, rate), 1, arrived=arrived)
        stream.put(Rendered(Result(frame, empty), made))
        number += 1


@contextlib.contextmanager
def served(stream: SharedStream, way: str, began: float, options: str):
    control = SimpleNamespace(feed=lambda name: SimpleNamespace(stream=stream), cameras=lambda: ())
    player, module, url = ("MsePlayer", "mse", "/live/clock.ws") if way == "mse" else ("WhepPlayer", "whep", "/live/clock/whep")
    text = PAGE % {
        "player": player,
        "module": module,
        "url": url,
        "bits": BITS,
        "began": round(began * 1000),
        "options": options,
    }
    static = resources.files("streamseg.live.web").joinpath("static")
    streams = Streams(control)
    routes = [Route("/glass", lambda _: HTMLResponse(text)), *streams.routes, Mount("/", StaticFiles(directory=str(static)))]

    @contextlib.asynccontextmanager
    async def lifespan(_):
        yield
        await streams.close()

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            Starlette(routes=routes, lifespan=lifespan),
            log_level="warning",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
        )
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(5)


@contextlib.contextmanager
def watched(stream: SharedStream, model: str):
    """What `streamseg live` shows of a camera that sends `stream`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    pusher = Pusher(stream, address)
    pusher.start()
    live = streamseg.Live({"clock": {"source": address, "effects": "none", "detect_every": "auto"}}, model=model)
    live.start()
    try:
        deadline = time.monotonic() + 90
        while live.cameras()[0].processed < 50:
            if time.monotonic() > deadline:
                raise SystemExit(f"the camera is not watched: {live.cameras()[0]}")
            time.sleep(0.1)
        yield live.feed("clock").stream
        print(live.cameras()[0])
    finally:
        live.stop()
        pusher.close()


def measure(port: int, seconds: float, screenshot: str | None) -> dict[str, object]:
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        try:
            page = browser.new_page()
            page.on("console", lambda said: print("browser:", said.text))
            page.goto(f"http://127.0.0.1:{port}/glass")
            page.wait_for_function("window.seen && window.seen.length > 5", timeout=30_000)
            page.wait_for_timeout(2000)  # the player finds its place
            page.evaluate("window.seen.length = 0; window.shown.length = 0")
            page.wait_for_timeout(seconds * 1000)
            if screenshot:
                page.screenshot(path=screenshot)
            return page.evaluate(
                "({seen, shown, said, quality: document.getElementById('v').getVideoPlaybackQuality().droppedVideoFrames})"
            )
        finally:
            browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=("mse", "webrtc"), default="mse")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--options", default="", help="of the player, as JavaScript: target: 0.1")
    parser.add_argument("--screenshot")
    parser.add_argument("--live", action="store_true", help="by way of a camera and the pipeline")
    parser.add_argument("--model", default="lite")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    stream, began, ending = SharedStream("clock"), time.time(), threading.Event()
    camera = threading.Thread(target=film, args=(stream, (width, height), given.rate, began, ending), daemon=True)
    camera.start()
    try:
        with (
            watched(stream, given.model) if given.live else contextlib.nullcontext(stream) as shown,
            served(shown, given.way, began, given.options) as port,
        ):
            seen = measure(port, given.seconds, given.screenshot)
            stats = shown.stats()
    finally:
        ending.set()
        camera.join(5)
        stream.close()
    waits = np.array([at - value for value, at in seen["seen"] if 0 <= at - value < 60_000])
    table = {f"p{p}": round(float(np.percentile(waits, p)), 1) for p in (50, 95, 99, 100)} if len(waits) else {}
    print(
        json.dumps(
            {
                "way": given.way,
                "pictures": len(waits),
                "of": round(given.seconds * given.rate),
                "glass_to_glass_ms": table,
                "capture_to_fragment_ms": stats["latency_ms"],
                "bits": stats["bits"],
                "said": seen["said"][:6],
                "dropped_by_browser": seen["quality"],
                "load": os.getloadavg()[0],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
