"""Campaign over COCO-format files, as evaluation and training read them, and lists of results."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamseg.datasets.annotations import read_json
from streamseg.datasets.coco import DataFile, read_data
from streamseg.evaluate.dataset import cases_of, read_dataset
from tests.fuzz.trees import ODD_VALUES, changed

SQUARE = [8, 8, 30, 8, 30, 30, 8, 30]
RUNS = {"size": [48, 64], "counts": [100, 20, 28, 20, 2904]}
TEXT = {"size": [48, 64], "counts": "T38d0L4"}
DOCUMENT: dict[str, Any] = {
    "images": [
        {"id": 1, "file_name": "a.png", "width": 64, "height": 48},
        {"id": 2, "file_name": "b.png", "width": 64, "height": 48, "labelled_category_ids": [1], "exhaustive": False},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 22, 22], "segmentation": [SQUARE], "area": 484, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 3, "bbox": [2, 2, 20, 10], "segmentation": RUNS, "area": 40, "iscrowd": 1},
        {
            "id": 3,
            "image_id": 2,
            "category_id": 1,
            "bbox": [0, 0, 64, 48],
            "segmentation": TEXT,
            "origin": "teacher",
            "score": 0.4,
        },
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
}
RESULTS = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": RUNS, "bbox": [8, 8, 20, 20]}]
VALUES = (
    *ODD_VALUES, [1e308] * 8, [-1e9] * 6, [float("nan")] * 6, SQUARE[:5], [SQUARE] * 50, [1e9, 1e9, 2e9, 1e9, 2e9, 2e9], [[0,
    0, 1e7, 0, 1e7, 1e7]],
    {"size": [48, 64], "counts": [3072]}, {"size": [48, 64], "counts": [-1, 3073]}, {"size": [48, 64], "counts": "\x7f" * 50},
    {"size": [48, 64], "counts": "o" * 4000},
    {"size": [48, 64], "counts": ""}, {"size": [48, 64], "counts": [1.5, 3070.5]}, {"size": [48, 64], "counts": [2**40,
    3072 - 2**40]}, {"size": [2**31, 2**31], "counts": "0"},
    {"size": [48, 64], "counts": "P"}, {"size": ["48", "64"], "counts": "T38d0L4"}, 48, 64, 100_000, 2**20,
)  # fmt: skip


@dataclass
class Case:
    """A file's bytes, and who reads them."""

    data: bytes
    reader: str


class Annotations:
    """See the module."""

    name, count = "annotations", 5000

    def prepare(self, folder: Path) -> None:
        """The pictures."""
        self.pictures = folder / "pictures"
        self.pictures.mkdir(exist_ok=True)
        for name in ("a.png", "b.png"):
            cv2.imwrite(str(self.pictures / name), np.zeros((48, 64, 3), np.uint8))

    def make(self, rng: random.Random) -> Case:
        """One of the documents, damaged."""
        reader = rng.choice(("evaluate", "train", "results"))
        document = copy.deepcopy(RESULTS if reader == "results" else DOCUMENT)
        return Case(changed(document, rng, VALUES), reader)

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / "instances.json"
        path.write_bytes(case.data)
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Read it, and look at each mask."""
        path = self.save(case, folder)
        if case.reader == "train":
            data = read_data([DataFile(path, self.pictures)])
            masks = [item.mask() for photo in data.photos for item in photo.objects if item.rle is not None]
            data.objects()
            return "train" if masks else "train, no mask"
        if case.reader == "evaluate":
            read_dataset(path, self.pictures).faults.sentences()
            return "evaluate"
        sound = folder / "sound.json"
        import json

        sound.write_text(json.dumps(DOCUMENT))
        rows = read_json(path)
        cases_of(read_dataset(sound, self.pictures), rows if isinstance(rows, list) else [rows])
        return "results"
