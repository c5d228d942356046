"""A camera over RTSP: what comes while nobody reads, passwords, and a camera that is switched on later."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from streamseg.decode import Decoder
from streamseg.errors import SourceError, SourceNotFound
from tests.clips import plane_array, read_index
from tests.rtsp_source import Camera, access_units


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[list[bytes]]:
    return access_units(tmp_path_factory.mktemp("camera"), 250)


def test_what_came_while_an_engine_was_loaded_is_left_out(pictures: list[list[bytes]]) -> None:
    with Camera(pictures, pause=0.01) as camera, Decoder(f"rtsp://127.0.0.1:{camera.port}/main", duration=0.2) as decoder:
        assert decoder.info.live
        time.sleep(0.9)
        frames = list(decoder.frames())
    shown = [read_index(plane_array(frame.picture)) for frame in frames]
    assert shown[0] >= 20, "old pictures are dropped"
    assert 10 <= shown[-1] - shown[0] <= 19, "0.2 s from the first that is given"
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert [frame.pts - frames[0].pts for frame in frames] == [900 * (n - shown[0]) for n in shown], "times are the camera's"
    assert decoder.counters.skipped >= 10
    assert decoder.counters.gaps == decoder.counters.decode_errors == 0


@pytest.mark.parametrize("written", ["P@ss:w0rd", "P%40ss%3Aw0rd"])
def test_a_password_with_an_at_sign_opens_and_is_not_shown(pictures: list[list[bytes]], written: str) -> None:
    with (
        Camera(pictures, user="admin", password="P@ss:w0rd", pause=0.005) as camera,
        Decoder(f"rtsp://admin:{written}@127.0.0.1:{camera.port}/main") as decoder,
    ):
        assert decoder.info.name == f"rtsp://***@127.0.0.1:{camera.port}/main"


def test_a_wrong_password_that_may_have_been_misread_is_advised_on(pictures: list[list[bytes]]) -> None:
    """At once, also where the camera would be waited for."""
    with Camera(pictures, user="admin", password="right") as camera, pytest.raises(SourceError) as caught:
        Decoder(f"rtsp://admin:wr@ng@127.0.0.1:{camera.port}/main", timeout=2.0, reconnect=60.0, wait="live").open()
    said = str(caught.value)
    assert "the server refuses the user name or password (401)" in said
    assert "percent-encoding: %40 for @" in said
    assert "wr@ng" not in said
    assert "ng@" not in said


def test_a_path_that_the_camera_does_not_have_ends_at_once(pictures: list[list[bytes]]) -> None:
    with Camera(pictures) as camera, pytest.raises(SourceNotFound, match="404"):
        Decoder(f"rtsp://127.0.0.1:{camera.port}/nowhere", reconnect=60.0, wait="live").open()


def test_a_camera_that_is_switched_on_later(pictures: list[list[bytes]]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    said: list[str] = []
    decoder = Decoder(f"rtsp://127.0.0.1:{port}/main", timeout=2.0, reconnect=20.0, wait="likely", on_message=said.append)
    opening = threading.Thread(target=decoder.open)
    opening.start()
    time.sleep(0.3)
    with Camera(pictures, pause=0.005, port=port):
        opening.join(8)
        assert not opening.is_alive()
        assert next(decoder.frames()).picture.width == 96
        decoder.stop()
        decoder.close()
    assert len(said) == 1
    assert "waiting for it, up to 20 s" in said[0]


def test_the_cameras_own_clock_tells_when_pictures_were_captured(pictures: list[list[bytes]]) -> None:
    """It is 7 s behind; its report comes before its first picture."""
    told = time.time() - 7.0
    with (
        Camera(pictures, pause=0.01, told=told) as camera,
        Decoder(f"rtsp://127.0.0.1:{camera.port}/main", duration=0.2) as decoder,
    ):
        frames = list(decoder.frames())
    shown = [read_index(plane_array(frame.picture)) for frame in frames]
    utcs = [(frame.utc or 0.0) - told for frame in frames[1:]]  # the first has no pts, which is guessed
    assert utcs == pytest.approx([0.01 * n for n in shown[1:]], abs=2e-3)


def test_a_camera_that_is_set_to_1970_is_not_believed(pictures: list[list[bytes]]) -> None:
    begin = time.time()
    with (
        Camera(pictures, pause=0.01, told=86400.0) as camera,
        Decoder(f"rtsp://127.0.0.1:{camera.port}/main", duration=0.1) as decoder,
    ):
        frames = list(decoder.frames())
    assert all(begin - 0.5 < (frame.utc or 0.0) < time.time() + 0.5 for frame in frames)
    assert sum("behind this machine's" in text for text in decoder.warnings) == 1
