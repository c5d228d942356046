"""Find the fastest way to run a pipeline on this machine, on the user's own film, and prove that it finds the same.

Each way runs the whole pipeline over the same frames, decoder to output, and what it found is compared with what fp32 found with
the usual options. Ways are tried one option at a time, each on top of the best so far: the precision, the requests and their
threads, the batch. Then the other sizes of the model and a network on every second and third frame are shown, for who wants them:
they find other things, so they are never chosen.
"""

from __future__ import annotations

import contextlib
import datetime
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.config import PipelineConfig
from streamseg.core import masks
from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.engine import GraphSpec, computes_on_gpu
from streamseg.engine.openvino import why_not_bf16
from streamseg.engine.tuned import Choice, forget, keep, key_of
from streamseg.errors import ConfigError, EngineError, ModelError
from streamseg.hub import quality
from streamseg.hub.catalog import find, in_precision, is_name, ready_sizes
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.opening import Source, asked_graph, load_engine
from streamseg.pipeline.results import beside_output
from streamseg.pipeline.stages import Step
from streamseg.system.callbacks import Message
from streamseg.system.cores import core_count

__all__ = ["Trial", "TuneReport", "tune"]

LEAST_MATCHED, LEAST_IOU = 0.9, 0.85
"""Of what fp32 found: the share that must be found again, and nothing else, and the mean IoU of the masks."""
LEAST_VOUCHED = 0.75
"""The share where the model's card says that the answers are as good: objects whose score is near the threshold come and go."""
FASTER = 1.02
"""So many times as fast a way must be to be preferred: less is noise."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to run, and what it gave."""

    choice: Choice
    size: str
    every: int
    frames: int
    fps: float
    core_ms: float
    """Processor time a frame, of the whole pipeline."""
    latency_ms: float
    """Of the network alone for one picture, median."""
    mask_ap: float | None
    """From the model's card; None: not measured there."""
    matched: float
    """Objects found in both, over those of whichever found more."""
    iou: float
    """Mean IoU of the masks of the objects found in both."""
    held: bool
    """Its answers are as good: it may be chosen."""


@dataclass(frozen=True, slots=True)
class TuneReport:
    """All ways that were tried in the time."""

    source: str
    model: str
    trials: tuple[Trial, ...]
    chosen: Choice
    speedup: float
    """Its frames a second over those of what a run takes by itself."""
    kept: str
    """The file that keeps it; empty: nothing is kept, since no way was faster than a run as it is."""
    applied: bool
    """Runs use it from now on."""
    complete: bool
    """All ways were tried: neither the time nor the patience ended before."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def tune(
    source: Source,
    config: PipelineConfig,
    *,
    seconds: float = 60.0,
    frames: int = 60,
    apply: bool = False,
    on_message: Message | None = None,
) -> TuneReport:
    """Try ways to run `config` on up to `frames` frames of a film, for about `seconds`, and keep the best for this machine.

    An interrupt (Ctrl-C) ends the trying; what was tried until then counts. Raises StreamsegError.
    """
    if not is_name(config.infer.model):
        raise ConfigError("tune is for a model by name; a file runs as it is: streamseg models import FILE")
    spec = asked_graph(config, on_message)
    tuner = _Tuner(source, config, spec, frames, time.monotonic() + seconds, on_message or (lambda _: None))
    complete = False
    with contextlib.suppress(KeyboardInterrupt, _Late):
        tuner.run()
        complete = True
    if len(tuner.trials) < 2:
        raise ConfigError("the time was not enough to compare two ways; give more: --seconds 120")
    best, usual = tuner.best, tuner.usual
    key, gained, path = key_of(spec, config.infer.engine), best.choice != usual.choice, ""
    if gained:
        about = {"model": spec.name, "size": best.size, "fps": best.fps, "of": usual.fps}
        path = str(keep(key, best.choice, str(datetime.date.today()), apply=apply, about=about))
    else:  # what was found before is not faster any more
        forget(key)
    speedup = round(best.fps / usual.fps, 3)
    return TuneReport(str(source), spec.name, tuple(tuner.trials), best.choice, speedup, path, apply and gained, complete)


class _Late(Exception):
    """The time is up."""


class _Tuner:
    def __init__(
        self, source: Source, config: PipelineConfig, spec: GraphSpec, frames: int, until: float, say: Message
    ) -> None:
        self.trials: list[Trial] = []
        self._source, self._spec, self._frames, self._until, self._say = source, spec, frames, until, say
        infer = config.infer.model_copy(update={"no_tuned": True})
        self._config = beside_output(config).model_copy(
            update={"infer": infer, "outputs": dict(list(config.outputs.items())[:1])}
        )
        self._exact: list[Instances] = []

    def run(self) -> None:
        """Try all."""
        for choice in self._precisions():
            self._try(choice)
        for change in self._requests():
            self._try(_with(self.best.choice, **change))
        for batch in (2, 4) if self._spec.batch == 0 else ():
            self._try(_with(self.best.choice, batch=batch))
        for size in ready_sizes(find(self._config.infer.model)):
            if size != self._spec.size:
                self._try(self.best.choice, size=size)
        for every in (2, 3):
            self._try(self.best.choice, every=every)

    @property
    def usual(self) -> Trial:
        """What a run takes by itself, if it was tried; else the exact one."""
        return next((t for t in self.trials if t.choice == self._usual), self.trials[0])

    @property
    def best(self) -> Trial:
        """The fastest whose answers held, at the size and on the frames that were asked for."""
        best = first = self.usual if self.usual.held else self.trials[0]
        for trial in self.trials:
            alike = trial.held and (trial.size, trial.every) == (first.size, first.every)
            best = trial if alike and trial.fps > FASTER * best.fps else best
        return best

    def _precisions(self) -> Iterator[Choice]:
        infer = self._config.infer
        first = Choice("fp32", infer.in_flight, infer.threads, infer.batch)
        with contextlib.closing(load_engine(self._config)) as engine:
            self._usual, on_gpu = _with(first, precision=engine.precision), computes_on_gpu(engine.name)
        ways = [first, self._usual]  # these two are tried whatever the time
        there = [each for each in ("fp16",) * on_gpu + ("int8",) if in_precision(self._spec.path, each) is not None]
        ways += [_with(first, precision=precision) for precision in there]
        if not on_gpu and infer.engine in ("auto", "openvino") and why_not_bf16() is None:
            ways.append(_with(first, precision="bf16"))
        yield from dict.fromkeys(ways)

    def _requests(self) -> list[dict[str, int]]:
        """Requests and threads in all: from one that has every core to one on each."""
        cores, infer = core_count(), self._config.infer
        ways = [(1, cores), (2, cores), (max(2, cores // 2), cores), (cores, cores), (1, max(1, cores - 1))]
        told = {(infer.in_flight, infer.threads or cores)}
        return [{"in_flight": min(16, r), "threads": t} for r, t in dict.fromkeys(ways) if (r, t) not in told and t >= r]

    def _try(self, choice: Choice, *, size: tuple[int, int] | None = None, every: int | None = None) -> None:
        if len(self.trials) > 1 and time.monotonic() >= self._until:
            raise _Late
        infer = self._config.infer.model_copy(update=asdict(choice) | ({} if every is None else {"every": every}))
        preprocess = self._config.preprocess.model_copy(update={"size": size or self._spec.size})
        config = self._config.model_copy(update={"infer": infer, "preprocess": preprocess})
        try:
            self.trials.append(self._measure(config, choice))
        except (EngineError, ModelError) as error:  # a way that this machine cannot go
            self._say(f"{choice}: {error}")

    def _measure(self, config: PipelineConfig, choice: Choice) -> Trial:
        found: list[Instances] = []

        def note(result: Result) -> Result:
            found.append(result.instances)
            return result

        with tempfile.TemporaryDirectory(prefix="streamseg-tune-") as folder, contextlib.closing(load_engine(config)) as engine:
            step = Step("tune", "notes what was found", "Result", lambda _: note, after="tally")
            out = [str(Path(folder) / "out.mp4")] if config.outputs else [str(Path(folder) / "out.jsonl")]
            job = build_pipeline(self._source, config, out, engine=engine, extra=[step], limit=self._frames)
            began, cpu = time.perf_counter(), time.process_time()
            report = job.run()
            wall, cpu = time.perf_counter() - began, time.process_time() - cpu
            latency = _latency(engine, engine.spec.size)
            if report.interrupted:
                raise KeyboardInterrupt
            height, width, spec = job.info.height, job.info.width, engine.spec
        if not self._exact:
            self._exact = found
        matched, iou = _agreement(self._exact, found, width, height)
        card = quality.measured(spec, choice.precision)
        lost = quality.loss(card, quality.measured(self._spec, "fp32"))
        least = LEAST_MATCHED if lost is None or choice.precision == "fp32" else LEAST_VOUCHED
        held = matched >= least and iou >= LEAST_IOU and (lost is None or lost < quality.MOST_LOST)
        count = max(1, report.frames_done)
        trial = Trial(
            choice,
            f"{spec.height}x{spec.width}",
            int(config.infer.every) if config.infer.every != "auto" else 1,
            report.frames_done,
            round(count / wall, 2),
            round(1000 * cpu / count, 1),
            round(latency, 1),
            None if card is None else round(card.mask, 1),
            round(matched, 3),
            round(iou, 3),
            held,
        )
        self._say(f"{trial.size}, {choice}, every {trial.every}: {trial.fps:.1f} fps, {trial.core_ms:.0f} core ms a frame")
        return trial


def _with(choice: Choice, **changes: Any) -> Choice:
    return Choice(**asdict(choice) | changes)


def _latency(engine: Any, size: tuple[int, int], times: int = 5) -> float:
    """Milliseconds of one picture alone, median."""
    picture, took = np.full((1, *size, 3), 114, np.uint8), []
    for _ in range(times):
        began = time.perf_counter()
        engine.submit(picture).result()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def _agreement(exact: list[Instances], found: list[Instances], width: int, height: int) -> tuple[float, float]:
    """Objects found in both over those of whichever found more; and the mean IoU of their masks. 1 and 1 where nothing is found."""
    both, overlaps = 0, []
    for here, there in zip(exact, found, strict=False):
        for i, j in _pairs(here, there):
            both += 1
            overlaps.append(_mask_iou(here, i, there, j, width, height))
    most = max(sum(map(len, exact)), sum(map(len, found)))
    return (both / most if most else 1.0), (float(np.mean(overlaps)) if overlaps else 1.0)


def _pairs(here: Instances, there: Instances) -> Iterator[tuple[int, int]]:
    """Objects of one class whose boxes have an IoU of a half or more, each in one pair, the best first."""
    if not len(here) or not len(there):
        return
    low = np.maximum(here.boxes[:, None, :2], there.boxes[None, :, :2])
    high = np.minimum(here.boxes[:, None, 2:], there.boxes[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(each.boxes[:, 2:] - each.boxes[:, :2], axis=1) for each in (here, there)]
    iou = common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-9)
    iou[here.labels[:, None] != there.labels[None]] = 0
    while iou.max() >= 0.5:
        i, j = np.unravel_index(int(iou.argmax()), iou.shape)
        iou[i, :] = iou[:, j] = 0
        yield int(i), int(j)


def _mask_iou(here: Instances, i: int, there: Instances, j: int, width: int, height: int) -> float:
    first, second = (_pasted(each, number, width, height) for each, number in ((here, i), (there, j)))
    union = int(np.count_nonzero(first | second))
    return np.count_nonzero(first & second) / union if union else 1.0


def _pasted(found: Instances, number: int, width: int, height: int) -> Any:
    """The mask of one object, or its box where boxes alone are found: bool [height, width]."""
    whole = np.zeros((height, width), bool)
    (x0, y0, x1, y1), crop = masks.paste(found.mask_or_box[number], found.boxes[number], width, height)
    whole[y0:y1, x0:x1] = crop >= 128
    return whole
