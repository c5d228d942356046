"""What a dash camera's films are run with: positions."""

import json
from pathlib import Path

import pytest

import streamseg
from tests import clips
from tests import telemetry_files as files

SCENE = "scene: on\noutputs: {picture: {composite: [overlay]}}"


def test_positions_reach_every_frame(make_config, tmp_path: Path) -> None:
    """From the file that a GoPro writes to the results, at each frame's own time."""
    film, out = files.gopro(tmp_path / "GX010001.mp4", seconds=2), tmp_path / "out.jsonl"
    streamseg.run(film, out, pipeline=make_config(SCENE))
    frames = [line for line in map(json.loads, out.read_text().splitlines()[1:]) if "instances" in line]
    assert len(frames) == 50
    for frame in frames:
        fix = frame["scene"]["fix"]
        assert (fix["latitude"], fix["longitude"]) == pytest.approx(files.place(min(frame["time"], 1.9)), abs=2e-6)
        assert frame["scene"]["own_speed"] == pytest.approx(files.SPEED)


def test_a_log_is_named_moved_and_left_out(make_config, tmp_path: Path, streamseg) -> None:
    film, log, out = clips.cfr(tmp_path / "a.mp4", frames=25), tmp_path / "ride.gpx", tmp_path / "out.jsonl"
    log.write_text(files.gpx(range(-5, 60)))
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(f"infer: {{model: {make_config().infer.model}}}\noutputs: {{data: {{path: '{{out}}'}}}}")
    done = streamseg("run", film, "-p", pipeline, "-o", out, "--telemetry", log, "--telemetry-offset", "-5s")
    assert done.returncode == 0, done.stderr
    assert "ride.gpx (GPX): 65 positions" in done.stderr
    last = json.loads(out.read_text().splitlines()[-1])
    assert last["scene"]["fix"]["latitude"] == pytest.approx(files.place(last["time"])[0], abs=2e-6)
    refused = streamseg("run", film, "-p", pipeline, "-o", out, "--overwrite", "--telemetry", tmp_path / "none.gpx")
    assert refused.returncode == 5
    assert "none.gpx: no such file" in refused.stderr
