"""A camera of a real RTSP server is recorded as it is, through losses, other sizes and codecs, and a network that loses packets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from streamseg.config.live_record import CameraRecord
from streamseg.decode import Decoder
from streamseg.live.keep.recorder import CameraRecorder
from tests.rtsp.camera import RtspCamera, needs_rtsp_server
from tests.unit.live.keep.cameras import Notes

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def server_is_here() -> None:
    needs_rtsp_server()


class Watched:
    """A camera that is decoded and recorded, in a thread of its own."""

    def __init__(self, url: str, folder: Path, **options: object) -> None:
        self.notes = Notes()
        self.recorder = CameraRecorder("door", folder, CameraRecord(segment=1e9, **options), self.notes)  # type: ignore[arg-type]
        self.recorder.start()
        self.decoder = Decoder(url, tap=self.recorder.feed, timeout=2.0, reconnect=60, wait="live")
        self.frames = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self.decoder as decoder:
            for _ in decoder.frames():
                self.frames += 1

    def until(self, more: int, seconds: float = 60) -> None:
        """Wait for so many frames more."""
        wanted, deadline = self.frames + more, time.monotonic() + seconds
        while self.frames < wanted:
            assert time.monotonic() < deadline, f"{self.frames} frames of {wanted}"
            time.sleep(0.05)

    def stop(self) -> None:
        self.decoder.stop()
        self._thread.join(10)
        assert self.recorder.stop(10)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[list[Watched]]:
    begun: list[Watched] = []
    yield begun
    for each in begun:
        each.decoder.stop()
        each.recorder.feed.close()


def look(path: Path) -> tuple[str, int, int, float, int]:
    """(codec, width, pictures that can be decoded, seconds, packets of sound)."""
    with av.open(str(path)) as container:
        picture = container.streams.video[0]
        codec, width, seconds = picture.codec_context.name, picture.codec_context.width, (container.duration or 0) / 1e6
        sound = list(container.streams.audio)
        pictures = packets = 0
        for packet in container.demux():
            if sound and packet.stream is sound[0]:
                packets += packet.size > 0
            elif packet.stream is picture:
                pictures += len(packet.decode())
    return codec, width, pictures, seconds, packets


def test_it_is_recorded_through_a_restart_with_another_codec_and_a_stall(tmp_path: Path, watch: list[Watched]) -> None:
    with RtspCamera(codec="h264", size="320x240", sound="pcma", user="admin", password="p@ss:w/rd") as camera:
        watched = Watched(camera.url, tmp_path / "r")
        watch.append(watched)
        watched.until(75)
        camera.kill()
        time.sleep(1)
        camera.start(codec="h265", size="640x360", sound="")
        watched.until(75)
        camera.stall()
        threading.Timer(5.0, camera.resume).start()
        watched.until(75)
        watched.stop()
    notes = watched.notes
    kinds = [(path.suffix, *look(path)) for path in notes.paths]
    assert [(kind[0], kind[1], kind[2]) for kind in kinds] == [
        (".mkv", "h264", 320),
        (".mp4", "hevc", 640),
        (".mp4", "hevc", 640),
    ]
    for (_, _, _, pictures, seconds, _), file in zip(kinds, notes.files, strict=True):
        assert pictures >= 60
        assert abs(seconds - (file.end_utc - file.begin_utc)) < 1, "as long as it was watched"
    assert kinds[0][5] > 50
    reasons = [reason for _, reason in notes.gaps]
    assert len(reasons) == 2, reasons
    assert "p@ss" not in " ".join(reasons)
    assert "no data for 2.0 s" in reasons[1]
    assert notes.gaps[1][0] > 2
    assert all("nothing was recorded for" in comment(path) for path in notes.paths[1:])


def comment(path: Path) -> str:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}["comment"]


@pytest.mark.parametrize("codec", ["h264", "h265", "mjpeg"])
def test_a_network_that_loses_packets_ends_no_recording(tmp_path: Path, watch: list[Watched], codec: str) -> None:
    with RtspCamera(codec=codec, udp_only=True, loss=0.02, gop=25) as camera:
        watched = Watched(camera.url, tmp_path / "r")
        watch.append(watched)
        watched.until(100)
        watched.stop()
    (path,) = watched.notes.paths
    _, _, pictures, seconds, _ = look(path)
    assert pictures > 50
    assert seconds > 3
    assert watched.notes.said == []
