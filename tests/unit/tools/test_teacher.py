from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

pytest.importorskip("onnxruntime", reason="needs extra `onnx`")

import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.unit.conftest import annotation
from tools.teacher import SIDE, add_boxes, decode


def raw_head(*boxes: tuple[float, float, float, float, int, float]) -> np.ndarray:
    """A raw YOLOX head that answers these boxes: centre x, y, width, height in its pixels, place, score."""
    raw = np.zeros((3549, 85), np.float32)
    for x, y, w, h, place, score in boxes:
        row = int(y // 8) * (SIDE // 8) + int(x // 8)
        raw[row, :4] = [x / 8 - x // 8, y / 8 - y // 8, np.log(w / 8), np.log(h / 8)]
        raw[row, 4], raw[row, 5 + place] = 1.0, score
    return raw


def test_decode_gives_photo_pixels() -> None:
    rows = decode(raw_head((100, 60, 40, 80, 0, 0.7), (300, 300, 20, 20, 2, 0.05)), scale=2.0)
    assert rows.shape == (1, 6)
    assert np.allclose(rows[0], [40, 10, 60, 50, 0.7, 0], atol=1e-3)


def test_boxes_are_added_beside_known_objects_only(make_coco: Callable[..., Path], tmp_path: Path) -> None:
    path = make_coco([annotation(1, 1, (10, 10, 30, 40))], images=1, exhaustive=False, labelled_category_ids=[1])
    document = json.loads(path.read_text())
    scale = SIDE / 96
    known = (25 * scale, 30 * scale, 30 * scale, 40 * scale, 0, 0.9)
    part = (25 * scale, 20 * scale, 10 * scale, 10 * scale, 0, 0.8)
    new = (75 * scale, 30 * scale, 20 * scale, 20 * scale, 2, 0.8)
    constant = numpy_helper.from_array(raw_head(known, part, new)[None], "raw")
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3549, 85])
    node = helper.make_node("Identity", ["raw"], ["out"])
    graph = helper.make_graph([node], "teacher", [image], [out], [constant])
    detector = tmp_path / "teacher.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(detector))
    assert add_boxes(document, path.parent / "images", detector) == 2
    added = {row["category_id"]: row for row in document["annotations"][1:]}
    assert np.allclose(added[3]["bbox"], [65, 20, 20, 20], atol=0.1)
    assert added[3]["score"] == pytest.approx(0.8)
    assert added[1]["score"] < 0.5, "a box inside a known object is only worth ignoring"
    assert document["images"][0]["exhaustive"] is True
