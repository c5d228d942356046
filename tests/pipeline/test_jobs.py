"""Many films in one command: what is done stays, what fails is told, and nothing of others is touched."""

import json
import os
import signal
from pathlib import Path

import pytest

import streamseg
from streamseg.errors import ConfigError
from streamseg.jobs.job import Job
from tests import clips


@pytest.fixture
def films(tmp_path) -> Path:
    (tmp_path / "in" / "day2").mkdir(parents=True)
    clips.cfr(tmp_path / "in" / "a.mp4", 4, audio=True)
    clips.cfr(tmp_path / "in" / "day2" / "b.mov", 3)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"")
    return tmp_path / "in"


def stamps(*paths: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in paths]


def test_a_folder_is_rendered_once_and_failures_are_told(streamseg, films, known, tmp_path):
    out = tmp_path / "out"
    command = ("run", films, "--model", known, "-o", f"{out}/")
    done = streamseg(*command)
    assert done.returncode == 1
    assert "2 rendered, 1 failed" in done.stderr
    assert done.stderr.count("broken.mp4:") >= 2, "where it failed, and in the list at the end"
    made = [out / "a.mp4", out / "day2" / "b.mov"]
    assert [len(clips.decoded(path)) for path in made] == [4, 3]
    before = stamps(*made)
    done = streamseg(*command)
    assert (done.returncode, stamps(*made)) == (1, before)
    assert "2 done before, 1 failed" in done.stderr
    clips.cfr(films / "broken.mp4", 5)
    done = streamseg(*command)
    assert (done.returncode, stamps(*made)) == (0, before), done.stderr
    assert "1 rendered, 2 done before" in done.stderr
    book = json.loads((out / "streamseg-job.json").read_text())
    assert [entry["status"] for entry in book["films"].values()] == ["done"] * 3


def test_a_changed_source_other_settings_and_a_lost_output_are_rendered_anew(streamseg, films, known, tmp_path):
    (films / "broken.mp4").unlink()
    out = tmp_path / "out"
    command = ["run", films, "--model", known, "-o", f"{out}/"]
    assert streamseg(*command).returncode == 0
    clips.cfr(films / "a.mp4", 6)
    done = streamseg(*command)
    assert "the source has changed" in done.stderr
    assert len(clips.decoded(out / "a.mp4")) == 6
    os.utime(films / "a.mp4")  # touched alone
    (out / "day2" / "b.mov").unlink()
    done = streamseg(*command)
    assert "a: rendered anew" not in done.stderr
    assert "day2/b: rendered anew, since its outputs are not as they were written" in done.stderr
    done = streamseg(*command, "--conf", "0.2")
    assert done.stderr.count("other settings were given") == 2


def test_what_the_job_has_not_written_is_not_replaced(streamseg, films, known, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_text("mine")
    command = ["run", films / "a.mp4", films / "day2/b.mov", "--model", known, "-o", tmp_path / "out"]
    for _ in range(2):  # that it failed does not make it the job's
        done = streamseg(*command)
        assert (done.returncode, (tmp_path / "out" / "a.mp4").read_text()) == (1, "mine")
        assert "already exists, and is not of this job" in done.stderr
    assert streamseg(*command, "--overwrite").returncode == 0
    assert len(clips.decoded(tmp_path / "out" / "a.mp4")) == 4


def test_outputs_beside_the_sources_are_no_sources(streamseg, films, known):
    (films / "broken.mp4").unlink()
    for pattern in (f"{films}/seen", f"{films}/{{name}}.seen.mp4"):
        for words in ("2 rendered", "2 done before"):
            done = streamseg("run", films, "--model", known, "-o", pattern)
            assert (done.returncode, words in done.stderr) == (0, True), done.stderr
    assert (films / "day2" / "b.seen.mp4").exists()


def test_a_name_in_the_path_serves_every_kind(streamseg, films, known, tmp_path):
    out = tmp_path / "out"
    done = streamseg(
        "run",
        films / "a.mp4",
        films / "day2",
        "--model",
        known,
        "-o",
        f"{out}/{{name}}/%04d.png",
        "-o",
        f"{out}/{{name}}.jsonl",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert len(list((out / "a").iterdir())) == 4
    assert (out / "day2" / "b.jsonl").exists()
    report = json.loads(done.stdout)
    assert [film["status"] for film in report["films"]] == ["done", "done"]
    assert report["ok"] is True


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("one.mp4", "the job has several films; name a folder"),
        ("-.mkv", "standard output holds one film"),
        (None, "needs a folder"),
    ],
)
def test_one_place_for_several_films_is_refused(streamseg, films, known, output, words, tmp_path):
    given = [] if output is None else ["-o", output if output.startswith("-") else tmp_path / output]
    done = streamseg("run", films, "--model", known, *given)
    assert (done.returncode, words in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize("option", ["--results", "--edits"])
def test_a_file_of_one_film_is_refused(streamseg, films, known, option, tmp_path):
    done = streamseg("run", films, "--model", known, "-o", tmp_path / "out", option, tmp_path / "one.streamseg")
    assert (done.returncode, "this is a file of one film, and the job has 3" in done.stderr) == (3, True), done.stderr


def test_the_source_itself_is_never_written_onto(streamseg, films, known):
    done = streamseg("run", films, "--model", known, "-o", f"{films}/", "--overwrite")
    assert done.returncode == 12, done.stderr


def test_a_second_job_in_the_same_folder_is_refused(streamseg, films, known, tmp_path):
    from streamseg.jobs.manifest import Manifest

    held = Manifest.hold(tmp_path / "out")
    try:
        done = streamseg("run", films, "--model", known, "-o", tmp_path / "out")
    finally:
        held.close()
    assert (done.returncode, "another run is writing it" in done.stderr) == (10, True), done.stderr


def test_a_book_that_was_cut_off_is_begun_anew(streamseg, films, known, tmp_path):
    (films / "broken.mp4").unlink()
    out = tmp_path / "out"
    assert streamseg("run", films, "--model", known, "-o", out).returncode == 0
    book = out / "streamseg-job.json"
    book.write_bytes(book.read_bytes()[:100])
    done = streamseg("run", films, "--model", known, "-o", out)
    assert (done.returncode, "a new one is begun" in done.stderr) == (1, True)
    assert "already exists, and is not of this job" in done.stderr


def test_an_engine_that_cannot_be_had_ends_the_job(streamseg, films, tmp_path):
    done = streamseg("run", films, "--model", tmp_path / "none.onnx", "-o", tmp_path / "out")
    assert done.returncode == 13, done.stderr


def test_python_runs_many_films_too(films, make_config, tmp_path):
    report = streamseg.run_many(films, tmp_path / "out", pipeline=make_config())
    assert [(film.name, film.status) for film in report.films] == [("a", "done"), ("broken", "failed"), ("day2/b", "done")]
    assert not report.ok
    assert report.films[2].report.frames_done == 3
    again = streamseg.run_many([films / "a.mp4", str(films / "day2" / "*.mov")], tmp_path / "out", pipeline=make_config())
    assert ([film.status for film in again.films], again.ok) == (["skipped", "skipped"], True)
    with pytest.raises(ConfigError, match="a source is a path"):
        streamseg.run_many([1], tmp_path / "out")


def test_interrupted_it_goes_on_with_the_film_that_was_under_way(films, make_config, tmp_path):
    (films / "broken.mp4").unlink()
    config, out = make_config(), f"{tmp_path / 'out'}/"
    job = Job.prepare([str(films)], config, [out], resume=True)
    report = job.run(on_done=lambda done: job.interrupt(signal.SIGINT))
    assert ([film.status for film in report.films], report.left, report.ok) == (["done"], 1, False)
    report = Job.prepare([str(films)], config, [out], resume=True).run()
    assert ([film.status for film in report.films], report.left, report.ok) == (["skipped", "done"], 0, True)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.endswith(".job")]


def test_a_film_that_was_killed_is_not_taken_for_done(films, make_config, tmp_path):
    config, out = make_config(), tmp_path / "out"
    job = Job.prepare([str(films / "a.mp4"), str(films / "day2")], config, [f"{out}/"])
    job.run()
    book = json.loads((out / "streamseg-job.json").read_text())
    for entry in book["films"].values():  # as a kill leaves it
        entry.update(status="running", outputs=[{"path": each["path"], "size": -1} for each in entry["outputs"]])
    (out / "streamseg-job.json").write_text(json.dumps(book))
    report = Job.prepare([str(films / "a.mp4"), str(films / "day2")], config, [f"{out}/"]).run()
    assert [film.status for film in report.films] == ["done", "done"]
