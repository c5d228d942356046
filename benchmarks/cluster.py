"""What a film costs in ranges, measured here; and how many workers that is worth, worked out for up to a thousand.

    python benchmarks/cluster.py [--film FILM] [--pipeline drive]

Measured are the four tasks of a divided film (docs/cluster.md), one after the other with one thread in the engine, and the bytes
that they hand on. The rest is worked out, task by task, with these costs: who may run when is what `ranges.film` says, a worker
dies now and then, and the driver takes what it takes for each task. Nothing of it is fitted to a cluster that was seen.
"""

from __future__ import annotations

import argparse
import heapq
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import clips

import streamseg
from streamseg.jobs.progress import SavedProgress
from streamseg.pipeline import opening
from streamseg.pipeline.outputs import plan
from streamseg.ranges.film import AHEAD, DividedFilm, Task, run_task
from streamseg.ranges.plan import Model, divide
from streamseg.system.cores import core_count

WORKERS = (1, 2, 4, 8, 16, 32, 64, 250, 1000)
RANGE = 300
"""Frames: 12 s of 25 a second."""


@dataclass(frozen=True)
class Costs:
    """Seconds of a core a frame; of the driver a task."""

    look: float
    find: float
    draw: float
    join: float
    driver: float
    find_elapsed: float
    """Of find, on the cores of this machine, with nothing else on them."""

    @property
    def frame(self) -> float:
        return self.look + self.find + self.draw + self.join


def measure(film: str, pipeline: str) -> Costs:
    """Run a film in ranges, here, and print what each kind of task took."""
    folder = Path(tempfile.mkdtemp(prefix="streamseg-cluster-"))
    config = streamseg.load_pipeline(pipeline)
    infer = config.infer.model_copy(update={"threads": 1, "in_flight": 1})
    config = config.model_copy(update={"infer": infer})
    outputs = [str(folder / "a.mp4"), str(folder / "a.jsonl"), *(["alpha=none"] if pipeline == "edit" else [])]
    targets = plan(config.outputs, outputs, film)
    engine = opening.load_engine(config)
    progress = SavedProgress(film, config, targets, overwrite=True)
    try:
        order = divide(film, config, outputs, targets, progress, Model(engine.spec, engine.name, engine.precision))
        if isinstance(order, str):
            raise SystemExit(f"{film} is not divided: {order}")
        divided, cpu, wall, kept, driver = (
            DividedFilm(order, targets, progress),
            Counter[str](),
            Counter[str](),
            Counter[str](),
            0.0,
        )
        while divided.report is None:
            task = divided.ready()[0]
            began, core = time.perf_counter(), time.process_time()
            made = run_task(task, order, lambda: engine)
            wall[task.kind] += time.perf_counter() - began
            cpu[task.kind] += time.process_time() - core
            for name, _ in made.parts:
                kept[name.partition("-")[0] if "/" not in name else "parts"] += (order.folder / name).stat().st_size
            began = time.perf_counter()
            divided.took(task, made)
            driver += time.perf_counter() - began
        frames, tasks = order.total, len(divided.done)
        print(f"{frames} frames of {film} in {len(order)} ranges, {engine}")
        for kind in ("look", "find", "draw", "join"):
            print(f"  {kind:5} {1000 * cpu[kind] / frames:6.1f} core-ms a frame, {1000 * wall[kind] / frames:6.1f} ms elapsed")
        print("  kept, kB a frame: " + ", ".join(f"{name} {size / frames / 1e3:.1f}" for name, size in kept.items()))
        print(f"  the driver's book: {1000 * driver / tasks:.1f} ms a task")
        return Costs(
            *(cpu[kind] / frames for kind in ("look", "find", "draw", "join")), driver / tasks + _ray(), wall["find"] / frames
        )
    finally:
        progress.close(done=True)
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


def _ray() -> float:
    """Seconds that Ray takes for a call, there and back, of which the driver's thread sees all; 5 ms where it is not installed."""
    try:
        import ray
    except ImportError:
        print("  a call over Ray: not measured (Ray is not installed); taken for 5 ms")
        return 0.005
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    worker = ray.remote(_Nobody).remote()
    ray.get(worker.do.remote())
    began = time.perf_counter()
    for _ in range(200):
        ray.get(worker.do.remote())
    took = (time.perf_counter() - began) / 200
    ray.shutdown()
    print(f"  a call over Ray, there and back: {1000 * took:.1f} ms")
    return took


class _Nobody:
    def do(self) -> None:
        """Nothing."""


class _Film:
    """A film as the driver sees it, with what `DividedFilm` says of when a task may run."""

    def __init__(self, frames: int, chained: bool) -> None:
        self.count, self.last = max(1, -(-frames // RANGE)), frames % RANGE or RANGE
        self.frames, self._chained = frames, chained
        self.looked, self.running = set[int](), set[Task]()
        self.found, self.drawn, self._looks, self._draws = 0, 0, 0, 0
        self.joined = False

    def ready(self) -> Task | None:
        find = Task("find", self.found)
        if self.found < self.count and self.found in self.looked and find not in self.running:
            return find
        until = self.count if self.found == self.count else self.found - 1
        if self._draws < until and (not self._chained or self.drawn == self._draws):
            return Task("draw", self._draws)
        if self.drawn == self.count and not self.joined and Task("join") not in self.running:
            return Task("join")
        if self._looks < min(self.found + AHEAD, self.count):
            self._looks += 1
            return Task("look", self._looks - 1)
        return None

    def gave(self, task: Task) -> None:
        self.running.add(task)
        self._draws += task.kind == "draw"

    def took(self, task: Task) -> None:
        self.running.discard(task)
        if task.kind == "look":
            self.looked.add(task.k)
        elif task.kind == "find":
            self.found += 1
        elif task.kind == "draw":
            self.drawn += 1
        else:
            self.joined = True

    def seconds(self, task: Task, costs: Costs) -> float:
        frames = self.frames if task.kind == "join" else self.last if task.k == self.count - 1 else RANGE
        return float(getattr(costs, task.kind)) * frames


def simulate(
    films: list[int], workers: int, costs: Costs, *, chained: bool = True, seed: int = 1, deaths: float = 0.0
) -> float:
    """Seconds until films of so many frames are done. `deaths`: chance that a worker dies within an hour of work."""
    rng, idle, now, driver = random.Random(seed), workers, 0.0, 0.0
    left, divided = list(reversed(films)), list[_Film]()
    over: list[tuple[float, int, _Film | None, Task | None, int]] = []
    number = 0

    def give(seconds: float, film: _Film | None, task: Task | None, frames: int) -> None:
        nonlocal idle, driver, number
        driver = max(driver, now) + costs.driver
        lost = rng.random() < deaths * seconds / 3600
        at = driver + seconds * (1 + lost * rng.random())  # it is done once more
        heapq.heappush(over, (at, number, film, task, frames))
        idle, number = idle - 1, number + 1
        if film is not None and task is not None:
            film.gave(task)

    while True:
        while idle:
            film, task = next(((f, t) for f in divided if (t := f.ready()) is not None), (None, None))
            if film is not None and task is not None:
                give(film.seconds(task, costs), film, task, 0)
            elif left and len(left) < workers and left[-1] >= 2 * RANGE:
                divided.append(_Film(left.pop(), chained))
            elif left:
                frames = left.pop()
                give(costs.frame * frames, None, None, frames)
            else:
                break
        if not over:
            return now
        now, _, film, task, _ = heapq.heappop(over)
        idle += 1
        if film is not None and task is not None:
            film.took(task)
            if film.joined:
                divided.remove(film)


def show(costs: Costs) -> None:
    """How much faster many workers are than one."""
    hour = 25 * 3600
    two = replace(costs, find=costs.find_elapsed)
    jobs = {
        "one film of 10 h": ([10 * hour], costs),
        f"the same, find on {core_count()} idle cores": ([10 * hour], two),
        "1,000 films of 1 h": ([hour] * 1000, costs),
        "10,000 films of 1 min": ([1500] * 10_000, costs),
    }
    print(f"\nworked out with these costs ({1000 * costs.frame:.1f} core-ms a frame): times as fast as one worker")
    print(f"{'workers':32}" + "".join(f"{count:>7}" for count in WORKERS))
    for name, (films, used) in jobs.items():
        alone = simulate(films, 1, costs)
        speeds = [alone / simulate(films, count, used) for count in WORKERS]
        print(f"{name:32}" + "".join(f"{speed:7.1f}" for speed in speeds) + f"   one: {alone / 3600:,.0f} h")
    films = [10 * hour]
    lossy = [simulate(films, count, costs, deaths=0.2) / simulate(films, count, costs) for count in (8, 64)]
    print(
        f"one film of 10 h where each worker dies every five hours: {lossy[0]:.3f} of the time with 8, {lossy[1]:.3f} with 64"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--film", help="A video of a minute or more. Default: a street, 50 s at 720p.")
    asked.add_argument("--pipeline", default="drive")
    options = asked.parse_args()
    if options.film is None:
        options.film = str(clips.repeated(clips.street(), 5))
    show(measure(options.film, options.pipeline))


if __name__ == "__main__":
    main()
