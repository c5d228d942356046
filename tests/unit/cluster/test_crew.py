"""The driver of a job on a cluster: films and ranges on workers that come, work in any order, and die."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from streamseg.cluster import crew as crews
from streamseg.cluster.crew import Crew
from streamseg.config.load import load_pipeline
from streamseg.jobs import progress
from streamseg.jobs.job import Job
from streamseg.jobs.manifest import Book, Manifest
from streamseg.jobs.outcome import FilmReport
from streamseg.ranges import plan as planning
from tests import clips, graphs
from tests.unit.cluster.fake_ray import FakeRay


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PART_SECONDS", 0.4)
    monkeypatch.setattr(planning, "RANGE_SECONDS", 0.8)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of four seconds, two short ones, one that is none."""
    folder = tmp_path_factory.mktemp("films")
    clips.cfr(folder / "long.mp4", 100, 25, clips.Video(gop=10))
    clips.cfr(folder / "a.mp4", 8)
    clips.cfr(folder / "b.mp4", 9)
    (folder / "c.mp4").write_bytes(b"no film")
    graphs.rectangle_model(folder / "bright.onnx", size=(64, 96))
    return folder


def job_of(films: Path, sources: list[str], out: Path) -> Job:
    config = load_pipeline("drive")
    infer = config.infer.model_copy(update={"model": str(films / "bright.onnx")})
    config = config.model_copy(update={"infer": infer, "postprocess": config.postprocess.model_copy(update={"classes": None})})
    return Job.prepare(sources, config, [f"{out}/{{name}}.mp4", f"{out}/{{name}}.jsonl"], resume=True)


def run(job: Job, ray: FakeRay, workers: int | None = None) -> dict[str, FilmReport]:
    reports: list[FilmReport] = []
    manifest = Manifest.hold(job.folder, len(job.films))
    try:
        Crew(ray, job, manifest, workers).run(reports, None, None)
    finally:
        manifest.close()
    return {report.name: report for report in reports}


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".mp4", ".jsonl")}


@pytest.fixture(scope="module")
def expected(films: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one machine makes of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "PART_SECONDS", 0.4)
        out = tmp_path_factory.mktemp("alone")
        job_of(films, [str(films)], out).run()
    return made(out)


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_that_die_change_nothing(seed: int, films: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    chance, over = random.Random(seed), dict[Any, int]()

    def dies(name: str, given: tuple[Any, ...]) -> bool:
        """One call in three, no more than twice the same."""
        key = (name, str(given[0]))
        over[key] = over.get(key, 0) + (hit := chance.random() < 1 / 3 and over.get(key, 0) < 2)
        return hit

    ray, said = FakeRay({"CPU": 8}, seed, dies), []
    job = job_of(films, [str(films)], tmp_path / "out")
    job.on_message = said.append
    reports = run(job, ray)
    assert {name: report.status for name, report in reports.items()} == {
        "long": "done",
        "a": "done",
        "b": "done",
        "c": "failed",
    }
    assert made(tmp_path / "out") == expected
    assert ray.lost >= 2
    assert any("long: 100 frames in" in each for each in said)
    assert not list((tmp_path / "out").glob(".*.job"))
    report = reports["long"].report
    assert report is not None
    assert (report.frames_done, report.detected) == (100, 100)


def test_a_task_that_kills_its_workers_sets_its_film_aside(films: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    def dies(name: str, given: tuple[Any, ...]) -> bool:
        return name == "do" and str(given[0]) == "find of range 2"

    reports = run(job_of(films, [str(films)], tmp_path), FakeRay({"CPU": 6}, 3, dies))
    assert "its worker died 3 times over find of range 2" in str(reports["long"].error)
    assert {name for name, data in made(tmp_path).items() if data == expected[name]} == {"a.mp4", "a.jsonl", "b.mp4", "b.jsonl"}
    assert {entry.status for entry in Book.read(tmp_path).films.values()} == {"done", "failed"}


def test_one_film_may_be_named_by_its_file(films: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    job = job_of(films, [str(films / "long.mp4")], tmp_path)
    job = Job.prepare([str(films / "long.mp4")], job.config, [str(tmp_path / "x.mp4"), str(tmp_path / "x.jsonl")])
    assert job.folder == tmp_path
    assert run(job, FakeRay({"CPU": 2}, 1, lambda name, given: False))["long"].status == "done"
    assert (tmp_path / "x.mp4").read_bytes() == expected["long.mp4"]


def test_with_gpus_other_cores_do_what_needs_none(
    films: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "computes_on_gpu", lambda engine: True)
    seen: list[tuple[str, object]] = []

    def dies(name: str, given: tuple[Any, ...]) -> bool:
        seen.append((name, given[0]))
        return False

    ray = FakeRay({"CPU": 4, "GPU": 2}, 5, dies)
    assert run(job_of(films, [str(films / "long.mp4")], tmp_path), ray)["long"].status == "done"
    assert made(tmp_path).items() == {name: data for name, data in expected.items() if name.startswith("long")}.items()
    assert {(each["num_cpus"], each["num_gpus"]) for each in ray.made} == {(1, 1), (1, 0)}
    assert sum(each["num_gpus"] for each in ray.made) <= 2


def test_a_film_that_is_not_what_its_packets_promise_is_run_whole(
    films: Path, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamseg.cluster import worker
    from streamseg.ranges.sources import NotDivisible

    def fails(task: Any, *given: Any) -> Any:
        if task.k == 1:
            raise NotDivisible("long.mp4: changes its size")
        return usual(task, *given)

    usual, said = worker.run_task, list[str]()
    monkeypatch.setattr(worker, "run_task", fails)
    job = job_of(films, [str(films / "long.mp4")], tmp_path)
    job.on_message = said.append
    assert run(job, FakeRay({"CPU": 3}, 2, lambda name, given: False))["long"].status == "done"
    assert "long: one worker has all of it: long.mp4: changes its size" in said
    assert made(tmp_path)["long.mp4"] == expected["long.mp4"]


def test_an_interrupted_film_goes_on(films: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    job = job_of(films, [str(films / "long.mp4")], tmp_path)

    def dies(name: str, given: tuple[Any, ...]) -> bool:
        if str(given[0]) == "find of range 2":
            job.interrupt(2)
        return False

    assert run(job, FakeRay({"CPU": 2}, 4, dies))["long"].status == "interrupted"
    [entry] = Book.read(tmp_path).films.values()
    assert entry.status == "interrupted"
    assert 0 < entry.frames < 100
    again = job_of(films, [str(films / "long.mp4")], tmp_path)
    assert run(again, FakeRay({"CPU": 2}, 4, lambda name, given: False))["long"].status == "done"
    assert made(tmp_path)["long.mp4"] == expected["long.mp4"]
