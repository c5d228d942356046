"""What our pipeline finds with somebody else's ONNX file, held against what the package that wrote it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamseg.core import masks as mask_ops
from streamseg.core.types import Frame
from streamseg.detect.infer import Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.engine import open_engine
from streamseg.pixels.letterbox import Fitter, Letterbox

CONF = 0.3


@dataclass
class Found:
    """What is in one photo, in its pixels."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    masks: npt.NDArray[np.bool_]
    """[N, H, W]"""


@dataclass
class Report:
    """How far apart two finders are."""

    expected: int = 0
    matched: int = 0
    extra: int = 0
    box: float = 0.0
    """Largest difference of a corner, pixels of the photo."""
    score: float = 0.0
    ious: list[tuple[float, int]] = field(default_factory=list)
    """(IoU, pixels of the expected mask)"""

    def __str__(self) -> str:
        ious = np.array([iou for iou, _ in self.ious] or [0.0])
        low = sorted(self.ious)[:3]
        return (
            f"{self.matched} of {self.expected} matched, {self.extra} more; box <= {self.box:.3f} px, score <= {self.score:.1e}, "
            f"mask IoU mean {ious.mean():.4f}, least {[(round(iou, 4), n) for iou, n in low]}, under 0.98: {(ious < 0.98).sum()}"
        )


class Ours:
    """Our pipeline from a frame to instances, one photo at a time."""

    def __init__(self, engine: Any, conf: float = CONF) -> None:
        self._engine, spec = engine, engine.spec
        self._fitter = Fitter(spec.height, spec.width, spec.fit, spec.padding)
        self._postprocess = Postprocess(spec, conf)

    def picture(self, photo: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Letterbox]:
        """uint8 [H, W, 3] RGB, as the network gets it."""
        return self._fitter(av.VideoFrame.from_ndarray(photo, "rgb24"))

    def __call__(self, photo: npt.NDArray[np.uint8]) -> Found:
        picture, letterbox = self.picture(photo)
        frame = Frame(av.VideoFrame.from_ndarray(photo, "rgb24"), 0, 0, Fraction(1, 25))
        batch = self._engine.submit(picture[None])
        found = self._postprocess(Pending(frame, letterbox, batch, 0)).instances
        height, width = photo.shape[:2]
        masks = [mask_ops.full(mask, box, width, height) for mask, box in zip(found.mask_or_box, found.boxes, strict=True)]
        return Found(found.boxes, found.scores, found.labels, np.array(masks, bool).reshape(-1, height, width))


@contextmanager
def opened(model: Path, engine: str, **options: Any) -> Iterator[Ours]:
    """Our pipeline with that model."""
    with open_engine(model, engine=engine, **options) as runs:
        yield Ours(runs)


def add(report: Report, expected: Found, found: Found) -> None:
    """Match by label and nearest box; masks within the expected box alone, since ours end there."""
    left = list(range(len(found.scores)))
    height, width = expected.masks.shape[1:]
    for i, (box, score, label) in enumerate(zip(expected.boxes, expected.scores, expected.labels, strict=True)):
        clipped = np.clip(box, 0, (width, height) * 2)
        if (clipped[2:] - clipped[:2]).min() < 1:
            continue  # nothing of it is in the picture
        report.expected += 1
        far = {j: float(np.abs(found.boxes[j] - clipped).max()) for j in left if found.labels[j] == label}
        best = min(far, key=lambda j: far[j] + 100 * abs(float(found.scores[j] - score)), default=None)
        if best is None or far[best] > 2:
            continue
        left.remove(best)
        report.matched += 1
        report.box = max(report.box, far[best])
        report.score = max(report.score, abs(float(found.scores[best] - score)))
        x0, y0, x1, y1 = np.ceil(clipped - 0.5).astype(int)  # the pixels whose centres are in the box
        theirs, ours = expected.masks[i, y0:y1, x0:x1], found.masks[best, y0:y1, x0:x1]
        union = int((theirs | ours).sum())
        if union:
            report.ious.append((float((theirs & ours).sum() / union), int(theirs.sum())))
    report.extra += len(left)


def compare(
    model: Path, engine: str, photos: Sequence[npt.NDArray[np.uint8]], expected: Sequence[Found], **options: Any
) -> Report:
    """Our answers to the photos against those that are expected."""
    report = Report()
    with opened(model, engine, **options) as ours:
        for photo, each in zip(photos, expected, strict=True):
            add(report, each, ours(photo))
    return report
