"""What a job would do is said without doing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.config.load import load_pipeline
from streamseg.jobs.job import Job
from streamseg.ranges.forecast import FilmForecast, Forecast, forecast
from tests import clips, graphs


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    clips.cfr(tmp_path / "films" / "long.mp4", 700, 25, clips.Video(gop=25))
    clips.cfr(tmp_path / "films" / "short.mp4", 20)
    (tmp_path / "films" / "broken.mp4").write_bytes(b"no film")
    graphs.rectangle_model(tmp_path / "bright.onnx", size=(64, 96))
    return tmp_path / "films"


def job_of(sources: list[str], films: Path, *, overwrite: bool = False) -> Job:
    config = load_pipeline("drive")
    infer = config.infer.model_copy(update={"model": str(films.parent / "bright.onnx")})
    config = config.model_copy(update={"infer": infer, "postprocess": config.postprocess.model_copy(update={"classes": None})})
    return Job.prepare(sources, config, [str(films.parent / "out" / "{name}.mp4")], overwrite=overwrite)


def test_each_film_is_told_and_nothing_is_written(films: Path) -> None:
    told = forecast(job_of([str(films)], films), 4)
    by = {film.name: film for film in told.films}
    assert (by["long"].frames, by["long"].ranges) == (700, 3)
    assert (by["short"].ranges, by["short"].why) == (0, "it has 20 pictures only")
    assert by["broken"].fails
    assert "broken.mp4" in by["broken"].why
    assert len(told.to_run) == 2
    assert told.seconds is not None
    assert told.core_ms is not None
    assert told.chain_ms is not None
    assert told.chain_ms < told.core_ms
    assert not (films.parent / "out").exists()


def test_what_is_done_is_not_run_again_and_foreign_files_are_refused(films: Path) -> None:
    job_of([str(films / "short.mp4")], films).run()
    (films.parent / "out" / "long.mp4").write_bytes(b"mine")
    by = {film.name: film for film in forecast(job_of([str(films)], films)).films}
    assert by["short"].done
    assert by["long"].fails
    assert "is not of this job" in by["long"].why
    again = {film.name: film for film in forecast(job_of([str(films)], films, overwrite=True)).films}
    assert not again["long"].fails
    assert not again["short"].done


def test_one_film_takes_as_long_as_its_chain_however_many_work() -> None:
    ranges, whole = FilmForecast("a", "a", 1000, 10), FilmForecast("b", "b", 1000)
    assert Forecast((ranges,), 4, 80.0, 10.0).seconds == pytest.approx(20.0)
    assert Forecast((ranges,), 100, 80.0, 10.0).seconds == pytest.approx(10.0)
    assert Forecast((ranges, whole), 100, 80.0, 10.0).seconds == pytest.approx(80.0)
    assert Forecast((FilmForecast("c", "c"),), 4, 80.0, 10.0).seconds is None
