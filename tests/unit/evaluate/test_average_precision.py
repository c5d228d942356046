"""COCO AP against pycocotools itself, on files that neither wrote."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamseg.errors import ConfigError, SourceNotFound
from streamseg.evaluate import coco_ap, evaluate_detections, write_page
from tests.unit.evaluate.scenes import random_files, rectangle, text_rle

KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def by_the_book(truths, results, kind):
    """pycocotools as its documentation uses it: the 6 precisions, and AP and AP50 of each class."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truths))
        judged = COCOeval(coco, coco.loadRes(str(results)), kind)
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    per_class = {}
    for k, category in enumerate(coco.loadCats(judged.params.catIds)):
        rows = [judged.eval["precision"][:, :, k, 0, -1], judged.eval["precision"][0, :, k, 0, -1]]
        per_class[category["name"]] = [float(np.mean(r[r > -1])) if (r > -1).any() else -1.0 for r in rows]
    return judged.stats[:6], per_class


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("kind", "iou_type"), [("box", "bbox"), ("mask", "segm")])
def test_it_agrees_with_pycocotools_on_random_files(tmp_path, seed, kind, iou_type):
    truths, masks, boxes = random_files(tmp_path, seed)
    results = boxes if kind == "box" else masks
    stats, per_class = by_the_book(truths, results, iou_type)
    ours = coco_ap(truths, results)[kind]
    assert 5 < ours["AP"] < 95
    for key, theirs in zip(KEYS, stats, strict=True):
        assert ours[key] == pytest.approx(100 * theirs) if theirs >= 0 else ours[key] is None
    for name, (ap, ap50) in per_class.items():
        expected = {"AP": 100 * ap, "AP50": 100 * ap50} if ap >= 0 else {"AP": None, "AP50": None}
        assert ours["per_class"][name] == pytest.approx(expected)
    assert ours["per_class"]["boat"]["AP"] is None


def test_the_whole_evaluation_gives_the_same_mask_ap(tmp_path):
    truths, masks, _ = random_files(tmp_path)
    whole = evaluate_detections(truths, masks)
    assert whole.scores.mask == coco_ap(truths, masks)["mask"]
    assert whole.warnings == ()
    written = tmp_path / "again.json"
    written.write_text(json.dumps(whole.coco_results()))
    assert coco_ap(truths, written)["mask"] == whole.scores.mask
    # The pictures are not there: the page says so in their place.
    write_page(whole, tmp_path / "page.html", 4)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 4
    assert page.count("No such file") == 4


def test_a_pool_is_one_class(tmp_path):
    truths, masks, _ = random_files(tmp_path)
    pooled = coco_ap(truths, masks, {"any": ["person", "car", "train"]})["mask"]["pools"]["any"]
    document, rows = json.loads(truths.read_text()), json.loads(masks.read_text())
    for row in (*document["annotations"], *rows):
        row["category_id"] = 1
    document["categories"] = [{"id": 1, "name": "any"}]
    truths.write_text(json.dumps(document))
    masks.write_text(json.dumps(rows))
    assert pooled["AP"] == pytest.approx(100 * by_the_book(truths, masks, "segm")[0][0])
    with pytest.raises(ConfigError, match="unknown class 'tram'; known: any"):
        coco_ap(truths, masks, {"rail": ["tram"]})


def test_an_object_of_id_zero_is_an_object(tmp_path):
    """pycocotools takes a match with annotation 0 for no match."""
    row = {"image_id": 1, "category_id": 1, "segmentation": text_rle(rectangle(10, 10, 20, 20))}
    document = {
        "images": [{"id": 1, "width": 100, "height": 75}],
        "annotations": [row | {"id": 0, "iscrowd": 0, "area": 400, "bbox": [10, 10, 20, 20]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "t.json").write_text(json.dumps(document))
    (tmp_path / "d.json").write_text(json.dumps([row | {"score": 0.5}]))
    answer = coco_ap(tmp_path / "t.json", tmp_path / "d.json")
    assert (answer["mask"]["AP"], answer["box"]["AP"]) == (pytest.approx(100), pytest.approx(100))
    (tmp_path / "d.json").write_text("[]")
    assert coco_ap(tmp_path / "t.json", tmp_path / "d.json")["mask"]["AP"] == 0


def test_other_files_are_refused(tmp_path):
    truths, masks, _ = random_files(tmp_path)
    with pytest.raises(SourceNotFound, match=r"none\.json"):
        coco_ap(truths, tmp_path / "none.json")
    with pytest.raises(ConfigError, match="not a COCO annotation file"):
        coco_ap(masks, masks)
    with pytest.raises(ConfigError, match="not a COCO results file"):
        coco_ap(truths, truths)
    masks.write_text('[{"image_id": 1,\n "category_id": }]')
    with pytest.raises(ConfigError, match=":2: not JSON"):
        coco_ap(truths, masks)
