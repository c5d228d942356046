"""What a dash camera's films are run with: positions, and the files of a trip joined to one film."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import streamseg
from streamseg.jobs.resume import ResumableRun
from streamseg.pipeline.report import Tally
from tests import clips
from tests import telemetry_files as files
from tests.pipeline.test_resume import copy_living

SCENE = "scene: on\noutputs: {picture: {composite: [overlay]}}"


def frames_of(path: Path) -> list[dict]:
    return [line for line in map(json.loads, path.read_text().splitlines()[1:]) if "instances" in line]


def trip(folder: Path, count: int = 5, frames: int = 25) -> Path:
    """Files of a second, one after the other."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        stamp = datetime(2024, 5, 17, 14, 30, tzinfo=UTC) + timedelta(seconds=number)
        clips.cfr(folder / f"{stamp:%Y%m%d%H%M%S}_{number:06}F.MP4", frames, audio=True, first_index=25 * number)
    return folder


def test_positions_reach_every_frame(make_config, tmp_path: Path) -> None:
    """From the file that a GoPro writes to the results, at each frame's own time."""
    film, out = files.gopro(tmp_path / "GX010001.mp4", seconds=2), tmp_path / "out.jsonl"
    streamseg.run(film, out, pipeline=make_config(SCENE))
    frames = frames_of(out)
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


def test_a_trip_is_one_film_with_one_clock_and_one_set_of_ids(make_config, tmp_path: Path) -> None:
    card, out, film = trip(tmp_path / "card"), tmp_path / "out.jsonl", tmp_path / "out.mp4"
    report = streamseg.run(card, [film, out], pipeline=make_config(), trip=True)
    frames = frames_of(out)
    assert [frame["frame"] for frame in frames] == list(range(125))
    assert all(b["time"] - a["time"] == pytest.approx(0.04, abs=1e-6) for a, b in pairwise(frames))
    assert {frame["epoch"] for frame in frames} == {0}
    assert {instance["track_id"] for frame in frames for instance in frame["instances"]} == {1}
    assert report.objects == {"person": 1}
    assert [clips.read_index(clips.plane_array(f)) for f in clips.decoded(film)] == list(range(125))
    assert clips.packets(film, "audio")[-1][0] == pytest.approx(5 * 48000, abs=4800)


def test_a_trip_from_the_shell_and_what_is_none(make_config, tmp_path: Path, streamseg) -> None:
    card, out = trip(tmp_path / "card", 2, 3), tmp_path / "out.jsonl"
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(f"infer: {{model: {make_config().infer.model}}}\noutputs: {{data: {{path: '{{out}}'}}}}")
    done = streamseg("run", card, "--trip", "-p", pipeline, "-o", out)
    assert done.returncode == 0, done.stderr
    assert "2 files of the front camera" in done.stderr
    assert len(frames_of(out)) == 6
    for arguments, why in (
        ((card,), "to join a dash cam's files into one film, add --trip"),
        ((card, "--trip", "rear"), "has no camera 'rear'; there are: front (2 files)"),
        ((next(card.iterdir()), "--trip"), "is one film"),
        ((card, card, "--trip"), "--trip joins the films of one folder"),
        (("rtsp://camera/main", "--trip"), "leave --trip out"),
    ):
        refused = streamseg("run", *arguments, "-p", pipeline, "-o", out, "--overwrite")
        assert refused.returncode != 0
        assert why in refused.stderr.replace("\n", " "), refused.stderr


def test_positions_of_each_file_of_a_trip(make_config, tmp_path: Path) -> None:
    """Two films of a camera, each with its own clock that begins at 0, a quarter of a minute apart."""
    card, out = tmp_path / "card", tmp_path / "out.jsonl"
    card.mkdir()
    files.gopro(card / "2024-05-17_14-30-00.mp4", seconds=1)
    files.gopro(card / "2024-05-17_14-30-15.mp4", seconds=1, payload=lambda second: files.gps5(second + 15))
    streamseg.run(card, out, pipeline=make_config(SCENE), trip=True)
    frames = frames_of(out)
    assert [frames[i]["epoch"] for i in (0, 25)] == [0, 1]
    for frame in (frames[10], frames[35]):
        fix = frame["scene"]["fix"]
        assert (fix["latitude"], fix["longitude"]) == pytest.approx(files.place(frame["time"]), abs=2e-6)


def test_one_log_for_a_whole_trip(make_config, tmp_path: Path) -> None:
    """It is placed by the time in the first file's name, in the zone that fits: here two hours ahead of UTC."""
    card, out, log = tmp_path / "card", tmp_path / "out.jsonl", tmp_path / "ride.gpx"
    card.mkdir()
    for second in (0, 1):
        clips.cfr(card / f"2024051716300{second}_00000{second}F.MP4", 25, first_index=25 * second)
    log.write_text(files.gpx(range(-60, 600)))
    config = make_config(f"scene: {{telemetry: {log}}}\noutputs: {{picture: {{composite: [overlay]}}}}")
    streamseg.run(card, out, pipeline=config, trip=True)
    frame = frames_of(out)[-1]
    assert frame["time"] > 1.9
    fix = frame["scene"]["fix"]
    assert (fix["latitude"], fix["longitude"]) == pytest.approx(files.place(frame["time"]), abs=2e-6)


def test_a_trip_goes_on_where_it_was_cut_off(make_config, tmp_path: Path, monkeypatch) -> None:
    """What a kill leaves at frame 70 of 125, put back: then all is, to the byte, as if nothing had been."""
    card, names = trip(tmp_path / "card"), ("out.mp4", "out.jsonl")
    config = make_config("decode: {trip: front}\noutputs: {picture: {composite: [overlay]}}")
    count, left = Tally.__call__, tmp_path / "left"

    def counting(tally, result):
        if tally.frames == 70 and not left.exists():
            copy_living(tmp_path / "whole", left)
        return count(tally, result)

    monkeypatch.setattr("streamseg.jobs.progress.PART_SECONDS", 0.4)
    monkeypatch.setattr(Tally, "__call__", counting)
    ResumableRun(card, config, [str(tmp_path / "whole" / name) for name in names]).run()
    job = ResumableRun(card, config, [str(left / name) for name in names])
    job.run()
    for name in names:
        assert (left / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert job.pipeline.trunk.stages[1][1].work.pictures < 70, "the network is not asked again what it has answered"


@pytest.mark.long
def test_ten_hours_of_files_in_constant_memory_also_after_a_kill(known: Path, tmp_path: Path) -> None:
    """600 files, a killed run, and the same command again."""
    card, out = tmp_path / "card", tmp_path / "out" / "trip.jsonl"
    card.mkdir()
    some = [clips.cfr(tmp_path / f"{i}.mp4", 25, audio=True, first_index=25 * i) for i in range(10)]
    begin = datetime(2024, 5, 17, 14, 30, tzinfo=UTC)
    for number in range(600):
        stamp = begin + timedelta(seconds=number)
        shutil.copyfile(some[number % 10], card / f"{stamp:%Y%m%d%H%M%S}_{number:06}F.MP4")
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        f"infer: {{model: {known}, threads: 1}}\ndecode: {{trip: front}}\noutputs: {{data: {{path: '{{out}}'}}}}"
    )
    command = [sys.executable, "-m", "streamseg", "run", str(card), "-p", str(pipeline), "-o", str(out), "--resume", "-q"]
    first = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and (not out.exists() or out.read_bytes().count(b"\n") < 5000):
            time.sleep(0.2)
        memory = peak_of(first.pid)
        first.send_signal(signal.SIGKILL)
    finally:
        first.kill()
        first.wait(10)
    begun = time.monotonic()
    second = subprocess.run(command, check=False, timeout=280, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    frames = frames_of(out)
    assert len(frames) == 15_000
    assert {frame["epoch"] for frame in frames} == {0}
    assert frames[-1]["time"] == pytest.approx(600 - 0.04, abs=0.01)
    assert {i["track_id"] for frame in frames for i in frame["instances"]} == {1}
    assert memory > 0
    whole = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert whole < 1.15 * memory, f"{memory} kB after 5,000 frames, {whole} after 15,000 ({time.monotonic() - begun:.0f} s)"


def peak_of(pid: int) -> int:
    """Kilobytes of memory that a process had at most."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
