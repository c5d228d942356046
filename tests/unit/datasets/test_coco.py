from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle_tools

from streamseg.datasets.coco import DataFile, TrainingData, read_data
from streamseg.datasets.pictures import read_picture
from streamseg.errors import ConfigError, SourceNotFound
from streamseg.evaluate.dataset import read_dataset
from tests.unit.conftest import annotation

MakeCoco = Callable[..., Path]


def read(path: Path, **options: Any) -> TrainingData:
    return read_data([DataFile(path)], **options)


def test_polygon_and_both_rle_forms_give_the_same_mask(make_coco: MakeCoco) -> None:
    truth = np.zeros((64, 96), np.uint8)
    truth[10:30, 20:50] = 1
    compressed = rle_tools.encode(np.asfortranarray(truth))
    compressed = {"size": [64, 96], "counts": compressed["counts"].decode()}
    flat, counts, value = truth.ravel(order="F"), [], 0
    while flat.size:
        run = int(np.argmax(flat != value)) if (flat != value).any() else flat.size
        counts.append(run)
        flat, value = flat[run:], 1 - value
    box = (20, 10, 30, 20)
    rows = [
        annotation(1, 1, box),
        annotation(2, 1, box, segmentation=compressed),
        annotation(3, 1, box, segmentation={"size": [64, 96], "counts": counts}),
    ]
    data = read(make_coco(rows))
    assert (data.category_ids, data.classes, data.faults.total) == ((1, 3), ("person", "car"), 0)
    assert len(data.photos[0].objects) == 3
    for thing in data.photos[0].objects:
        assert np.array_equal(thing.mask(), truth)
        assert thing.box == (20, 10, 50, 30)


ZERO = "box missing, not of four numbers, of no area or outside its image"
MASK = "mask malformed, empty or outside its image, region ignored"
NAN = float("nan")
# What is wrong, how it is called, and what of the object is left: nothing, a region to ignore, or an object.
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"bbox": [5, 5, 0, 10], "segmentation": None}, ZERO, ""),
    ({"bbox": [5, 5, NAN, 10], "segmentation": None}, ZERO, ""),
    ({"bbox": [5, 5], "segmentation": None}, ZERO, ""),
    ({"bbox": "large", "segmentation": None}, ZERO, ""),
    ({"bbox": [200, 5, 10, 10], "segmentation": None}, ZERO, ""),
    ({"bbox": [30, 5, 0, 10]}, f"{ZERO}, its mask's taken", "object"),
    ({"segmentation": [[200, 200, 210, 200, 210, 210, 200, 210]]}, MASK, "region"),
    ({"segmentation": [[1, 1, 2]]}, MASK, "region"),
    ({"segmentation": [[1, 1, NAN, 9, 9, 9, 9, 1]]}, MASK, "region"),
    ({"segmentation": {"size": [9, 9], "counts": [81]}}, MASK, "region"),
    ({"category_id": 77}, "category not in the list, region ignored", "region"),
    ({"category_id": [1]}, "category not in the list, region ignored", "region"),
    ({"image_id": 99}, "annotation of an image not in the file", ""),
    ({"image_id": {}}, "annotation of an image not in the file", ""),
    ({"id": 1}, "annotation id used twice, both kept", "object"),
]


def damage(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(("fault", "kind", "left"), FAULTS)
def test_a_bad_annotation_is_named_and_counted_or_refused(
    make_coco: MakeCoco, fault: dict[str, Any], kind: str, left: str
) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20))])
    damage(path, lambda d: d["annotations"].append({**annotation(2, 1, (30, 5, 20, 20)), **fault}))
    data = read(path)
    assert len(data.photos[0].objects) == 1 + (left == "object")
    assert len(data.photos[0].ignore) == (left == "region"), "an object that cannot be used is not learnt as background"
    assert data.faults.total == 1
    assert kind in str(data.faults.sentences())
    assert f"annotation {fault.get('id', 2)}" in str(data.faults.sentences())
    with pytest.raises(ConfigError, match=kind.split(",", maxsplit=1)[0]):
        read(path, bad_data="refuse")


def test_an_annotation_given_twice_is_one_object(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20)), annotation(1, 1, (5, 5, 20, 20))])
    data = read(path)
    assert len(data.photos[0].objects) == 1
    assert "given twice" in str(data.faults.sentences())


def rotated_jpeg(path: Path, picture: np.ndarray) -> None:
    """A camera's file: the picture as stored, and a note (EXIF orientation 6) to turn it clockwise."""
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    body = b"Exif\0\0" + tiff
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:])


BAD_IMAGES: list[tuple[str, Callable[[Path, dict[str, Any]], object]]] = [
    ("image file is missing", lambda folder, entry: (folder / "2.png").unlink()),
    ("cannot be read", lambda folder, entry: (folder / "2.png").write_bytes(b"not a picture")),
    ("cannot be read", lambda folder, entry: (folder / "2.png").write_bytes(b"")),
    ("stated size", lambda folder, entry: entry.update(width=99)),
    ("of no size", lambda folder, entry: entry.update(height=0)),
    ("image id used twice", lambda folder, entry: entry.update(id=1)),
    ("leads out of the folder", lambda folder, entry: entry.update(file_name="../2.png")),
]


@pytest.mark.parametrize(("kind", "spoil"), BAD_IMAGES)
def test_a_bad_image_is_named_and_left_out(
    make_coco: MakeCoco, kind: str, spoil: Callable[[Path, dict[str, Any]], object]
) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20))])
    damage(path, lambda d: spoil(path.parent / "images", d["images"][1]))
    data = read(path)
    assert [p.path.name for p in data.photos] == ["1.png"]
    assert data.faults.total == 1
    assert kind in str(data.faults.sentences())
    assert "2.png" in str(data.faults.sentences())


def test_no_photo_at_all_is_refused_with_the_reason(make_coco: MakeCoco) -> None:
    path = make_coco([], images=1)
    (path.parent / "images" / "1.png").unlink()
    with pytest.raises(ConfigError, match=r"no photo to train on.*image file is missing"):
        read(path)


@pytest.mark.parametrize("turned", [True, False])
def test_a_picture_is_turned_as_its_annotations_are(make_coco: MakeCoco, turned: bool) -> None:
    path = make_coco([], images=1)
    stored = np.zeros((64, 96, 3), np.uint8)
    stored[:, :48] = 255
    rotated_jpeg(path.parent / "images" / "1.png", stored)
    if turned:
        damage(path, lambda d: d["images"][0].update(width=64, height=96))
    picture = read_picture(read(path).photos[0])
    assert picture.shape == ((96, 64, 3) if turned else (64, 96, 3))
    bright = picture[:48] if turned else picture[:, :48]
    assert bright.mean() > 250
    assert picture.mean() < 140


def test_files_are_joined_by_names_and_a_class_that_one_lacks_was_not_looked_for(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20)), annotation(2, 1, (30, 5, 20, 20), category=3)], images=1)
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 1, "name": "Car"}, {"id": 2, "name": "dog"}]
    document["annotations"] = [annotation(1, 1, (5, 5, 20, 20)), annotation(2, 1, (30, 5, 20, 20), category=2)]
    other = path.with_name("other.json")
    other.write_text(json.dumps(document))
    data = read_data([DataFile(path), DataFile(other)])
    assert data.classes == ("person", "car", "dog")
    assert data.category_ids == (1, 3, 2)
    assert [[t.label for t in photo.objects] for photo in data.photos] == [[1, 2], [2, 3]]
    assert [photo.labelled for photo in data.photos] == [(True, True, True, False), (True, False, True, True)]
    assert data.objects() == {"person": (1, 1), "car": (2, 2), "dog": (1, 1)}


def test_classes_are_chosen_and_merged(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20)), annotation(2, 1, (30, 5, 20, 20), category=3)], images=1)
    chosen = read(path, classes=["car"])
    assert (chosen.classes, chosen.category_ids) == (("car",), (3,))
    assert [t.label for t in chosen.photos[0].objects] == [1]
    merged = read(path, one_class="thing")
    assert merged.classes == ("thing",)
    assert [t.label for t in merged.photos[0].objects] == [1, 1]
    with pytest.raises(ConfigError, match="no class cart; there are: person, car"):
        read(path, classes=["cart"])


def test_crowds_and_doubtful_teacher_boxes_are_ignored_not_learnt(make_coco: MakeCoco) -> None:
    teacher = {"origin": "teacher", "segmentation": None}
    rows = [
        annotation(1, 1, (0, 0, 10, 10), iscrowd=1),
        annotation(2, 1, (10, 0, 10, 10), score=0.3, **teacher),
        annotation(3, 1, (20, 0, 10, 10), score=0.8, **teacher),
        annotation(4, 1, (20, 0, 10, 10), score=0.6, xdup=True, **teacher),
    ]
    photo = read(make_coco(rows)).photos[0]
    assert photo.ignore == ((0, 0, 10, 10), (10, 0, 20, 10))
    assert [(t.box, t.rle) for t in photo.objects] == [((20, 0, 30, 10), None)]


def test_crowds_may_be_how_a_tool_marks_its_masks(make_coco: MakeCoco) -> None:
    """CVAT's COCO export sets iscrowd on every mask that was painted with its brush."""
    counts = [96 * 64 - 64 * 40, 64 * 20, 64 * 20]
    path = make_coco([annotation(1, 1, (56, 0, 20, 64), segmentation={"size": [64, 96], "counts": counts}, iscrowd=1)])
    assert (read(path).objects()["person"], read(path).ignored()) == ((0, 0), 1)
    data = read(path, crowds="objects")
    assert (data.objects()["person"], data.ignored()) == ((1, 1), 0)
    with pytest.raises(ConfigError, match="allowed: ignore, objects"):
        read(path, crowds="people")


@pytest.mark.parametrize("layout", ["result.json", "annotations/instances_default.json", "sub/images/x.json"])
def test_pictures_are_found_where_labelling_tools_put_them(make_coco: MakeCoco, layout: str) -> None:
    """Label Studio names images/1.png beside its file; CVAT has a folder annotations beside images; others one folder for all."""
    path = make_coco([annotation(1, 1, (5, 5, 20, 20))])
    document = json.loads(path.read_text())
    if layout == "result.json":
        for entry in document["images"]:
            entry["file_name"] = f"images/{entry['file_name']}"
    moved = path.parent / layout
    moved.parent.mkdir(parents=True, exist_ok=True)
    if layout.startswith("sub"):
        for picture in (path.parent / "images").iterdir():
            picture.rename(moved.parent / picture.name)
    moved.write_text(json.dumps(document))
    assert len(read(moved).photos) == 2
    assert len(read_dataset(moved).photos) == 2


def test_partial_labels_are_told(make_coco: MakeCoco) -> None:
    photo = read(make_coco([], exhaustive=False, labelled_category_ids=[3])).photos[0]
    assert photo.labelled == (True, False, True)
    assert not photo.exhaustive


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"x\.json:1: not JSON"),
        ('{"images": [],\n\n "annotations" []}', r"x\.json:3: not JSON"),
        ("[]", "not a COCO annotation file"),
        ('{"images": []}', "not a COCO annotation file"),
    ],
)
def test_a_file_of_another_kind_is_refused_where_it_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read(path)


def test_where_the_data_are(make_coco: MakeCoco, tmp_path: Path) -> None:
    path = make_coco([])
    assert DataFile.parse(str(path.parent)) == DataFile(path)
    assert DataFile.parse(f"{path}@{tmp_path}") == DataFile(path, tmp_path)
    with pytest.raises(SourceNotFound, match="no folder nowhere"):
        DataFile.parse(f"{path}@nowhere")
    with pytest.raises(SourceNotFound, match="no such file"):
        read(tmp_path / "absent.json")
