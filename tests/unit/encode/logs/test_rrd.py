"""RRD, read back by rerun's own reader: entities, times, pictures; killed, and on a full disk."""

import math
import os
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import rerun
from rerun.chunk import RrdReader

from streamseg.composite import Rendered
from streamseg.core.types import Event
from streamseg.encode import open_sink
from streamseg.errors import OutputError
from tests import clips
from tests.full_disk import file_size_limit
from tests.unit.encode.helpers import INFO
from tests.unit.encode.logs.helpers import BOXES, TICKS, at_25, decoded, frames, results, write


def chunks(path):
    """All of a file, also of one without an index, of which the reader warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rerun.error_utils.RerunWarning)
        return RrdReader(str(path)).stream().to_chunks()


def rows(path, entity):
    """The rows of an entity, each a dict of its columns, in the order of frames; `time` in nanoseconds. No static ones."""
    every = []
    for chunk in chunks(path):
        if chunk.entity_path == entity and not chunk.is_static:
            batch = chunk.to_record_batch()
            times = batch.column("time").cast("int64").to_pylist()
            found = batch.drop_columns(["time"]).to_pylist()
            every += [row | {"time": time} for row, time in zip(found, times, strict=True)]
    return sorted(every, key=lambda row: row["frame"])


def entities(path):
    return {chunk.entity_path for chunk in chunks(path)}


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    path = tmp_path_factory.mktemp("rrd") / "drive.rrd"
    alert = Event("alert", 0.72, 2, "car", details={"ttc": 2.25})
    write(path, results(frames(at_25(60)), events={20: alert}), duration=2.4)
    return path


def test_each_entity_has_a_row_a_frame(drive):
    camera = {"/world/camera", *(f"/world/camera/{name}" for name in ("video", "boxes", "outlines", "places"))}
    curves = {"/ttc/car\\ 2", "/distance/car\\ 2", "/speed/car\\ 2", "/counts/person", "/own/speed"}
    assert entities(drive) == camera | curves | {"/__properties", "/world", "/world/users", "/fix", "/events"}
    for entity, expected in {"boxes": range(60), "outlines": range(60), "video": range(60)}.items():
        timed = rows(drive, f"/world/camera/{entity}")
        assert [row["frame"] for row in timed] == [*expected]
    curve = {row["frame"]: row["Scalars:scalars"][0] for row in rows(drive, "/ttc/car\\ 2")}
    assert curve == pytest.approx({i: math.nan if i % 5 == 4 else 3.0 for i in range(60)}, nan_ok=True), (
        "a gap where it is not seen"
    )


def test_the_video_gives_each_picture_at_its_time(drive):
    timed = rows(drive, "/world/camera/video")
    assert [row["time"] for row in timed] == [i * 40_000_000 for i in range(60)]
    pictures = decoded([bytes(row["VideoStream:sample"][0]) for row in timed])
    assert [len(made) for made in pictures] == [1] * 60
    assert [clips.read_index(clips.plane_array(made)) for (made,) in pictures] == [*range(60)]
    assert [row["frame"] for row in timed if row["VideoStream:is_keyframe"][0]] == [0, 25, 50]


def test_instances_are_boxes_and_closed_outlines(drive):
    first = rows(drive, "/world/camera/boxes")[0]
    np.testing.assert_allclose(first["Boxes2D:centers"], (BOXES[:, :2] + BOXES[:, 2:]) / 2)
    assert first["Boxes2D:labels"] == ["person 1", "car 2 3.0 s 12 m"]
    assert first["Boxes2D:class_ids"] == [0, 1]
    lines = rows(drive, "/world/camera/outlines")[0]["LineStrips2D:strips"]
    assert len(lines) == 2
    assert all(line[0] == line[-1] for line in lines)
    nothing = rows(drive, "/world/camera/boxes")[4]
    assert nothing["Boxes2D:centers"] == [], "of a frame in which nothing is, to take the last away"


def test_the_road_is_in_metres(drive):
    first = rows(drive, "/world/users")[0]
    ((x, y, z),), ((length, width, height),) = first["Boxes3D:centers"], first["Boxes3D:half_sizes"]
    assert (x - length, y) == pytest.approx((12, -2))
    assert (width, height, z) == pytest.approx((30 * 12 / 160, 24 * 12 / 160, 24 * 12 / 160))
    assert rows(drive, "/fix")[0]["GeoPoints:positions"] == [[52.5, 13.25]]
    assert rows(drive, "/own/speed")[0]["Scalars:scalars"] == [5.0]
    assert rows(drive, "/speed/car\\ 2")[0]["Scalars:scalars"] == [-4.0]
    (event,) = rows(drive, "/events")
    assert event["TextLog:text"] == ["alert: car 2 (ttc 2.25)"]
    assert event["time"] == 720_000_000


def test_times_of_a_variable_rate_are_exact(tmp_path):
    times = [7, 3008, 3009, 100_007, 100_107]
    write(tmp_path / "vfr.rrd", results(frames(times), scene=False))
    found = rows(tmp_path / "vfr.rrd", "/world/camera/video")
    assert [row["time"] for row in found] == [round(ticks * TICKS * 10**9) for ticks in times]


def test_the_viewer_is_told_to_show_the_masks_on_the_picture(drive):
    """Of its own accord it shows them in another view than the video."""
    (layout,) = RrdReader(str(drive)).blueprints()
    batches = [chunk.to_record_batch() for chunk in RrdReader(str(drive)).stream(store=layout).to_chunks()]
    column = "ViewBlueprint:space_origin"
    origins = [row[0] for batch in batches if column in batch.schema.names for row in batch.column(column).to_pylist() if row]
    assert {"/world/camera", "/world", "/ttc", "/distance", "/events", "/counts"} == {f"/{each.strip('/')}" for each in origins}


def test_without_a_scene_and_with_boxes_alone(tmp_path):
    write(tmp_path / "boxes.rrd", results(frames(at_25(3)), scene=False, masks=False))
    camera = {"/world/camera/video", "/world/camera/boxes"}
    assert entities(tmp_path / "boxes.rrd") == camera | {"/__properties", "/world", "/counts/person"}


def test_live_frames_have_the_time_of_day(tmp_path):
    utc = 1_790_000_000.5
    live = [replace(frame, utc=utc + frame.index * 0.04) for frame in frames(at_25(3))]
    write(tmp_path / "live.rrd", results(live), live=True)
    times = [row["time"] for row in rows(tmp_path / "live.rrd", "/world/camera/boxes")]
    assert [(time - 1_790_000_000_500_000_000) / 1e6 for time in times] == pytest.approx([0, 40, 80], abs=0.001)


def test_nothing_is_left_behind_of_a_file(tmp_path):
    """Rerun keeps threads of each recording, and of each layout."""
    counted = []
    for _ in range(3):
        write(tmp_path / "seen.rrd", results(frames(at_25(2))), duration=1.0)
        (tmp_path / "seen.rrd").unlink()
        counted.append(len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 0)
    assert counted[2] <= counted[0]


def test_only_films_of_a_known_length_get_an_index(tmp_path):
    """It is kept in memory until the end."""
    for name, about in {"film": {"duration": 60.0}, "long": {"duration": 36_000.0}, "live": {"live": True}}.items():
        write(tmp_path / f"{name}.rrd", results(frames(at_25(2))), **about)
    assert "frame" in str(RrdReader(str(tmp_path / "film.rrd")).store().schema())
    for name in ("long", "live"):
        with pytest.warns(rerun.error_utils.RerunWarning, match="no footer"):
            RrdReader(str(tmp_path / f"{name}.rrd"))
        assert len(rows(tmp_path / f"{name}.rrd", "/world/camera/boxes")) == 2


def _put_all(sink, found):
    for result in found:
        sink(Rendered(result, result.frame.picture))


def test_a_killed_process_leaves_all_but_the_last_second(tmp_path):
    sink = open_sink(tmp_path / "seen.rrd", replace(INFO, time_base=TICKS, duration=2.4))
    sink.open()
    _put_all(sink, results(frames(at_25(60))))
    (tmp_path / "killed.rrd").write_bytes((tmp_path / "seen.rrd").read_bytes())
    sink.abort()
    left = rows(tmp_path / "killed.rrd", "/world/camera/video")
    assert len(left) == 50
    whole = RrdReader(str(tmp_path / "seen.rrd")).store()
    assert "frame" in str(whole.schema()), "finished, with an index"


def test_a_full_disk_is_an_error_and_leaves_what_was_written(tmp_path):
    """Rerun's writer ends amid a message, which its own reader refuses."""
    path = tmp_path / "full.rrd"
    sink = open_sink(path, replace(INFO, time_base=TICKS))
    sink.open()
    found = [*results(frames(at_25(120)))]
    with file_size_limit(90_000), pytest.raises(OutputError, match="disk full"):
        _put_all(sink, found)
    sink.abort()
    left = len(rows(path, "/world/camera/boxes"))
    assert left >= 25
    assert left % 25 == 0
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".lock")]
