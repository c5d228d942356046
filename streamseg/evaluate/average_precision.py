"""COCO average precision of boxes and masks, computed by pycocotools.

Lin et al. 2014, "Microsoft COCO", arXiv 1405.0312, https://cocodataset.org/#detection-eval: the mean over IoU 0.50:0.05:0.95 and
101 recalls of the precision, at most 100 detections a photo and class. AR is the mean over these IoU of the share of objects that
the best 10 or 100 detections find. Small is below 32² pixels, large above 96². In percent; None where there is no object.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamseg.datasets.segments import Case
from streamseg.errors import ConfigError
from streamseg.evaluate.dataset import read_json

__all__ = ["Kind", "average_precision", "coco_ap", "coco_documents"]

Kind = Literal["box", "mask"]
Row = dict[str, Any]
Pools = Mapping[str, Sequence[str]]


def coco_ap(
    ground_truth: str | os.PathLike[str], detections: str | os.PathLike[str], pools: Pools | None = None
) -> dict[str, dict[str, Any]]:
    """{"box": {...}, "mask": {...}} of two files in COCO's format, whoever wrote them, as `average_precision` gives them.

    "mask" is there if the detections have masks, "box" if they have boxes or masks (then the boxes around them). Every category of
    the ground truth counts. Raises SourceNotFound or ConfigError.
    """
    truth, rows = read_json(Path(ground_truth)), read_json(Path(detections))
    if not isinstance(truth, dict) or not {"images", "annotations", "categories"} <= truth.keys():
        raise ConfigError(f"{ground_truth}: not a COCO annotation file: it needs images, annotations and categories")
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {"image_id", "category_id", "score"} <= row.keys() for row in rows
    ):
        raise ConfigError(f"{detections}: not a COCO results file: a list of objects with image_id, category_id and score")
    kinds: list[Kind] = ["box"]
    if all("segmentation" in row for row in rows):
        kinds.append("mask")
    elif not all("bbox" in row for row in rows):
        raise ConfigError(f"{detections}: every result needs a bbox, or every one a segmentation")
    return {kind: average_precision(truth, rows, kind, pools) for kind in kinds}


def average_precision(truth: Mapping[str, Any], rows: Sequence[Row], kind: Kind, pools: Pools | None = None) -> dict[str, Any]:
    """AP, AP50, AP75, APs, APm, APl, AR10, AR100 in percent, per_class {name: {AP, AP50}}, and pools {name: {AP, AP50}}.

    `truth` is a COCO annotation document, `rows` a COCO results list; neither is changed. `pools` names groups of classes that
    are also taken as one class each. Raises ConfigError for a pool of unknown classes.
    """
    names = {int(c["id"]): str(c["name"]) for c in truth["categories"]}
    precision, recall, category_ids = _judged(truth, rows, kind)
    result: dict[str, Any] = {
        "AP": _mean(precision[..., 0]),
        "AP50": _mean(precision[0, ..., 0]),
        "AP75": _mean(precision[5, ..., 0]),
        "APs": _mean(precision[..., 1]),
        "APm": _mean(precision[..., 2]),
        "APl": _mean(precision[..., 3]),
        "AR10": _mean(recall[..., 1]),
        "AR100": _mean(recall[..., 2]),
        "per_class": {names[c]: _short(precision[:, :, k]) for k, c in enumerate(category_ids)},
    }
    if pools:
        result["pools"] = {name: _pooled(truth, rows, kind, name, members, names) for name, members in pools.items()}
    return result


def _short(precision: NDArray[np.float64]) -> dict[str, float | None]:
    return {"AP": _mean(precision[..., 0]), "AP50": _mean(precision[0, ..., 0])}


def _mean(precision: NDArray[np.float64]) -> float | None:
    """In percent; pycocotools marks with -1 what has no ground truth."""
    known = precision[precision > -1]
    return float(100 * known.mean()) if known.size else None


def _pooled(
    truth: Mapping[str, Any], rows: Sequence[Row], kind: Kind, name: str, members: Sequence[str], names: Mapping[int, str]
) -> dict[str, float | None]:
    unknown = [member for member in members if member not in names.values()]
    if unknown or not members:
        raise ConfigError(f"pool {name!r}: unknown class {', '.join(map(repr, unknown))}; known: {', '.join(names.values())}")
    wanted = {identity for identity, known in names.items() if known in members}
    merged = {
        **truth,
        "annotations": [{**a, "category_id": 1} for a in truth["annotations"] if a["category_id"] in wanted],
        "categories": [{"id": 1, "name": name}],
    }
    precision, _, _ = _judged(merged, [{**row, "category_id": 1} for row in rows if row["category_id"] in wanted], kind)
    return _short(precision)


def _judged(
    truth: Mapping[str, Any], rows: Sequence[Row], kind: Kind
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """Precision [10 IoUs, 101 recalls, classes, 4 sizes] of at most 100 detections, recall [10 IoUs, classes, 3] of objects of any
    size by at most 1, 10 and 100, each -1 where there is no object; and the category ids in the order of the classes.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        # Numbered anew from 1: pycocotools takes an object of id 0 for none.
        wanted = _index(truth, [{**a, "id": i} for i, a in enumerate(truth["annotations"], 1)])
        found = _index(truth, [_detection(row, i, kind) for i, row in enumerate(rows, 1)])
        judged = COCOeval(wanted, found, "bbox" if kind == "box" else "segm")
        judged.evaluate()
        judged.accumulate()
    precision: NDArray[np.float64] = judged.eval["precision"][..., -1]
    recall: NDArray[np.float64] = judged.eval["recall"][:, :, 0]
    return precision, recall, list(judged.params.catIds)


def _index(truth: Mapping[str, Any], annotations: list[Row]) -> COCO:
    document = COCO()
    document.dataset = {"images": truth["images"], "categories": truth["categories"], "annotations": annotations}
    document.createIndex()
    return document


def _detection(row: Row, identity: int, kind: Kind) -> Row:
    """A result as COCO.loadRes makes it: of the kind that is scored only, with its area, by which sizes are told apart."""
    common = {k: row[k] for k in ("image_id", "category_id", "score")} | {"id": identity, "iscrowd": 0}
    if kind == "mask":
        return common | {"segmentation": row["segmentation"], "area": float(rle_tools.area(row["segmentation"]))}
    box = row["bbox"] if "bbox" in row else [float(v) for v in rle_tools.toBbox(row["segmentation"])]
    return common | {"bbox": box, "area": box[2] * box[3]}


def coco_documents(cases: Iterable[Case], categories: Mapping[int, str], kind: Kind) -> tuple[dict[str, Any], list[Row]]:
    """The annotation document and results list of these cases. For masks, objects with no known mask become crowds."""
    images, annotations, rows = [], [], []
    for case in cases:
        photo = case.photo
        images.append({"id": photo.image_id, "file_name": photo.path.name, "width": photo.width, "height": photo.height})
        for truth in photo.truths:
            crowd = truth.ignored if kind == "mask" else truth.crowd
            row = {"image_id": photo.image_id, "category_id": truth.category_id, "area": truth.area, "iscrowd": int(crowd)}
            annotations.append(row | {"bbox": list(truth.box), "segmentation": truth.rle})
        for d in case.detections:
            row = {"image_id": photo.image_id, "category_id": d.category_id, "score": d.score}
            rows.append(row | {"bbox": list(d.box), "segmentation": d.rle})
    named = [{"id": identity, "name": name} for identity, name in categories.items()]
    return {"images": images, "annotations": annotations, "categories": named}, rows
