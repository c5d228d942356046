"""Who is who: our tracker, plain box-IoU tracking and supervision's ByteTrack on the same detections; the cost of a frame; no
growth.

python benchmarks/tracking.py [scores] [both] [cost] [growth] [--seeds 8] [--frames 100000]

The scenes are those of tests/scenes.py, whose truth is known; the detections are those of tests/noisy_detector.py, which errs.
All three see every detection with a score from 0.1, and may show those from 0.5. ByteTrack is that of the package `trackers`,
to which the authors of supervision moved it (pip install trackers), or that of supervision before 0.28.
"""

from __future__ import annotations

import argparse
import pickle
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import cv2
import numpy as np
import supervision as sv
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.link import Link
from streamseg.pixels import planes
from streamseg.track import Tracker
from streamseg.track.overlap import box_iou
from tests import scenes
from tests.noisy_detector import NoisyDetector
from tests.scenes import Truth
from tests.tracking_scores import FIGURES, Scorer, Scores, lateness, score

CONF = 0.5


class BoxIou:
    """Plain tracking by box IoU: the Hungarian method on the last boxes, a second of memory, and nothing else."""

    def __init__(self, max_age: float = 1.0, least: float = 0.3) -> None:
        self.max_age, self.least = max_age, least
        self.boxes, self.last, self.ids = np.zeros((0, 4), np.float32), np.zeros(0), np.zeros(0, np.int64)
        self.next_id = 1

    def __call__(self, result: Result) -> Result:
        found, time = result.instances[result.scores >= CONF], result.frame.time
        keep = time - self.last <= self.max_age
        self.boxes, self.last, self.ids = self.boxes[keep], self.last[keep], self.ids[keep]
        iou = box_iou(self.boxes, found.boxes)
        rows, columns = linear_sum_assignment(iou, maximize=True)
        good = iou[rows, columns] >= self.least
        rows, columns = rows[good], columns[good]
        ids = np.zeros(len(found), np.int64)
        ids[columns] = self.ids[rows]
        self.boxes[rows], self.last[rows] = found.boxes[columns], time
        new = np.flatnonzero(ids == 0)
        ids[new] = np.arange(self.next_id, self.next_id + len(new))
        self.next_id += len(new)
        self.boxes = np.concatenate([self.boxes, found.boxes[new]])
        self.last = np.concatenate([self.last, np.full(len(new), time)])
        self.ids = np.concatenate([self.ids, ids[new]])
        return replace(result, instances=replace(found, track_ids=ids))


class Byte:
    """supervision's ByteTrack, set to the same confidence and to show objects at once, as we do."""

    def __init__(self, rate: float) -> None:
        if hasattr(sv, "ByteTrack"):
            tracker = sv.ByteTrack(track_activation_threshold=CONF, frame_rate=round(rate), minimum_consecutive_frames=1)
            self.update = tracker.update_with_detections
        else:
            from trackers import ByteTrackTracker

            self.update = ByteTrackTracker(
                frame_rate=rate, track_activation_threshold=CONF, high_conf_det_threshold=CONF, minimum_consecutive_frames=1
            ).update

    def __call__(self, result: Result) -> Result:
        found = result.instances
        told = self.update(
            sv.Detections(found.boxes, confidence=found.scores, class_id=found.labels, data={"row": np.arange(len(found))})
        )
        if told.tracker_id is None or not len(told):
            return replace(result, instances=found[:0])
        ids = np.asarray(told.tracker_id, np.int64)
        rows = np.asarray(told.data["row"], np.int64)
        kept = ids >= 0
        return replace(result, instances=replace(found[rows[kept]], track_ids=ids[kept] + 1))


# --- scores -------------------------------------------------------------------------------------------------------------------


def all_scenes(seed: int = 0) -> list[tuple[str, float, scenes.Scene | scenes.Film]]:
    """(name, frames a second, scene): steady and moving cameras, 10 to 60 frames a second, dropped frames, cuts."""
    pan, shake, n = scenes.pan, scenes.shake, 100 * seed
    return [
        ("crossing 25/s", 25, scenes.crossing(25, seed=n)),
        ("crossing 60/s, pan", 60, scenes.crossing(60, camera=pan(35), seed=n + 5)),
        ("crossing 10/s", 10, scenes.crossing(10, seed=n + 1)),
        ("crossing 25/s, 30% dropped, shake", 25, scenes.crossing(25, drop=0.3, seed=n + 2, camera=shake(5, 2))),
        ("pillar 25/s", 25, scenes.pillar(25, seed=n)),
        ("pillar 10/s, pan", 10, scenes.pillar(10, camera=pan(40, 3), seed=n + 3)),
        ("leaving 25/s", 25, scenes.leaving(25, seed=n)),
        ("crowd 25/s", 25, scenes.crowd(25, seed=n + 1)),
        ("crowd 10/s, shake", 10, scenes.crowd(10, seed=n + 2, camera=shake(8, 3))),
        ("street 25/s, pan and zoom", 25, scenes.street(25, camera=pan(-60, 0, 0.03), seed=n)),
        ("street 10/s, 20% dropped", 10, scenes.street(10, drop=0.2, seed=n + 4)),
        ("fast 25/s", 25, scenes.fast(25, seed=n)),
        ("cuts 25/s", 25, scenes.cuts(25, seed=n)),
    ]


Table = dict[str, dict[str, list[Scores]]]
"""Scene -> tracker -> the scores for each seed."""


def compare(seeds: int) -> None:
    """Every scene as drawn and detected with `seeds` different random numbers."""
    table: Table = {}
    for seed in range(seeds):
        for name, rate, scene in all_scenes(seed):
            trackers = {"streamseg": Tracker(CONF), "box IoU": BoxIou(), "ByteTrack": Byte(rate)}
            scorers = {who: Scorer() for who in trackers}
            detector = NoisyDetector(seed=7 + seed)
            for truth in scene:
                found = detector(truth)
                for who, tracker in trackers.items():
                    scorers[who].add(truth, tracker(found).instances)
            print(f"{name}, seed {seed}, {len(scene)} frames")
            for who, scorer in scorers.items():
                scores = scorer.scores()
                table.setdefault(name, {}).setdefault(who, []).append(scores)
                print(f"  {who:10s} {scores}", flush=True)
    show(table, seeds)


def show(table: Table, seeds: int) -> None:
    """Means over the seeds for each scene and for all, and where ByteTrack is not worse."""
    print(f"\nmeans of {seeds} seeds; switches in sum")
    rows = [*table, "all"]
    for name in rows:
        print(name)
        for who in next(iter(table.values())):
            each = [s for n in (table if name == "all" else [name]) for s in table[n][who]]
            means = "  ".join(f"{f} {100 * np.mean([getattr(s, f.lower()) for s in each]):5.1f}" for f in FIGURES)
            print(f"  {who:10s} {means}  switches {sum(s.switches for s in each)}")
    print("runs in which ByteTrack has a better figure, or fewer switches:")
    for name, each in table.items():
        pairs = list(zip(each["streamseg"], each["ByteTrack"], strict=True))
        worse = {f: sum(getattr(b, f.lower()) > getattr(a, f.lower()) for a, b in pairs) for f in FIGURES}
        worse["switches"] = sum(b.switches < a.switches for a, b in pairs)
        said = ", ".join(f"{f} {n}" for f, n in worse.items() if n)
        if said:
            print(f"  {name}: {said} of {len(pairs)}")


# --- both ways ----------------------------------------------------------------------------------------------------------------


Told = list[tuple[Truth, Instances]]


def told_both_ways(scene: scenes.Scene | scenes.Film, detector: NoisyDetector) -> tuple[Told, Told]:
    """What the tracker says of each frame when it comes, and what is said of it with a second of what comes after known."""
    tracker, link, truths = Tracker(CONF, tells_others=True), Link(CONF), []
    online: Told = []
    both: Told = []
    for truth in scene:
        truths.append(truth)
        tracked = tracker(detector(truth))
        online.append((truth, tracked.instances))
        both += [(truths[result.frame.index], result.instances) for result in link(tracked)]
    both += [(truths[result.frame.index], result.instances) for result in link.flush()]
    return online, both


def compare_ways(seeds: int) -> None:
    """Every scene online and both ways, means of `seeds` runs; and how late tracks begin."""
    print(f"means of {seeds} seeds, online -> both ways; late: objects whose first frame is more than one after their entry")
    every: dict[str, list[tuple[Scores, Scores, int, int, int]]] = {}
    for seed in range(seeds):
        for name, _, scene in all_scenes(seed):
            online, both = told_both_ways(scene, NoisyDetector(seed=7 + seed))
            late = [sum(n is None or n > 1 for n in lateness(told).values()) for told in (online, both)]
            row = (score(online), score(both), *late, len(lateness(online)))
            every.setdefault(name, []).append(row)
    for name, rows in [*every.items(), ("all", list(chain.from_iterable(every.values())))]:
        means = [
            f"{f} {100 * np.mean([getattr(row[0], f.lower()) for row in rows]):.1f} -> "
            f"{100 * np.mean([getattr(row[1], f.lower()) for row in rows]):.1f}"
            for f in ("HOTA", "IDF1", "MOTA")
        ]
        sums = [sum(values) for values in zip(*((r[0].switches, r[1].switches, *r[2:]) for r in rows), strict=True)]
        worse = sum(row[1].hota <= row[0].hota or row[1].idf1 <= row[0].idf1 for row in rows)
        print(
            f"{name:34s} {'  '.join(means)}  switches {sums[0]} -> {sums[1]}  late {sums[2]} -> {sums[3]} of {sums[4]}  "
            f"runs not better {worse} of {len(rows)}",
            flush=True,
        )


# --- cost ---------------------------------------------------------------------------------------------------------------------


def cost(frames: int = 150) -> None:
    """CPU milliseconds of this thread a frame, at 720p with 10 instances, OpenCV on one thread."""
    cv2.setNumThreads(1)
    results = list(islice(busy_street(1280, 720, 10), frames))
    for who, tracker in {"streamseg": Tracker(CONF), "box IoU": BoxIou(), "ByteTrack": Byte(25)}.items():
        spent = []
        for result in results:
            began = time.thread_time()
            tracker(result)
            spent.append(1000 * (time.thread_time() - began))
        middle, best = np.quantile(spent[10:], (0.5, 0.1))
        print(f"{who:10s} 1280x720, 10 instances: median {middle:.2f} ms, best tenth {best:.2f}")


def busy_street(width: int, height: int, count: int) -> Iterator[Result]:
    """Ten people who walk up and down under a camera that pans; found perfectly."""
    actors = [
        scenes.walker(
            lambda t, n=n: (width * (0.1 + 0.088 * n) + 60 * np.sin(t + n), height * 0.6 + 8 * n),
            height * 0.3,
            scenes.SHIRTS[n % 7],
            scenes.TROUSERS[n % 4],
            n,
            depth=10 - n,
        )
        for n in range(count)
    ]
    scene = scenes.Scene(actors, scenes.times(8, 25), width, height, scenes.pan(15))
    detector = NoisyDetector(miss=0, false=0, copies=0, merge=0, least_visible=0)
    return (detector(truth) for truth in scene)


# --- growth -------------------------------------------------------------------------------------------------------------------


def passing(frames: int, objects: int, rate: float = 25.0, seed: int = 0) -> Iterator[Result]:
    """`objects` things that pass one after the other, eight at a time, over a small noisy picture."""
    rng = np.random.default_rng(seed)
    width, height, each = 320, 180, 8 * frames / objects
    starts = np.linspace(0, frames - each / 2, objects)
    lanes = rng.uniform(10, height - 70, objects)
    shades = rng.integers(40, 220, (objects, 3))
    yy, xx = np.mgrid[0:28, 0:28] - 13.5
    mask = np.where(xx**2 + yy**2 < 14**2, 255, 0).astype(np.uint8)
    ground = rng.integers(90, 130, (height, width), np.uint8)
    first = 0
    for i in range(frames):
        while first < objects and starts[first] + each < i:
            first += 1
        last = int(np.searchsorted(starts, i, "right"))
        rows = np.arange(first, max(first, last))
        x = (i - starts[rows]) / each * (width + 40) - 40
        picture = av.VideoFrame(width, height, "yuv420p")
        y_plane, u, v = (p.array for p in planes.views(picture).planes)
        y_plane[:], u[:], v[:] = ground, 128, 128
        boxes = np.stack([x, lanes[rows], x + 40, lanes[rows] + 60], 1) + rng.normal(0, 0.5, (len(rows), 4))
        boxes = np.clip(boxes, 0, (width, height, width, height)).astype(np.float32)
        keep = ((boxes[:, 2:] - boxes[:, :2]) > 4).all(1) & (rng.uniform(size=len(rows)) > 0.02)
        for (x0, y0, x1, y1), (a, b, c) in zip(boxes[keep].astype(int), shades[rows[keep]], strict=True):
            y_plane[y0:y1, x0:x1] = a
            u[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2], v[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = b, c
        n = int(keep.sum())
        instances = Instances(
            boxes[keep], np.full(n, 0.9, np.float32), np.zeros(n, np.int64), np.repeat(mask[None], n, 0), scenes.CLASSES
        )
        yield Result(Frame(picture, i, round(i * 90_000 / rate), Fraction(1, 90_000)), instances)


def growth(frames: int, objects: int = 1000) -> None:
    """Time a frame and memory over a very long run."""
    cv2.setNumThreads(1)
    tracker, ids, spent, started = Tracker(CONF), 0, 0.0, time.thread_time()
    for i, result in enumerate(passing(frames, objects)):
        began = time.thread_time()
        tracked = tracker(result)
        spent += time.thread_time() - began
        ids = max(ids, int(tracked.track_ids.max(initial=0)))
        if (i + 1) % (frames // 10) == 0:
            size, memory = len(pickle.dumps(tracker)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            mean = 1000 * spent / (frames // 10)
            print(
                f"{i + 1:7d} frames  {mean:.2f} ms a frame  state {size / 1024:6.0f} KiB  peak {memory:.0f} MB  ids {ids}",
                flush=True,
            )
            spent = 0.0
    print(f"{frames} frames, {objects} objects in {time.thread_time() - started:.0f} s of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["scores", "both", "cost", "growth", []], default=["scores", "cost"])
    parser.add_argument("--frames", type=int, default=100_000, help="of the run that looks for growth")
    parser.add_argument("--seeds", type=int, default=1, help="random numbers with which each scene is drawn and detected")
    args = parser.parse_args()
    if "scores" in args.parts:
        compare(args.seeds)
    if "both" in args.parts:
        compare_ways(args.seeds)
    if "cost" in args.parts:
        cost()
    if "growth" in args.parts:
        growth(args.frames)


if __name__ == "__main__":
    main()
