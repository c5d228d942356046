"""Formats when something goes wrong: interrupted, disk full, output there already; and that memory does not grow."""

import dataclasses
import gc
import json
import tracemalloc
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from streamseg.encode import is_results, open_sink
from streamseg.encode.kinds import FORMATS, ending_of
from streamseg.errors import OutputError, OutputExists, OutputIsInput
from streamseg.pipeline.outputs import plan
from tests.full_disk import file_size_limit
from tests.unit.encode.helpers import INFO
from tests.unit.encode.results.helpers import Rendered, results, write

FILES = [
    "a.mots.txt",
    "a.ytvis.json",
    "a.coco.json",
    "a.cvat.zip",
    "a.kitti.txt",
    "a.bdd.json",
    "a.openlabel.json",
    "a.parquet",
]
ALL = [*FILES, "a.mots"]


@pytest.fixture(scope="module")
def walk():
    return results(8)


def frames_in(path) -> int:
    """How many frames a whole, valid output holds."""
    if path.is_dir():
        return sum(cv2.imread(str(f), -1).shape == (360, 640) for f in path.iterdir())
    if path.suffix == ".txt":
        return len({line.split()[0] for line in path.read_text().splitlines()})
    if path.suffix == ".parquet":
        return json.loads(pq.read_metadata(path).metadata[b"streamseg"])["frames"]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert "default/instances/labels.txt" in archive.namelist()
            return sum(name.endswith(".png") for name in archive.namelist())
    data = json.loads(path.read_text())
    if isinstance(data, list):
        return len(data)
    if "openlabel" in data:
        return len(data["openlabel"]["frames"])
    return len(data["images"]) if "images" in data else data["videos"][0]["length"]


def nothing_else(path):
    """No temporary file stays beside it."""
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("name", ALL)
def test_a_run_that_ends_early_leaves_a_whole_file(name, end, walk, tmp_path):
    target = tmp_path / name
    sink = open_sink(target, INFO)
    sink.open()
    for result in walk[:3]:
        sink(Rendered(result, result.frame.picture))
    getattr(sink, end)()
    sink.close()
    assert frames_in(target) == sink.counters.frames == 3
    nothing_else(target)


@pytest.mark.parametrize("name", ["a.mots.txt", "a.kitti.txt"])
def test_text_is_complete_at_any_time(name, walk, tmp_path):
    """A `kill -9` loses nothing that was written."""
    sink = open_sink(tmp_path / name, INFO)
    sink.open()
    for count, result in enumerate(walk[:3], 1):
        sink(Rendered(result, result.frame.picture))
        text = (tmp_path / name).read_text()
        assert text.endswith("\n")
        assert {line.split(" ")[0] for line in text.splitlines()} == {str(i) for i in range(count)}
    sink.abort()


@pytest.mark.parametrize("name", ["a.ytvis.json", "a.coco.json", "a.cvat.zip", "a.bdd.json", "a.openlabel.json", "a.parquet"])
def test_a_name_stands_for_a_whole_file_only(name, walk, tmp_path):
    """Until the end the old file is there, and whole."""
    target = tmp_path / name
    target.write_bytes(b"old")
    sink = open_sink(target, INFO, overwrite=True)
    sink.open()
    for result in walk[:3]:
        sink(Rendered(result, result.frame.picture))
        assert target.read_bytes() == b"old"
    sink.close()
    assert frames_in(target) == 3
    nothing_else(target)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("a.mots.txt", 4000),
        ("a.coco.json", 9000),
        ("a.cvat.zip", 300_000),
        ("a.kitti.txt", 1500),
        ("a.bdd.json", 9000),
        ("a.openlabel.json", 40_000),
    ],
)
def test_full_disk_is_an_error_and_what_is_written_stays_readable(name, limit, walk, tmp_path):
    target = tmp_path / name
    sink = open_sink(target, INFO)
    sink.open()
    with file_size_limit(limit):
        with pytest.raises(OutputError, match=rf"{name}.*File too large"):
            any(sink(Rendered(result, result.frame.picture)) for result in walk)
        sink.abort()
    assert target.stat().st_size <= limit
    if target.suffix == ".txt":
        columns = 6 if name == "a.mots.txt" else 18
        whole = [line for line in target.read_text().split("\n")[:-1] if len(line.split(" ")) == columns]
        assert len(whole) > 4
    else:
        assert frames_in(target) >= 2
    nothing_else(target)


@pytest.mark.parametrize(
    ("name", "room"), [("a.coco.json", 40), ("a.cvat.zip", 40), ("a.bdd.json", 1), ("a.openlabel.json", 40)]
)
def test_disk_that_fills_while_finishing(name, room, walk, tmp_path):
    """The last frames make room for what must stand at the end; the error is told, the file is whole."""
    target = tmp_path / name
    sink = open_sink(target, INFO)
    sink.open()
    for result in walk:
        sink(Rendered(result, result.frame.picture))
    (part,) = tmp_path.glob(".*.part")
    with file_size_limit(part.stat().st_size + room), pytest.raises(OutputError, match=r"finishing it failed: File too large"):
        sink.close()
    assert frames_in(target) >= 6
    if name == "a.coco.json":
        data = json.loads(target.read_text())
        assert {a["image_id"] for a in data["annotations"]} <= {i["id"] for i in data["images"]}
        assert len(data["annotations"]) > 15
    nothing_else(target)


def test_no_room_for_the_youtube_vis_document_at_all(walk, tmp_path):
    target = tmp_path / "a.ytvis.json"
    target.write_bytes(b"old")
    sink = open_sink(target, INFO, overwrite=True)
    sink.open()
    for result in walk:
        sink(Rendered(result, result.frame.picture))
    with file_size_limit(100), pytest.raises(OutputError, match="File too large"):
        sink.close()
    assert target.read_bytes() == b"old"
    nothing_else(target)


def test_no_room_for_all_tracks_keeps_the_first(walk, tmp_path):
    target = tmp_path / "a.ytvis.json"
    sink = open_sink(target, INFO)
    sink.open()
    for result in walk:
        sink(Rendered(result, result.frame.picture))
    with file_size_limit(14_000), pytest.raises(OutputError, match="File too large"):
        sink.close()
    ids = [a["id"] for a in json.loads(target.read_text())["annotations"]]
    assert ids in ([1], [1, 2], [1, 2, 3])


def test_full_disk_leaves_no_half_image(walk, tmp_path):
    target = tmp_path / "a.mots"
    with file_size_limit(500), pytest.raises(OutputError, match="File too large"):
        write(target, walk)
    assert not list(target.iterdir())


@pytest.mark.parametrize("name", ALL)
def test_what_exists_is_kept_unless_told(name, walk, tmp_path):
    target = tmp_path / name
    write(target, walk[:2])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputExists, match="--overwrite"):
        open_sink(target, INFO).open()
    assert sorted(tmp_path.rglob("*")) == before
    write(target, walk[:1], overwrite=True)
    assert frames_in(target) == (2 if name == "a.mots" else 1)


def test_images_of_an_earlier_run_are_told_of(walk, tmp_path):
    write(tmp_path / "a.mots", walk[:3])
    sink = write(tmp_path / "a.mots", walk[:2], overwrite=True)
    assert any("1 images of an earlier run" in w for w in sink.warnings)


@pytest.mark.parametrize("name", FILES)
def test_the_source_is_never_written_onto(name, tmp_path):
    source = tmp_path / name
    source.write_bytes(b"film")
    with pytest.raises(OutputIsInput):
        open_sink(source, INFO, source=source, overwrite=True).open()
    assert source.read_bytes() == b"film"


def test_the_folder_of_source_images_is_never_written_into(tmp_path):
    folder = tmp_path / "in.mots"
    folder.mkdir()
    with pytest.raises(OutputIsInput):
        open_sink(folder, INFO, source=folder, overwrite=True).open()


@pytest.mark.parametrize("name", ALL)
def test_no_frames_leave_no_output(name, tmp_path):
    sink = open_sink(tmp_path / name, INFO)
    sink.open()
    sink.close()
    sink.abort()
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.parametrize("name", ["a.mots.txt", "a.mots", "a.coco.json", "a.kitti.txt", "a.bdd.json"])
def test_memory_does_not_grow(name, walk, tmp_path):
    """1500 frames, each with other tracks, as if a thousand objects passed."""
    sink = open_sink(tmp_path / name, INFO)
    sink.open()
    sizes = []
    tracemalloc.start()
    small = replace(walk[0].frame, picture=walk[0].frame.picture.reformat(width=64, height=36, threads=1))
    one = replace(walk[0].instances[:1], boxes=np.array([[4, 4, 30, 30]], np.float32))
    few = replace(walk[0], frame=small, instances=one, occlusion=None)
    for i in range(1600):
        found = replace(few.instances, track_ids=np.array([i + 1]))
        result = replace(few, frame=replace(few.frame, index=i), instances=found)
        sink(Rendered(result, result.frame.picture))
        if i in (1100, 1599):
            gc.collect()  # what other tests have left in circles comes and goes, and so does what their threads do
            ours = [tracemalloc.Filter(True, name) for name in ("*/streamseg/*", __file__, dataclasses.__file__)]
            sizes.append(sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(ours).traces))
    tracemalloc.stop()
    sink.close()
    assert sizes[1] - sizes[0] < 80_000, "one kept result would be a thousand bytes a frame"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.mots.txt", ".mots.txt"),
        ("x/a.mots/", ".mots"),
        ("A.COCO.JSON", ".coco.json"),
        ("a.json", None),
        ("a.txt", None),
        (".mots", None),
        ("mots", None),
    ],
)
def test_the_name_chooses_the_format(name, known):
    assert ending_of(name) == known
    assert is_results(name) == (known is not None)


def test_an_unknown_name_is_told_all_formats(tmp_path):
    with pytest.raises(OutputError) as caught:
        open_sink(tmp_path / "a.json", INFO)
    assert all(suffix in str(caught.value) for suffix in FORMATS)


def test_formats_need_no_picture():
    (first, second) = plan({}, ["out.mots/", "out.coco.json"])
    assert (first.composite, second.composite) == ((), ())
    assert first.name.startswith("results")
