"""Logs in whole runs: of one decode with other outputs, the source's picture or a drawn one, nothing that privacy hides."""

import json

import av
import numpy as np
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from rerun.chunk import RrdReader

from tests import clips
from tests.unit.encode.logs.helpers import decoded, read_mcap

INSIDE = np.s_[30:56, 24:58]
"""Of what the model of `known` finds in every picture."""


def pictures(path) -> list[av.VideoFrame]:
    data = [CompressedVideo.FromString(m.data).data for m in read_mcap(path) if m.topic == "/camera/compressed"]
    return [frame for made in decoded(data) for frame in made]


def lumas(path) -> list[np.ndarray]:
    return [clips.plane_array(frame).astype(int) for frame in pictures(path)]


def test_logs_beside_other_outputs_show_the_source(streamseg, known, tmp_path):
    clip = clips.vfr(tmp_path / "clip.mkv")
    names = ["a.mp4", "a.mcap", "a.rrd", "a.jsonl"]
    done = streamseg("run", clip, *[part for name in names for part in ("-o", tmp_path / name)], "--model", known)
    assert done.returncode == 0, done.stderr
    source = [clips.plane_array(frame).astype(int) for frame in clips.decoded(clip)]
    shown = lumas(tmp_path / "a.mcap")
    assert len(shown) == len(source) > 5
    assert max(np.abs(a - b).mean() for a, b in zip(shown, source, strict=True)) < 1.5, "the source's, not the drawn one"
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()][1:]
    frames = [line for line in lines if "instances" in line]
    times = [m.time for m in read_mcap(tmp_path / "a.mcap") if m.topic == "/camera/annotations"]
    assert times == [round(frame["time"] * 1e9) for frame in frames]
    found = [ImageAnnotations.FromString(m.data) for m in read_mcap(tmp_path / "a.mcap") if m.topic == "/camera/annotations"]
    assert [len(each.points) for each in found] == [len(frame["instances"]) for frame in frames]
    chunks = RrdReader(str(tmp_path / "a.rrd")).stream().to_chunks()
    rows = sum(chunk.num_rows for chunk in chunks if chunk.entity_path == "/world/camera/video" and not chunk.is_static)
    assert rows == len(source)


def test_an_output_with_effects_is_drawn_and_privacy_holds(streamseg, known, tmp_path):
    clip, pipeline = clips.cfr(tmp_path / "clip.mp4", frames=3), tmp_path / "p.yaml"
    pipeline.write_text("outputs: {log: {path: '{stem}.drawn.mcap', composite: [overlay]}, picture: {path: '{out}'}}")
    done = streamseg("run", clip, "-p", pipeline, "-o", tmp_path / "a.mkv", "-o", tmp_path / "plain.mcap", "--model", known)
    assert done.returncode == 0, done.stderr
    drawn, plain = lumas(tmp_path / "a.drawn.mcap"), lumas(tmp_path / "plain.mcap")
    assert np.abs(drawn[0] - plain[0]).max() > 40
    done = streamseg("run", clip, "-o", tmp_path / "hidden.mcap", "--privacy", "person", "--model", known)
    assert done.returncode == 0, done.stderr
    assert all(np.ptp(luma[INSIDE]) <= 6 for luma in lumas(tmp_path / "hidden.mcap"))
    assert all(np.ptp(luma[INSIDE]) > 20 for luma in plain)
