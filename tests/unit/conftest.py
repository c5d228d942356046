"""What the tests of several rooms need: a tiny COCO folder with known masks, random weights; torch is imported only when used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]


@pytest.fixture
def one_thread() -> Any:
    """torch with one thread: these networks are tiny, threads only disturb the other tests."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rectangle(x: int, y: int, w: int, h: int) -> list[list[float]]:
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def annotation(identity: int, image: int, box: tuple[int, int, int, int], category: int = 1, **more: Any) -> dict[str, Any]:
    row = {"id": identity, "image_id": image, "category_id": category, "bbox": list(box), "iscrowd": 0}
    return {**row, "area": box[2] * box[3], "segmentation": rectangle(*box), **more}


@pytest.fixture
def make_coco(tmp_path: Path) -> Callable[..., Path]:
    """make_coco(annotations, images=2, **image_keys): a folder of noisy 96×64 photos; returns the JSON's path."""

    def make(annotations: list[dict[str, Any]], images: int = 2, **keys: Any) -> Path:
        folder = tmp_path / "coco"
        (folder / "images").mkdir(parents=True)
        rng = np.random.default_rng(0)
        entries = []
        for i in range(1, images + 1):
            picture = rng.integers(0, 90, (64, 96, 3), dtype=np.uint8)
            for row in annotations:
                if row["image_id"] == i and row.get("bbox"):
                    x, y, w, h = (int(v) for v in row["bbox"])
                    picture[max(0, y) : y + h, max(0, x) : x + w] = (40 * row["category_id"] % 255, 200, 120)
            cv2.imwrite(str(folder / "images" / f"{i}.png"), picture)
            entries.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 64, **keys})
        document = {"categories": CATEGORIES, "images": entries, "annotations": annotations}
        path = folder / "instances.json"
        path.write_text(json.dumps(document))
        return path

    return make


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a random `lite` whose scores are spread, so that every stage of the graph has work."""
    import torch

    from streamseg.networks.build import build_network
    from streamseg.networks.weights import WeightsInfo, save_weights

    torch.manual_seed(4)
    model = build_network("lite", 2)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.nn.init.normal_(model.rpn.head.cls_logits.weight, std=0.02)
    torch.nn.init.normal_(model.rpn.head.bbox_pred.weight, std=0.003)
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(model, WeightsInfo("lite", ("person", "car"), (1, 3)), path)
    return path


@pytest.fixture(scope="session")
def tiny_graphs(random_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """`random_weights` exported in fp16 and in int8 at 64×96 with K 40 and D 10, calibrated on eight soft pictures."""
    import torch

    from streamseg.export.export import export_model
    from streamseg.export.graph import GraphSettings
    from tests.unit.networks.random_networks import pictures

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("precisions")
    frames = folder / "frames"
    frames.mkdir()
    for i, picture in enumerate(pictures(8, 64, 96, seed=7).numpy()):
        cv2.imwrite(str(frames / f"{i:03}.png"), picture[..., ::-1])
    settings = GraphSettings(proposals=40, detections=10)
    return {
        precision: export_model(
            random_weights, folder, [(64, 96)], settings, "tiny", precision=precision, calibration=[frames]
        )[0]
        for precision in ("fp16", "int8")
    }
