"""Whether the disk has room: asked before a run, and while it runs."""

import shutil
from collections import namedtuple

import pytest

from streamseg.cli import display
from streamseg.errors import OutputError
from streamseg.jobs.resume import ResumableRun, Run
from tests import clips

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch):
    """`disk[0]`: bytes that are free."""
    free = [10**12]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**13, 0, free[0]))
    return free


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return clips.cfr(tmp_path_factory.mktemp("film") / "in.mp4", 60, video=clips.Video(size=(320, 240)))


def run(kind, film, config, output, **options):
    said = []
    job = kind(film, config, [str(output)], on_message=said.append, **options)
    return job, said


def test_what_cannot_fit_is_refused_before_anything_is_written(make_config, film, disk, tmp_path):
    disk[0] = 200_000  # 60 pictures of 320x240, 12 bits a pixel, of which FFV1 takes three tenths: 2.07 MB
    with pytest.raises(OutputError, match=r"no room: about 2.1 MB will be written \(.*out.mkv 2.1 MB\), and 200 kB are free"):
        run(Run, film, make_config("outputs: {a: {path: '{out}', encode: {codec: ffv1}}}"), tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == []


def test_what_may_not_fit_is_told_and_large_files_are_announced(make_config, film, disk, tmp_path, monkeypatch):
    config = make_config("outputs: {a: {path: '{out}', encode: {codec: ffv1}}}")
    disk[0] = 1_500_000
    job, said = run(Run, film, config, tmp_path / "out.mkv")
    job.close()
    assert any("it may not fit" in line for line in said)
    disk[0] = 10**12
    monkeypatch.setattr("streamseg.jobs.room._WORTH_SAYING", 10**6)
    job, said = run(Run, film, config, tmp_path / "out.mkv")
    job.close()
    assert any("room: about 2.1 MB" in line and "1.0 TB are free" in line for line in said)


@pytest.mark.parametrize("kind", [Run, ResumableRun])
def test_a_run_ends_in_order_before_the_disk_is_full(make_config, film, disk, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("streamseg.jobs.room._EVERY", 0.0)
    out = tmp_path / "out.mkv"
    job, _ = run(kind, film, make_config(), out)

    def tick(running):
        if running.tally.frames > 2:
            disk[0] = 1000

    stop = job.pipeline.runtime.stop
    stopped = []
    monkeypatch.setattr(job.pipeline.runtime, "stop", lambda: (stopped.append(1), stop()))
    with pytest.raises(OutputError, match="ended because the disk is nearly full"):
        job.run(tick)
    assert stopped == [1]
    assert 0 < len(clips.decoded(out)) <= 60
    if kind is ResumableRun:
        disk[0] = 10**12
        job, _ = run(kind, film, make_config(), out)
        job.run()
        assert len(clips.decoded(out)) == 60


def test_a_log_gets_a_line_a_minute_with_the_time_that_is_left(make_config, film, tmp_path, monkeypatch):
    said = []
    line = display._Minutes(said.append)
    job, _ = run(Run, film, make_config(), tmp_path / "out.mp4")
    for elapsed, frames in ((30.0, 10), (60.0, 15), (90.0, 20), (120.0, 45)):
        monkeypatch.setattr(type(job.pipeline), "elapsed", elapsed)
        job.pipeline.tally.frames, job.pipeline.tally.last_time = frames, frames / 25
        line(job.pipeline)
    job.close()
    assert said == [
        "0:00:00 of the film, 0.2 fps, 0 MB written, 25 %, about 0:03:00 left",
        "0:00:01 of the film, 0.5 fps, 0 MB written, 75 %, about 0:00:30 left",
    ]
