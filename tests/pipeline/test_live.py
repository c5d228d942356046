"""The live pipeline: watched while it runs, recorded with the times at which things happened."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request

import pytest

from streamseg.pipeline.build import build_pipeline
from tests import clips

LIVE = """
decode: {policy: drop_oldest, realtime: true}
outputs:
  record: {path: "{out}", composite: [overlay]}
  view: {path: "http://127.0.0.1:%d", composite: [overlay]}
"""


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stats_once_frames_were_dropped(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError),  # it is not there yet
            urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=5) as answer,
        ):
            stats = json.load(answer)
            if stats["dropped"] and stats["instances"]:
                return stats
        time.sleep(0.02)
    raise AssertionError("no frame was dropped")


def test_it_is_watched_while_it_records(tmp_path, make_config, monkeypatch):
    from streamseg.detect.preprocess import Preprocess

    original = Preprocess.__call__

    def slow(self, frame):
        time.sleep(0.1)  # slower than the 40 ms between frames: some must go
        return original(self, frame)

    monkeypatch.setattr(Preprocess, "__call__", slow)
    port = free_port()
    source = clips.cfr(tmp_path / "a.mp4", 75)
    pipeline = build_pipeline(source, make_config(LIVE % port), [str(tmp_path / "o.mp4")])
    running = threading.Thread(target=pipeline.run)
    running.start()
    stats = stats_once_frames_were_dropped(port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/snapshot.jpg", timeout=5) as answer:
        assert answer.read(2) == b"\xff\xd8"
    running.join(20)
    assert not running.is_alive()
    report = pipeline.report()
    assert stats["instances"] == {"person": 1}
    assert 0 < stats["dropped"] <= report.dropped
    assert report.frames_in == 75 == report.frames_done + report.dropped
    assert report.latency_ms["p50"] < 1500
    assert stats["captured"] == stats["processed"] + stats["under_way"] + sum(stats["skipped"].values())
    assert sum(report.skipped.values()) == report.dropped
    assert {*report.skipped} <= {"preprocess: busy", "preprocess: behind"}
    frames = clips.decoded(tmp_path / "o.mp4")
    assert len(frames) == report.frames_done
    shown = [clips.read_index(clips.plane_array(frame)) for frame in frames]
    assert [round(frame.time * 25) for frame in frames] == [index - shown[0] for index in shown]


def test_a_run_tells_what_it_left_out_and_why(tmp_path, make_config):
    """On a film, which waits: what is left out is what was asked for, and the file holds the rest with its times."""
    config = make_config("decode: {max_rate: 5}\noutputs: {picture: {composite: [overlay]}}")
    source = clips.cfr(tmp_path / "a.mp4", 50)
    report = build_pipeline(source, config, [str(tmp_path / "o.mp4")]).run()
    assert (report.frames_in, report.frames_done, report.dropped) == (50, 10, 0)
    assert report.skipped == {"decode: above max_rate": 40}
    times = [frame.time for frame in clips.decoded(tmp_path / "o.mp4")]
    assert times == pytest.approx([i / 5 for i in range(10)])
    assert report.detected == 10


def test_a_frame_that_is_too_old_for_the_network_is_left_out(tmp_path, make_config, monkeypatch):
    from streamseg.detect.preprocess import Preprocess

    original = Preprocess.__call__

    def late(self, frame):
        time.sleep(0.12 if frame.index % 2 else 0)
        return original(self, frame)

    monkeypatch.setattr(Preprocess, "__call__", late)
    config = make_config("decode: {policy: drop_oldest, realtime: true, stale: 100ms}\noutputs: {p: {composite: [overlay]}}")
    source = clips.cfr(tmp_path / "a.mp4", 25)
    report = build_pipeline(source, config, [str(tmp_path / "o.mp4")]).run()
    assert report.skipped["infer: stale"] >= 3
    assert report.frames_in == 25 == report.frames_done + sum(report.skipped.values())
    assert report.dropped == sum(report.skipped.values())
    assert 0 < report.latency_ms["p50"] <= report.latency_ms["p95"] <= report.latency_ms["p99"]
