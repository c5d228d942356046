"""Sources that stall, die and come back (FAILURES.md, "Live and runtime"): an end is a loss, and nothing blocks for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.errors import SourceError, SourceLost, SourceNotFound
from tests import clips, http_source
from tests.clips import Video, plane_array, read_index
from tests.http_source import Server


def transport_stream(path: Path, frames: int = 200, size: tuple[int, int] = (96, 64), audio: bool = False) -> bytes:
    video = Video(size=size, gop=5)
    return clips.cfr(path, frames, video=video, container_format="mpegts", audio=audio).read_bytes()


def pieces(data: bytes, count: int = 200, upto: int | None = None) -> Iterator[bytes]:
    """The stream in `count` pieces of about a frame each, the first `upto` of them."""
    step = -(-len(data) // count // 188) * 188
    yield from (data[i * step : (i + 1) * step] for i in range(count if upto is None else upto))


def source_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "streamseg-source"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 3.0
    while source_threads() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert source_threads() == []


def test_a_live_stream_is_read_as_it_comes(tmp_path: Path) -> None:
    data = transport_stream(tmp_path / "a.ts")
    with (
        Server({"/cam": http_source.stream(lambda: pieces(data), pause=0.005)}) as server,
        Decoder(f"{server.url}/cam", timeout=2.0) as decoder,
    ):
        assert decoder.info.live
        assert (decoder.info.kind, decoder.info.duration, decoder.info.frame_count) == ("network", None, None)
        frames = [f for f, _ in zip(decoder.frames(), range(120), strict=False)]
    assert [read_index(plane_array(f.picture)) for f in frames] == list(range(120))
    assert [f.pts - frames[0].pts for f in frames] == [3600 * i for i in range(120)]


def test_a_server_that_dies_and_comes_back_at_another_size(tmp_path: Path) -> None:
    """Seen: a clean EOF at once; peers end the run, or go on with frames of the wrong size."""
    first = transport_stream(tmp_path / "a.ts", audio=True)
    second = transport_stream(tmp_path / "b.ts", size=(64, 48), audio=True)
    server = Server({"/cam": http_source.stream(lambda: pieces(first, upto=100), pause=0.005)})
    frames: list[Frame] = []
    with server, Decoder(f"{server.url}/cam", timeout=2.0, reconnect=10.0) as decoder:
        through = decoder.subscribe()
        flow = decoder.frames()
        frames += [next(flow) for _ in range(60)]
        server.kill()
        died = time.monotonic()
        with Server({"/cam": http_source.stream(lambda: pieces(second), pause=0.005)}, server.port):
            while not frames or frames[-1].epoch == 0:
                frames.append(next(flow))
            away = time.monotonic() - died
            frames += [next(flow) for _ in range(30)]
            decoder.stop()
    seam = next(i for i, f in enumerate(frames) if f.epoch == 1)
    assert [f.epoch for f in frames] == [0] * seam + [1] * (len(frames) - seam)
    assert {(f.width, f.height) for f in frames[:seam]} == {(96, 64)}
    assert {(f.width, f.height) for f in frames[seam:]} == {(64, 48)}
    assert all(b.pts > a.pts for a, b in pairwise(frames))
    # What the server sent ahead of its clock before it died is a part of that time.
    assert away / 3 < frames[seam].time - frames[seam - 1].time < away + 2.0, (
        "the outage lasts as long in the recording as on the clock"
    )
    assert decoder.counters.reconnects == 1
    assert any("reconnecting" in w for w in decoder.warnings)
    sound = [float(p.dts * p.time_base) for p in through.take()]
    assert all(b > a for a, b in pairwise(sound))
    assert abs(next(t for t in sound if t > frames[seam - 1].time + 0.1) - frames[seam].time) < 1.0, (
        "sound goes on with its picture"
    )


def test_a_source_that_stays_away_is_lost(tmp_path: Path) -> None:
    data = transport_stream(tmp_path / "a.ts")
    frames: list[Frame] = []
    server = Server({"/cam": http_source.stream(lambda: pieces(data, upto=100), pause=0.002)})
    with server, Decoder(f"{server.url}/cam", timeout=1.0, reconnect=1.5) as decoder:
        flow = decoder.frames()
        frames.append(next(flow))
        server.kill()
        begin = time.monotonic()
        with pytest.raises(SourceLost, match=r"127\.0\.0\.1.* 1\.5 s") as caught:
            frames.extend(flow)
    assert time.monotonic() - begin < 5.0
    assert caught.value.exit_code == 9
    assert len(frames) > 20, "what had arrived before is given first"


def test_a_stall_is_a_loss(tmp_path: Path) -> None:
    """The connection stays open, the bytes stop."""
    data = transport_stream(tmp_path / "a.ts")
    with (
        Server({"/cam": http_source.stream(lambda: pieces(data, upto=100), pause=0.002)}) as server,
        Decoder(f"{server.url}/cam", timeout=0.7, reconnect=5.0) as decoder,
    ):
        flow = decoder.frames()
        while decoder.counters.reconnects < 1:
            next(flow)
        assert server.hits == ["/cam", "/cam"]
        decoder.stop()
        flow.close()


@pytest.mark.parametrize("pause_before", [0.3, 1.5])
def test_stop_ends_a_stalled_read_within_a_second(tmp_path: Path, pause_before: float) -> None:
    data = transport_stream(tmp_path / "a.ts")
    with (
        Server({"/cam": http_source.stream(lambda: pieces(data, upto=100), pause=0.002)}) as server,
        Decoder(f"{server.url}/cam", timeout=5.0) as decoder,
    ):
        stopped: list[float] = []

        def stop() -> None:
            stopped.append(time.monotonic())
            decoder.stop()

        timer = threading.Timer(pause_before, stop)
        timer.start()
        for _ in decoder.frames():
            pass
        assert time.monotonic() - stopped[0] < 1.0
        begin = time.monotonic()
        decoder.close()
        assert time.monotonic() - begin < 1.0
        server.kill()


def test_stop_ends_a_stalled_opening_within_a_second() -> None:
    def silent(handler: object, closing: threading.Event) -> None:
        closing.wait()

    with Server({"/cam": silent}) as server:
        decoder = Decoder(f"{server.url}/cam", timeout=5.0)
        timer = threading.Timer(0.3, decoder.stop)
        timer.start()
        begin = time.monotonic()
        with pytest.raises(SourceError, match="stopped"):
            decoder.open()
        assert time.monotonic() - begin < 2.0


def test_stop_ends_the_wait_for_a_lost_source(tmp_path: Path) -> None:
    data = transport_stream(tmp_path / "a.ts")
    server = Server({"/cam": http_source.stream(lambda: pieces(data, upto=60), pause=0.002)})
    with server, Decoder(f"{server.url}/cam", timeout=1.0, reconnect=60.0) as decoder:
        server.kill()
        threading.Timer(1.0, decoder.stop).start()
        begin = time.monotonic()
        list(decoder.frames())
        assert time.monotonic() - begin < 2.5


def test_a_silent_server_fails_within_its_timeout() -> None:
    """Seen: without a timeout blocked for more than 12 s."""

    def silent(handler: object, closing: threading.Event) -> None:
        closing.wait()

    with Server({"/cam": silent}) as server:
        begin = time.monotonic()
        with pytest.raises(SourceLost, match="timeout"):
            Decoder(f"{server.url}/cam", timeout=0.5).open()
        assert time.monotonic() - begin < 3.0


def test_a_server_that_is_not_there_fails_at_once() -> None:
    begin = time.monotonic()
    with pytest.raises(SourceNotFound, match="nothing listens"):
        Decoder("http://127.0.0.1:1/cam", reconnect=60.0).open()
    assert time.monotonic() - begin < 2.0


def test_a_camera_of_jpegs_has_the_time_of_their_arrival(tmp_path: Path) -> None:
    """libav gives each 1/25 s whatever the camera's rate: a recording at 10 a second would play 2.5 times too fast."""

    pictures = [clips.save_image(tmp_path / "x.jpg", number).read_bytes() for number in range(40)]

    def jpegs() -> Iterator[bytes]:
        for data in pictures:
            yield b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)

    answer = http_source.stream(jpegs, "multipart/x-mixed-replace; boundary=frame", pause=0.1)
    with Server({"/cam": answer}) as server, Decoder(f"{server.url}/cam", timeout=2.0, duration=1.0) as decoder:
        frames = list(decoder.frames())
    assert 3 <= len(frames) <= 13
    arrived = [f.arrived - frames[0].arrived for f in frames]
    assert [f.time for f in frames] == pytest.approx(arrived, abs=0.05)
    assert all(f.synthetic_pts for f in frames)
    assert all(b.pts > a.pts for a, b in pairwise(frames))


def test_gaps_of_a_live_stream_are_counted(tmp_path: Path) -> None:
    """Packet loss gives no error, only missing pictures."""
    path = clips.write(
        tmp_path / "gaps.ts",
        [i for i in range(150) if i not in (40, 41, 70)],
        Fraction(1, 25),
        Video(gop=5),
        rate=Fraction(25),
        container_format="mpegts",
    )
    data = path.read_bytes()
    with (
        Server({"/cam": http_source.stream(lambda: pieces(data, 150), pause=0.002)}) as server,
        Decoder(f"{server.url}/cam", timeout=2.0, duration=4.0) as decoder,
    ):
        list(decoder.frames())
    assert decoder.counters.gaps == 2


def test_decoding_that_is_too_slow_skips_instead_of_falling_behind(tmp_path: Path) -> None:
    data = transport_stream(tmp_path / "a.ts", 600)
    frames: list[Frame] = []

    def read_slowly(decoder: Decoder) -> None:
        for frame in decoder.frames():
            frames.append(frame)
            time.sleep(0.05 if len(frames) < 30 else 0.0)

    with (
        Server({"/cam": http_source.stream(lambda: pieces(data, 600), pause=0.001)}) as server,
        Decoder(f"{server.url}/cam", timeout=1.0, reconnect=0.0) as decoder,
        pytest.raises(SourceLost),
    ):
        read_slowly(decoder)
    assert decoder.counters.skipped > 50
    assert decoder.left_out == decoder.counters.skipped, "told to the user"
    assert len(frames) + decoder.counters.skipped > 580
    assert decoder.counters.decode_errors == decoder.counters.corrupt == 0, "it goes on from a key frame"
    seen = [read_index(plane_array(f.picture)) for f in frames]
    assert all(round(f.time * 25 - frames[0].time * 25) % 256 == (n - seen[0]) % 256 for f, n in zip(frames, seen, strict=True))


def test_a_file_on_a_web_server_ends_where_it_ends(tmp_path: Path) -> None:
    clip = clips.cfr(tmp_path / "a.mp4", 30, container_options={"movflags": "faststart"})
    with (
        Server({"/a.mp4": http_source.file(clip.read_bytes())}) as server,
        Decoder(f"{server.url}/a.mp4", timeout=2.0, start=0.4) as decoder,
    ):
        assert not decoder.info.live
        frames = list(decoder.frames())
    assert [read_index(plane_array(f.picture)) for f in frames] == list(range(10, 30))
    assert decoder.counters.reconnects == 0


PIPE_CHILD = """
import threading, time
from streamseg.decode import Decoder
decoder = Decoder("-")
decoder.open()
threading.Timer(0.5, decoder.stop).start()
begin = time.monotonic()
frames = list(decoder.frames())
decoder.close()
print(len(frames) > 20, time.monotonic() - begin < 1.5)
"""


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "fragmented.mp4"])
def test_a_pipe_is_read_to_its_end(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"} if name.endswith("mp4") else {}
    data = clips.cfr(tmp_path / name, 40, container_options=options).read_bytes()
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with Decoder("-", start=0.4) as decoder:
            assert (decoder.info.kind, decoder.info.live, decoder.info.name) == ("pipe", False, "standard input")
            frames = list(decoder.frames())
        writer.join()
    assert [read_index(plane_array(f.picture)) for f in frames] == list(range(10, 40))


def test_stop_ends_a_pipe_that_stalls(tmp_path: Path) -> None:
    data = clips.ts(tmp_path / "a.ts", 40).read_bytes()
    child = subprocess.Popen([sys.executable, "-c", PIPE_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(data)
    child.stdin.flush()
    try:
        said = child.stdout.readline().decode()
        assert said == "True True\n"
        assert child.wait(5) == 0, "the interpreter must end although a read is still waiting"
    finally:
        child.kill()
        child.stdin.close()
        child.stdout.close()
        child.wait()


def test_a_named_pipe_is_a_source(tmp_path: Path) -> None:
    data = clips.ts(tmp_path / "a.ts", 40).read_bytes()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(data))
    writer.start()
    with Decoder(fifo) as decoder:
        assert decoder.info.kind == "pipe"
        frames = list(decoder.frames())
    writer.join()
    assert [read_index(plane_array(f.picture)) for f in frames] == list(range(40))


def test_the_wall_clock_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NTP may move it by hours."""

    def forbidden() -> float:
        raise AssertionError("time.time() was called")

    monkeypatch.setattr(time, "time", forbidden)
    with Decoder(clips.vfr(tmp_path / "v.mp4"), realtime=True, duration=0.2) as decoder:
        frames = list(decoder.frames())
    assert all(f.arrived <= time.monotonic() for f in frames)


def test_many_connections_leave_no_descriptor(tmp_path: Path) -> None:
    data = transport_stream(tmp_path / "a.ts", 60)
    with Server({"/a.ts": http_source.file(data)}) as server:
        for warm in range(8):
            with Decoder(f"{server.url}/a.ts", timeout=2.0) as decoder:
                assert len(list(decoder.frames())) == 60
            if warm == 2:
                before = len(os.listdir("/proc/self/fd"))
        time.sleep(0.2)
        assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert av.logging.get_level() is None, "libav's log callback takes the GIL and may deadlock: it stays off"
