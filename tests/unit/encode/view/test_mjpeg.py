"""The live view over real sockets: what a browser gets, who may look, and viewers that do not read."""

import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from streamseg.encode import open_sink
from streamseg.encode.view import MjpegServer
from streamseg.errors import OutputError
from streamseg.errors.credentials import scrub
from streamseg.pipeline.account import Account
from tests import clips
from tests.unit.encode.helpers import INFO, frames, rendered


@pytest.fixture
def view():
    server = MjpegServer("127.0.0.1", 0, title="clip.mp4")
    server.open()
    yield server
    server.close()


def show(server, count=1, first=0, size=(96, 64)):
    for number, frame in enumerate(frames([clips.picture(first + i, *size) for i in range(count)])):
        server(rendered(replace(frame, index=first + number, arrived=time.monotonic() - 0.05)))


def get(server, path="/", method="GET", **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)) as connection:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()


@contextmanager
def watch(server, reads=True):
    """A viewer of the stream; one that does not read has the smallest receive buffer there is."""
    viewer = socket.socket()
    if not reads:
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    viewer.connect(("127.0.0.1", server.port))
    viewer.settimeout(5)
    viewer.sendall(f"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    until(lambda: server.board.watching > 0)
    with closing(viewer):
        yield viewer.makefile("rb")


def until(condition, timeout=5.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def next_picture(stream):
    """The next part of the stream, decoded: RGB."""
    length = 0
    while (line := stream.readline().strip()) or not length:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return cv2.imdecode(np.frombuffer(stream.read(length), np.uint8), cv2.IMREAD_COLOR_RGB)


def test_page_and_its_parts(view):
    response, page = get(view)
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/html")
    for name in ("view.css", "view.js"):
        assert name.encode() in page
        assert get(view, f"/{name}")[0].status == 200
    assert b"stream.mjpg" in get(view, "/view.js")[1]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert get(view, "/nothing")[0].status == 404
    assert get(view, "/../mjpeg.py")[0].status == 404
    assert get(view, "/", "HEAD")[1] == b""
    assert get(view, "/", "POST")[0].status == 501
    assert json.loads(get(view, "/health")[1]) == {"status": "ok"}


def test_stream_shows_each_picture(view):
    with watch(view) as stream:
        for number in (3, 4, 200):
            show(view, 1, number)
            assert clips.read_index(next_picture(stream)[..., 1]) == number


def test_stream_multipart_head(view):
    with closing(http.client.HTTPConnection("127.0.0.1", view.port, timeout=5)) as connection:
        connection.request("GET", "/stream.mjpg")
        show(view)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=picture"
        assert response.fp.readline() == b"--picture\r\n"
        assert response.fp.readline() == b"Content-Type: image/jpeg\r\n"


def test_snapshot_is_the_latest_picture(view):
    show(view, 3, 10)
    response, data = get(view, "/snapshot.jpg")
    assert response.headers["Content-Type"] == "image/jpeg"
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert clips.read_index(image[..., 1]) == 12


def test_colours_are_right_for_the_matrix_and_range():
    """JPEG knows one matrix and range only; BT.709 limited has to be converted."""
    from streamseg.encode.view.board import to_jpeg
    from tests.unit.encode.test_images import codes, flat

    for space, span in ((1, 1), (6, 2), (9, 1)):
        data = to_jpeg(frames([flat("yuv420p", codes(space, span), space, span)])[0], 1280, 90)
        rgb = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)[24, 32].astype(int)
        assert np.abs(rgb - (191, 64, 128)).max() <= 4


def test_hdr_is_tone_mapped():
    """Reference white of PQ (203 cd/m2 is code 0.58) would be a mid grey on an SDR screen."""
    from streamseg.encode.view.board import to_jpeg
    from tests.unit.encode.test_images import flat

    white = flat("yuv420p10le", (64 + round(876 * 0.58), 512, 512), 9, 1)
    white.color_primaries, white.color_trc = 9, 16
    image = cv2.imdecode(np.frombuffer(to_jpeg(frames([white])[0], 1280, 90), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image.mean() > 210


def test_wide_pictures_are_made_smaller():
    server = MjpegServer("127.0.0.1", 0, max_width=160)
    server.open()
    show(server, 1, size=(320, 180))
    _, data = get(server, "/snapshot.jpg")
    server.close()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (90, 160, 3)


def test_nothing_is_encoded_while_nobody_watches(view):
    show(view, 50)
    assert view.board.encoded == 0
    assert view.counters.frames == 50
    assert view.counters.dropped == 0
    get(view, "/snapshot.jpg")
    get(view, "/snapshot.jpg")
    assert view.board.encoded == 1


def test_two_viewers_share_one_encoding(view):
    with watch(view) as first, watch(view) as second:
        until(lambda: view.board.watching == 2)
        for number in range(5):
            show(view, 1, number)
            assert clips.read_index(next_picture(first)[..., 1]) == number
            assert clips.read_index(next_picture(second)[..., 1]) == number
    assert view.board.encoded == 5


def test_stats(view):
    account = Account(captured=30, processed=20, detected=12, gated=5, under_way=3, skipped={"preprocess: busy": 7})
    view.run = SimpleNamespace(account=lambda: account, latency_ms=lambda: {"p50": 8.0, "p95": 9.0, "p99": 9.5})
    assert json.loads(get(view, "/stats")[1])["latency_ms"] is None
    for number in range(20):
        show(view, 1, number)
        time.sleep(0.02)
    stats = json.loads(get(view, "/stats")[1])
    assert stats["title"] == "clip.mp4"
    assert stats["frames"] == 20
    assert stats["fps"] == 10  # 20 pictures within the last two seconds
    assert 50 <= stats["latency_ms"] < 500
    assert stats["dropped"] == 7
    assert stats["captured"] == 30 == stats["processed"] + stats["under_way"] + sum(stats["skipped"].values())
    assert (stats["detected"], stats["gated"], stats["latency"]["p99"]) == (12, 5, 9.5)
    assert stats["instances"] == {}


def test_viewer_that_does_not_read_holds_nobody_up(view):
    """Pictures go on at full speed, others go on watching, and the slow one is dropped."""
    with watch(view, reads=False), watch(view) as stream:
        until(lambda: view.board.watching == 2)
        slowest, began = 0.0, time.monotonic()
        number = 0
        while view.board.watching == 2:
            called = time.monotonic()
            show(view, 1, number, size=(640, 480))
            slowest = max(slowest, time.monotonic() - called)
            next_picture(stream)
            number += 1
            assert time.monotonic() - began < 6, "the slow viewer was not dropped"
        assert slowest < 0.5
        assert number > 20
        next_picture_after = view.board.encoded
        show(view, 1, size=(640, 480))
        next_picture(stream)
        assert view.board.encoded == next_picture_after + 1


def test_half_a_request_does_not_stay_for_ever(view, monkeypatch):
    from streamseg.encode.view import server

    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    with closing(socket.create_connection(("127.0.0.1", view.port))) as mute:
        mute.sendall(b"GET / HT")
        mute.settimeout(3)
        assert mute.recv(10) == b""


def test_too_many_connections_are_hung_up(view):
    from streamseg.encode.view.server import _MAX_CONNECTIONS

    waiting = [socket.create_connection(("127.0.0.1", view.port)) for _ in range(_MAX_CONNECTIONS)]
    with closing(socket.create_connection(("127.0.0.1", view.port))) as one_more:
        one_more.settimeout(3)
        assert one_more.recv(10) == b""
    for connection in waiting:
        connection.close()


def test_close_ends_all_threads_within_a_second():
    server = MjpegServer("127.0.0.1", 0)
    before = set(threading.enumerate())
    server.open()
    with watch(server) as stream, watch(server, reads=False):
        show(server, 3, size=(640, 480))
        next_picture(stream)
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 1
        assert set(threading.enumerate()) <= before
        assert stream.read() is not None  # the connection has ended
    with pytest.raises(OSError):  # noqa: PT011
        socket.create_connection(("127.0.0.1", server.port), 1)
    server.close()


def test_pictures_after_close_do_no_harm(view):
    view.close()
    show(view, 2)


# --- who may look -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/stream.mjpg", "/snapshot.jpg", "/stats"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "attacker.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda h: " ".join(map(str, *h.items())) if len(h) == 1 else "",
)
def test_other_sites_may_not_look(path, headers, view):
    """DNS rebinding: the attacker's name leads to 127.0.0.1, and the browser is ours."""
    show(view)
    response, body = get(view, path, **{k: v.format(port=view.port) for k, v in headers.items()})
    assert response.status == 403
    assert b"\xff\xd8" not in body


def test_our_own_page_may_look(view):
    show(view)
    own = {"Host": f"localhost:{view.port}", "Origin": f"http://localhost:{view.port}", "Sec-Fetch-Site": "same-origin"}
    assert get(view, "/stats", **own)[0].status == 200
    assert get(view, "/snapshot.jpg", **own)[0].status == 200


def test_address_that_others_reach_needs_a_token():
    with pytest.raises(OutputError, match="token"):
        MjpegServer("0.0.0.0", 0).open()
    with pytest.raises(OutputError, match="at least 8"):
        MjpegServer("0.0.0.0", 0, token="short").open()


def test_token_opens_the_view():
    server = open_sink("http://0.0.0.0:0/?token=open-sesame", INFO)
    assert isinstance(server, MjpegServer)
    assert "sesame" not in server.name
    server.open()
    show(server)
    try:
        for path, headers, status in (
            ("/stats", {}, 403),
            ("/stats?token=wrong-sesame", {}, 403),
            ("/stats?token=%FF%FE", {}, 403),
            ("/stats?token=open-sesame", {}, 200),
            ("/snapshot.jpg", {"Authorization": "Bearer open-sesame"}, 200),
            ("/?token=open-sesame", {"Host": "camera.local:8080"}, 200),
            ("/?token=open-sesame", {"Origin": "http://attacker.example"}, 403),
            ("/health", {}, 200),
        ):
            assert get(server, path, **headers)[0].status == status, path
    finally:
        server.close()


def test_port_in_use_says_what_to_do(view):
    with pytest.raises(OutputError, match=rf"port {view.port} is in use.*{view.port + 1}"):
        MjpegServer("127.0.0.1", view.port).open()


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://127.0.0.1:x"])
def test_impossible_ports(address):
    with pytest.raises(OutputError, match=r"127\.0\.0\.1"):
        open_sink(address, INFO).open()


def test_address_of_another_machine():
    with pytest.raises(OutputError, match="no such address"):
        MjpegServer("192.0.2.1", 0, token="open-sesame").open()


def test_an_address_to_upload_to_is_told_what_a_view_is():
    with pytest.raises(OutputError) as caught:
        open_sink("http://example.com/x.mp4", INFO).open()
    told = scrub(str(caught.value))
    assert told.startswith(
        "http://example.com:80: an output with http:// is a live view, which listens at this address and uploads"
    )
    assert "write them behind http://example.com:80/?token= or listen on 127.0.0.1" in told


def test_same_port_again_at_once():
    for _ in range(3):
        server = MjpegServer("127.0.0.1", 0)
        server.open()
        port = server.port
        with watch(server) as stream:
            show(server)
            next_picture(stream)
            server.close()
        again = MjpegServer("127.0.0.1", port)
        again.open()
        again.close()
