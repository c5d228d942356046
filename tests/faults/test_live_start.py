"""How a live run begins: what comes while the engine is loaded is not shown late, and a camera that is off is waited for."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from streamseg.config import parse_pipeline
from streamseg.decode import Decoder
from streamseg.errors import OutputError, OutputExists, SourceError, SourceLost, SourceNotFound
from streamseg.pipeline import build as pipelines
from streamseg.pipeline import opening
from tests import clips, graphs, http_source
from tests.clips import Video, plane_array, read_index
from tests.http_source import Server

PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
LOADING = 0.8
"""Seconds that the engine of these tests takes to load."""
PASSWORD, TOKEN = "hunter2secret", "sesame9open"


def jpegs(tmp_path: Path, pause: float = 0.02) -> http_source.Answer:
    """A camera that sends numbered JPEGs."""
    made = [clips.save_image(tmp_path / "x.jpg", number).read_bytes() for number in range(200)]

    def parts() -> Iterator[bytes]:
        yield from (PART % (len(data), data) for data in made)

    return http_source.stream(parts, "multipart/x-mixed-replace; boundary=frame", pause)


def transport(tmp_path: Path, video: Video) -> http_source.Answer:
    """A camera that sends a numbered transport stream at its own pace."""
    data = clips.cfr(tmp_path / "a.ts", 200, video=video, container_format="mpegts").read_bytes()
    step = -(-len(data) // 200 // 188) * 188
    return http_source.stream(lambda: iter([data[at : at + step] for at in range(0, len(data), step)]), pause=0.015)


@pytest.fixture
def slow_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    load = opening.load_engine

    def slowly(*arguments: object, **options: object) -> object:
        time.sleep(LOADING)
        return load(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(opening, "load_engine", slowly)


def test_a_recording_begins_when_the_engine_is_there(tmp_path: Path, slow_engine: None) -> None:
    """Seen: the first picture stood for as long as the engine took, then a burst; --duration counted from it, and gave one frame.

    On the way: neither the password nor the token of the address is in anything that is written.
    """
    model = graphs.constant_model(tmp_path / "known.onnx", size=(64, 96))
    config = parse_pipeline(
        f"decode: {{policy: drop_oldest, duration: 0.5}}\ninfer: {{model: {model}, threads: 1}}\n"
        "outputs: {p: {path: '{out}'}}",
        "t",
    )
    said: list[str] = []
    inner = http_source.locked("cam", PASSWORD, jpegs(tmp_path))
    with Server({f"/cam?token={TOKEN}": inner}) as server:
        address = f"http://cam:{PASSWORD}@127.0.0.1:{server.port}/cam?token={TOKEN}"
        out = tmp_path / "o.mkv"
        built = pipelines.build_pipeline(address, config, [str(out), str(tmp_path / "o.jsonl")], on_message=said.append)
        report = built.run()
    frames = clips.decoded(out)
    shown = [read_index(plane_array(frame)) for frame in frames]
    assert shown[0] >= 10, "what came while the engine was loaded is old"
    times = [float(frame.time) for frame in frames]
    assert times[0] == pytest.approx(0, abs=0.01)
    assert 0.1 <= times[-1] <= 0.55, "half a second, from the first frame that was given; a busy machine drops the last"
    assert 0.015 < times[-1] / (shown[-1] - shown[0]) < 0.1, "each has the time of its arrival"
    assert report.frames_in == report.frames_done + report.dropped
    lines = (tmp_path / "o.jsonl").read_text()
    everything = lines + json.dumps(report.to_json()) + repr(built.info) + repr(said) + out.read_bytes().decode("latin1")
    assert PASSWORD not in everything
    assert TOKEN not in everything
    assert json.loads(lines.splitlines()[0])["source"] == f"http://***@127.0.0.1:{server.port}/cam?token=***"


@pytest.mark.parametrize("video", [Video(gop=5), Video(gop=10, b_frames=2)], ids=["ipp", "b-frames"])
def test_what_comes_before_frames_are_taken_is_left_out(tmp_path: Path, video: Video) -> None:
    with Server({"/cam": transport(tmp_path, video)}) as server, Decoder(f"{server.url}/cam", duration=0.4) as decoder:
        assert decoder.info.live
        time.sleep(0.8)
        began = time.monotonic()
        frames = list(decoder.frames())
    shown = [read_index(plane_array(frame.picture)) for frame in frames]
    assert shown[0] > 15, "old pictures are dropped"
    assert 5 <= len(shown) <= 10
    assert 9 - 2 <= shown[-1] - shown[0] <= 9, "0.4 s from the first that is given"
    assert [frame.pts - frames[0].pts for frame in frames] == [3600 * (number - shown[0]) for number in shown]
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[0].arrived > began - 1.0
    assert all(b.arrived >= a.arrived for a, b in pairwise(frames))
    assert decoder.counters.skipped >= 10
    assert decoder.counters.decode_errors == decoder.counters.corrupt == 0


def test_nothing_is_left_out_where_nothing_may_be(tmp_path: Path) -> None:
    """`policy: block`."""
    with (
        Server({"/cam": transport(tmp_path, Video(gop=5))}) as server,
        Decoder(f"{server.url}/cam", duration=1.0, keep_up=False) as decoder,
    ):
        time.sleep(0.7)
        frames = list(decoder.frames())
    assert [read_index(plane_array(frame.picture)) for frame in frames] == list(range(25))
    assert decoder.counters.skipped == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_camera_that_is_off_at_first_is_waited_for(tmp_path: Path) -> None:
    """Seen: the run ended after 3 s."""
    port, said = free_port(), list[str]()
    decoder = Decoder(
        f"http://cam:{PASSWORD}@127.0.0.1:{port}/cam", timeout=2.0, reconnect=20.0, wait="live", on_message=said.append
    )
    opening = threading.Thread(target=decoder.open)
    opening.start()
    time.sleep(0.3)
    assert opening.is_alive()
    with Server({"/cam": transport(tmp_path, Video(gop=5))}, port):
        opening.join(8)
        assert not opening.is_alive()
        assert next(decoder.frames()).picture.width == 96
        decoder.stop()
        decoder.close()
    assert len(said) == 1, "it is said once"
    assert "nothing listens there" in said[0]
    assert "waiting for it, up to 20 s" in said[0]
    assert PASSWORD not in said[0]


def test_it_is_waited_for_as_long_as_a_lost_one_is() -> None:
    begin = time.monotonic()
    with pytest.raises(SourceNotFound, match=r"connection refused\); it did not come within 0\.8 s"):
        Decoder(f"rtsp://127.0.0.1:{free_port()}/cam", reconnect=0.8, wait="likely").open()
    assert 0.7 < time.monotonic() - begin < 10.0


def test_what_may_be_a_file_is_not_waited_for_unless_it_is_to_be_live() -> None:
    begin = time.monotonic()
    with pytest.raises(SourceNotFound, match="nothing listens"):
        Decoder(f"http://127.0.0.1:{free_port()}/a.mp4", reconnect=60.0, wait="likely").open()
    assert time.monotonic() - begin < 10.0


@pytest.mark.parametrize(
    ("status", "words"), [(401, "user name or password"), (403, "forbids"), (404, "404"), (410, "refuses")]
)
def test_what_waiting_cannot_mend_ends_at_once(status: int, words: str) -> None:
    def answer(handler: http_source.BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_error(status)

    said: list[str] = []
    with Server({"/cam": answer}) as server, pytest.raises(SourceError, match=words):
        Decoder(f"{server.url}/cam", reconnect=60.0, wait="live", on_message=said.append).open()
    assert said == []


def test_a_server_that_still_starts_is_waited_for() -> None:
    def answer(handler: http_source.BaseHTTPRequestHandler, _: threading.Event) -> None:
        handler.send_error(503)

    said: list[str] = []
    with Server({"/cam": answer}) as server, pytest.raises(SourceLost, match=r"5xx.*0\.9 s"):
        Decoder(f"{server.url}/cam", reconnect=0.9, wait="live", on_message=said.append).open()
    assert len(said) == 1
    assert len(server.hits) >= 2


def test_a_camera_that_is_not_plugged_in_is_waited_for_where_live_is_meant() -> None:
    said: list[str] = []
    begin = time.monotonic()
    with pytest.raises(SourceNotFound, match="video97 does not exist"):
        Decoder(97, reconnect=0.4, wait="live", on_message=said.append).open()
    assert 0.3 < time.monotonic() - begin < 10.0
    assert len(said) == 1
    assert "waiting for it, up to 0.4 s" in said[0]
    with pytest.raises(SourceNotFound, match="video97 does not exist"):
        Decoder("97", reconnect=60.0, wait="likely", on_message=said.append).open()
    assert len(said) == 1


def test_a_host_that_nobody_knows_is_named() -> None:
    with pytest.raises(SourceNotFound, match=r"no host of the name camera\.invalid is known") as caught:
        Decoder(f"rtsp://admin:{PASSWORD}@camera.invalid/x", timeout=2.0).open()
    assert PASSWORD not in str(caught.value)


def test_stop_ends_the_wait(tmp_path: Path) -> None:
    decoder = Decoder(f"rtsp://127.0.0.1:{free_port()}/cam", reconnect=60.0, wait="likely")
    threading.Timer(0.4, decoder.stop).start()
    begin = time.monotonic()
    with pytest.raises(SourceError, match="stopped"):
        decoder.open()
    assert time.monotonic() - begin < 5.0


def test_a_signal_ends_the_wait_of_a_run_that_said_what_it_waits_for(tmp_path: Path) -> None:
    address = f"rtsp://cam:{PASSWORD}@127.0.0.1:{free_port()}/cam"
    command = [
        sys.executable,
        "-m",
        "streamseg",
        "run",
        address,
        "-p",
        "live",
        "-o",
        str(tmp_path / "o.mp4"),
        "--reconnect",
        "24h",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        line = run.stderr.readline()
        while "waiting" not in line:
            assert line, "it ended instead of waiting"
            line = run.stderr.readline()
        begin = time.monotonic()
        run.send_signal(signal.SIGTERM)  # SIGINT is ignored by what a shell runs in the background
        patience = threading.Timer(30, run.kill)
        patience.start()
        rest = run.stderr.read()
        code = run.wait(10)
        patience.cancel()
    assert code == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 8.0, "not the 60 s for which it would be waited for"
    assert "Traceback" not in rest
    assert "up to 86400 s" in line
    assert PASSWORD not in line + rest
    assert not (tmp_path / "o.mp4").exists()


def title_at(port: int) -> str:
    """The title of the view that comes up at a port."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=2) as answer:
                return str(json.load(answer)["title"])
        except OSError:
            assert time.monotonic() < deadline, "no view came up"
            time.sleep(0.02)


def test_the_view_is_there_while_the_camera_is_waited_for(tmp_path: Path) -> None:
    """Who watches sees that it is waited for, and a port in use is said at once."""
    port = free_port()
    view = f"decode: {{policy: drop_oldest, reconnect: 1.5}}\noutputs: {{v: {{path: 'http://127.0.0.1:{port}'}}}}"
    problems: list[BaseException] = []

    def build() -> None:
        try:
            pipelines.build_pipeline(f"rtsp://127.0.0.1:{free_port()}/cam", parse_pipeline(view, "t"))
        except SourceNotFound as error:
            problems.append(error)

    building = threading.Thread(target=build)
    building.start()
    assert title_at(port) == "waiting for the source"
    with pytest.raises(OutputError, match=f"port {port} is in use"):
        pipelines.build_pipeline(f"rtsp://127.0.0.1:{free_port()}/cam", parse_pipeline(view, "t"))
    building.join(5)
    assert "did not come within 1.5 s" in str(problems[0])
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0, "it is closed with the run"


def test_an_output_that_is_refused_is_not_waited_with(tmp_path: Path) -> None:
    """The camera's size is not needed to see that a file exists."""
    (tmp_path / "o.mp4").write_bytes(b"precious")
    config = parse_pipeline("decode: {policy: drop_oldest, reconnect: 60}\noutputs: {p: {path: '{out}'}}", "t")
    begin = time.monotonic()
    with pytest.raises(OutputExists, match="already exists"):
        pipelines.build_pipeline(f"rtsp://127.0.0.1:{free_port()}/cam", config, [str(tmp_path / "o.mp4")])
    assert time.monotonic() - begin < 10.0
