from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from streamseg.errors import ConfigError
from streamseg.model.coco import read_coco
from tests.unit.model.conftest import annotation

MakeCoco = Callable[..., Path]


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
    photos, ids, names, bad = read_coco(make_coco(rows))
    assert (ids, names, str(bad)) == ([1, 3], ["person", "car"], "no bad annotations")
    for thing in photos[0].things:
        assert np.array_equal(thing.mask(), truth)
        assert thing.box == (20, 10, 50, 30)


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("zero-area box", {"bbox": [5, 5, 0, 10]}),
    ("zero-area box", {"bbox": [5, 5, float("nan"), 10]}),
    ("no bbox", {"bbox": [5, 5]}),
    ("box outside its image", {"bbox": [200, 5, 10, 10]}),
    ("mask empty, malformed or outside", {"segmentation": [[200, 200, 210, 200, 210, 210, 200, 210]]}),
    ("mask empty, malformed or outside", {"segmentation": [[1, 1, 2]]}),
    ("mask empty, malformed or outside", {"segmentation": {"size": [9, 9], "counts": [81]}}),
    ("unknown category", {"category_id": 77}),
    ("annotation of an image not in the file", {"image_id": 99}),
]


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_a_bad_annotation_is_named_and_counted_or_refused(make_coco: MakeCoco, kind: str, fault: dict[str, Any]) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20))])
    document = json.loads(path.read_text())
    document["annotations"].append({**annotation(2, 1, (30, 5, 20, 20)), **fault})
    path.write_text(json.dumps(document))
    photos, _, _, bad = read_coco(path)
    assert len(photos[0].things) == 1
    assert bad.counts.total() == 1
    assert kind in str(bad)
    assert "annotation 2" in str(bad)
    with pytest.raises(ConfigError, match="annotation 2"):
        read_coco(path, on_bad="error")


def test_a_missing_image_is_named(make_coco: MakeCoco) -> None:
    path = make_coco([annotation(1, 1, (5, 5, 20, 20))])
    (path.parent / "images" / "2.png").unlink()
    photos, _, _, bad = read_coco(path)
    assert [p.path.name for p in photos] == ["1.png"]
    assert "image file missing" in str(bad)
    assert "2.png" in str(bad)


def test_crowds_and_doubtful_teacher_boxes_are_ignored_not_learnt(make_coco: MakeCoco) -> None:
    teacher = {"origin": "teacher", "segmentation": None}
    rows = [
        annotation(1, 1, (0, 0, 10, 10), iscrowd=1),
        annotation(2, 1, (10, 0, 10, 10), score=0.3, **teacher),
        annotation(3, 1, (20, 0, 10, 10), score=0.8, **teacher),
        annotation(4, 1, (20, 0, 10, 10), score=0.6, xdup=True, **teacher),
    ]
    photo = read_coco(make_coco(rows))[0][0]
    assert photo.ignore == ((0, 0, 10, 10), (10, 0, 20, 10))
    assert [(t.box, t.rle) for t in photo.things] == [((20, 0, 30, 10), None)]


def test_partial_labels_are_told(make_coco: MakeCoco) -> None:
    photo = read_coco(make_coco([], exhaustive=False, labelled_category_ids=[3]))[0][0]
    assert photo.labelled == (True, False, True)
    assert not photo.exhaustive


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a COCO annotation file"):
        read_coco(path)


def test_a_wanted_category_must_exist(make_coco: MakeCoco) -> None:
    with pytest.raises(ConfigError, match="no category"):
        read_coco(make_coco([]), category_ids=[1, 5])
