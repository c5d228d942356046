"""Pushes: the server gets what was shown; one that is off or stands still is tried again, told of, and waited for by nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.encode import check_output, open_sink
from streamseg.encode.stream import SharedStream
from streamseg.encode.stream import push as push_module
from streamseg.encode.stream.encoder import StreamSettings
from streamseg.encode.stream.push import Pusher
from streamseg.encode.stream.targets import push_target
from streamseg.errors import OutputError, OutputExists
from tests import clips
from tests.unit.encode.helpers import INFO, frames, rendered, write
from tests.unit.encode.stream.media_server import free_port, media_server

LIVE = replace(INFO, live=True, container="rtsp")


@contextlib.contextmanager
def filming(stream: SharedStream, pause: float = 0.02) -> Iterator[list[float]]:
    """A camera: numbered pictures until the end; gives how long each `put` took on the wall's clock."""
    ending, took = threading.Event(), []

    def film() -> None:
        for frame in frames(clips.picture(i % 256, 192, 128) for i in range(1000)):
            began = time.monotonic()
            stream.put(rendered(frame))
            took.append(time.monotonic() - began)
            if ending.wait(pause):
                return

    camera = threading.Thread(target=film, daemon=True)
    camera.start()
    try:
        yield took
    finally:
        ending.set()
        camera.join(5)


@pytest.fixture
def stream() -> Iterator[SharedStream]:
    made = SharedStream("door")
    yield made
    made.close()


@pytest.fixture
def push(stream: SharedStream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Pusher]]:
    started = []
    monkeypatch.setattr(push_module, "_PAUSES", (0.1,))

    def start(address: str) -> Pusher:
        started.append(Pusher(stream, address))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        began = time.monotonic()
        each.close()
        assert time.monotonic() - began < 4
        assert not each._thread.is_alive()


def until(what: Callable[[], bool], timeout: float = 10) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.long
def test_a_server_gets_what_is_shown_and_comes_and_goes(stream: SharedStream, push: Callable[[str], Pusher]) -> None:
    url = f"rtmp://ann:secret@127.0.0.1:{free_port()}/live/door"
    with filming(stream):
        pusher = push(url)
        until(lambda: pusher.state == "waiting")  # nobody listens yet
        assert "refused" in pusher.reason
        assert "secret" not in pusher.reason + pusher.target.name
        for connections in (1, 2):
            with media_server(url.replace("ann:secret@", "")) as server:
                seen = server.pictures(10)
                assert [number for number, _ in seen] == [(seen[0][0] + i) % 256 for i in range(10)]
                assert seen[9][1] - seen[0][1] == pytest.approx(9 / 25, abs=0.002)
                assert (pusher.state, pusher.connections) == ("pushing", connections)
            until(lambda: pusher.state != "pushing")


@pytest.mark.parametrize("scheme", ["rtmp", pytest.param("rtsp", marks=pytest.mark.long)])
def test_a_server_that_never_answers_stops_nobody(
    scheme: str, stream: SharedStream, push: Callable[[str], Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_module, "_HANDSHAKE", 0.7)
    with socket.create_server(("127.0.0.1", 0)) as mute, filming(stream) as took:
        pusher = push(f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/live/door")
        until(lambda: pusher.state == "waiting")
        assert "did not answer" in pusher.reason
        count = len(took)
        until(lambda: len(took) > count + 5)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no signal stops a process here")
@pytest.mark.long
def test_a_server_that_stands_still_is_left(
    stream: SharedStream, push: Callable[[str], Pusher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_module, "_PATIENCE", 0.5)
    url, stopped = f"rtmp://127.0.0.1:{free_port()}/live/door", False
    noise = np.random.default_rng(0).integers(0, 255, (1080, 1280), np.uint8)
    pictures = [av.VideoFrame.from_ndarray(np.roll(noise, i, 0), format="yuv420p") for i in range(8)]
    stream._settings = StreamSettings(crf=10, most_bits=10**9)  # what the kernel holds is soon full
    with media_server(url) as server:
        pusher = push(url)
        for number in range(600):
            stream.put(rendered(frames([pictures[number % 8]], [number])[0]))
            time.sleep(0.01)
            if pusher.state == "pushing" and not stopped:
                os.kill(server.process_id, signal.SIGSTOP)
                stopped = True
            if "takes nothing" in pusher.reason:
                break
        assert "takes nothing" in pusher.reason


def test_the_push_ends_with_the_stream(stream: SharedStream, push: Callable[[str], Pusher]) -> None:
    pusher = push(f"rtmp://127.0.0.1:{free_port()}/live/door")
    stream.close("the camera was removed")
    pusher._thread.join(3)
    assert not pusher._thread.is_alive()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("srt://10.0.0.2", "port is missing; write for example srt://"),
        ("rtsp:///door", "host is missing"),
        ("rtmp://10.0.0.2:99999/x", "Port out of range"),
    ],
)
def test_an_address_that_cannot_be_is_refused_beforehand(address: str, said: str) -> None:
    with pytest.raises(OutputError, match=said):
        check_output(address, overwrite=False, source=None)


def test_the_address_of_whip_is_one_of_http() -> None:
    assert push_target("whips://user:pw@host/door/whip?x=1").url == "https://user:pw@host/door/whip?x=1"
    assert "pw" not in push_target("whips://user:pw@host/door/whip").name


def test_a_film_is_pushed_at_its_own_speed_and_told_of_what_is_left_out() -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/film"
    with media_server(url) as server:
        began = time.monotonic()
        sink = write(url, (clips.picture(i, 192, 128) for i in range(20)))
        assert time.monotonic() - began >= 19 / 25
        assert [number for number, _ in server.pictures(99)][:18] == list(range(18))
    assert (sink.counters.frames, sink.counters.dropped) == (20, 0)


def test_a_film_that_nobody_takes_is_an_error_at_its_first_picture() -> None:
    with pytest.raises(OutputError, match=r"127\.0\.0\.1.*refused"):
        write(f"rtmp://127.0.0.1:{free_port()}/live/film", (clips.picture(i) for i in range(3)))


def test_another_codec_is_refused() -> None:
    with pytest.raises(OutputError, match=r"a stream is H\.264"):
        open_sink("rtsp://127.0.0.1/x", INFO, codec="hevc")


def test_hls_of_a_film_is_the_film(tmp_path: Path) -> None:
    playlist = tmp_path / "web" / "film.m3u8"
    sink = write(playlist, (clips.picture(i) for i in range(130)))
    assert sink.warnings == []
    text = playlist.read_text()
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert text.count("#EXTINF:2.0") == 2
    with av.open(str(playlist)) as container:
        seen = [clips.read_index(clips.plane_array(frame)) for frame in container.decode(video=0)]
    assert seen == list(range(130))
    with pytest.raises(OutputExists):
        write(playlist, [clips.picture(0)])


def test_hls_of_a_camera_keeps_the_newest_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    playlist = tmp_path / "door.m3u8"
    write(playlist, (clips.picture(i) for i in range(20 * 25)), LIVE)
    first = playlist.read_text()
    assert first.count("#EXTINF") == 6
    assert "ENDLIST" not in first
    assert len(list(tmp_path.iterdir())) < 10
    write(playlist, (clips.picture(i) for i in range(75)), LIVE)
    second = playlist.read_text()
    assert "#EXT-X-DISCONTINUITY" in second
    number = [
        int(line.rpartition(":")[2]) for text in (first, second) for line in text.splitlines() if "MEDIA-SEQUENCE" in line
    ]
    assert number[1] > number[0]
