"""What is found as rows of an Arrow table: the columns, their types, and how rows become tables."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
import streamseg.ray
from streamseg.config import PipelineConfig
from streamseg.core import rle
from streamseg.errors import ConfigError, EngineError, MissingExtra, ModelError, SourceError, SourceNotFound
from streamseg.pipeline.configure import configured
from streamseg.ray import kept
from streamseg.ray.read import with_threads
from streamseg.ray.rows import failed_row, frame_row, tables
from tests import clips, graphs

pa = pytest.importorskip("pyarrow")
BOX = (20.0, 28.0, 60.0, 58.0)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A second of film; a model with a known answer beside it."""
    graphs.constant_model(tmp_path / "known.onnx", boxes=(BOX,), scores=(0.9,), labels=(0,), size=(64, 96))
    return clips.cfr(tmp_path / "a.mp4", 25)


def results(film: Path, **options: Any) -> list[streamseg.Result]:
    return list(streamseg.stream(film, model=film.with_name("known.onnx"), threads=1, **options))


def test_a_row_says_what_its_result_does(film: Path) -> None:
    found = results(film)
    [table] = tables(((frame_row("a.mp4", result), None) for result in found), 100)
    assert table.schema == streamseg.ray.row_schema()
    rows = table.to_pylist()
    assert [row["frame"] for row in rows] == list(range(25))
    for row, result in zip(rows, found, strict=True):
        assert row["film"] == "a.mp4"
        assert (row["time"], row["pts"], row["epoch"]) == (result.time, result.pts, 0)
        assert (row["width"], row["height"], row["detected"], row["error"]) == (96, 64, True, None)
        assert np.array_equal(np.array(row["boxes"], np.float32), result.boxes)
        assert np.array_equal(np.array(row["scores"], np.float32), result.scores)
        assert (row["classes"], row["track_ids"]) == (result.names, result.track_ids.tolist())
        [counts], [mask] = row["masks"], result.masks
        runs = rle.runs_of(counts)
        assert np.array_equal(np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(96, 64).T, mask)


def test_masks_are_null_where_boxes_alone_were_found_and_the_types_stay(film: Path) -> None:
    with_masks, without = results(film)[:2], results(film, masks="none")[:2]
    [one], [other] = (tables([(frame_row("a", result), None) for result in each], 9) for each in (with_masks, without))
    assert other["masks"].to_pylist() == [None, None]
    assert pa.concat_tables([one, other]).num_rows == 4


def test_events_are_told_with_the_frame_that_made_them_certain(film: Path) -> None:
    told = [frame_row("a", result) for result in results(film)]
    [event] = [event for row in told for event in row["events"]]
    assert (event["kind"], event["class"], event["track"]) == ("count", "person", 1)


def test_tables_end_at_the_number_of_rows_and_where_a_film_failed(film: Path) -> None:
    rows = [(frame_row("a", result), None) for result in results(film)]
    rows.append((failed_row("b", SourceError("b: damaged")), None))
    made = list(tables(rows, 10))
    assert [table.num_rows for table in made] == [10, 10, 6]
    last = made[-1].to_pylist()[-1]
    assert {name for name, value in last.items() if value is not None} == {"film", "error"}
    assert last["error"] == "b: damaged"


def test_tables_of_large_pictures_end_early() -> None:
    rows = [({"film": "a", "frame": i}, b"x" * 5_000_000) for i in range(5)]
    assert [table.num_rows for table in tables(rows, 256, "jpg")] == [4, 1]
    assert streamseg.ray.row_schema("jpg").field("image").type == pa.large_binary()


def test_rows_come_back_from_parquet_as_they_were(film: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    [table] = tables([(frame_row("a", result), None) for result in results(film)], 100)
    parquet.write_table(table, tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").equals(table)


def test_an_engine_has_the_cores_that_ray_gives_its_task() -> None:
    usual = PipelineConfig()
    assert (with_threads(usual, None, 0).infer.threads, with_threads(usual, 4, 0).infer.threads) == (1, 4)
    assert with_threads(usual, 0.5, 0).infer.threads == 1
    assert with_threads(configured({"threads": 3}), 8, 0).infer.threads == 3
    assert with_threads(usual, 4, 1) is usual


def test_an_engine_stays_for_the_next_film_of_the_same_settings(film: Path) -> None:
    model = film.with_name("known.onnx")
    config = configured({"model": model, "engine": "onnxruntime", "threads": 1})
    first = kept.client(config)
    first.close()
    model.unlink()
    again = kept.client(config)
    assert again.submit(np.zeros((1, 64, 96, 3), np.uint8)).result()["boxes"].shape[0] == 1
    again.close()
    with pytest.raises(ModelError):
        kept.client(configured({"model": model, "engine": "onnxruntime", "threads": 2}))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"pictures": "gif"}, "pictures is 'gif'; allowed: False, True, 'jpg', 'png'"),
        ({"on_error": "ignore"}, "on_error is 'ignore'; allowed: 'raise', 'row', 'skip'"),
        ({"conf": 7}, "conf"),
        ({"realtime": True}, "realtime: rows are computed as fast as they can be"),
        ({"results": "all.streamseg"}, "this is a file of one film, and there are 2"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(film: Path, wrong: dict[str, Any], told: str) -> None:
    clips.cfr(film.with_name("b.mp4"), 2)
    with pytest.raises(ConfigError, match=told):
        streamseg.ray.read(film.parent, **wrong)


def test_no_films_are_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no films are there"):
        streamseg.ray.read(tmp_path)
    with pytest.raises(ConfigError, match="paths"):
        streamseg.ray.read([3])  # type: ignore[list-item]


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is there")
def test_without_ray_it_says_what_to_install(film: Path) -> None:
    with pytest.raises(MissingExtra, match=r"cluster"):
        streamseg.ray.read(film)


def tensors(pictures: list[np.ndarray[Any, Any]]) -> Any:
    return pa.table(
        {"image": pa.FixedShapeTensorArray.from_numpy_ndarray(np.stack(pictures)), "name": ["a", "b", "c"][: len(pictures)]}
    )


def test_pictures_of_a_batch_are_looked_at_each_by_itself(film: Path) -> None:
    found = results(film)
    look = streamseg.ray.Segment(model=film.with_name("known.onnx"), threads=1, batch=2, keep=True)
    table = look(tensors([result.image() for result in found[:3]]))
    assert table.column_names == ["image", "name", "boxes", "scores", "labels", "classes", "masks", "width", "height"]
    assert table["name"].to_pylist() == ["a", "b", "c"]
    assert table["boxes"].to_pylist() == [[list(BOX)]] * 3
    assert table["masks"].to_pylist() == [frame_row("a", found[0])["masks"]] * 3
    nobody = streamseg.ray.Segment(model=film.with_name("known.onnx"), threads=1, conf=0.95)(tensors([found[0].image()]))
    assert "image" not in nobody.column_names
    assert nobody["boxes"].to_pylist() == [[]]


def test_what_is_no_batch_of_pictures_is_told(film: Path) -> None:
    model = film.with_name("known.onnx")
    look = streamseg.ray.Segment("picture", model=model, threads=1)
    with pytest.raises(ConfigError, match="there is no column 'picture'; there are image, name"):
        look(tensors([np.zeros((8, 8, 3), np.uint8)]))
    with pytest.raises(ConfigError, match="batch_format"):
        look([1, 2])
    with pytest.raises(SourceError, match=r"picture 0: .*no picture; a picture is uint8"):
        streamseg.ray.Segment(model=model, threads=1)(tensors([np.zeros((8, 8, 3), np.float32)]))
    with pytest.raises(ConfigError, match="classes: there is no 'unicorn'"):
        streamseg.ray.Segment(model=model, threads=1, classes=["unicorn"])
    with pytest.raises((EngineError, ModelError)):
        streamseg.ray.Segment(model=film)
