"""Photos with known objects and detections, made of rectangles, for the measures' tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle_tools

from streamseg.datasets.segments import Case, Detection, Photo, Truth

WIDTH, HEIGHT = 100, 75
"""The diagonal is 125 pixels, so that boundaries must agree to a pixel."""
CATEGORIES = {1: "person", 3: "car"}

Rectangle = tuple[int, int, int, int]


def encode(mask: np.ndarray) -> dict[str, Any]:
    return rle_tools.encode(np.asfortranarray(mask.astype(np.uint8)))


def rectangle(x: int, y: int, w: int, h: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def truth(box: Rectangle, category: int = 1, **more: Any) -> Truth:
    return Truth(category, box, encode(rectangle(*box)), float(box[2] * box[3]), **more)


def found(box: Rectangle, category: int = 1, score: float = 0.9) -> Detection:
    return Detection(category, box, encode(rectangle(*box)), score)


def case(truths: list[Truth], detections: list[Detection], number: int = 1) -> Case:
    photo = Photo(number, Path(f"{number}.png"), WIDTH, HEIGHT, tuple(truths))
    return Case(photo, tuple(sorted(detections, key=lambda d: -d.score)))


def blob(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A random ellipse, at least a few pixels large."""
    y, x = np.mgrid[:height, :width]
    cx, cy = rng.uniform(0, width), rng.uniform(0, height)
    return ((x - cx) / rng.uniform(4, width / 3)) ** 2 + ((y - cy) / rng.uniform(4, height / 3)) ** 2 < 1


def text_rle(mask: np.ndarray) -> dict[str, Any]:
    rle = encode(mask)
    return {"size": [int(v) for v in rle["size"]], "counts": rle["counts"].decode()}


def random_files(folder: Path, seed: int = 0) -> tuple[Path, Path, Path]:
    """Annotations, results with masks only and results with boxes only: objects of all sizes and crowds, found more or less."""
    rng = np.random.default_rng(seed)
    images, annotations, results = [], [], []
    for image in range(1, 13):
        width, height = int(rng.integers(90, 360)), int(rng.integers(90, 360))
        images.append({"id": image, "file_name": f"{image}.png", "width": width, "height": height})
        for _ in range(rng.integers(0, 7)):
            mask = blob(rng, width, height)
            if not mask.any():
                continue
            box = [float(v) for v in rle_tools.toBbox(encode(mask))]
            common = {"image_id": image, "category_id": int(rng.choice([1, 3, 7]))}
            row = {"area": int(mask.sum()), "iscrowd": int(rng.random() < 0.15), "bbox": box, "segmentation": text_rle(mask)}
            annotations.append(common | row | {"id": len(annotations) + 1})
            for _ in range(rng.integers(0, 3)):
                shifted = np.roll(mask, rng.integers(-4, 5, 2), (0, 1))
                category = common["category_id"] if rng.random() < 0.85 else 3
                results.append(
                    common | {"category_id": category, "score": float(rng.random()), "segmentation": text_rle(shifted)}
                )
    boxes = [
        {k: v for k, v in row.items() if k != "segmentation"}
        | {"bbox": [float(v) + float(rng.normal()) for v in rle_tools.toBbox(row["segmentation"])]}
        for row in results
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 7, "name": "train"}, {"id": 9, "name": "boat"}]
    paths = folder / "instances.json", folder / "masks.json", folder / "boxes.json"
    truths = {"images": images, "annotations": annotations, "categories": categories}
    for path, content in zip(paths, (truths, results, boxes), strict=True):
        path.write_text(json.dumps(content))
    return paths
