"""A camera of a real RTSP server that is lost in each of the ways in which cameras are; what comes next is read on."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.errors import SourceError, SourceLost
from tests.rtsp.camera import RtspCamera, needs_rtsp_server

pytestmark = pytest.mark.long
PASSWORD = "p@ss:w/rd %#?"


@pytest.fixture(scope="module", autouse=True)
def server_is_here() -> None:
    needs_rtsp_server()


def _until(frames: Iterator[Frame], epoch: int) -> Frame:
    """The first frame of that epoch or a later one."""
    deadline = time.monotonic() + 40
    for frame in frames:
        if frame.epoch >= epoch:
            return frame
        assert time.monotonic() < deadline, f"no epoch {epoch} within 40 s"
    raise AssertionError("the source ended")


@pytest.mark.parametrize("digest", [False, True])
def test_a_password_that_needs_quoting(digest: bool) -> None:
    with RtspCamera(user="admin", password=PASSWORD, digest=digest) as camera, Decoder(camera.url) as decoder:
        assert decoder.info.name == f"rtsp://***@127.0.0.1:{camera.port}/main"
        assert len(list(itertools.islice(decoder.frames(), 3))) == 3


def test_a_wrong_password_ends_at_once() -> None:
    with RtspCamera(user="admin", password=PASSWORD) as camera, pytest.raises(SourceError) as caught:
        Decoder(camera.url.replace("%3F", "%21"), wait="live", reconnect=60).open()
    assert "refuses the user name or password (401)" in str(caught.value)
    assert "p@ss" not in str(caught.value)
    assert "p%40ss" not in str(caught.value)


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
@pytest.mark.parametrize("udp", [False, True])
def test_killed_and_started_again(codec: str, udp: bool) -> None:
    with RtspCamera(codec=codec, udp_only=udp) as camera, Decoder(camera.url, timeout=2.0) as decoder:
        frames = decoder.frames()
        *_, before = itertools.islice(frames, 35)  # those of the first seconds came while it was opened
        camera.kill()
        camera.start()
        after = _until(frames, before.epoch + 1)
    lost = (after.utc or 0.0) - (before.utc or 0.0)
    assert lost > 0.1
    assert after.time - before.time == pytest.approx(lost, abs=0.5), "the recording's time goes on as the clock does"
    assert decoder.counters.reconnects == 1


def test_stopped_for_a_while() -> None:
    """It keeps its connection, and sends nothing."""
    with RtspCamera() as camera, Decoder(camera.url, timeout=2.0) as decoder:
        frames = decoder.frames()
        before = next(frames)
        camera.stall()
        threading.Timer(5.0, camera.resume).start()
        after = _until(frames, before.epoch + 1)
    assert after.pts > before.pts
    assert "no data" in " ".join(decoder.warnings)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"codec": "h264", "size": "320x240"}, {"codec": "h264", "size": "640x360"}),
        ({"codec": "h264", "size": "640x360"}, {"codec": "h265", "size": "320x240"}),
        ({"codec": "h265", "size": "320x240"}, {"codec": "mjpeg", "size": "480x272"}),
        ({"codec": "mjpeg", "size": "320x240"}, {"codec": "h264", "size": "320x180"}),
    ],
)
def test_started_again_at_another_size_and_codec(first: dict[str, str], then: dict[str, str]) -> None:
    with RtspCamera(**first) as camera, Decoder(camera.url, timeout=2.0) as decoder:
        frames = decoder.frames()
        before = next(frames)
        camera.start(**then)
        after = _until(frames, before.epoch + 1)
    assert f"{before.width}x{before.height}" == first["size"]
    assert f"{after.width}x{after.height}" == then["size"]
    assert after.pts > before.pts
    assert after.time_base == before.time_base


def test_packets_get_lost_over_udp() -> None:
    """A lossy network damages pictures; it is no loss of the camera, and times stay the camera's."""
    with RtspCamera(udp_only=True, loss=0.1, size="640x360", rate=20, gop=20) as camera, Decoder(camera.url) as decoder:
        frames = list(itertools.islice(decoder.frames(), 40))
    assert decoder.counters.reconnects == 0
    assert decoder.counters.corrupt + decoder.counters.decode_errors + decoder.counters.gaps > 0
    steps = [b.time - a.time for a, b in itertools.pairwise(frames)]
    assert all(step > 0 for step in steps)
    assert sum(steps) == pytest.approx(len(steps) / 20, rel=0.5)


def test_the_password_is_changed_meanwhile() -> None:
    """What waiting cannot mend at the start is waited for once it has run: the camera may still be starting."""
    with RtspCamera(user="admin", password="one") as camera, Decoder(camera.url, timeout=1.0, reconnect=4.0) as decoder:
        frames = decoder.frames()
        next(frames)
        camera.password, url = "two", camera.url
        camera.start()
        with pytest.raises(SourceLost) as caught:
            for _ in frames:
                pass
    assert "did not come back within 4 s" in str(caught.value)
    assert url not in str(caught.value)


def test_twenty_restarts_in_a_row() -> None:
    """Each time another size or codec; every one is an epoch, and time only goes forward."""
    kinds = itertools.cycle([("h264", "320x240"), ("h265", "320x240"), ("mjpeg", "480x272"), ("h264", "640x360")])
    with RtspCamera() as camera, Decoder(camera.url, timeout=2.0, reconnect=60) as decoder:
        frames = decoder.frames()
        last = next(frames)
        for _ in range(20):
            codec, size = next(kinds)
            camera.start(codec=codec, size=size)
            frame = _until(frames, last.epoch + 1)
            assert frame.pts > last.pts
            assert f"{frame.width}x{frame.height}" == size
            last = frame
    assert decoder.counters.reconnects >= 20


def test_a_placeholder_says_why_there_is_no_picture() -> None:
    with RtspCamera(size="640x360", pattern="smpte") as camera, Decoder(camera.url, timeout=1.0, placeholder=True) as decoder:
        frames = decoder.frames()
        *_, before = itertools.islice(frames, 35)
        camera.stall()
        shown = next(frame for frame in frames if frame.lost)
        camera.start(size="320x240")
        after = next(frame for frame in frames if not frame.lost)
    assert (shown.width, shown.height, shown.picture.format.name) == (640, 360, before.picture.format.name)
    assert "no data" in shown.lost
    assert before.pts < shown.pts < after.pts
    assert before.epoch < shown.epoch < after.epoch
    assert after.width == 320
    assert (before.picture.to_ndarray()[:360] < 50).mean() < 0.5
    luma = shown.picture.to_ndarray()[:360]
    assert (luma < 50).mean() > 0.85, "dark"
    assert 0.01 < (luma > 150).mean() < 0.15, "with words"


def test_when_pictures_were_captured() -> None:
    """GStreamer's RTCP reports say so: a tenth of a second before they come, and the first ones come before the first report."""
    with RtspCamera() as camera, Decoder(camera.url) as decoder:
        frames = list(itertools.islice(decoder.frames(), 60))
    ahead = time.time() - time.monotonic()
    delays = [frame.arrived + ahead - (frame.utc or 0.0) for frame in frames[-20:]]
    assert all(0.0 < delay < 0.6 for delay in delays)
    assert all((b.utc or 0) > (a.utc or 0) for a, b in itertools.pairwise(frames))
