"""Films as a dataset of Ray Data, for real: the rows are those of `streamseg.stream`, whatever the blocks.

Long: Ray takes ten seconds to start. All tests share a cluster of two cores on this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.errors import SourceError, StreamsegError
from tests import clips, graphs

ray = pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.name == "nt", reason="as the others here"),
    pytest.mark.filterwarnings("ignore"),  # of Ray, which warns of settings of its own
]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three films of two sizes, and a model with a known answer."""
    folder = tmp_path_factory.mktemp("data")
    for name, frames, size in (("a", 60, (96, 64)), ("b", 30, (64, 48)), ("c", 45, (96, 64))):
        clips.cfr(folder / f"{name}.mp4", frames, 25, clips.Video(size))
    graphs.constant_model(folder / "known.onnx", boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.9,), labels=(0,), size=(64, 96))
    os.environ.update(RAY_raylet_start_wait_time_s="120")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield folder
    ray.shutdown()


def read(there: Path, **more: Any) -> Any:
    import streamseg.ray

    return streamseg.ray.read(there, model=there / "known.onnx", **more)


def alone(there: Path) -> dict[tuple[str, int], streamseg.Result]:
    films = sorted(there.glob("?.mp4"))
    each = {str(film): streamseg.stream(film, model=there / "known.onnx", threads=1) for film in films}
    return {(film, result.frame.index): result for film, results in each.items() for result in results}


def test_the_rows_are_the_results_of_each_film(there: Path) -> None:
    wanted, rows = alone(there), read(there).take_all()
    assert {(row["film"], row["frame"]) for row in rows} == {*wanted}
    assert len(rows) == len(wanted) == 135
    for row in rows:
        result = wanted[row["film"], row["frame"]]
        assert np.array_equal(np.array(row["boxes"], np.float32).reshape(-1, 4), result.boxes)
        assert (row["track_ids"], row["classes"], row["time"]) == (result.track_ids.tolist(), result.names, result.time)


def test_it_goes_to_parquet_and_back_with_its_types(there: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    import streamseg.ray

    read(there).write_parquet(str(tmp_path / "found"))
    table = parquet.read_table(tmp_path / "found")
    assert table.num_rows == 135
    assert table.schema.equals(streamseg.ray.row_schema())


def test_it_goes_to_lance_and_back_with_its_types(there: Path, tmp_path: Path) -> None:
    lance = pytest.importorskip("lance", reason="pip install pylance")
    import streamseg.ray

    tables = read(there, pictures="jpg").iter_batches(batch_format="pyarrow", batch_size=None)
    for table in tables:
        lance.write_dataset(table, str(tmp_path / "found.lance"), mode="append")
    back = lance.dataset(str(tmp_path / "found.lance"))
    assert back.count_rows() == 135
    assert back.schema.equals(streamseg.ray.row_schema("jpg"))


def test_a_film_that_cannot_be_read_is_raised_told_or_skipped(there: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    import streamseg.ray

    films, model = [there / "b.mp4", tmp_path / "broken.mp4"], there / "known.onnx"
    rows = streamseg.ray.read(films, model=model, on_error="row").take_all()
    assert len(rows) == 31
    [failed] = [row for row in rows if row["error"]]
    assert "broken.mp4: not a video" in failed["error"]
    assert streamseg.ray.read(films, model=model, on_error="skip").count() == 30
    with pytest.raises(SourceError, match="not a video"):
        streamseg.ray.read(films, model=model).take_all()
    with pytest.raises(StreamsegError, match=r"nothing\.onnx"):
        streamseg.ray.read(films, model="nothing.onnx", on_error="skip").take_all()


def test_a_worker_that_is_killed_costs_no_row_and_gives_none_twice(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import streamseg.ray

    film = clips.cfr(tmp_path / "long.mp4", 3000, 25, clips.Video((320, 240)))
    context = ray.data.DataContext.get_current()
    monkeypatch.setattr(context, "target_max_block_size", 50_000)
    frames, killed = [], 0
    for row in streamseg.ray.read(film, model=there / "known.onnx").iter_rows():
        frames.append(row["frame"])
        if len(frames) == 60:
            for process in _readers():
                os.kill(process, signal.SIGKILL)
                killed += 1
    assert killed == 1, "the film had ended before its first rows came"
    assert frames == list(range(3000))


def _readers() -> Iterator[int]:
    """Processes that run a film."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::ReadStreamsegFilms"):
                yield int(path.parent.name)


@pytest.mark.parametrize("how", ["numpy", "pyarrow"])
def test_pictures_of_any_size_go_through_segment(there: Path, how: str) -> None:
    import streamseg.ray

    pictures = read(there, pictures=True)
    sizes = {row["image"].shape for row in pictures.select_columns(["image"]).take_all()}
    assert sizes == {(64, 96, 3), (48, 64, 3)}
    found = pictures.select_columns(["film", "frame", "image"]).map_batches(
        streamseg.ray.Segment,
        fn_constructor_kwargs={"model": there / "known.onnx", "threads": 1},
        concurrency=1,
        batch_size=16,
        batch_format=how,
    )
    rows = found.take_all()
    assert len(rows) == 135
    assert {len(row["boxes"]) for row in rows} == {1}
    assert {(row["width"], row["height"]) for row in rows} == {(96, 64), (64, 48)}
