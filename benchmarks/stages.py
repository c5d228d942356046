"""What the stages between network and drawing cost a 720p frame, by number of instances and by the size of the network's masks.

    python benchmarks/stages.py [--size 1280x720] [--rounds 5] [--threads N]

Time on a core, of all threads together: other work on the machine changes it little. A camera that pans over a photo, in which
patches of it move on their own; their boxes and masks tremble as a network's do. `detect/infer` is not run: its answers are made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from streamseg.core.types import Frame
from streamseg.detect.heads.mask_rcnn import declared
from streamseg.detect.infer import Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.engine.outputs import Outputs
from streamseg.hub.graph_spec import GraphSpec
from streamseg.occlusion import OcclusionEstimator
from streamseg.pixels.letterbox import Fitter, Letterbox
from streamseg.temporal.flow import FlowCache
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from streamseg.track import Tracker

PHOTO = Path(__file__).resolve().parent.parent / "docs" / "pedestrians.jpg"
CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "cat", "dog")
INPUT = (320, 576)
ROWS = 30
"""Rows of the network's answer, of which `instances` are sure enough."""
NAMES = ("postprocess", "track", "smooth", "refine", "occlusion")


class Street:
    """The scene: the same for every number of instances, of which the first ones are there."""

    def __init__(self, width: int, height: int, instances: int, side: int) -> None:
        self._width, self._height, self._side = width, height, side
        self._rng = np.random.default_rng(1)
        photo = cv2.imread(str(PHOTO))
        scale = 1.25 * max(width / photo.shape[1], height / photo.shape[0])
        self._photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        rng = np.random.default_rng(2)
        tall = rng.uniform(0.15, 0.45, ROWS) * height
        self._size = np.stack([tall * rng.uniform(0.4, 1.2, ROWS), tall], 1)[:instances]
        self._start = rng.uniform(0, 1, (ROWS, 2))[:instances]
        self._speed = rng.uniform(0.02, 0.08, (ROWS, 2))[:instances]
        self._labels = rng.integers(0, len(CLASSES), ROWS)[:instances]
        grid = (np.arange(side) + 0.5) / side * 2 - 1
        self._radius = np.hypot(grid[None], grid[:, None])
        self._patches = [self._ellipse(i) for i in range(instances)]

    def _ellipse(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        w, h = np.rint(self._size[i]).astype(int)
        y, x = self._rng.integers(0, self._photo.shape[0] - h), self._rng.integers(0, self._photo.shape[1] - w)
        gx, gy = (np.arange(w) + 0.5) / w * 2 - 1, (np.arange(h) + 0.5) / h * 2 - 1
        return self._photo[y : y + h, x : x + w].copy(), np.hypot(gx[None], gy[:, None]) < 1

    def pending(self, number: int) -> Pending:
        """A frame and the network's answer."""
        width, height = self._width, self._height
        room = np.array([self._photo.shape[1] - width, self._photo.shape[0] - height])
        at = np.rint(room * (0.5 + 0.5 * np.sin([number / 20, number / 31]))).astype(int)
        image = self._photo[at[1] : at[1] + height, at[0] : at[0] + width].copy()
        places = (self._start + 0.3 * np.sin(self._speed * number)) % 1 * (np.array([width, height]) - self._size)
        for (x, y), (patch, inside) in zip(np.rint(places).astype(int), self._patches, strict=True):
            h, w = inside.shape
            image[y : y + h, x : x + w][inside] = patch[inside]
        picture = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="yuv420p", dst_colorspace="ITU709", threads=1)
        picture.pts, picture.time_base = number, Fraction(1, 25)
        boxes = np.concatenate([places, places + self._size], 1) + self._rng.normal(0, 0.015, (len(places), 4)) * height * 0.2
        letterbox = Fitter(*INPUT).fit(width, height).letterbox
        answer: Future[Outputs] = Future()
        answer.set_result(self._answer(boxes, letterbox))
        return Pending(Frame(picture, number, number, Fraction(1, 25)), letterbox, answer, 0)

    def _answer(self, boxes: np.ndarray, letterbox: Letterbox) -> Outputs:
        n, side = len(boxes), self._side
        edge = cv2.resize(self._rng.normal(0, 0.06, (5, 5)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        masks = np.zeros((1, ROWS, side, side), np.float32)
        masks[0, :n] = 1 / (1 + np.exp(12 * (self._radius - 1 + edge)))
        scores, labels = np.zeros((1, ROWS), np.float32), np.full((1, ROWS), -1, np.int32)
        scores[0, :n], labels[0, :n] = np.linspace(0.95, 0.6, n), self._labels
        rows = np.zeros((1, ROWS, 4), np.float32)
        rows[0, :n] = to_input(boxes, letterbox)
        return Outputs({"boxes": rows, "scores": scores, "labels": labels, "masks": masks})


def to_input(boxes: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    """Boxes in frame pixels as boxes in pixels of the model's input: the inverse of `Letterbox.to_frame`."""
    scale, shift = (letterbox.scale_x, letterbox.scale_y), (letterbox.left, letterbox.top)
    return boxes * np.tile(scale, 2) + np.tile(shift, 2)


def stages(side: int) -> list[Callable[[Any], Any]]:
    """Those of `drive`, new."""
    spec = GraphSpec("bench", *INPUT, 1, declared(ROWS, side), CLASSES, tuple(range(8)), "fp32", 0.05, Path("bench"), "0" * 64)
    flows = FlowCache()
    return [Postprocess(spec, 0.25), Tracker(), Smooth(Smoother(0.08, flows), flows), Refiner(), OcclusionEstimator(3.0)]


def costs(scene: Sequence[Pending], side: int, rounds: int) -> np.ndarray:
    """[stages] core ms a frame: for each the least over the rounds of the mean over the scene's frames."""
    taken = []
    for _ in range(rounds):
        spent = np.zeros(len(NAMES))
        line = stages(side)
        for pending in scene:
            item: Any = pending
            for k, stage in enumerate(line):
                began = time.process_time()
                item = stage(item)
                spent[k] += time.process_time() - began
        taken.append(1000 * spent / len(scene))
    return np.min(taken, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of OpenCV; as it is otherwise")
    parser.add_argument("--instances", type=int, nargs="*", default=[0, 1, 10, 30])
    parser.add_argument("--sides", type=int, nargs="*", default=[28, 112])
    given = parser.parse_args()
    if given.threads:
        cv2.setNumThreads(given.threads)
    width, height = map(int, given.size.split("x"))
    print(f"{width}x{height}, core ms a frame, {cv2.getNumThreads()} threads of OpenCV")
    print("| instances | mask | " + " | ".join(NAMES) + " | together |")
    print("|---" * (len(NAMES) + 3) + "|")
    for side in given.sides:
        for instances in given.instances:
            street = Street(width, height, instances, side)
            found = costs([street.pending(n) for n in range(given.frames)], side, given.rounds)
            cells = " | ".join(f"{value:.2f}" for value in [*found, found.sum()])
            print(f"| {instances} | {side} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
