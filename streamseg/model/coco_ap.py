"""COCO average precision of an exported graph, boxes and masks (pycocotools), in percent.

Each photo is letterboxed as the pipeline does it, the graph runs in OpenVINO or ONNX Runtime, boxes and masks
return to photo pixels, and pycocotools scores them. `python -m streamseg.model.coco_ap MODEL --data JSON`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle_tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamseg.errors import ConfigError, ModelError, StreamsegError

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]
Runner = Callable[[NDArray[np.uint8]], Outputs]
VEHICLES = (2, 3, 4, 6, 8)
"""COCO ids that are also pooled into one figure: too few of each to tell apart."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A graph ready to run on uint8 [1, H, W, 3] RGB, and what its metadata says."""

    run: Runner
    height: int
    width: int
    category_ids: tuple[int, ...]


def load_graph(path: Path, engine: Literal["openvino", "onnxruntime"] = "openvino", threads: int = 0) -> Loaded:
    """Open an exported graph; raises ModelError when it is not one of ours."""
    import onnx

    try:
        proto = onnx.load(str(path), load_external_data=False)
        facts = {item.key: item.value for item in proto.metadata_props}
        ids = tuple(int(i) for i in json.loads(facts["streamseg.category_ids"]))
        dims = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is not a streamseg graph: {error}") from error
    run = _openvino(path, dims, threads) if engine == "openvino" else _onnxruntime(path, threads)
    return Loaded(run, dims[1], dims[2], ids)


def _openvino(path: Path, dims: list[int], threads: int) -> Runner:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(str(path))
    model.reshape({"images": [1, *dims[1:]]})
    # f32 as the pipeline's engine asks for; left alone, OpenVINO computes in bf16 where the CPU can.
    options = {"INFERENCE_PRECISION_HINT": "f32", **({"INFERENCE_NUM_THREADS": threads} if threads else {})}
    compiled = core.compile_model(model, "CPU", options)

    def run(images: NDArray[np.uint8]) -> Outputs:
        answer = compiled(images)
        boxes, scores, labels, masks = (np.array(answer[name]) for name in ("boxes", "scores", "labels", "masks"))
        return boxes, scores, labels, masks

    return run


def _onnxruntime(path: Path, threads: int) -> Runner:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(images: NDArray[np.uint8]) -> Outputs:
        boxes, scores, labels, masks = session.run(["boxes", "scores", "labels", "masks"], {"images": images})
        return boxes, scores, labels, masks

    return run


def letterbox(picture: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.uint8], float, int, int]:
    """The picture fitted into (height, width), centred on grey 114; its scale, left and top margin in pixels."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    h, w = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.full((height, width, 3), 114, np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    canvas[top : top + h, left : left + w] = cv2.resize(picture, (w, h), interpolation=mode)
    return canvas, scale, left, top


def paste(mask: NDArray[np.float32], box: Sequence[float], height: int, width: int) -> NDArray[np.uint8]:
    """The 28×28 mask at 0.5 in a picture: uint8 [height, width]; box xyxy in the same pixels."""
    full = np.zeros((height, width), np.uint8)
    x0, y0, x1, y1 = int(np.floor(box[0])), int(np.floor(box[1])), int(np.ceil(box[2])), int(np.ceil(box[3]))
    side = mask.shape[0]
    sx, sy = (box[2] - box[0]) / side, (box[3] - box[1]) / side
    if sx <= 0 or sy <= 0 or x1 <= x0 or y1 <= y0:
        return full
    move = np.array([[sx, 0, box[0] - x0 + sx / 2 - 0.5], [0, sy, box[1] - y0 + sy / 2 - 0.5]])
    crop = cv2.warpAffine(mask, move, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ys, xs = slice(max(0, y0), min(height, y1)), slice(max(0, x0), min(width, x1))
    full[ys, xs] = crop[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0] >= 0.5
    return full


def predictions(graph: Loaded, coco: COCO, images: Path) -> Iterator[dict[str, Any]]:
    """COCO result rows, with box and mask, of every photo of an annotation file."""
    for image_id in coco.getImgIds():
        entry = coco.loadImgs([image_id])[0]
        picture = cv2.imread(str(images / entry["file_name"]))
        if picture is None:
            raise ConfigError(f"cannot read the photo {entry['file_name']} in {images.name}/")
        canvas, scale, left, top = letterbox(np.asarray(picture[..., ::-1], np.uint8), graph.height, graph.width)
        boxes, scores, labels, masks = graph.run(canvas[None])
        height, width = picture.shape[:2]
        limit = np.array([width, height, width, height], np.float32)
        for box, score, label, mask in zip(boxes[0], scores[0], labels[0], masks[0], strict=True):
            if label < 0:
                continue
            x0, y0, x1, y1 = ((box - [left, top, left, top]) / scale).clip(0, limit)
            rle = rle_tools.encode(np.asfortranarray(paste(mask, (x0, y0, x1, y1), height, width)))
            yield {
                "image_id": image_id,
                "category_id": graph.category_ids[int(label)],
                "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
                "score": float(score),
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode("ascii")},
            }


def score_rows(coco: COCO, rows: list[dict[str, Any]], kind: Literal["bbox", "segm"]) -> dict[str, Any]:
    """AP in percent: overall, AP50, AP75, by size, per class, and the vehicles pooled as one class."""
    nothing = {"AP": 0.0, "AP50": 0.0}
    if not rows:
        return {**nothing, "per_class": {}, "vehicles": nothing}
    with contextlib.redirect_stdout(io.StringIO()):
        judged = COCOeval(coco, coco.loadRes([dict(row) for row in rows]), kind)  # loadRes writes into its rows
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    names = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
    result: dict[str, Any] = {n: _percent(v) for n, v in zip(names, judged.stats[:6], strict=True)}
    precision = judged.eval["precision"][:, :, :, 0, -1]  # IoU, recall, class; all sizes, most detections
    result["per_class"] = {
        category["name"]: {"AP": _mean(precision[:, :, k]), "AP50": _mean(precision[0, :, k])}
        for k, category in enumerate(coco.loadCats(judged.params.catIds))
    }
    result["vehicles"] = _pooled(coco, rows, kind)
    return result


def _pooled(coco: COCO, rows: list[dict[str, Any]], kind: str) -> dict[str, float]:
    """AP of all vehicles taken as one class."""
    merged = COCO()
    wanted = [dict(a, category_id=1) for a in coco.dataset["annotations"] if a["category_id"] in VEHICLES]
    merged.dataset = {**coco.dataset, "annotations": wanted, "categories": [{"id": 1, "name": "vehicle"}]}
    mine = [dict(row, category_id=1) for row in rows if row["category_id"] in VEHICLES]
    if not mine or not wanted:
        return {"AP": 0.0, "AP50": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        merged.createIndex()
        judged = COCOeval(merged, merged.loadRes(mine), kind)
        judged.evaluate()
        judged.accumulate()
    precision = judged.eval["precision"][:, :, :, 0, -1]
    return {"AP": _mean(precision), "AP50": _mean(precision[0])}


def _percent(value: float) -> float:
    return round(100 * float(value), 2) if value >= 0 else float("nan")


def _mean(values: NDArray[np.float64]) -> float:
    """Mean over recalls where the class occurs; NaN for a class without objects."""
    known = values[values > -1]
    return _percent(float(known.mean())) if known.size else float("nan")


def evaluate(
    model: Path,
    annotations: Path,
    images: Path | None = None,
    engine: Literal["openvino", "onnxruntime"] = "openvino",
    threads: int = 0,
) -> dict[str, Any]:
    """{"box": {...}, "mask": {...}} as `score_rows` gives them, for a graph on a COCO-format folder."""
    graph = load_graph(model, engine, threads)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(annotations))
    rows = list(predictions(graph, coco, images or annotations.parent / "images"))
    return {
        "box": score_rows(coco, [{k: v for k, v in row.items() if k != "segmentation"} for row in rows], "bbox"),
        "mask": score_rows(coco, [{k: v for k, v in row.items() if k != "bbox"} for row in rows], "segm"),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description="COCO AP of an exported graph.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True, metavar="JSON[@IMAGES]")
    parser.add_argument("--engine", choices=("openvino", "onnxruntime"), default="openvino")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(argv)
    file, _, folder = options.data.partition("@")
    result = evaluate(options.model, Path(file), Path(folder) if folder else None, options.engine, options.threads)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    try:
        main()
    except StreamsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
