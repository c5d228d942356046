"""Parquet tables, read by pyarrow (and by pandas and DuckDB where they are)."""

import json
from dataclasses import replace

import numpy as np
import pytest

from streamseg.core.scene import Fix, Horizon, Turn
from streamseg.core.types import Activity, Event, Instances
from streamseg.encode.results import parquet as module
from streamseg.encode.results.parquet_columns import EVENTS, INSTANCES
from streamseg.errors import MissingExtra, OutputError
from tests.full_disk import file_size_limit
from tests.scenes import CLASSES
from tests.unit.encode.helpers import INFO
from tests.unit.encode.results.driving import drive, walk
from tests.unit.encode.results.helpers import open_sink, without_ids, write

pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'drive'")
mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")
FIX = Fix(48.1, 11.6, 520.0, 13.9, 90.0, 3.0, 1796058000.25)


def nothing(result):
    return replace(result, instances=Instances.empty(CLASSES), occlusion=None, scene=None)


def told(path):
    return json.loads(pq.read_metadata(path).metadata[b"streamseg"])


def test_a_row_an_instance_and_no_frame_is_missing(tmp_path):
    made = [*drive(3, fix=FIX), nothing(walk(4)[3]), without_ids(replace(walk(5)[4], occlusion=None))]
    write(tmp_path / "a.parquet", made)
    table = pq.read_table(tmp_path / "a.parquet")
    rows = table.to_pylist()
    assert table.schema.names == [name for name, _ in INSTANCES]
    assert {row["frame"] for row in rows} == {0, 1, 2, 3, 4}
    (empty,) = [row for row in rows if row["frame"] == 3]
    assert (empty["class"], empty["track_id"], empty["mask"], empty["time"]) == (None, None, None, made[3].time)
    found = [row for row in rows if row["class"] is not None]
    assert len(found) == sum(len(result) for result in made)
    for row, (result, i) in zip(found, ((r, i) for r in made for i in range(len(r))), strict=True):
        assert row["track_id"] == (int(result.track_ids[i]) or None)
        mask = mask_utils.decode({"size": [row["height"], row["width"]], "counts": row["mask"]})
        assert np.array_equal(mask.astype(bool), result.masks[i])
        assert [row[k] for k in ("x0", "y0", "x1", "y1")] == result.boxes[i].tolist()
    assert found[0]["ttc"] == 2.0
    assert found[len(made[0]) - 1]["ttc"] is None, "not known is null, not NaN"
    assert found[0]["utc"].isoformat() == "2026-11-30T17:00:00.250000+00:00"
    assert found[-1]["visible"] is None
    assert told(tmp_path / "a.parquet")["frames"] == 5
    assert told(tmp_path / "a.parquet")["complete"] is True


def test_the_columns_are_all_that_a_row_has():
    """A field that instances gain must get a column."""
    row = drive(1)[0].rows(masks=True)[0]
    assert set(row) <= {name for name, _ in INSTANCES}


def test_the_schema_does_not_depend_on_what_was_found(tmp_path):
    write(tmp_path / "a.parquet", drive(2))
    write(tmp_path / "b.parquet", [nothing(walk(1)[0])])
    first, second = (pq.read_schema(tmp_path / f"{name}.parquet").remove_metadata() for name in "ab")
    assert first == second


def test_frames_have_the_vehicles_numbers(tmp_path):
    made = drive(2, fix=FIX)
    scene = replace(made[0].scene, turn=Turn(0.01, -0.02, 0.0, 0.001, (300.0, 170.0), 0.9), horizon=Horizon(171.5), lead=3)
    made[0] = replace(made[0], scene=replace(scene, alert=np.array([2, 1, 0, 0], np.uint8)))
    write(tmp_path / "a.frames.parquet", [*made, nothing(walk(3)[2])])
    rows = pq.read_table(tmp_path / "a.frames.parquet").to_pylist()
    assert [(row["frame"], row["objects"]) for row in rows] == [(0, 4), (1, 4), (2, 0)]
    first = rows[0]
    assert (first["lead"], first["warnings"], first["cautions"], first["latitude"]) == (3, 1, 1, 48.1)
    assert (first["horizon_y"], first["vanishing_x"], first["focus_x"]) == (171.5, None, 300.0)
    assert rows[2]["latitude"] is None


def test_events_have_the_columns_of_the_csv(tmp_path):
    made = drive(4)
    event = Event("leave", 0.1, 2, "person", "gate", seconds=1.5, utc=1796058000.5)
    made[3] = replace(made[3], activity=Activity({}, {}, {}, {}, (event,)))
    write(tmp_path / "a.events.parquet", made)
    table = pq.read_table(tmp_path / "a.events.parquet")
    assert table.schema.names == [name for name, _ in EVENTS]
    alert, left = table.to_pylist()
    assert (alert["kind"], alert["ttc"], alert["distance"], alert["details"]) == ("alert", 1.9, None, '{"gap": 7.0}')
    assert (left["place"], left["seconds"], left["utc"].timestamp()) == ("gate", 1.5, 1796058000.5)


def test_groups_are_written_while_the_video_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GROUP", 8)
    sink = open_sink(tmp_path / "a.parquet", INFO)
    sink.open()
    waiting = []
    for result in walk(8):
        sink(module_rendered(result))
        waiting.append(len(sink._waiting))
    assert max(waiting) < 8
    sink.close()
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 4
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def module_rendered(result):
    from streamseg.composite import Rendered

    return Rendered(result, result.frame.picture)


def test_a_run_that_fails_leaves_a_table_that_says_so(tmp_path):
    sink = open_sink(tmp_path / "a.parquet", INFO)
    sink.open()
    for result in walk(3):
        sink(module_rendered(result))
    sink.abort()
    assert len(pq.read_table(tmp_path / "a.parquet")) == 12
    assert told(tmp_path / "a.parquet")["complete"] is False


@pytest.mark.parametrize("limit", [2, 1_000, 150_000, 280_000])
def test_a_full_disk_leaves_the_groups_before(limit, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_GROUP", 8)
    sink = open_sink(tmp_path / "a.parquet", INFO)
    sink.open()
    with file_size_limit(limit):
        with pytest.raises(OutputError, match=r"a\.parquet.*File too large"):
            any(sink(module_rendered(result)) for result in [*walk(8)] * 4)
        sink.abort()
    if limit <= 1_000:
        assert not list(tmp_path.iterdir()), "not even an empty table fits"
        return
    kept = pq.read_table(tmp_path / "a.parquet")
    assert len(kept) % 8 == 0, "whole groups"
    assert (len(kept) > 0) == (limit == 280_000)
    assert told(tmp_path / "a.parquet")["complete"] is False


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match="pyarrow is not installed"):
        open_sink(tmp_path / "a.parquet", INFO).open()


def test_pandas_and_duckdb_read_it(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="read with DuckDB, which is not installed")
    pandas = pytest.importorskip("pandas")
    write(tmp_path / "a.parquet", [*drive(2), nothing(walk(3)[2])])
    counted = duckdb.sql(f"select frame, count(class) from '{tmp_path}/a.parquet' group by frame order by frame").fetchall()
    assert counted == [(0, 4), (1, 4), (2, 0)]
    frame = pandas.read_parquet(tmp_path / "a.parquet")
    assert frame.groupby("frame")["class"].count().tolist() == [4, 4, 0]
