"""The WebSocket of a camera's stream: what arrives decodes to the frames that were shown, and nobody is waited for."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from streamseg.live.web.page import Page
from tests import clips
from tests.unit.encode.helpers import frames, rendered
from tests.unit.live.fakes import FakeControl
from tests.unit.live.web.served import served

HEAD = struct.Struct(">BBHIdd")


@pytest.fixture
def control() -> FakeControl:
    return FakeControl({"door": {"source": "0"}})


@pytest.fixture
def dial(control: FakeControl) -> Iterator[Callable[[str], ClientConnection]]:
    with served(control, max_viewers=2) as port, contextlib.ExitStack() as opened:
        yield lambda name: opened.enter_context(
            connect(f"ws://127.0.0.1:{port}/live/{name}.ws", compression=None, close_timeout=1)
        )


def show(control: FakeControl, count: int, size: tuple[int, int] = (96, 64), first: int = 0) -> None:
    for frame in frames(clips.picture(first + i, *size) for i in range(count)):
        control.feeds["door"].stream.put(rendered(frame))


def listening(control: FakeControl, count: int = 1) -> None:
    """Wait until so many listen."""
    deadline = time.monotonic() + 5
    while control.feeds["door"].stream.stats()["listeners"] != count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_arrives_is_what_was_shown(control: FakeControl, dial: Callable[[str], ClientConnection]) -> None:
    viewer = dial("door")
    listening(control)
    show(control, 5)
    said = json.loads(viewer.recv(5))
    assert said | {"codec": ""} == {"type": "stream", "codec": "", "width": 96, "height": 64, "epoch": 0, "number": 0}
    messages = [bytes(viewer.recv(5)) for _ in range(6)]
    heads = [HEAD.unpack(each[: HEAD.size]) for each in messages]
    assert [(kind, key, index) for kind, key, _, index, _, _ in heads] == [
        (1, 0, 0),
        (2, 1, 0),
        *((2, 0, i) for i in range(1, 5)),
    ]
    with av.open(io.BytesIO(b"".join(each[HEAD.size :] for each in messages))) as container:
        found = list(container.decode(video=0))
    assert [clips.read_index(clips.plane_array(each)) for each in found] == list(range(5))
    assert [each.time for each in found] == pytest.approx([head[4] for head in heads[1:]])


def test_another_size_is_said_before_its_pictures(control: FakeControl, dial: Callable[[str], ClientConnection]) -> None:
    viewer = dial("door")
    listening(control)
    show(control, 2)
    show(control, 2, (64, 48))
    messages = [viewer.recv(5) for _ in range(8)]
    assert [isinstance(each, str) for each in messages] == [True, False, False, False] * 2
    assert [json.loads(each)["width"] for each in messages if isinstance(each, str)] == [96, 64]


def test_an_unknown_camera_and_one_that_is_removed_are_told(
    control: FakeControl, dial: Callable[[str], ClientConnection]
) -> None:
    with pytest.raises(ConnectionClosed) as unknown:
        dial("cellar").recv(5)
    assert unknown.value.rcvd is not None
    assert unknown.value.rcvd.code == 4404
    viewer = dial("door")
    listening(control)
    control.remove("door")
    with pytest.raises(ConnectionClosed) as removed:
        viewer.recv(5)
    assert removed.value.rcvd is not None
    assert (removed.value.rcvd.code, removed.value.rcvd.reason) == (4410, "the camera was removed")


def test_there_is_a_limit_of_viewers_and_who_goes_makes_room(
    control: FakeControl, dial: Callable[[str], ClientConnection]
) -> None:
    first, _ = dial("door"), dial("door")
    listening(control, 2)
    with pytest.raises(ConnectionClosed) as refused:
        dial("door").recv(5)
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 4429
    first.close()
    listening(control, 1)
    dial("door")
    listening(control, 2)


@pytest.mark.long
def test_a_viewer_that_never_reads_is_hung_up_on_and_delays_nobody(
    control: FakeControl,
) -> None:
    stream, noise = control.feeds["door"].stream, np.random.default_rng(0)
    ask = "GET /live/door.ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    ask += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    with served(control) as port, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", port))
        stuck.sendall(ask.encode())
        listening(control)
        deadline, number, other = time.monotonic() + 15, 0, stream.listen()
        while stream.stats()["listeners"] > 1 and time.monotonic() < deadline:
            picture = av.VideoFrame.from_ndarray(noise.integers(0, 255, (540, 640), np.uint8), format="yuv420p")
            stream.put(rendered(frames([picture], [number])[0]))
            number += 1
            time.sleep(0.02)
            while other.take() is not None:
                pass
        assert stream.stats()["listeners"] == 1
        assert other.ended == ""


def test_the_page_serves_it_behind_its_guard(control: FakeControl, serve: Callable[..., Page]) -> None:
    page = serve(token="a-long-enough-token")
    url = f"ws://127.0.0.1:{page.port}/live/door.ws"
    with pytest.raises(InvalidStatus) as refused, connect(url):
        pass
    assert refused.value.response.status_code == 403
    with connect(f"{url}?token=a-long-enough-token") as viewer:
        listening(control)
        show(control, 1)
        assert json.loads(viewer.recv(5))["type"] == "stream"
