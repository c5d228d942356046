"""What smoothing, edge refinement, mattes and detecting every Nth frame give and cost: the tables of docs/smoothing.md.

    python benchmarks/smoothing.py --davis DAVIS  # J, F and flicker on DAVIS (JPEGImages/*, Annotations/*)
    python -m benchmarks.smoothing --soft  # MAD, MSE, Grad, Conn and dtSSD on a made scene whose matte is exact
    python benchmarks/smoothing.py --clip a.mp4 --clip ...  # every third frame against every frame: mask IoU, CPU time
    python benchmarks/smoothing.py  # the cost of ten instances at 720p, on one core

Parts without data are skipped. J and F as DAVIS has them (Perazzi et al., CVPR 2016) of the track that overlaps the object best
over the sequence; F within 2 pixels and within DAVIS's tolerance. Flicker: 1 - IoU of a mask and the one before it, carried along
flow of full resolution, which is no part of what is measured.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from streamseg.composite.choose import matte
from streamseg.config import PipelineConfig, load_pipeline, override
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.decode import Decoder
from streamseg.engine import Engine
from streamseg.evaluate.boundary import TOLERANCE, boundary_f
from streamseg.evaluate.matting import conn, dtssd, grad, mad, mse
from streamseg.pipeline import stages
from streamseg.pipeline.opening import load_engine
from streamseg.runtime import Stage
from streamseg.temporal.flow import luma
from streamseg.temporal.matting import Matting
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother


def refined(smooth: Smooth, refine: Stage | None = None) -> Stage:
    """Both stages as one; `refine`: the usual one."""
    refine = refine or Refiner()
    return lambda result: refine(smooth(result))


PARTS = {
    "neither": lambda: Smooth(None),
    "masks": lambda: Smooth(Smoother()),
    "edges": lambda: refined(Smooth(None)),
    "both": lambda: refined(Smooth(Smoother())),
    "both, mattes": lambda: refined(Smooth(Smoother()), Matting()),
}
SIZES = ("320x576", "448x768")
"""Of the network's input: the usual one, and the one that `edit` takes."""


def sequence(root: Path, name: str) -> Iterator[tuple[Frame, np.ndarray]]:
    """The frames of a DAVIS sequence and their true masks."""
    for index, path in enumerate(sorted((root / "JPEGImages" / name).glob("*.jpg"))):
        truth = cv2.imread(str(root / "Annotations" / name / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        picture = av.VideoFrame.from_ndarray(cv2.imread(str(path)), "bgr24").reformat(format="yuv420p", threads=1)
        yield Frame(picture, index, index, Fraction(1, 24)), truth > 0


def config(size: str = "auto", **infer: str) -> PipelineConfig:
    """The drive pipeline; CPU inference in one thread."""
    changes = {"infer": {"threads": 1, "engine": "openvino"} | infer, "preprocess": {"size": size}}
    return override(load_pipeline("drive"), changes)


def tracked(frames: Iterator[Frame], engine: Engine, every: int = 1) -> Iterator[Result]:
    """What the drive pipeline finds and follows, both ways as of a file, without smoothing."""
    drive = override(config(), {"infer": {"every": every}})
    upto = next(number for number, step in enumerate(stages.STAGES) if step.name == "smooth")
    items: Iterator[Any] = frames
    for _, stage in stages.make(stages.STAGES[:upto], "trunk", stages.Context(drive, engine.spec, engine)).stages:
        items = _through(stage, items)
    return items


def _through(stage: Stage, items: Iterator[Any]) -> Iterator[Any]:
    """What a stage gives, also if it does so later than it takes."""
    delays = getattr(stage, "delays", False)
    for item in items:
        given: Any = stage(item)
        yield from given if delays else [given]
    if delays:
        yield from stage.flush()  # type: ignore[attr-defined]


def carried(before: tuple[Frame, np.ndarray], frame: Frame) -> np.ndarray:
    estimator = cv2.DISOpticalFlow.create(cv2.DISOpticalFlow_PRESET_MEDIUM)
    now, then = (np.ascontiguousarray(luma(f)[0]) for f in (frame, before[0]))
    flow = estimator.calc(now, then, np.zeros((*now.shape, 2), np.float32))
    y, x = np.mgrid[0 : frame.height, 0 : frame.width].astype(np.float32)
    return cv2.remap(before[1].astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR) > 0.5


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def davis(root: Path, sizes: Iterable[str] = SIZES) -> None:
    """In fp32, so that the tables are the same everywhere. J & F of both sequences together come last."""
    print("| size | sequence | part | J | F (2 px) | F | J & F | flicker | frames with the track |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in sizes:
        engine = load_engine(config(size, precision="fp32"))
        together: dict[str, list[float]] = {part: [] for part in PARTS}
        for name in sorted(path.name for path in (root / "JPEGImages").iterdir()):
            pairs = list(sequence(root, name))
            results = list(tracked((frame for frame, _ in pairs), engine))
            best = _best_track(results, [truth for _, truth in pairs])
            for part, make in PARTS.items():
                (j, f2, f), flicker, count = _measured(pairs, results, best, make())
                together[part].append(50 * (j + f))
                print(
                    f"| {size} | {name} | {part} | {j:.3f} | {f2:.3f} | {f:.3f} | {50 * (j + f):.1f} | {flicker:.3f} "
                    f"| {count} of {len(pairs)} |",
                    flush=True,
                )
        engine.close()
        for part, values in together.items():
            print(f"| {size} | all | {part} | | | | {np.mean(values):.1f} | | |", flush=True)


def _measured(
    pairs: list[tuple[Frame, np.ndarray]], results: list[Result], best: int, stage: Stage
) -> tuple[np.ndarray, float, int]:
    """J, F within 2 pixels and F, flicker, and how many frames have the track `best`."""
    reach = math.ceil(TOLERANCE * math.hypot(*pairs[0][1].shape))
    before, rows, flicker = None, [], []
    for (frame, truth), result in zip(pairs, results, strict=True):
        smoothed = stage(result)
        found = np.flatnonzero(smoothed.track_ids == best)
        if len(found) == 0:
            before = None
            continue
        mask = smoothed.masks[int(found[0])]
        rows.append((iou(mask, truth), boundary_f(mask, truth, 2)[0], boundary_f(mask, truth, reach)[0]))
        if before is not None:
            flicker.append(1 - iou(carried(before, frame), mask))
        before = (frame, mask)
    return np.mean(rows, axis=0), float(np.mean(flicker)), len(rows)


def soft(scenes: int = 4, frames: int = 14) -> None:
    """Trembling detections of a figure with hair, out of focus: errors of the mattes that are drawn, mean of `scenes` scenes."""
    from tests.soft_scenes import fringed
    from tests.temporal_scores import identified, steady_detector

    print("| part | MAD | MSE | Grad | Conn | dtSSD |\n|---|---|---|---|---|---|")
    for part, make in PARTS.items():
        rows = []
        for seed in range(scenes):
            stage, detector, before = make(), steady_detector(seed), None
            for index, (truth, alpha) in enumerate(fringed(frames, seed=seed)):
                result = stage(identified(detector(truth), truth))
                found = matte(result.instances, result.frame.width, result.frame.height).astype(np.float32) / 255
                if before is not None and index > 1:
                    errors = [measure(found, alpha) for measure in (mad, mse, grad, conn)]
                    rows.append([*errors, dtssd(found, before[0], alpha, before[1])])
                before = (found, alpha)
        print(f"| {part} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)) + " |", flush=True)


def _best_track(results: list[Result], truths: list[np.ndarray]) -> int:
    total: dict[int, float] = {}
    for result, truth in zip(results, truths, strict=True):
        for track, mask in zip(result.track_ids.tolist(), result.masks, strict=True):
            total[track] = total.get(track, 0.0) + iou(mask, truth)
    return max(total, key=total.__getitem__)


def frames_of(clip: Path, count: int) -> Iterator[Frame]:
    decoder = Decoder(str(clip))
    decoder.open()
    try:
        for _, frame in zip(range(count), decoder.frames(), strict=False):
            yield frame
    finally:
        decoder.close()


def every_third(clips: list[Path], count: int, engine: Engine) -> None:
    print("| clip | mask IoU | matched of all | ms a frame: every frame | every third | ratio |\n|---|---|---|---|---|---|")
    values: list[float] = []
    for clip in clips:
        runs, spent = [], []
        for every in (1, 3):
            stage, began = refined(Smooth(Smoother())), time.process_time()
            runs.append([stage(result) for result in tracked(frames_of(clip, count), engine, every)])
            spent.append((time.process_time() - began) / len(runs[-1]) * 1e3)
        overlaps, objects = _compare(*runs)
        values += overlaps
        mean = np.mean(overlaps) if overlaps else float("nan")
        print(
            f"| {clip.name} | {mean:.3f} | {len(overlaps)} of {objects} | {spent[0]:.1f} | {spent[1]:.1f} "
            f"| {spent[0] / spent[1]:.2f} |",
            flush=True,
        )
    print(f"| all | {np.mean(values):.3f} | {len(values)} | | | |")


def _compare(full: list[Result], sparse: list[Result]) -> tuple[list[float], int]:
    """IoU of the masks of frames that were not looked at with those of the same frames when all are; pairs above 0.3."""
    overlaps, objects = [], 0
    for a, b in zip(full, sparse, strict=True):
        if b.detected:
            continue
        table = np.array([[iou(x, y) for y in list(b.masks)] for x in list(a.masks)]).reshape(len(a), len(b))
        objects += max(table.shape)
        for r, c in zip(*linear_sum_assignment(-table), strict=True):
            if table[r, c] > 0.3:
                overlaps.append(float(table[r, c]))
    return overlaps, objects


def cost() -> None:
    """Ten instances of usual sizes at 720p, whose boxes tremble, over a moving picture."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(0, 255, (90, 160, 3)).astype(np.uint8), (1600, 900), interpolation=cv2.INTER_CUBIC)
    heights = rng.uniform(90, 420, 10)
    sizes = np.stack([heights * rng.uniform(0.4, 1.5, 10), heights], 1)
    corners = rng.uniform(0, 1, (10, 2)) * (np.array([1280, 720]) - sizes)
    masks = np.repeat(cv2.circle(np.zeros((28, 28), np.uint8), (14, 14), 11, 255, -1)[None], 10, 0)
    stages = {
        "flow and masks": Smooth(Smoother()),
        "edges": refined(Smooth(None)),
        "mattes": refined(Smooth(None), Matting()),
        "flow and carry": Smooth(None),
    }
    spent: dict[str, list[float]] = {name: [] for name in stages}
    for i in range(60):
        view = np.ascontiguousarray(ground[i : i + 720, 2 * i : 2 * i + 1280])
        frame = Frame(av.VideoFrame.from_ndarray(view, "rgb24").reformat(format="yuv420p", threads=1), i, i, Fraction(1, 25))
        boxes = np.clip(np.concatenate([corners, corners + sizes], 1) + rng.normal(0, 1.5, (10, 4)), 0, (1280, 720) * 2)
        found = Instances(
            boxes.astype(np.float32), np.ones(10, np.float32), np.zeros(10, np.int64), masks, ("it",), np.arange(1, 11)
        )
        for name, stage in stages.items():
            carries = name == "flow and carry" and i % 2 == 1
            result = Result(frame, found[:0] if carries else found, detected=not carries)
            began = time.thread_time()
            stage(result)
            if name != "flow and carry" or carries:
                spent[name].append(time.thread_time() - began)
    print("| part | ms, median | ms, least |\n|---|---|---|")
    for name, values in spent.items():
        print(f"| {name} | {1e3 * np.median(values):.2f} | {1e3 * min(values[2:]):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", type=Path, help="folder with JPEGImages/ and Annotations/")
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a video; repeatable")
    parser.add_argument("--soft", action="store_true", help="the made scene with a soft matte")
    parser.add_argument("--frames", type=int, default=90, help="of each clip")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    cost()
    if options.soft:
        soft()
    if options.davis is not None and options.davis.is_dir():
        davis(options.davis)
    if options.clip:
        engine = load_engine(config())
        every_third(options.clip, options.frames, engine)
        engine.close()


if __name__ == "__main__":
    main()
