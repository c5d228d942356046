"""Detectors of boxes alone through streamseg, against what their own packages said of the same pictures (`detectors_make.py`).

    python -m benchmarks.families.detectors FOLDER PHOTO...

Prints a line a network: detections of the package, how many of them streamseg has too (same label, IoU above 0.9), the largest
distance of a corner (pixels) and of a score, and how many streamseg has besides.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.families.pictures import read, stretched
from streamseg.core.types import Frame, Instances
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import open_engine
from streamseg.track.overlap import box_iou

CONF = 0.25
MARGIN = 0.001
"""A score within so much of `CONF` may be on either side."""


def frame_of(path: Path, height: int, width: int) -> Frame:
    return Frame(av.VideoFrame.from_ndarray(stretched(read(path), height, width), "rgb24"), 0, 0, Fraction(1, 25))


def compare(found: Instances, truth: dict[str, np.ndarray]) -> tuple[int, int, float, float, int]:
    """Theirs, those of them that are matched, the largest error of a corner and of a score, and ours besides."""
    height, width = truth["size"]
    boxes = np.clip(truth["boxes"].astype(np.float32), 0, [width, height, width, height])
    seen = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)
    seen &= (truth["scores"] >= CONF + MARGIN) & (truth["labels"] >= truth["offset"])  # RetinaNet may say "background"
    boxes, scores, labels = boxes[seen], truth["scores"][seen], truth["labels"][seen] - truth["offset"]
    overlap = box_iou(boxes.astype(np.float32), found.boxes) * (labels[:, None] == found.labels)
    matched, off, apart, taken = 0, 0.0, 0.0, set[int]()
    for i in np.argsort(-scores):
        order = [
            j for j in np.argsort(-overlap[i] + np.abs(found.scores - scores[i])) if j not in taken and overlap[i, j] > 0.9
        ]
        if order:
            matched += 1
            taken.add(order[0])
            off = max(off, float(np.abs(boxes[i] - found.boxes[order[0]]).max()))
            apart = max(apart, abs(float(scores[i] - found.scores[order[0]])))
    besides = sum(float(score) >= CONF + MARGIN for j, score in enumerate(found.scores) if j not in taken)
    return len(boxes), matched, off, apart, besides


def main() -> None:
    folder, photos = Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]]
    print("network          theirs  matched  corner px  score   ours besides")
    for path in sorted(folder.glob("*.npz")):
        truth = dict(np.load(path))
        height, width = truth["size"].tolist()
        with open_engine(path.with_suffix(".onnx"), engine="onnxruntime", size=(height, width), threads=1) as engine:
            spec = engine.spec
            preprocess, infer = Preprocess(*spec.size, spec.fit, spec.padding), Infer(engine)
            postprocess, rows = Postprocess(spec, conf=CONF), []
            for photo in photos:
                found = postprocess(infer.take(preprocess(frame_of(photo, height, width)))).instances
                own = {key: truth[f"{photo.stem}/{key}"] for key in ("boxes", "scores", "labels")}
                rows.append(compare(found, own | {"size": truth["size"], "offset": truth.get("offset", np.array(0))}))
        theirs, matched, off, apart, more = zip(*rows, strict=True)
        print(
            f"{path.stem:16s} {sum(theirs):6d}  {sum(matched):7d}  {max(off):9.3f}  {max(apart):.5f}  {sum(more):5d}",
            flush=True,
        )


if __name__ == "__main__":
    main()
