"""Ultralytics' YOLO with masks through streamseg, against the answers of Ultralytics' own packages that `yolo_make.py` wrote.

    python -m benchmarks.families.yolo FOLDER PHOTOS [VARIANT...] [--engine openvino]

`square`: both get the same letterboxed input, so that only the reading of the answers differs. `photo`: each resizes the photo in
its own way. A detection is matched to the nearest of its class: box within 0.5 px, score within 0.001; IoU of the masks.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.families.pictures import letterboxed, read_bgr
from streamseg.core.types import Frame, Instances
from streamseg.detect.infer import Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import Outputs, open_engine
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec


def saved(answers: dict[str, np.ndarray], key: str) -> tuple[np.ndarray, ...] | None:
    if f"{key}/boxes" not in answers:
        return None
    shape = answers[f"{key}/shape"]
    masks = np.unpackbits(answers[f"{key}/masks"], axis=-1, count=shape[-1]).astype(bool) if shape[0] else np.zeros(shape, bool)
    return answers[f"{key}/boxes"], answers[f"{key}/scores"], answers[f"{key}/labels"], masks


def matched(ours: Instances, masks: list[np.ndarray], theirs: tuple[np.ndarray, ...]) -> list[tuple[float, ...]]:
    """For each of theirs: how far the nearest of ours is (box, score), IoU of the masks, without the box's edge, pixels."""
    rows, free = [], np.ones(len(ours), bool)
    for box, score, label, mask in zip(*theirs, strict=True):
        near = np.abs(ours.boxes - box).max(1) + 100 * np.abs(ours.scores - score) if len(ours) else np.zeros(0)
        near[(ours.labels != label) | ~free | (np.abs(ours.boxes - box).max(1) > 0.5)] = np.inf
        best = int(near.argmin()) if len(near) else -1
        if best < 0 or not np.isfinite(near[best]):
            rows.append((np.inf, np.inf, 0.0, 0.0, float(mask.sum())))
            continue
        free[best] = False
        far = float(np.abs(ours.boxes[best] - box).max())
        within = inner(box, mask.shape)
        both = [iou(masks[best], mask), iou(masks[best] & within, mask & within)]
        rows.append((far, float(abs(ours.scores[best] - score)), *both, float(mask.sum())))
    return rows


def iou(one: np.ndarray, other: np.ndarray) -> float:
    either = (one | other).sum()
    return float((one & other).sum() / either) if either else 1.0


def inner(box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """All but the pixels that the box's edge goes through, or touches: each package cuts masks off there in its own way."""
    x0, y0, x1, y1 = box
    within = np.zeros(shape, bool)
    within[int(np.ceil(y0 + 0.5)) : int(np.floor(y1 - 0.5)), int(np.ceil(x0 + 0.5)) : int(np.floor(x1 - 0.5))] = True
    return within


def instances_of(post: Postprocess, prepare: Preprocess, engine, picture: np.ndarray, batch: int) -> tuple[Instances, list]:
    prepared = prepare(Frame(av.VideoFrame.from_ndarray(picture, "bgr24"), 0, 0, Fraction(1, 25)))
    images = np.repeat(prepared.image[None], batch, axis=0)
    future: Future[Outputs] = Future()
    future.set_result(engine.submit(images).result())
    result = post(Pending(prepared.frame, prepared.letterbox, future, batch - 1))
    return result.instances, list(result.masks)


def report(name: str, kind: str, rows: list[tuple[float, ...]], extra: int) -> None:
    table = np.array(rows).reshape(-1, 5)
    near = (table[:, 0] <= 0.5) & (table[:, 1] <= 1e-3)
    drawn = table[near & (table[:, 4] >= 64)]
    pixels = max(1.0, drawn[:, 4].sum())
    words = [f"{name:16} {kind:6} {near.sum():4}/{len(table):4} matched, {extra:2} more here"]
    words.append(f"box {table[near, 0].max(initial=0):.3f} px, score {table[near, 1].max(initial=0):.1e}")
    for what, column in (("IoU", 2), ("inside", 3)):
        of = drawn[:, column]
        words.append(
            f"{what} {(of * drawn[:, 4]).sum() / pixels:.4f} median {np.median(of):.4f} {(of < 0.98).sum()}/{len(of)} < 0.98"
        )
    print("; ".join(words), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("variants", nargs="*")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--side", type=int)
    given = parser.parse_args()
    os.environ.setdefault("STREAMSEG_CACHE", str(given.folder / "cache"))
    for path in sorted(given.folder.glob("*.npz")):
        if given.variants and path.stem not in given.variants:
            continue
        answers = dict(np.load(path))
        spec = read_spec(adapted(understand(path.with_suffix(".onnx"))))
        if given.side:
            spec.options["mask_side"] = given.side  # type: ignore[index]
        engine = open_engine(spec.path, engine=given.engine)
        post, prepare = Postprocess(spec, 0.25), Preprocess(*spec.size, spec.fit, spec.padding)
        for kind in ("square", "photo"):
            rows, extra = [], 0
            for photo in sorted({key.split("/")[1] for key in answers}):
                theirs = saved(answers, f"{kind}/{photo}")
                if theirs is None:
                    continue
                picture = read_bgr(given.photos / f"{photo}.jpg")
                if kind == "square":
                    picture = letterboxed(picture, *spec.size)
                found, masks = instances_of(post, prepare, engine, picture, spec.batch or 1)
                rows += matched(found, masks, theirs)
                extra += max(0, len(found) - len(theirs[0]))
            report(path.stem, kind, rows, extra)
        engine.close()


if __name__ == "__main__":
    main()
