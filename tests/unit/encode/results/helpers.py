"""Results whose masks, identities and depth are true, and a way to write them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Instances, Occlusion
from streamseg.encode import Sink, open_sink
from tests.noisy_detector import NoisyDetector, grid
from tests.scenes import CLASSES, Scene, Truth, crossing
from tests.unit.encode.helpers import INFO

NAMES = {name: label for label, name in enumerate(CLASSES)}


def true_result(truth: Truth, *, amodal: bool = False) -> Result:
    """What a perfect network and tracker would say; with `amodal`, masks that go on behind what hides them."""
    masks = truth.amodal if amodal else truth.visible
    keep = [i for i in range(len(truth.ids)) if masks[i].sum() >= 12]
    boxes = np.array([_box(masks[i]) for i in keep], np.float32).reshape(-1, 4)
    grids = np.array([grid(masks[i], box) for i, box in zip(keep, boxes, strict=True)], np.uint8).reshape(-1, 28, 28)
    found = Instances(boxes, np.full(len(keep), 0.9, np.float32), truth.labels[keep], grids, CLASSES, truth.ids[keep])
    order = np.argsort(np.argsort(truth.depths[keep], kind="stable"), kind="stable")
    n = len(keep)
    hidden = Occlusion(truth.visible_fraction[keep].astype(np.float32), np.zeros(n, np.int64), order, np.zeros(n, bool), boxes)
    return Result(truth.frame(), found, hidden)


def _box(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def results(count: int = 8, *, amodal: bool = False, scene: Scene | None = None, skip: int = 45) -> list[Result]:
    """Frames of the crossing scene while two pairs of people pass each other."""
    made = [true_result(truth, amodal=amodal) for truth in itertools.islice(scene or crossing(), skip, skip + count)]
    return [replace(result, frame=replace(result.frame, index=i)) for i, result in enumerate(made)]


def write(path: Path, made: Iterable[Result], **options: Any) -> Sink:
    """Write results to `path`; the closed sink."""
    sink = open_sink(path, replace(INFO, name="walk.mp4"), **options)
    sink.open()
    try:
        for result in made:
            sink(Rendered(result, result.frame.picture))
    except BaseException:
        sink.abort()  # as the runtime does
        raise
    sink.close()
    return sink


def without_ids(result: Result) -> Result:
    """The same, not tracked."""
    found = result.instances
    return replace(result, instances=replace(found, track_ids=np.zeros(len(found), np.int64)))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


__all__ = ["NAMES", "NoisyDetector", "iou", "results", "true_result", "without_ids", "write"]
