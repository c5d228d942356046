"""nuImages: the tables by the data set's schema, and with its own development kit where that is installed."""

import base64
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamseg.core.scene import Fix
from streamseg.errors import OutputError, OutputExists, OutputIsInput
from tests.full_disk import file_size_limit
from tests.unit.encode.helpers import INFO
from tests.unit.encode.results.driving import drive, walk
from tests.unit.encode.results.helpers import open_sink, write
from tests.unit.encode.results.test_driving import boxes_alone, empty

mask_utils = pytest.importorskip("pycocotools.mask", reason="needs the extra 'train'")

SCHEMA = {
    "attribute": {"token", "name", "description"},
    "calibrated_sensor": {
        *("token", "sensor_token", "translation", "rotation", "camera_intrinsic", "camera_distortion"),
    },
    "category": {"token", "name", "description"},
    "ego_pose": {
        *("token", "translation", "rotation", "rotation_rate", "acceleration", "speed", "timestamp"),
    },
    "log": {"token", "logfile", "vehicle", "date_captured", "location"},
    "object_ann": {"token", "category_token", "bbox", "mask", "attribute_tokens", "sample_data_token"},
    "sample": {"token", "timestamp", "log_token", "key_camera_token"},
    "sample_data": {
        *("token", "sample_token", "ego_pose_token", "calibrated_sensor_token", "filename", "fileformat", "width", "height"),
        *("timestamp", "is_key_frame", "next", "prev"),
    },
    "sensor": {"token", "channel", "modality"},
    "surface_ann": {"token", "category_token", "mask", "sample_data_token"},
}
"""Fields of each table, as nuscenes.org/nuimages has them."""


def tables(path):
    read = {name: json.loads((path / "v1.0-streamseg" / f"{name}.json").read_text()) for name in SCHEMA}
    for name, records in read.items():
        assert all(set(record) >= SCHEMA[name] for record in records), name
        assert len({record["token"] for record in records}) == len(records)
    known = {record["token"] for records in read.values() for record in records}
    for records in read.values():
        for record in records:
            told = {key: value for key, value in record.items() if key.endswith("_token")}
            assert set(told.values()) <= known, "a token of nothing"
    return read


def slow(made, seconds=0.25):
    """Frames `seconds` apart."""
    ticks = round(seconds / made[0].frame.time_base)
    return [replace(r, frame=replace(r.frame, pts=100 + i * ticks)) for i, r in enumerate(made)]


def test_key_frames_have_pictures_masks_and_whole_boxes(tmp_path):
    made = slow([*drive(7), empty(walk(8)[7])])
    extents = made[2].occlusion.extents.copy()
    extents[0] = [-20, 10, 90, 300]
    made[2] = replace(made[2], occlusion=replace(made[2].occlusion, extents=extents))
    write(tmp_path / "a.nuimages", made)
    read = tables(tmp_path / "a.nuimages")
    keys = made[::2]
    assert [s["filename"] for s in read["sample_data"]] == [f"samples/CAM_FRONT/{r.frame.index:06d}.jpg" for r in keys]
    assert [s["timestamp"] for s in read["sample"]] == [round(1e6 * r.time) for r in keys]
    by_frame = {s["token"]: r for s, r in zip(read["sample_data"], keys, strict=True)}
    names = {c["token"]: c["name"] for c in read["category"]}
    assert len(read["object_ann"]) == sum(len(r) for r in keys)
    for record in read["object_ann"]:
        result = by_frame[record["sample_data_token"]]
        i = result.track_ids.tolist().index(record["track_id"])
        (x0, y0, x1, y1), crop = list(result.segments(disjoint=True))[i]
        mask = mask_utils.decode(record["mask"] | {"counts": base64.b64decode(record["mask"]["counts"])}).astype(bool)
        assert mask.sum() == crop.sum()
        assert np.array_equal(mask[y0:y1, x0:x1], crop)
        assert names[record["category_token"]] == "human.pedestrian.adult"
        if result is made[2] and i == 0:
            assert record["bbox"][:2] == [0, 10], "amodal, as far as it lies in the frame"
    for key in keys:
        picture = cv2.imread(str(tmp_path / "a.nuimages" / "samples" / "CAM_FRONT" / f"{key.frame.index:06d}.jpg"))
        assert np.abs(picture.astype(int) - key.image("bgr24")).mean() < 4
    (camera,) = read["calibrated_sensor"]
    assert camera["camera_intrinsic"] == [[500, 0, 320], [0, 500, 180], [0, 0, 1]]
    assert camera["translation"] == [0, 0, 1.4]
    assert camera["camera_distortion"] == [0.1, 0.01, 0, 0, 0]


def test_the_rate_of_key_frames_is_chosen(tmp_path):
    made = slow(walk(8))
    write(tmp_path / "a.nuimages", made, key_rate=1.0)
    assert [f.name for f in sorted((tmp_path / "a.nuimages" / "samples" / "CAM_FRONT").iterdir())] == [
        "000000.jpg",
        "000004.jpg",
    ]
    write(tmp_path / "b.nuimages", made, key_rate=100.0)
    assert len(tables(tmp_path / "b.nuimages")["sample"]) == 8


def test_the_vehicle_is_where_its_receiver_said(tmp_path):
    made = slow(drive(3, fix=Fix(48.0, 11.0, 500.0, 10.0, 0.0, utc=1796058000.0)), 1)
    later = replace(made[1].scene, fix=Fix(48.001, 11.0, 502.0, 12.5, 90.0, utc=1796058001.0), own_speed=12.5)
    made[1] = replace(made[1], scene=later)
    write(tmp_path / "a.nuimages", made[:2])
    first, second = tables(tmp_path / "a.nuimages")["ego_pose"]
    assert first["translation"] == [0, 0, 0]
    assert second["translation"] == [0, pytest.approx(111.2, abs=0.2), 2.0], "a thousandth of a degree north"
    assert first["rotation"] == pytest.approx([np.sqrt(0.5), 0, 0, np.sqrt(0.5)]), "to the north: a quarter turn from east"
    assert second["rotation"] == pytest.approx([1, 0, 0, 0])
    assert (second["speed"], second["timestamp"], second["known"]) == (12.5, 1796058001_000000, True)


@pytest.mark.parametrize("limit", [20_000, 150_000])
def test_a_full_disk_leaves_whole_tables_or_none(limit, tmp_path):
    base = walk(8)
    made = slow([replace(base[i % 8], frame=replace(base[i % 8].frame, index=i)) for i in range(80)], 1)
    with file_size_limit(limit), pytest.raises(OutputError, match="File too large"):
        write(tmp_path / "a.nuimages", made)
    left = [p for p in (tmp_path / "a.nuimages").rglob("*") if p.is_file()]
    assert not [p for p in left if p.name.startswith(".")]
    if limit == 20_000:
        assert not left
    else:
        assert 10 < len(tables(tmp_path / "a.nuimages")["sample"]) < 80


def test_nuimages_of_boxes_alone_and_without_a_scene(tmp_path):
    write(tmp_path / "a.nuimages", slow([boxes_alone(r) for r in walk(2)], 1))
    read = tables(tmp_path / "a.nuimages")
    assert {record["mask"] for record in read["object_ann"]} == {None}
    assert read["calibrated_sensor"][0]["camera_intrinsic"] == []
    assert not any(record["known"] for record in read["ego_pose"])


def test_a_folder_that_holds_tables_is_kept_unless_told(tmp_path):
    made = slow(walk(3), 1)
    write(tmp_path / "a.nuimages", made)
    with pytest.raises(OutputExists, match=r"tables such as v1\.0-streamseg exist; pass --overwrite"):
        open_sink(tmp_path / "a.nuimages", INFO).open()
    sink = write(tmp_path / "a.nuimages", made[:2], overwrite=True)
    assert any("1 images of an earlier run" in words for words in sink.warnings)
    assert len(tables(tmp_path / "a.nuimages")["sample"]) == 2
    with pytest.raises(OutputIsInput):
        open_sink(tmp_path / "a.nuimages", INFO, source=tmp_path / "a.nuimages", overwrite=True).open()


@pytest.mark.parametrize("end", ["close", "abort"])
def test_an_early_end_leaves_whole_tables(end, tmp_path):
    sink = open_sink(tmp_path / "a.nuimages", INFO)
    sink.open()
    from streamseg.composite import Rendered

    for result in slow(walk(3), 1):
        sink(Rendered(result, result.frame.picture))
    getattr(sink, end)()
    sink.close()
    assert len(tables(tmp_path / "a.nuimages")["sample"]) == 3
    names = {p.name for p in (tmp_path / "a.nuimages").rglob("*") if p.name.startswith(".")}
    assert not names, "no draft stays"


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the kit closes no file
def test_nuimages_is_what_its_development_kit_opens(tmp_path):
    nuimages = pytest.importorskip("nuimages", reason="read with nuscenes-devkit, which is not installed", exc_type=ImportError)
    made = slow(drive(4), 1)
    write(tmp_path / "a.nuimages", made)
    kit = nuimages.NuImages(version="v1.0-streamseg", dataroot=str(tmp_path / "a.nuimages"), lazy=False, verbose=False)
    assert len(kit.sample) == 4
    for sample, result in zip(kit.sample, made, strict=True):
        objects, surfaces = kit.list_anns(sample["token"], verbose=False)
        assert (len(objects), surfaces) == (len(result), [])
        assert kit.get_sample_content(sample["token"]) == [sample["key_camera_token"]]
        semantic, instance = kit.get_segmentation(sample["key_camera_token"])
        expected = np.zeros((360, 640), bool)
        for (x0, y0, x1, y1), crop in result.segments(disjoint=True):
            expected[y0:y1, x0:x1] |= crop
        assert np.array_equal(instance > 0, expected)
        assert len(np.unique(semantic[expected])) == 1
        kit.render_image(sample["key_camera_token"], with_category=True, out_path=str(tmp_path / "seen.png"))
    _, places = kit.get_ego_pose_data(kit.sample[0]["token"])
    assert places.shape == (1, 3)
