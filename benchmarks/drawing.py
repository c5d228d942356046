"""Drawing 20 instances (fill, contour, label) on a frame, on one core; and what supervision takes for the same.

python benchmarks/drawing.py
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import loop
import numpy as np
import supervision as sv

from streamseg.composite import Compositor, Overlay
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances


def scene(width: int, height: int, count: int = 20) -> Result:
    """Ellipses of sizes as in a street, over noise."""
    rng = np.random.default_rng(1)
    picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (height * 3 // 2, width), np.uint8), "yuv420p")
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    h = rng.uniform(0.1, 0.45, count) * height
    w = h * rng.uniform(0.4, 1.6, count)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    grid = (np.arange(28) + 0.5) / 28 * 2 - 1
    ellipse = np.clip(2 - 2 * (grid[None] ** 2 + grid[:, None] ** 2), 0, 1)
    names = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
    instances = Instances(
        np.stack([x, y, x + w, y + h], 1).astype(np.float32),
        np.sort(rng.uniform(0.5, 1, count))[::-1].astype(np.float32),
        rng.integers(0, len(names), count),
        np.repeat((255 * ellipse).astype(np.uint8)[None], count, 0),
        names,
        np.arange(1, count + 1),
    )
    return Result(Frame(picture, 0, 0, Fraction(1, 25)), instances)


def milliseconds(work: object, times: int = 60) -> float:
    """Median over `times` calls, after a warm-up; of this thread's time, which other work on the machine changes little."""
    assert callable(work)
    taken = []
    for _ in range(times + 5):
        began = time.thread_time()
        work()
        taken.append(time.thread_time() - began)
    return 1000 * float(np.median(taken[5:]))


def main() -> None:
    cv2.setNumThreads(1)
    print("median ms a frame on one core, 20 instances: fill, contour (theirs: box) and label")
    for width, height in ((1280, 720), (1920, 1080), (3840, 2160)):
        result = scene(width, height)
        compositor = Compositor([Overlay()])
        ours = milliseconds(lambda compositor=compositor, result=result: compositor(result))
        image, found = result.image("bgr24"), result.to_supervision()
        soft, boxes = result.instances.masks.astype(np.float32) / 255, result.instances.boxes
        annotators = sv.MaskAnnotator(), sv.BoxAnnotator(), sv.LabelAnnotator()

        def theirs(image: np.ndarray = image, found: sv.Detections = found, annotators: tuple = annotators) -> None:
            drawn = image.copy()
            for annotator in annotators:
                drawn = annotator.annotate(drawn, found)

        paste = milliseconds(lambda result=result: np.stack(result.masks), 10)
        peer = milliseconds(theirs, 10)
        said = f"supervision {peer:.2f} + {paste:.2f} to paste"
        if loop.CompactMask:
            small = replace(found, mask=loop.compact(soft, boxes, height, width))
            compact = milliseconds(lambda small=small, theirs=theirs: theirs(found=small), 10)
            encode = milliseconds(
                lambda soft=soft, boxes=boxes, size=(height, width): loop.compact(soft, boxes, *size),
                10,
            )
            said += f", with CompactMask {compact:.2f} + {encode:.2f}"
        print(f"{width}x{height}: streamseg {ours:.2f}, frame copied and masks pasted; {said}", flush=True)


if __name__ == "__main__":
    main()
