"""How fast the pipeline is here: every stage alone, the whole together, and the bound that the hardware sets.

The bound is the slower of two: the slowest stage running alone (no pipeline is faster than its slowest stage), and the time all
stages spend on cores, summed and divided by the number of cores (no schedule is faster than the machine).
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from streamseg.composite import Compositor
from streamseg.config import PipelineConfig
from streamseg.decode import Decoder
from streamseg.detect.infer import Infer
from streamseg.detect.preprocess import Preprocess
from streamseg.encode import open_sink
from streamseg.errors import ConfigError
from streamseg.pipeline.build import (
    Source,
    build,
    effects,
    engine_for,
    events_for,
    occlusion_for,
    postprocess_for,
    refine_for,
    smooth_for,
    tracker_for,
)
from streamseg.system.cores import core_count

__all__ = ["BenchReport", "StageCost", "bench"]

T = TypeVar("T")
CHUNK = 32
"""Frames held in memory at a time: enough to time a stage, few enough for 4K."""


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
    with tempfile.TemporaryDirectory(prefix="streamseg-bench-") as folder:
        costs, done, engine, info = _alone(source, config, output, frames, Path(folder))
        only = config.model_copy(update={"outputs": {"picture": output.model_copy(update={"path": "{out}"})}})
        pipeline = build(source, only, [str(Path(folder) / "whole.mp4")])
        stop_at(pipeline, done)
        report = pipeline.run()
    cores = core_count()
    slowest = max(cost.ms for cost in costs.values())
    everything = sum(cost.core_ms for cost in costs.values()) / cores
    return BenchReport(
        source=info.name,
        size=f"{info.width}x{info.height}",
        engine=engine,
        frames=report.frames_done,
        cores=cores,
        stages=costs,
        fps=round(report.fps, 2),
        bound_fps=round(1000 / max(slowest, everything), 2),
    )


def stop_at(pipeline: Any, frames: int) -> None:
    """Let the pipeline's source end after that many frames."""
    original = pipeline.decoder.frames
    pipeline.decoder.frames = lambda: itertools.islice(original(), frames)


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


def _alone(
    source: Source, config: PipelineConfig, output: Any, frames: int, folder: Path
) -> tuple[dict[str, StageCost], int, str, Any]:
    """Every stage by itself, a chunk of frames at a time, so that no other stage takes a core meanwhile."""
    decoder = Decoder(source)
    info = decoder.open()
    engine = engine_for(config)
    spec, clock, done = engine.spec, _Clock(), 0
    preprocess, infer = Preprocess(spec.height, spec.width), Infer(engine, config.infer.batch)
    postprocess = postprocess_for(config, spec.classes)
    tracker, smooth, refine = tracker_for(config), smooth_for(config), refine_for(config)
    occlusion, events = occlusion_for(config), events_for(config)
    compositor = Compositor(effects(output))
    sink = open_sink(str(folder / "alone.mp4"), info, codec=output.encode.codec, crf=output.encode.crf)
    sink.open()
    source_frames = itertools.islice(decoder.frames(), frames)
    try:
        chunk: list[Any]
        while chunk := clock.time("decode", list, itertools.islice(source_frames, CHUNK)):
            prepared = clock.time("preprocess", _each, preprocess, chunk)
            pending = clock.time("infer", _infer_all, infer, prepared)
            found = clock.time("postprocess", _each, postprocess, pending)
            tracked = clock.time("track", _each, tracker, found)
            calmed = clock.time("smooth", _each, smooth, tracked)
            refined = clock.time("refine", _each, refine, calmed) if refine is not None else calmed
            judged = clock.time("occlusion", _each, occlusion, refined)
            watched = clock.time("events", _each, events, judged)
            rendered = clock.time("composite", _each, compositor, watched)
            clock.time("encode", _each, sink, rendered)
            done += len(chunk)
        clock.time("encode", sink.close)
    finally:
        decoder.stop()
        decoder.close()
        name = str(engine)
        engine.close()
    for cost in clock.costs.values():
        cost.ms, cost.core_ms = round(cost.ms / max(1, done), 3), round(cost.core_ms / max(1, done), 3)
    return clock.costs, done, name, info


def _infer_all(infer: Infer, prepared: list[Any]) -> list[Any]:
    pending = [infer(p) for p in prepared]
    infer.flush()
    wait([p.future for p in pending if p.future is not None])
    return pending


def _each(stage: Callable[[Any], T], items: list[Any]) -> list[T]:
    return [stage(item) for item in items]
