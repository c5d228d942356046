"""Whole runs that are interrupted, killed or fed with damage: what was done is kept, and the exit code says what happened."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from streamseg.errors import BadOutput, StageError, Unreadable
from streamseg.pipeline.build import build_pipeline
from streamseg.track import Tracker
from tests import clips, graphs
from tests.pipeline.conftest import known, make_config  # noqa: F401 - fixtures


def start(*arguments, **more):
    command = [sys.executable, "-m", "streamseg", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def wait_for_results(path, lines):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.02)
    pytest.fail(f"{path} did not reach {lines} lines")


@pytest.fixture
def playing(tmp_path, known):  # noqa: F811
    """A run of a file at its own speed, 24 s long, that has written for more than two seconds."""
    source = clips.cfr(tmp_path / "a.mp4", 600, audio=True)
    outputs = ["-o", tmp_path / "o.mp4", "-o", tmp_path / "o.jsonl"]
    process = start("run", source, "--model", known, *outputs, "--realtime")
    wait_for_results(tmp_path / "o.jsonl", 65)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finalises_the_outputs(number, code, playing, tmp_path):
    playing.send_signal(number)
    began = time.monotonic()
    _, err = playing.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert playing.returncode == code, err
    assert "interrupted after" in err
    assert "Traceback" not in err
    frames = clips.decoded(tmp_path / "o.mp4")
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    results = [line for line in lines if "instances" in line]
    assert len(frames) == len(results) >= 60
    assert b"moov" in (tmp_path / "o.mp4").read_bytes()


def test_kill_9_loses_a_second_at_most(playing, tmp_path):
    done = (tmp_path / "o.jsonl").read_text().count('"instances"')
    playing.kill()
    playing.wait()
    assert len(clips.decoded(tmp_path / "o.mp4")) >= done - 25
    for line in (tmp_path / "o.jsonl").read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            json.loads(line)


def test_a_damaged_source_keeps_what_was_read(tmp_path, make_config):  # noqa: F811
    whole = clips.cfr(tmp_path / "whole.mp4", 60, container_options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(Unreadable, match=r"cut\.mp4"):
        build_pipeline(cut, make_config(), [str(tmp_path / "o.mp4")]).run()
    assert 10 < len(clips.decoded(tmp_path / "o.mp4")) < 60


def test_a_network_that_answers_nan_is_told_of(tmp_path, make_config):  # noqa: F811
    model = graphs.constant_model(tmp_path / "nan.onnx", boxes=[[np.nan] * 4], scores=[0.9])
    source = clips.cfr(tmp_path / "a.mp4", 90)
    with pytest.raises(BadOutput):
        build_pipeline(source, make_config(model=model), [str(tmp_path / "o.mp4")]).run()
    assert len(clips.decoded(tmp_path / "o.mp4")) > 0, "what was done stays"


def test_a_stage_that_raises_is_named_and_what_was_written_plays(tmp_path, make_config, monkeypatch):  # noqa: F811
    original = Tracker.__call__

    def fail_late(self, result):
        if result.frame.index == 40:
            raise RuntimeError("boom")
        return original(self, result)

    monkeypatch.setattr(Tracker, "__call__", fail_late)
    source = clips.cfr(tmp_path / "a.mp4", 200)
    pipeline = build_pipeline(source, make_config(), [str(tmp_path / "o.mp4")])
    began = time.monotonic()
    with pytest.raises(StageError, match="the track stage failed: RuntimeError: boom"):
        pipeline.run()
    assert time.monotonic() - began < 4
    assert pipeline.runtime.alive() == []
    assert clips.decoded(tmp_path / "o.mp4")


def test_a_slow_sink_drops_live_frames_and_counts_them(tmp_path, make_config, monkeypatch):  # noqa: F811
    from streamseg.encode import VideoSink

    original = VideoSink.__call__

    def slow(self, rendered):
        time.sleep(0.15)
        original(self, rendered)

    monkeypatch.setattr(VideoSink, "__call__", slow)
    source = clips.cfr(tmp_path / "a.mp4", 50)
    text = "decode: {realtime: true}\noutputs: {picture: {composite: [overlay]}}"
    report = build_pipeline(source, make_config(text), [str(tmp_path / "o.mp4")]).run()
    assert report.dropped > 10
    assert report.frames_in == 50 == report.frames_done + report.dropped
    assert report.seconds < 4, "it does not fall behind the 2 s that the clip lasts"
    frames = clips.decoded(tmp_path / "o.mp4")
    assert len(frames) == report.frames_done
    for frame in frames:
        assert round(frame.time * 25) == clips.read_index(clips.plane_array(frame)), "kept frames keep their times"


def test_a_full_disk_stops_one_output_and_not_the_other(tmp_path, known):  # noqa: F811
    """RLIMIT_FSIZE stands in for a full disk: the video hits it, the small JSON lines do not."""
    source = clips.cfr(tmp_path / "a.mp4", 120)
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000)); from streamseg.cli.main import main; main()"
    )
    arguments = ["run", source, "--model", known, "-o", tmp_path / "o.mkv", "-o", tmp_path / "o.jsonl", "--codec", "ffv1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 10, done.stderr
    assert "o.mkv" in done.stderr
    assert "Traceback" not in done.stderr
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert sum('"instances"' in line for line in lines) == 120
    assert os.path.getsize(tmp_path / "o.mkv") <= 90_000
    assert clips.decoded(tmp_path / "o.mkv")


CLOSED_ELSEWHERE = """
import faulthandler, os, signal, sys, threading
from streamseg.engine import open_engine
faulthandler.enable()
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
engine = open_engine(sys.argv[1], engine="openvino")
def close():
    global engine
    engine.close()
    del engine
thread = threading.Thread(target=close)
thread.start()
thread.join()
os.kill(os.getpid(), signal.SIGINT)
sys.exit(0 if heard else 1)
"""


def test_an_interrupt_after_an_engine_was_closed_by_another_thread(known):  # noqa: F811
    """OpenVINO's CPU plugin took the main thread's signal stack with it when another thread unloaded it: Ctrl-C crashed."""
    done = subprocess.run(
        [sys.executable, "-c", CLOSED_ELSEWHERE, str(known)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
