"""Pushes to real servers: GStreamer's RTSP server (passwords, kill, stop), its SRT listener, and a WHIP server of aiortc."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import av
import pytest

from streamseg.encode.stream import SharedStream
from streamseg.encode.stream.push import Pusher
from tests import clips
from tests.rtsp.camera import PYTHON, needs_rtsp_server
from tests.unit.encode.helpers import frames, rendered
from tests.unit.encode.stream.media_server import free_port

pytestmark = pytest.mark.long
PASSWORD = "p@ss:w/rd %#?"
_LAUNCH = """
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst
Gst.init(None)
Gst.parse_launch(sys.argv[1]).set_state(Gst.State.PLAYING)
GLib.MainLoop().run()
"""
RECORDER = Path(__file__).with_name("recorder.py")


@pytest.fixture
def stream() -> Iterator[SharedStream]:
    """A camera that films all the time: numbered pictures, 25 a second."""
    made, ending = SharedStream("door"), threading.Event()

    def film() -> None:
        number = 0
        while not ending.wait(0.04):
            for frame in frames([clips.picture(number % 256, 192, 128)], [number]):
                made.put(rendered(frame))
            number += 1

    camera = threading.Thread(target=film, daemon=True)
    camera.start()
    yield made
    ending.set()
    camera.join(5)
    made.close()


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@contextlib.contextmanager
def recorder(out: Path, *options: str, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    needs_rtsp_server()
    with process(PYTHON, str(RECORDER), "--out", str(out), "--port", str(port), *options) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("PORT ")
        yield server, int(line.split()[1])


@contextlib.contextmanager
def pushing(stream: SharedStream, url: str) -> Iterator[Pusher]:
    pusher = Pusher(stream, url)
    pusher.start()
    try:
        yield pusher
    finally:
        pusher.close()


def until(what: Callable[[], object], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def numbers(path: Path) -> list[int]:
    """The numbers in the pictures of a raw H.264 film, or of MPEG-TS."""
    with av.open(str(path)) as container:
        return [clips.read_index(clips.plane_array(frame)) for frame in container.decode(video=0)]


def steps(found: list[int]) -> set[int]:
    return {(b - a) % 256 for a, b in pairwise(found)}


@pytest.mark.parametrize("digest", [False, True])
def test_rtsp_with_a_password_that_needs_quoting(digest: bool, stream: SharedStream, tmp_path: Path) -> None:
    out = tmp_path / "got.h264"
    options = ["--user", "ann", "--password", PASSWORD, *(["--digest"] if digest else [])]
    with recorder(out, *options) as (_, port):
        with pushing(stream, f"rtsp://ann:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/door") as pusher:
            until(lambda: pusher.pictures > 30)
            assert pusher.target.name == f"rtsp://***@127.0.0.1:{port}/door"
        found = numbers(out)
    assert len(found) >= 25
    assert steps(found) == {1}


def test_rtsp_with_a_wrong_password_says_so(stream: SharedStream, tmp_path: Path) -> None:
    with (
        recorder(tmp_path / "got.h264", "--user", "ann", "--password", PASSWORD) as (_, port),
        pushing(stream, f"rtsp://ann:wrong@127.0.0.1:{port}/door") as pusher,
    ):
        until(lambda: pusher.state == "waiting")
        assert "401" in pusher.reason or "nauthorized" in pusher.reason
        assert "wrong" not in pusher.reason


def test_rtsp_server_killed_stopped_and_started_again(stream: SharedStream, tmp_path: Path) -> None:
    port = free_port()
    with pushing(stream, f"rtsp://127.0.0.1:{port}/door") as pusher:
        for turn in range(3):
            out = tmp_path / f"{turn}.h264"
            with recorder(out, port=port) as (server, _):
                until(lambda turn=turn: pusher.connections == turn + 1, 60)
                until(lambda out=out: out.exists() and out.stat().st_size > 10_000)
                if turn == 1:
                    server.send_signal(signal.SIGSTOP)
            until(lambda: pusher.state != "pushing")
            assert steps(numbers(out)) == {1}


def test_srt_with_a_passphrase(stream: SharedStream, tmp_path: Path) -> None:
    needs_rtsp_server()
    out, port = tmp_path / "got.ts", free_port()
    listener = f"srtsrc uri=srt://127.0.0.1:{port}?mode=listener passphrase=ten-letters pbkeylen=16"
    with process(PYTHON, "-c", _LAUNCH, f"{listener} ! filesink buffer-mode=unbuffered location={out}"):
        with pushing(stream, f"srt://127.0.0.1:{port}?passphrase=ten-letters") as pusher:
            until(lambda: pusher.pictures > 60, 60)
        until(lambda: out.exists() and out.stat().st_size > 10_000)
    found = numbers(out)
    assert len(found) >= 30
    assert steps(found) == {1}


def test_whip_to_a_server_of_aiortc(stream: SharedStream) -> None:
    aiortc = pytest.importorskip("aiortc")
    web = pytest.importorskip("starlette.applications")
    responses, routing = pytest.importorskip("starlette.responses"), pytest.importorskip("starlette.routing")
    uvicorn = pytest.importorskip("uvicorn")
    seen: list[int] = []
    connections = []

    async def take(track: object) -> None:
        with contextlib.suppress(aiortc.mediastreams.MediaStreamError):
            while True:
                frame = await track.recv()  # type: ignore[attr-defined]
                seen.append(clips.read_index(clips.plane_array(frame)))

    async def whip(request: object) -> object:
        connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration([]))
        connections.append(connection)
        connection.on("track", lambda track: connections.append(asyncio.ensure_future(take(track))))
        offer = (await request.body()).decode()  # type: ignore[attr-defined]
        await connection.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return responses.Response(
            connection.localDescription.sdp, 201, {"Location": "/door/whip/1"}, media_type="application/sdp"
        )

    port = free_port()
    app = web.Starlette(routes=[routing.Route("/door/whip", whip, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        with pushing(stream, f"whip://127.0.0.1:{port}/door/whip") as pusher:
            with contextlib.suppress(AssertionError):
                until(lambda: len(seen) > 20, 30)
            assert (pusher.reason, len(seen) > 20) == ("", True)
    finally:
        server.should_exit = True
        thread.join(5)
    assert steps(seen) == {1}
