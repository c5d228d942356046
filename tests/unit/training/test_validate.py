from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from streamseg.datasets.coco import DataFile
from streamseg.datasets.segments import Case, Detection
from streamseg.errors import ConfigError
from streamseg.evaluate.dataset import read_dataset
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.weights import WeightsInfo, load_weights
from streamseg.training.predictions import choose_photos, write_predictions
from streamseg.training.validate import TorchEngine, Validation
from tests.unit.conftest import annotation

MakeCoco = Callable[..., Path]
INFO = WeightsInfo("lite", ("car", "person"), (3, 1))
ROWS = [annotation(1, 1, (10, 10, 30, 40)), annotation(2, 2, (5, 5, 40, 50), category=3)]


def test_the_network_in_torch_answers_what_its_exported_graph_will(random_weights: Path) -> None:
    model, info = load_weights(random_weights)
    picture = np.random.default_rng(0).integers(0, 255, (2, 128, 192, 3), np.uint8)
    got = TorchEngine(model, info, (128, 192)).submit(picture).result()
    graph = InferenceGraph(model, GraphSettings(128, 192, detections=int(model.roi_heads.detections_per_img)))
    with torch.inference_mode():
        boxes, scores, labels, masks = (t.numpy() for t in graph(torch.from_numpy(picture)))
    assert (got["labels"] >= 0).sum() > 10
    assert np.array_equal(np.sort(got["labels"], 1), np.sort(labels, 1))
    assert np.allclose(got["scores"], scores, atol=1e-3)
    for b in range(2):
        for i in np.where(got["labels"][b] >= 0)[0]:
            j = int(np.abs(boxes[b] - got["boxes"][b, i]).max(1).argmin())
            assert np.abs(boxes[b, j] - got["boxes"][b, i]).max() < 0.05
            assert np.abs(masks[b, j] - got["masks"][b, i]).max() < 5e-3


def test_files_are_joined_by_the_names_of_their_categories(make_coco: MakeCoco) -> None:
    path = make_coco(ROWS, labelled_category_ids=[1, 3])
    document = json.loads(path.read_text())
    document["categories"] = [{"id": 7, "name": "CAR"}, {"id": 9, "name": "tree"}]
    for entry in document["images"]:
        entry.pop("labelled_category_ids")
    document["annotations"] = [annotation(1, 1, (10, 10, 30, 40), category=7), annotation(2, 1, (1, 1, 9, 9), category=9)]
    other = path.with_name("other.json")
    other.write_text(json.dumps(document))
    validation = Validation([DataFile(path), DataFile(other)], INFO)
    assert validation.categories == {1: "car", 2: "person"}
    assert [photo.image_id for photo in validation.photos] == [1, 2, 3, 4]
    assert [[t.category_id for t in photo.truths] for photo in validation.photos] == [[2], [1], [1], []]
    assert [photo.labelled for photo in validation.photos] == [{1, 2}, {1, 2}, {1}, {1}]
    merged = Validation([DataFile(other)], WeightsInfo("lite", ("thing",), (1,)), one_class="thing")
    assert [t.category_id for t in merged.photos[0].truths] == [1, 1]
    with pytest.raises(ConfigError, match=r"has no class of boat; it has CAR, tree"):
        Validation([DataFile(other)], WeightsInfo("lite", ("boat",), (1,)))


def test_an_evaluation_can_be_interrupted(make_coco: MakeCoco, random_weights: Path) -> None:
    model, _ = load_weights(random_weights)
    validation = Validation([DataFile(make_coco(ROWS))], INFO)
    assert validation.measure(model, (64, 96), lambda: True) is None
    measured = validation.measure(model, (64, 96))
    assert measured is not None
    assert list(measured.row())[:4] == ["box AP", "box AP50", "mask AP", "mask AP50"]
    assert set(measured.row()) > {"mask AP car", "box AP person"}


def test_every_class_is_among_the_photos_that_are_drawn(make_coco: MakeCoco) -> None:
    rows = [annotation(i, i, (10, 10, 30, 40)) for i in range(1, 31) if i != 17]
    photos = read_dataset(make_coco([*rows, annotation(17, 17, (5, 5, 40, 50), category=3)], images=30)).photos
    chosen = choose_photos(photos)
    assert len(chosen) == 12
    assert 17 in chosen, "the only photo with a car"
    assert choose_photos(photos) == chosen


def test_drawn_predictions_show_what_was_found_beside_what_is_there(make_coco: MakeCoco, tmp_path: Path) -> None:
    photos = read_dataset(make_coco([annotation(1, 1, (48, 16, 32, 32), category=3)])).photos
    truth = photos[0].truths[0]
    found = Case(photos[0], (Detection(3, truth.box, truth.rle, 0.9),))
    missed = Case(photos[0], ())
    path = tmp_path / "new" / "000001.png"
    write_predictions(path, [found, missed], {1: "person", 3: "car"})
    drawn = cv2.imread(str(path))
    assert drawn is not None
    height, width = drawn.shape[:2]
    assert width == 3 * 2 * 320
    centre = [drawn[height // 2 + 10, 320 * i + 2 + int(64 / 96 * 316)].astype(int) for i in range(4)]
    assert np.abs(centre[0] - centre[1]).max() < 3, "found and there: both painted alike"
    assert np.abs(centre[2] - centre[3]).max() > 40, "not found: bare, and painted as missed"
    assert drawn[:22, :200].min() < 80, "the caption"
