from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO

from streamseg.errors import ModelError
from streamseg.model.coco_ap import Loaded, Outputs, letterbox, load_graph, paste, predictions, score_rows
from tests.unit.model.conftest import annotation

ROWS = [annotation(1, 1, (10, 10, 30, 40)), annotation(2, 2, (50, 8, 40, 50), category=3)]


def known_answers(images: np.ndarray) -> Outputs:
    """Finds the bright rectangles of the test photos by their colour."""
    green = images[0, :, :, 1] > 150
    ys, xs = np.nonzero(green)
    boxes = np.zeros((1, 2, 4), np.float32)
    boxes[0, 0] = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    labels = np.full((1, 2), -1, np.int32)
    labels[0, 0] = int(xs.min() > 60)
    scores = np.array([[0.9, 0.0]], np.float32)
    return boxes, scores, labels, np.ones((1, 2, 28, 28), np.float32)


def test_known_answers_score_one_hundred_and_wrong_ones_zero(make_coco: Callable[..., Path]) -> None:
    path = make_coco(ROWS)
    coco = COCO(str(path))
    graph = Loaded(known_answers, 128, 192, (1, 3))
    rows = list(predictions(graph, coco, path.parent / "images"))
    assert json.loads(json.dumps(rows)) == rows
    for kind in ("bbox", "segm"):
        result = score_rows(coco, rows, kind)  # type: ignore[arg-type]
        assert result["AP"] == 100
        assert result["per_class"]["person"] == {"AP": 100, "AP50": 100}
        assert result["vehicles"]["AP"] == 100
    for row in rows:
        row["category_id"] = 4 - row["category_id"]
    assert score_rows(coco, rows, "bbox")["AP"] == 0
    assert score_rows(coco, [], "bbox")["AP"] == 0


def test_letterbox_is_centred_on_grey() -> None:
    canvas, scale, left, top = letterbox(np.full((50, 50, 3), 255, np.uint8), 100, 200)
    assert (scale, left, top) == (2, 50, 0)
    assert (canvas[:, :50] == 114).all()
    assert (canvas[:, 50:150] == 255).all()


def test_paste_fills_the_box_exactly() -> None:
    mask = np.ones((28, 28), np.float32)
    assert paste(mask, (3, 4, 13, 9), 20, 30).sum() == 50
    assert paste(mask, (-5, -5, 5, 5), 20, 30).sum() == 25
    half = mask.copy()
    half[:, 14:] = 0
    full = paste(half, (0, 0, 20, 10), 20, 30)
    assert full[:10, :10].all()
    assert not full[:, 10:].any()
    assert not paste(mask, (5, 5, 5, 9), 20, 30).any()


def test_another_file_is_not_a_graph(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(b"")
    with pytest.raises(ModelError):
        load_graph(path)
