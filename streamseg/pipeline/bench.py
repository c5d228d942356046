"""How fast the pipeline is here: every stage alone, the whole together, and the bound that the hardware sets.

The bound is the slower of two: the slowest stage running alone (no pipeline is faster than its slowest stage), and the time all
stages spend on cores, summed and divided by the number of cores (no schedule is faster than the machine).
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from streamseg.config import PipelineConfig
from streamseg.detect.infer import Infer
from streamseg.errors import ConfigError
from streamseg.pipeline.build import Pipeline, build_pipeline
from streamseg.pipeline.opening import Source, load_engine
from streamseg.pipeline.results import beside_output
from streamseg.pipeline.stages import STAGES
from streamseg.runtime import Stage
from streamseg.system.cores import core_count

__all__ = ["BenchReport", "StageCost", "bench"]

T = TypeVar("T")
CHUNK = 32
"""Frames held in memory at a time: enough to time a stage, few enough for 4K."""
NAME = "picture"
"""Of the one output that is measured."""


@dataclass(slots=True)
class StageCost:
    """Milliseconds a frame: elapsed when the stage runs alone, and spent on all cores together."""

    ms: float = 0.0
    core_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What was measured."""

    source: str
    size: str
    engine: str
    frames: int
    cores: int
    stages: dict[str, StageCost]
    fps: float
    """End to end, decoder to file."""
    bound_fps: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def bench(source: Source, config: PipelineConfig, frames: int = 200) -> BenchReport:
    """Measure `frames` frames of a file through the first output of a pipeline. Raises StreamsegError."""
    output = next((o for o in config.outputs.values() if "{out}" in o.path), None)
    if output is None:
        raise ConfigError("the pipeline has no output with the path {out} to measure")
    only = beside_output(config).model_copy(update={"outputs": {NAME: output.model_copy(update={"path": "{out}"})}})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamseg-bench-")))
        engine = load_engine(config)
        stack.callback(engine.close)
        alone = build_pipeline(source, only, [str(folder / "alone" / "a.mp4")], engine=engine, limit=frames)
        costs, done = _alone(alone)
        whole = build_pipeline(source, only, [str(folder / "whole" / "a.mp4")], engine=engine, limit=done)
        report, info = whole.run(), whole.info
    cores = core_count()
    slowest = max(cost.ms for cost in costs.values())
    everything = sum(cost.core_ms for cost in costs.values()) / cores
    return BenchReport(
        source=info.name,
        size=f"{info.width}x{info.height}",
        engine=report.engine,
        frames=report.frames_done,
        cores=cores,
        stages=costs,
        fps=round(report.fps, 2),
        bound_fps=round(1000 / max(slowest, everything), 2),
    )


class _Clock:
    def __init__(self) -> None:
        self.costs: dict[str, StageCost] = {}

    def time(self, name: str, work: Callable[..., T], *arguments: Any) -> T:
        """`work(*arguments)`, adding what it took to stage `name`."""
        cost = self.costs.setdefault(name, StageCost())
        began, cpu = time.perf_counter(), time.process_time()
        made = work(*arguments)
        cost.ms += 1000 * (time.perf_counter() - began)
        cost.core_ms += 1000 * (time.process_time() - cpu)
        return made


def _alone(pipeline: Pipeline) -> tuple[dict[str, StageCost], int]:
    """Every stage by itself, a chunk of frames at a time, so that no other stage takes a core meanwhile; and how many frames."""
    clock, done = _Clock(), 0
    stages = [*pipeline.trunk.stages, *pipeline.branches[0].stages]
    try:
        frames = pipeline.source.frames()
        items: list[Any]
        while items := clock.time(STAGES[0].name, list, itertools.islice(frames, CHUNK)):
            done += len(items)
            _pass(clock, stages, items)
        _pass(clock, stages, [], last=True)
        clock.time(STAGES[-1].name, pipeline.sinks[0][1].close)
    finally:
        pipeline.close()
    for cost in clock.costs.values():
        cost.ms, cost.core_ms = round(cost.ms / max(1, done), 3), round(cost.core_ms / max(1, done), 3)
    return clock.costs, done


def _pass(clock: _Clock, stages: Sequence[tuple[str, Stage]], items: list[Any], *, last: bool = False) -> None:
    """Send items through all stages, one stage after the other; `last`: and what some of them still hold."""
    for name, stage in stages:
        items = clock.time(name.removesuffix(f" {NAME}"), _each, stage, items, last)


def _each(stage: Callable[[Any], Any], items: list[Any], last: bool) -> list[Any]:
    """What the stage makes of all items, once it is ready: the infer stage passes items on before their outputs are there."""
    made = [stage(item) for item in items]
    if getattr(stage, "delays", False):
        made = [item for given in made for item in given]
        return [*made, *stage.flush()] if last else made  # type: ignore[attr-defined]
    if isinstance(stage, Infer):
        stage.flush()
        wait([pending.future for pending in made if pending.future is not None])
    return made
