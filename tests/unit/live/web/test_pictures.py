"""Pictures reach viewers, newest first, one encode for all; who does not take them is dropped and holds up nobody."""

import contextlib
import json
import socket
import threading
import time

import cv2
import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamseg.errors import OutputError
from streamseg.live.news import Warned
from streamseg.live.web import page as page_module
from tests.unit.live.web.conftest import shown


def until(true, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def level(jpeg):
    """The grey of a picture that `shown` made."""
    return round(float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean()))


def test_one_picture(client, control):
    control.feeds["door"].show(*shown(60))
    answer = client.get("/live/door.jpg", params={"width": 100000})
    assert answer.headers["content-type"] == "image/jpeg"
    assert level(answer.content) == pytest.approx(100, abs=2)
    assert until(lambda: control.feeds["door"].watchers == 0)


def test_viewers_share_one_encode_and_get_the_newest(page, control):
    feed = control.feeds["door"]
    feed.show(*shown(0))
    with contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(connect(f"ws://127.0.0.1:{page.port}/live/door.jpeg.ws?width=320")) for _ in range(4)]
        for viewer in viewers:
            viewer.send("next")
        for viewer in viewers:
            assert json.loads(viewer.recv(timeout=3))["frame"] == 0
            assert level(viewer.recv(timeout=3)) == pytest.approx(40, abs=2)
        assert feed.encoded == 1
        for index in range(10, 60, 10):
            feed.show(*shown(index))
        viewers[0].send("next")
        viewers[0].recv(timeout=3)
        assert level(viewers[0].recv(timeout=3)) == pytest.approx(90, abs=2)
        assert feed.watchers == 1
    assert until(lambda: feed.watchers == 0)


def test_a_camera_that_shows_nothing_yet_costs_nothing(page, monkeypatch):
    monkeypatch.setattr("streamseg.live.web.pictures._STILL", 0.1)
    with connect(f"ws://127.0.0.1:{page.port}/live/door.jpeg.ws") as viewer:
        viewer.send("next")
        begun = time.monotonic()
        assert [json.loads(viewer.recv(timeout=3)) for _ in range(3)] == [{"still": True}] * 3
        assert time.monotonic() - begun > 0.25


def test_a_camera_that_is_removed_hangs_up(page, control, monkeypatch):
    monkeypatch.setattr("streamseg.live.web.pictures._STILL", 0.05)
    with connect(f"ws://127.0.0.1:{page.port}/live/door.jpeg.ws") as viewer:
        control.feeds["door"].show(*shown())
        viewer.send("next")
        assert isinstance(viewer.recv(timeout=3), str)
        assert isinstance(viewer.recv(timeout=3), bytes)
        control.remove("door")
        viewer.send("next")
        with contextlib.suppress(ConnectionClosed):
            while viewer.recv(timeout=3):
                pass
        assert viewer.close_code == 4404


def test_other_programs_get_a_stream(page, control):
    feed = control.feeds["door"]
    feed.show(*shown(0))
    with httpx.stream("GET", f"http://127.0.0.1:{page.port}/live/door.mjpg") as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=picture"
        got = b""
        for number, part in enumerate(answer.iter_raw()):
            got += part
            feed.show(*shown(number))
            if got.count(b"--picture") > 3:
                break
    assert until(lambda: feed.watchers == 0)


def test_too_many_viewers_are_told_so(serve, control):
    page = serve(max_viewers=1)
    control.feeds["door"].show(*shown())
    with connect(f"ws://127.0.0.1:{page.port}/live/door.jpeg.ws") as first:
        first.send("next")
        first.recv(timeout=3)
        with connect(f"ws://127.0.0.1:{page.port}/live/door.jpeg.ws") as second, pytest.raises(ConnectionClosed) as ended:
            second.recv(timeout=3)
        assert ended.value.rcvd.code == 4429
        assert httpx.get(f"http://127.0.0.1:{page.port}/live/door.mjpg").status_code == 503


def test_a_viewer_that_never_reads_is_dropped_and_holds_up_nobody(serve, control, monkeypatch):
    monkeypatch.setattr(page_module, "_PATIENCE", 0.2)
    page, feed = serve(), control.feeds["door"]
    picture = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    feed.show(picture)
    with socket.create_connection(("127.0.0.1", page.port)) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /live/door.mjpg HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % page.port)
        assert until(lambda: feed.watchers == 1)
        longest = 0.0
        for _ in range(200):
            begun = time.perf_counter()
            feed.show(picture)
            longest = max(longest, time.perf_counter() - begun)
            if not feed.watchers:
                break
            time.sleep(0.02)
        assert feed.watchers == 0
        assert longest < 0.05


def test_news_and_figures_come_over_one_socket(serve, control, monkeypatch):
    monkeypatch.setattr("streamseg.live.web.hub._EVERY", 0.3)
    page = serve()
    with connect(f"ws://127.0.0.1:{page.port}/api/news") as news:
        assert [c["name"] for c in json.loads(news.recv(timeout=3))["cameras"]] == ["door", "yard"]
        control.bus.publish(Warned("door", "the network is slower than the camera", 5.0))
        control.say("door", state="lost", reason="no route")
        control.remove("yard")
        kinds = [json.loads(news.recv(timeout=3)) for _ in range(3)]
        assert [each["kind"] for each in kinds] == ["warning", "camera", "removed"]
        assert kinds[1]["camera"]["reason"] == "no route"
        assert json.loads(news.recv(timeout=3))["kind"] == "cameras"


def test_the_results_of_a_frame_are_told_when_asked_for(page, control):
    with connect(f"ws://127.0.0.1:{page.port}/live/door.results.ws") as results:
        results.send("next")
        control.feeds["door"].show(*shown())
        seen = json.loads(results.recv(timeout=3))
        while not seen:
            results.send("next")
            control.feeds["door"].show(*shown())
            seen = json.loads(results.recv(timeout=3))
        assert [each["track"] for each in seen["instances"]] == [1, 2]


def test_it_stops_within_a_second_whoever_watches(serve, control):
    page, feed = serve(), control.feeds["door"]
    feed.show(*shown())
    stuck = socket.create_connection(("127.0.0.1", page.port))
    stuck.sendall(b"GET /live/door.mjpg HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % page.port)
    half = socket.create_connection(("127.0.0.1", page.port))
    half.sendall(b"PATCH /api/cameras/door HTTP/1.1\r\nContent-Type: application/json\r\n")
    with connect(f"ws://127.0.0.1:{page.port}/api/news") as news, stuck, half:
        news.recv(timeout=3)
        begun = time.monotonic()
        page.stop()
        assert time.monotonic() - begun < 1.0
        assert until(lambda: not any(thread.name in ("page", "page news") for thread in threading.enumerate()))
    assert feed.watchers == 0


def test_a_port_in_use_is_said(serve):
    page = serve()
    with pytest.raises(OutputError, match="in use"):
        page_module.Page(page._control, page._config.model_copy(update={"port": page.port})).start()
