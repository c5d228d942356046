from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")
pytest.importorskip("onnxruntime", reason="needs extra `onnx`")

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.datasets.coco import DataFile, read_data
from streamseg.errors import SourceError
from tests.unit.conftest import annotation
from tools.self_training import Found, confirm_all

BOX, OTHER = (10, 10, 30, 40), (60, 10, 25, 25)


def found(*rows: tuple[tuple[int, int, int, int], float, int]) -> Found:
    boxes = np.array([[x, y, x + w, y + h] for (x, y, w, h), _, _ in rows], np.float32).reshape(-1, 4)
    scores, categories = [s for _, s, _ in rows], [c for _, _, c in rows]
    return boxes, np.array(scores, np.float32), np.array(categories, np.int64)


def teacher(box: tuple[int, int, int, int], score: float, category: int = 1) -> dict[str, Any]:
    return annotation(1, 1, box, category=category, segmentation=None, origin="teacher", score=score)


@pytest.mark.parametrize(
    ("score", "seen", "objects"),
    [
        (0.3, found((BOX, 0.8, 1)), 1),
        (0.3, found((BOX, 0.4, 1)), 0),  # the model doubts it, too
        (0.3, found((BOX, 0.8, 3)), 0),  # another class
        (0.3, found((OTHER, 0.8, 1)), 0),  # elsewhere
        (0.1, found((BOX, 0.8, 1)), 0),  # the teacher hardly saw it
        (0.3, found(), 0),
        (0.9, found(), 1),  # what the teacher is sure of stays
    ],
)
def test_a_doubtful_box_becomes_an_object_where_both_agree(
    make_coco: Callable[..., Path], score: float, seen: Found, objects: int
) -> None:
    path = make_coco([teacher(BOX, score)], images=1)
    document = json.loads(path.read_text())
    confirm_all(document, lambda _: seen)
    path.write_text(json.dumps(document))
    photo = read_data([DataFile(path)]).photos[0]
    assert len(photo.objects) == objects
    alone = any(tuple(box[:2]) == OTHER[:2] for box in photo.ignore)
    assert alone == any(tuple(box[:2]) == OTHER[:2] for box in seen[0]), "what the model alone sees is no negative"


def test_only_photos_with_teachers_boxes_are_looked_at(make_coco: Callable[..., Path]) -> None:
    document = json.loads(make_coco([annotation(1, 1, BOX)], images=2).read_text())
    before = json.dumps(document)

    def never(_: dict[str, Any]) -> Found:
        raise AssertionError("looked at a photo labelled by people")

    assert confirm_all(document, never)["boxes confirmed"] == 0
    assert json.dumps(document) == before


def test_a_photo_that_cannot_be_read_is_counted(make_coco: Callable[..., Path]) -> None:
    document = json.loads(make_coco([teacher(BOX, 0.3)], images=1).read_text())

    def broken(_: dict[str, Any]) -> Found:
        raise SourceError("1.png is damaged")

    assert confirm_all(document, broken) == {"photos that cannot be read": 1, "boxes confirmed": 0}
    assert document["annotations"][0]["score"] == 0.3


def test_the_command_line_runs_a_graph(make_coco: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.self_training import main

    path, out = make_coco([teacher(BOX, 0.3)], images=1), tmp_path / "out.json"
    monkeypatch.setattr("sys.argv", ["self_training", "--data", str(path), "--model", "lite", "--out", str(out)])
    main()
    rows = json.loads(out.read_text())["annotations"]
    assert rows[0]["score"] == 0.3, "a rectangle is no person"
    assert all(row["score"] < 0.5 for row in rows)
