"""Self-training: a doubtful box of the teacher becomes an object to learn if the model itself finds it, too.

`python -m tools.self_training --data IN.json[@IMAGES] --model GRAPH.onnx --out OUT.json` reads annotations with a detector's
boxes (`origin: "teacher"`, see `coco.py`) and runs our own exported graph on their photos. Two detectors that learnt apart and
agree are right more often than each alone, as in co-training (Blum & Mitchell 1998), so

- a teacher's box of score 0.2-0.5 that the model confirms (same class, IoU >= 0.6, score >= 0.5) is raised to an object;
- what the model finds alone (score >= 0.5) is written down as a doubtful box, so that it is no negative.

Categories whose teacher is not trusted (`coco.UNTRUSTED_TEACHER_IDS`) are never raised. Nothing is taken away.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.datasets.coco import TEACHER_TRUST, UNTRUSTED_TEACHER_IDS
from streamseg.datasets.segments import Photo
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import Engine, open_engine
from streamseg.errors import SourceError
from streamseg.evaluate.detect import read_photo
from tools.teacher import iou

Found = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]
"""Boxes float32 [N, 4] xyxy in photo pixels, scores float32 [N], categories int64 [N] as COCO ids."""
Detector = Callable[[dict[str, Any]], Found]

LEAST_TEACHER = 0.2
LEAST_OWN = 0.5
SAME_IOU = 0.6
NEW_IOU = 0.3
DOUBTFUL = 0.3
"""Score written for a box that only the model sees: below TEACHER_TRUST, so ignored."""


def confirm(
    rows: list[dict[str, Any]], boxes: NDArray[np.float32], scores: NDArray[np.float32], categories: NDArray[np.int64]
) -> list[int]:
    """Raise the teacher's doubtful `rows` of one photo that own detections confirm; which detections are on no row at all.

    boxes float32 [N, 4] xyxy in photo pixels, scores float32 [N], categories int64 [N] COCO ids.
    """
    known = np.array([row["bbox"] for row in rows], np.float32).reshape(-1, 4)
    known[:, 2:] += known[:, :2]
    overlap = iou(known, boxes)
    for i, row in enumerate(rows):
        if row.get("origin") != "teacher" or row.get("xdup") or row["category_id"] in UNTRUSTED_TEACHER_IDS:
            continue
        agrees = (categories == row["category_id"]) & (scores >= LEAST_OWN) & (overlap[i] >= SAME_IOU)
        if LEAST_TEACHER <= float(row["score"]) < TEACHER_TRUST and agrees.any():
            row["score"], row["confirmed"] = TEACHER_TRUST, True
    alone = overlap.max(axis=0, initial=0.0) < NEW_IOU
    return [int(j) for j in np.flatnonzero(alone & (scores >= LEAST_OWN))]


def detector_of(engine: Engine, images: Path) -> Detector:
    """What an exported graph finds in the photo of a COCO image entry; raises SourceError for one that cannot be read."""
    preprocess, infer = Preprocess(*engine.spec.size), Infer(engine)
    postprocess = Postprocess(engine.spec, conf=0.0)
    ids = np.array(engine.spec.category_ids, np.int64)

    def detect(entry: dict[str, Any]) -> Found:
        photo = Photo(entry["id"], images / entry["file_name"], entry["width"], entry["height"], ())
        found = postprocess(infer.take(preprocess(read_photo(photo)))).instances
        return found.boxes, found.scores, ids[found.labels]

    return detect


def confirm_all(document: dict[str, Any], detect: Detector) -> Counter[str]:
    """Confirm the doubtful boxes of every photo that has a teacher's boxes, in place; counts what was done."""
    rows_of: dict[int, list[dict[str, Any]]] = {}
    for row in document["annotations"]:
        rows_of.setdefault(row["image_id"], []).append(row)
    next_id = 1 + max((row["id"] for row in document["annotations"]), default=0)
    done: Counter[str] = Counter()
    for entry in document["images"]:
        rows = rows_of.get(entry["id"], [])
        if not any(row.get("origin") == "teacher" for row in rows):
            continue
        try:
            boxes, scores, categories = detect(entry)
        except SourceError:
            done["photos that cannot be read"] += 1
            continue
        for j in confirm(rows, boxes, scores, categories):
            x0, y0, x1, y1 = (float(v) for v in boxes[j])
            shape = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
            place = {"id": next_id, "image_id": entry["id"], "category_id": int(categories[j])}
            document["annotations"].append({**place, **shape, "origin": "teacher", "score": DOUBTFUL})
            next_id += 1
            done["doubtful boxes added"] += 1
    done["boxes confirmed"] = sum(bool(row.get("confirmed")) for row in document["annotations"])
    return done


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="annotation file, or FILE@FOLDER of the photos")
    parser.add_argument("--model", required=True, help="an exported graph")
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    file, _, folder = options.data.partition("@")
    document = json.loads(Path(file).read_text())
    engine = open_engine(options.model, engine="openvino", threads=1)
    done = confirm_all(document, detector_of(engine, Path(folder) if folder else Path(file).parent / "images"))
    options.out.write_text(json.dumps(document))
    print(dict(done))


if __name__ == "__main__":
    main()
