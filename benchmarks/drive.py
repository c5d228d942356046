"""What driving scenes cost: the scene stage and its parts, and drawing what they say, by number of road users.

    python benchmarks/drive.py [--size 1280x720] [--users 1,5,15] [--frames 75]

Milliseconds of this thread, so that other work on the machine changes little; OpenCV has one thread. The street is that of
`tests/world`, rendered; what a network would find in it is made with noise, and the tracker runs before. A fixed piece of work in
numpy and OpenCV, the yardstick, is measured in turns with the rest: figures of two machines, or of a busy hour, are compared by
their ratio to it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from streamseg.composite import Compositor, Overlay
from streamseg.composite.drive import DriveEffect
from streamseg.composite.effect import builtin
from streamseg.core.result import Result
from streamseg.events import EventDetector
from streamseg.occlusion import OcclusionEstimator
from streamseg.scene import SceneStage
from streamseg.track import Tracker

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.world import Actor, Detector, World, car, walker
from tests.world.motion import drive, still, sway
from tests.world.render import Renderer
from tests.world.scenarios import small, with_scenery

PARTS = ("_turning", "_growth", "_ground", "_road")
ORDER = ("corridor", "trails", "overlay", "hidden", "lead", "alerts", "birdseye", "legend", "instruments")


def street(users: int, seconds: float) -> World:
    """15 m/s behind `users` road users, 20 to 34 m ahead and side by side so that none hides another."""
    rng = np.random.default_rng(1)
    actors = []
    for k, angle in enumerate(np.linspace(-0.5, 0.5, users) if users > 1 else [0.0]):
        ahead = (34.0, 20.0, 28.0)[k % 3]
        body = walker() if k % 5 == 4 else car(tuple(int(c) for c in rng.integers(40, 200, 3)))  # type: ignore[arg-type]
        way = drive(ahead + body.length / 2, 15.0 + float(rng.uniform(-0.8, 0.3)))
        actors.append(Actor(body, way, still(float(angle) * ahead), 0.0))
    return with_scenery(World(tuple(actors), drive(0, 15.0), sway=sway(1), readout=0.02, seconds=seconds, mount=(0.01, 0, 0)))


def tracked(world: World) -> Iterator[Result]:
    """What comes to the scene stage."""
    render, detector = Renderer(world), Detector(1, miss=0.0, least_visible=0.1, least=6.0, late=0.0)
    tracker, occlusion, events = Tracker(confirm=0.0), OcclusionEstimator(), EventDetector()
    for truth in world:
        yield events(occlusion(tracker(detector(render(truth)))))


def yardstick() -> None:
    """Always the same work: a picture made small, features in it, and many small sums."""
    cv2.goodFeaturesToTrack(cv2.resize(_NOISE, (320, 180), interpolation=cv2.INTER_AREA), 100, 0.01, 5)
    for _ in range(100):
        np.hypot(_FEW, _FEW).sum()


_NOISE = np.random.default_rng(0).integers(0, 255, (720, 1280), np.uint8)
_FEW = np.arange(15, dtype=np.float64)


class Clock:
    """Milliseconds of this thread in each of several things."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    def wrap(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def timed(*args: object) -> object:
            began = time.thread_time()
            given = call(*args)
            self.taken.setdefault(name, []).append(1000 * (time.thread_time() - began))
            return given

        return timed

    def median(self, name: str, skip: int = 10) -> float:
        values = self.taken.get(name, [])[skip:]
        return float(np.median(values)) if values else math.nan


def measure(users: int, size: tuple[int, int], frames: int) -> tuple[dict[str, float], float]:
    """(median milliseconds of each thing, road users in a frame)."""
    world = small(street(users, frames / 25), *size)
    clock, stage = Clock(), SceneStage(world.camera)
    for part in PARTS:
        setattr(stage, part, clock.wrap(part[1:], getattr(stage, part)))
    look, beat = clock.wrap("scene", stage), clock.wrap("yardstick", yardstick)
    effects = {name: kind() for name, kind in builtin().items() if issubclass(kind, DriveEffect)}
    overlay = Overlay(label="{name} {id}\n{distance} · {ttc}", color_by="auto", theme="auto", plate="dark", label_from=30)
    every = [overlay if name == "overlay" else effects[name] for name in ORDER]
    with closing(Compositor(every)) as whole, closing(Compositor([Overlay()])) as plain:
        draw, masks = clock.wrap("drawing", whole), clock.wrap("masks and labels alone", plain)
        counts = []
        for result in tracked(world):
            seen = look(result)
            assert isinstance(seen, Result)
            counts.append(len(seen))
            draw(seen)
            masks(seen)
            beat()
    return {name: clock.median(name) for name in clock.taken}, float(np.mean(counts[10:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--users", default="1,5,15")
    parser.add_argument("--frames", type=int, default=75)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    width, height = map(int, args.size.split("x"))
    names = (*(part[1:] for part in PARTS), "scene", "drawing", "masks and labels alone", "yardstick")
    print("| road users | " + " | ".join(names) + " | scene / yardstick | drawing / yardstick |")
    print("|---" * (len(names) + 3) + "|")
    for users in map(int, args.users.split(",")):
        taken, count = measure(users, (width, height), args.frames)
        shares = [taken[name] / taken["yardstick"] for name in ("scene", "drawing")]
        print(
            f"| {count:.1f} | "
            + " | ".join(f"{taken[n]:.2f}" for n in names)
            + " | "
            + " | ".join(f"{s:.2f}" for s in shares)
            + " |"
        )


if __name__ == "__main__":
    main()
