"""Every network learns: lite a whole tiny data set, the others a step, in every branch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from streamseg.config.training import Augmentation, EvaluationInterval
from streamseg.datasets.coco import DataFile, read_data
from streamseg.networks.weights import WeightsInfo, load_weights
from streamseg.training.dataset import batches
from streamseg.training.start import find_weights
from streamseg.training.train import TERMS, Settings, Trainer
from streamseg.training.validate import Validation


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photos of 128×96, each with a red disc and a green box somewhere on noise, as a COCO file."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    document: dict[str, Any] = {"categories": [{"id": 1, "name": "disc"}, {"id": 2, "name": "box"}], "images": []}
    rows = document["annotations"] = []
    for image in range(1, 9):
        picture = 40 + rng.integers(0, 30, (96, 128, 3), dtype=np.uint8)
        for category, colour in ((1, (60, 60, 220)), (2, (60, 200, 80))):
            x, y, side = int(rng.integers(8, 30)) + 62 * (category - 1), int(rng.integers(10, 40)), int(rng.integers(26, 36))
            mask = np.zeros((96, 128), np.uint8)
            if category == 1:
                cv2.circle(mask, (x + side // 2, y + side // 2), side // 2, 1, -1)
            else:
                cv2.rectangle(mask, (x, y), (x + side, y + side), 1, -1)
            picture[mask > 0] = colour
            flat = np.concatenate([[0], mask.ravel(order="F"), [0]])
            ends = np.flatnonzero(np.diff(flat))
            counts = np.diff(np.concatenate([[0], ends, [mask.size]])).tolist()
            row = {"id": len(rows) + 1, "image_id": image, "category_id": category, "iscrowd": 0, "area": int(mask.sum())}
            rows.append({**row, "bbox": list(cv2.boundingRect(mask)), "segmentation": {"size": [96, 128], "counts": counts}})
        cv2.imwrite(str(folder / "images" / f"{image}.png"), picture)
        document["images"].append({"id": image, "file_name": f"{image}.png", "width": 128, "height": 96})
    path = folder / "instances.json"
    path.write_text(json.dumps(document))
    return path


def test_lite_learns_eight_photos_by_heart(shapes: Path, tmp_path: Path) -> None:
    """Fine-tuned for new classes, 30 steps of two: found without fail, with good masks; and all that a run writes is there."""
    data = read_data([DataFile(shapes)])
    info = WeightsInfo("lite", data.classes, data.category_ids)
    settings = Settings(
        steps=30, batch=2, lr=1e-3, warmup=3, canvases=((96, 128),), workers=0,
        augmentation=Augmentation.none(), eval_every=EvaluationInterval(15, "steps"),
    )  # fmt: skip
    run = Trainer(data, settings, tmp_path, start="lite", validation=Validation([DataFile(shapes)], info))
    run.run()
    rows = list(csv.DictReader((tmp_path / "evaluations.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "15", "30"]
    assert float(rows[2]["mask AP50"]) > 95
    assert float(rows[2]["mask AP"]) > 60  # 80 where it was measured
    assert float(rows[2]["box AP disc"]) > 50
    assert run.evaluator.first == pytest.approx(float(rows[0]["mask AP"]), abs=1e-3), "the weights it starts from"
    assert run.evaluator.best == pytest.approx(max(float(row["mask AP"]) for row in rows), abs=1e-3)
    threshold = load_weights(find_weights("lite"))[1].score_threshold  # scores go on from calibrated ones
    assert load_weights(tmp_path / "best.safetensors")[1] == replace(info, score_threshold=threshold)
    for step in (0, 15, 30):
        assert cv2.imread(str(tmp_path / "predictions" / f"{step:06d}.png")) is not None


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("mobilenetv3-fpn", {}),
        ("resnet50-fpn", {"roi_pool": "pool"}),
        pytest.param("resnet50-fpn-v2", {}, marks=pytest.mark.long),
        pytest.param("resnet50-c4", {}, marks=pytest.mark.long),
        ("lite", {"class_agnostic": True, "roi_pool": "pool", "amp": "bf16"}),
    ],
)
def test_every_network_learns_in_every_branch(shapes: Path, tmp_path: Path, network: str, options: dict[str, Any]) -> None:
    settings = Settings(network, steps=2, batch=1, canvases=((64, 96),), workers=0, pretrained=False, **options)
    run = Trainer(read_data([DataFile(shapes)]), settings, tmp_path)
    before = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    stream = batches(run.samples, 0, 0)
    for _ in range(2):
        values = run.update(*next(stream))
        assert values["skipped"] == 0
        assert all(0 <= values[term] < 1e3 for term in TERMS)
    still = {name for name, value in run.model.named_parameters() if value.requires_grad and torch.equal(value, before[name])}
    branches = ("backbone.", "rpn.head.", "roi_heads.box_head", "roi_heads.box_predictor", "roi_heads.mask_predictor")
    for branch in branches:
        names = {name for name in before if name.startswith(branch)}
        assert names
        assert not names <= still, f"{branch} learns"
    assert any(name.startswith("backbone.body.") and name not in still for name in before), "gradients reach the body"
