"""A real RTSP camera that is started again twenty times, each time as another, and recorded all the while."""

from __future__ import annotations

import itertools
import json
import threading
import time
from pathlib import Path

import av
import pytest

from streamseg.pipeline.build import Pipeline, build_pipeline
from tests.rtsp.camera import RtspCamera, needs_rtsp_server

pytestmark = pytest.mark.long

LIVE = """
decode: {policy: drop_oldest, timeout: 2s, reconnect: 60s, placeholder: true}
outputs: {record: {composite: [overlay]}}
"""
KINDS = (("h264", "320x240"), ("h265", "320x240"), ("mjpeg", "480x272"), ("h264", "640x360"))


def _frames_of(pipeline: Pipeline) -> int:
    return pipeline.tally.frames


def test_twenty_restarts_are_recorded_with_their_gaps(tmp_path: Path, make_config) -> None:
    """The recording plays from end to end; it and the results show each gap, by a picture of its own that says why."""
    needs_rtsp_server()
    video, results = tmp_path / "door_%Y-%m-%d.mkv", tmp_path / "door_%Y-%m-%d.jsonl"
    with RtspCamera(size="320x240", pattern="smpte") as camera:
        began = time.monotonic()
        pipeline = build_pipeline(camera.url, make_config(LIVE), [str(video), str(results)])
        running = threading.Thread(target=pipeline.run)
        running.start()
        try:
            for number in range(20):
                wait, before = time.monotonic() + 30, pipeline.decoder.counters.reconnects
                codec, size = KINDS[number % len(KINDS)]
                camera.start(codec=codec, size=size)
                while pipeline.decoder.counters.reconnects == before and time.monotonic() < wait:
                    time.sleep(0.05)
                seen = _frames_of(pipeline)
                while _frames_of(pipeline) < seen + 3 and time.monotonic() < wait:
                    time.sleep(0.05)
        finally:
            pipeline.runtime.stop()
            running.join(20)
        took = time.monotonic() - began
    assert not running.is_alive()
    assert pipeline.decoder.counters.reconnects >= 20
    (recorded,), (lines,) = tmp_path.glob("*.mkv"), tmp_path.glob("*.jsonl")
    with av.open(str(recorded)) as container:
        pictures = list(container.decode(video=0))
        assert container.metadata["creation_time"].endswith("Z")
    times = [float(picture.pts * picture.time_base) for picture in pictures]
    assert all(b > a for a, b in itertools.pairwise(times))
    assert times[-1] == pytest.approx(took, rel=0.15), "it plays as long as it was"
    told = [json.loads(line) for line in lines.read_text().splitlines()[1:]]
    frames = [line for line in told if "frame" in line and "event" not in line]
    assert len(frames) == len(pictures)
    gaps = [epoch for epoch, _ in itertools.groupby(frame["epoch"] for frame in frames if "lost" in frame)]
    assert len(gaps) >= 20
    for frame, picture in zip(frames, pictures, strict=True):
        dark = (picture.to_ndarray(format="gray", threads=1) < 60).mean()
        assert (dark > 0.8) == ("lost" in frame), "dark, but for its words; the camera shows bars of colour"
        if "lost" in frame:
            assert frame["instances"] == []
        else:
            assert frame["instances"][0]["class"] == "person"
    for epoch, of_it in itertools.groupby(frames, key=lambda frame: frame["epoch"]):
        utcs = [frame["utc"] for frame in of_it]
        assert utcs == sorted(utcs), epoch
