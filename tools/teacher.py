"""Pseudo-labels: a box detector's answers fill in what a partly labelled set leaves out.

`python -m tools.teacher --data IN.json[@IMAGES] --detector YOLOX.onnx --out OUT.json` adds the boxes
of a YOLOX detector (Ge et al. 2021, arXiv 2107.08430; COCO's 80 classes) to the photos that are not
exhaustively labelled, and calls them exhaustive. Added boxes carry `origin: "teacher"` and a `score`;
`coco.py` says how they are used. The teacher is a tool of training: no part of it is shipped.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.system.imports import import_onnxruntime

SIDE = 416
LEAST_SCORE = 0.10
# The 80 classes of the detector by place, as COCO category ids, for those that we know.
PLACES = {0: 1, 1: 2, 2: 3, 3: 4, 5: 6, 7: 8, 15: 17, 16: 18}


def decode(raw: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Raw YOLOX head [3549, 85] → [N, 6] xyxy in photo pixels, score, place; scores from LEAST_SCORE."""
    grids, strides = [], []
    for stride in (8, 16, 32):
        n = SIDE // stride
        ys, xs = np.mgrid[:n, :n]
        grids.append(np.stack([xs, ys], -1).reshape(-1, 2))
        strides.append(np.full((n * n, 1), stride))
    grid, stride_of = np.concatenate(grids), np.concatenate(strides)
    centre = (raw[:, :2] + grid) * stride_of
    size = np.exp(raw[:, 2:4]) * stride_of
    scores = raw[:, 4:5] * raw[:, 5:]
    rows = []
    for place in PLACES:
        keep = scores[:, place] >= LEAST_SCORE
        low = (centre[keep] - size[keep] / 2) / scale
        found = np.concatenate([low, size[keep] / scale, scores[keep, place][:, None]], 1)
        for i in cv2.dnn.NMSBoxes(found[:, :4].tolist(), found[:, 4].tolist(), LEAST_SCORE, 0.65):
            x, y, w, h, s = found[int(i)]
            rows.append([x, y, x + w, y + h, s, place])
    return np.array(rows, np.float32).reshape(-1, 6)


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union, xyxy [N, 4], [M, 4] → [N, M]."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(2)
    area = (a[:, 2:] - a[:, :2]).prod(1)[:, None] + (b[:, 2:] - b[:, :2]).prod(1)[None]
    return np.asarray(overlap / np.maximum(area - overlap, 1e-6), np.float32)


def add_boxes(document: dict[str, Any], images: Path, detector: Path) -> int:
    """Add teacher boxes to `document` in place; returns how many. Boxes on known objects are left out."""
    session = import_onnxruntime().InferenceSession(str(detector), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    known: dict[int, list[list[float]]] = {}
    for row in document["annotations"]:
        x, y, w, h = row["bbox"]
        known.setdefault(row["image_id"], []).append([x, y, x + w, y + h])
    next_id = 1 + max((row["id"] for row in document["annotations"]), default=0)
    added = 0
    for entry in document["images"]:
        if entry.get("exhaustive", True):
            continue
        picture = cv2.imread(str(images / entry["file_name"]))
        if picture is None:
            continue
        scale = min(SIDE / picture.shape[0], SIDE / picture.shape[1])
        canvas = np.full((SIDE, SIDE, 3), 114, np.uint8)
        small = cv2.resize(picture, None, fx=scale, fy=scale)[:SIDE, :SIDE]
        canvas[: small.shape[0], : small.shape[1]] = small
        raw = np.asarray(session.run(None, {name: canvas.transpose(2, 0, 1)[None].astype(np.float32)})[0])
        mine = np.array(known.get(entry["id"], []), np.float32).reshape(-1, 4)
        for row in decode(raw[0], scale):
            if len(mine) and iou(row[None, :4], mine).max() > 0.45:
                continue
            document["annotations"].append(_annotation(row, next_id + added, entry, mine))
            added += 1
        entry["exhaustive"] = True
        entry["labelled_category_ids"] = sorted(PLACES.values())
    return added


def _annotation(row: NDArray[np.float32], identity: int, entry: dict[str, Any], mine: NDArray[np.float32]) -> dict[str, Any]:
    """One pseudo-label; a box mostly inside a known object is only worth ignoring."""
    x0, y0 = max(0.0, float(row[0])), max(0.0, float(row[1]))
    x1, y1 = min(float(entry["width"]), float(row[2])), min(float(entry["height"]), float(row[3]))
    score = float(row[4])
    if len(mine):
        low, high = np.maximum(row[None, :2], mine[:, :2]), np.minimum(row[None, 2:4], mine[:, 2:])
        inside = np.clip(high - low, 0, None).prod(1).max() / max(1e-6, float((row[2:4] - row[:2]).prod()))
        score = min(score, 0.49) if inside > 0.6 else score
    return {
        "id": identity,
        "image_id": entry["id"],
        "category_id": PLACES[int(row[5])],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "origin": "teacher",
        "score": score,
    }


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="annotation file, or FILE@FOLDER of the photos")
    parser.add_argument("--detector", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    file, _, folder = options.data.partition("@")
    document = json.loads(Path(file).read_text())
    added = add_boxes(document, Path(folder) if folder else Path(file).parent / "images", options.detector)
    options.out.write_text(json.dumps(document))
    print(f"{added} boxes added")


if __name__ == "__main__":
    main()
