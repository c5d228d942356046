"""How long the picture of a drive takes on one core: each effect of the shipped pipeline, on a frame of 720p with 15 road users.

python benchmarks/driving_picture.py        (with this folder's parent on PYTHONPATH)

Times are this process's, a frame, medians; beside each the share of what `overlay` takes as it is without a scene, in the same run:
other work on the machine changes that little.
"""

from __future__ import annotations

import time
from dataclasses import replace

import cv2
import numpy as np

from streamseg.composite import Compositor, Effect, Overlay
from streamseg.config import load_pipeline
from streamseg.core.result import Result
from tests.unit.composite.driving import frames

WIDTH, HEIGHT = 1280, 720
COUNT = 100


def film(fmt: str) -> list[Result]:
    """Fifteen road users of all classes, of which two have an alert; all move, and one is hidden."""
    rng = np.random.default_rng(5)
    places = [(2, 14.0, 0.3), (0, 16.0, 1.0)]
    places += [(i % 6, float(rng.uniform(12, 60)), float(rng.uniform(3, 9)) * (-1) ** i) for i in range(13)]
    shown = []
    for i, result in enumerate(frames(fmt, WIDTH, HEIGHT, places, COUNT)):
        # Not nearer and nearer: a frame costs the same throughout.
        first = shown[0] if shown else result
        sway = np.float32(30 * np.sin(i / 12)) * np.array([1, 0, 1, 0], np.float32)
        boxes = np.clip(first.instances.boxes + (sway if i else 0), 3, [WIDTH - 3, HEIGHT - 3] * 2).astype(np.float32)
        shown.append(replace(result, instances=replace(first.instances, boxes=boxes), scene=first.scene))
    return shown


def milliseconds(effects: Effect | list[Effect], shown: list[Result]) -> float:
    """Median of the processor's time for a frame."""
    compositor, taken = Compositor(effects), []
    for result in shown:
        began = time.process_time()
        compositor(result)
        taken.append(time.process_time() - began)
    return 1000 * float(np.median(taken[COUNT // 3 :]))


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    steps = [step.effect for step in load_pipeline("drive").outputs["picture"].composite]
    for fmt in ("yuv420p", "yuv420p10le"):
        shown = film(fmt)
        print(f"{fmt}: overlay without a scene, and each effect: milliseconds, share of the first")
        plain = milliseconds(Overlay(), shown)
        print(f"  {'plain overlay':14} {plain:5.2f}")
        for name, effects in [*((effect.name, [effect]) for effect in steps), ("all", steps)]:
            took = milliseconds(effects, shown)
            print(f"  {name:14} {took:5.2f}  {took / plain:.2f}")


if __name__ == "__main__":
    main()
