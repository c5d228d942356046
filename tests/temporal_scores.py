"""Measures of masks through time, against scenes whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from streamseg.core.result import Result
from streamseg.evaluate.boundary import boundary_f
from tests.noisy_detector import NoisyDetector
from tests.scenes import Scene, Truth


def steady_detector(seed: int = 0, jitter: float = 0.02, outline: float = 0.12) -> NoisyDetector:
    """Finds every object in every frame, with boxes and outlines that tremble."""
    return NoisyDetector(
        seed=seed, jitter=jitter, outline=outline, miss=0, least_visible=0, noise=0, flicker=0, false=0, copies=0, merge=0
    )


def identified(result: Result, truth: Truth) -> Result:
    """The result with each instance's true id as its track id: what a tracker that never errs would say."""
    found = result.instances
    ids = np.zeros(len(found), np.int64)
    for i, mask in enumerate(result.masks):
        overlaps = [iou(mask, other) for other in truth.visible]
        ids[i] = truth.ids[int(np.argmax(overlaps))] if max(overlaps, default=0) > 0.2 else 0
    return replace(result, instances=replace(found, track_ids=ids))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else 1.0


def carried(mask: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`mask` [H, W] of an earlier frame, looked up along the flow [H, W, 2] from the later frame back to it."""
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]].astype(np.float32)
    return cv2.remap(mask.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR) > 0.5


def masks_by_id(result: Result) -> dict[int, np.ndarray]:
    return {int(i): mask for i, mask in zip(result.track_ids, result.masks, strict=True) if i}


class Score:
    """Collects frames, then gives the means: `iou` and `f` (boundary, 1.5 pixels) with the truth, `flicker`.

    Flicker is 1 - IoU of a mask and the same track's mask of the frame before, carried along the true flow.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._before: dict[int, np.ndarray] = {}
        self._values: dict[str, list[float]] = {"iou": [], "f": [], "flicker": []}

    def add(self, truth: Truth, result: Result) -> None:
        masks = masks_by_id(result)
        for i, track in enumerate(truth.ids.tolist()):
            if track in masks:
                self._values["iou"].append(iou(masks[track], truth.visible[i]))
                self._values["f"].append(boundary_f(masks[track], truth.visible[i], 1.5)[0])
        both = masks.keys() & self._before.keys()
        if both:
            flow = self._scene.flow(truth.index, truth.index - 1)
            self._values["flicker"] += [1 - iou(carried(self._before[k], flow), masks[k]) for k in both]
        self._before = masks

    def __getattr__(self, name: str) -> float:
        return float(np.mean(self._values[name]))
