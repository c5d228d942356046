"""The whole pipeline, from source to sinks, opened and connected in the order of `stages`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from streamseg.composite import Rendered
from streamseg.config.schema import PipelineConfig, SelectConfig
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.address import as_source
from streamseg.decode.reconnect import OnLoss
from streamseg.decode.tap import PacketTap
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess
from streamseg.encode import Sink
from streamseg.engine import Engine
from streamseg.errors import scrub
from streamseg.events import EventDetector
from streamseg.gpu import Device
from streamseg.pipeline import opening
from streamseg.pipeline.account import Account, take_account
from streamseg.pipeline.admission import Admission
from streamseg.pipeline.answers import Progress, drawing_less, refuse_between, remembering
from streamseg.pipeline.camera import camera_of, camera_report
from streamseg.pipeline.edit import Edit
from streamseg.pipeline.expected import tell_tracks
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.finding import Asked, open_context
from streamseg.pipeline.opening import FirstFrames, Source
from streamseg.pipeline.outputs import Target, plan
from streamseg.pipeline.pace import Paced
from streamseg.pipeline.private import in_host_memory, outlines_told, with_outputs
from streamseg.pipeline.report import OutputReport, RunReport, Tally, latency_table, refuse_warnings, stage_table
from streamseg.pipeline.speed import LEAST_SECONDS, Speed, bare_rate, measure_speed
from streamseg.pipeline.split import SplitSink
from streamseg.pipeline.stages import Context, Made, Step, close, make, steps
from streamseg.pipeline.where import fixes_of, road_untold
from streamseg.record.stages import Recall, Record
from streamseg.runtime import Branch, Counters, Runtime, Stage
from streamseg.shield.hide import Hide
from streamseg.shield.shield import Shields
from streamseg.system.callbacks import Message
from streamseg.system.throttling import Throttling, read_throttling

__all__ = ["Pipeline", "build_pipeline", "build_results", "look_at"]

T = TypeVar("T")


@dataclass(slots=True)
class Pipeline:
    """A pipeline whose source, engine and outputs are open, ready to run once."""

    info: SourceInfo
    decoder: Decoder
    paced: Paced
    source: Paced | FirstFrames
    context: Context
    own_engine: bool
    """It was opened for this pipeline, and is closed with it."""
    trunk: Made
    branches: list[Branch]
    runtime: Runtime
    sinks: list[tuple[Target, Sink]]
    live: bool
    steps: Sequence[Step] = ()
    """The list of stages that it was made from."""
    _began: float = field(default=0.0)
    _seconds: float = field(default=0.0)
    _before: Throttling = field(default_factory=read_throttling)
    _alone: float | None = None

    def run(self, on_tick: Callable[[Pipeline], None] | None = None) -> RunReport:
        """Run to the end of the source (or a signal); `on_tick` is called ten times a second. Raises the run's first error."""
        self._began, self._before = time.monotonic(), read_throttling()
        try:
            try:
                self.runtime.run(on_tick=None if on_tick is None else lambda: on_tick(self))
            finally:
                self._seconds = time.monotonic() - self._began
                finish_results(self.trunk, self.runtime)
            self._alone = self._engine_alone()
        finally:
            self._close_engine()
        report = self.report()
        if self.context.config.strict:
            refuse_warnings(report.all_warnings, "the files are written")
        return report

    def _engine_alone(self) -> float | None:
        """What the engine can do where nothing else runs, in pictures a second; None where that would say nothing."""
        infer, engine = _one(self.trunk, Infer), self.context.engine
        if infer is None or infer.last is None or engine is None or not self.own_engine or self.live:
            return None
        if self.runtime.interrupted is not None or self._seconds < LEAST_SECONDS:
            return None
        return bare_rate(engine, infer.last, min(2.0, self._seconds / 20))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that can be found."""
        return self.context.classes

    def _speed(self, counters: dict[str, Counters]) -> Speed | None:
        if self._seconds < LEAST_SECONDS / 5:
            return None
        return measure_speed(
            _one(self.trunk, Infer),
            counters,
            self._seconds,
            live=self.live,
            dropped=self.dropped,
            before=self._before,
            alone=self._alone,
        )

    def close(self) -> None:
        """Give back what is open, for a pipeline that is not run."""
        self.source.stop()
        self.source.close()
        for _, stage in (*self.trunk.stages, *(named for branch in self.branches for named in branch.stages)):
            close(stage)
        finish_results(self.trunk, None)
        self._close_engine()

    def _close_engine(self) -> None:
        if self.own_engine and self.context.engine is not None:
            self.context.engine.close()

    @property
    def tally(self) -> Tally:
        """What passed so far."""
        return _only(self.trunk, Tally)

    @property
    def objects(self) -> dict[str, int]:
        """Objects of each class that were counted so far."""
        return dict(_only(self.trunk, EventDetector).counts.total)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def dropped(self) -> int:
        """Frames left out so far to keep up: before the first stage, before the network, or by the decoder of a live source."""
        return self.account().dropped

    @property
    def detect_every(self) -> int:
        """The network runs on one frame of so many now; 1 without a network."""
        infer = _one(self.trunk, Infer)
        return 1 if infer is None else infer.every

    def account(self) -> Account:
        """What became of every frame so far."""
        return take_account(self.decoder, self.paced, self.runtime, self.tally, ended=self.runtime.ended)

    def latency_ms(self) -> dict[str, float]:
        """From capture to the composited picture, of the slowest output over the last minute: `p50`, `p95`, `p99`; {}: nothing."""
        drawn = {f"composite {target.name}" for target, _ in self.sinks}
        return latency_table(c for name, c in self.runtime.counters.items() if name in drawn)

    def queues(self) -> dict[str, int]:
        """Frames that wait before each stage that has a thread of its own."""
        return self.runtime.waiting()

    def report(self) -> RunReport:
        """What was done so far."""
        counters, events, account = self.runtime.snapshot(), _only(self.trunk, EventDetector), self.account()
        read, record = _one(self.trunk, Postprocess), _one(self.trunk, Record)
        said = list(self.decoder.warnings)
        if (edit := _one(self.trunk, Edit)) is not None:
            said += edit.warnings
        if read is not None:
            said += read.counters.sentences(len(read.class_names))
        outputs = []
        for target, sink in self.sinks:
            stages = self.runtime.branch(target.name)
            dropped, warnings = sum(c.dropped for c in stages), tuple(map(scrub, sink.warnings))
            outputs.append(OutputReport(target.name, sink.name, stages[-1].given, dropped, warnings))
            outputs += sink.reports(target.name) if isinstance(sink, SplitSink) else []
        return RunReport(
            source=self.info.name,
            engine=self.context.found_by,
            model=self.context.model,
            seconds=self._seconds or self.elapsed,
            frames_in=account.captured,
            frames_done=account.processed,
            dropped=account.dropped,
            instances=self.tally.instances,
            objects=dict(events.counts.total),
            events={key: value for key, value in events.summary().items() if key != "total"},
            latency_ms=self.latency_ms() if self.live else {},
            stages=stage_table(counters),
            outputs=tuple(outputs),
            warnings=tuple(map(scrub, (*said, *(record.warnings if record is not None else ())))),
            interrupted=self.runtime.interrupted is not None,
            precision=self.context.precision,
            speed=self._speed(counters),
            skipped=dict(account.skipped),
            detected=account.detected,
            gated=account.gated,
            results=results_report(self.trunk),
            privacy=privacy_report(self.trunk),
            camera=camera_report(self.context.camera),
        )


def build_pipeline(
    source: Source,
    config: PipelineConfig,
    outputs: Sequence[str] = (),
    *,
    overwrite: bool = False,
    on_message: Message | None = None,
    device: Device | None = None,
    engine: Engine | None = None,
    extra: Sequence[Step] = (),
    limit: int | None = None,
    progress: Progress | None = None,
    tap: PacketTap | None = None,
    shown: Sequence[Target] | None = None,
    started: Callable[[Decoder], None] | None = None,
    on_loss: OnLoss | None = None,
    changeable: bool = False,
) -> Pipeline:
    """Open everything and connect it. Raises StreamsegError.

    Args:
        source: As `streamseg.stream` takes it.
        config: The pipeline file.
        outputs: What -o says.
        overwrite: Replace outputs that exist.
        on_message: Hears what was chosen.
        device: Frames live there; None: on the GPU where the network computes there, else in host memory.
        engine: Runs the network, and stays open; None: the one that `config` asks for is opened, and closed after the run.
        extra: Stages of your own (see `stages`).
        limit: End after so many frames.
        progress: Keeps what is finished, and has what an earlier run has kept.
        tap: Hears of each packet of the source as it is read.
        shown: The outputs, of a program that brings sinks of its own, instead of those of `config` and `outputs`.
        started: Is given the decoder before it waits for a source, so that another thread can stop it.
        on_loss: As for `Decoder`.
        changeable: It may be given another configuration while it runs (`pipeline.change`).
    """
    origin = as_source(source)
    config = opening.tuned(config, on_message) if engine is None else config
    targets = plan(config.outputs, outputs, origin) if shown is None else list(shown)
    config = in_host_memory(config if shown is None else with_outputs(config, targets), on_message)
    chosen = steps([*extra_steps(config), *extra])
    opening.say_refused(origin, config, targets, on_message)
    device = device or opening.find_device(config, on_message)
    with contextlib.ExitStack() as undo:
        decoder, hardware = opening.make_decoder(origin, config, device, on_message, tap, on_loss)
        undo.callback(decoder.close)
        if started is not None:
            started(decoder)
        views = opening.open_views(targets, origin, overwrite)
        for view in views.values():
            undo.callback(view.close)
        info = decoder.open()
        camera = camera_of(config, info, on_message)
        if engine is None:
            config = opening.fitted(config, (info.width, info.height), on_message)
        if progress is not None:
            progress.begin(info)
        gpu = device is not None and device.on_gpu
        made = [
            opening.make_sink(t, decoder, info, origin, overwrite, gpu, views.get(t.name), progress, config) for t in targets
        ]
        for target, sink in zip(targets, made, strict=True):
            sink.warnings += filter(None, (outlines_told(config, target), road_untold(config, target)))
        sinks = list(zip(targets, made, strict=True))
        for _, sink in sinks:  # before the engine, which takes seconds to load: most refusals are the outputs'
            sink.open()
            undo.callback(sink.close)
        if config.strict:  # what is known now is told before hours of work
            refuse_warnings((*decoder.warnings, *(text for sink in made for text in sink.warnings)), "nothing is written")
        if progress is not None:
            progress.opened()
        asked = Asked(config, origin, info, chosen, extra, targets, overwrite, on_message, device, hardware)
        load = partial(opening.load_engine, config, on_message, targets)
        look = partial(look_at, source, extra=extra, on_message=on_message, engine=engine, progress=progress)
        context, own_engine = open_context(asked, undo, engine, load, look)
        if context.decided is not None:
            sinks = list(zip(context.decided.targets, made, strict=True))
        tell_tracks(context.decided, config.decode, sinks)
        context = replace(context, changeable=changeable, camera=camera, fixes=fixes_of(config, origin, decoder, on_message))
        trunk = make(chosen, "trunk", context)
        kept = progress is not None
        branches = [_branch(chosen, replace(context, output=target, sink=sink), kept) for target, sink in sinks]
        paced = Paced(decoder, config.decode.max_rate)
        limited = paced if limit is None else FirstFrames(paced, limit)
        runtime = _connect(limited, _remembering(trunk, context, progress), branches, context)
        undo.pop_all()
    pipeline = Pipeline(
        info, decoder, paced, limited, context, own_engine, trunk, branches, runtime, sinks, context.live, chosen
    )
    for view in views.values():
        view.run = pipeline
    return pipeline


def build_results(
    source: Source,
    config: PipelineConfig,
    outlet: Stage,
    started: Callable[[Decoder], None],
    *,
    on_message: Message | None = None,
    engine_of: Callable[[], Engine] | None = None,
    extra: Sequence[Step] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Runtime, Made, Engine | None]:
    """Open a source and an engine, and connect them so that results go to `outlet`; the threads are not started yet.

    Returns the runtime, the stages, and the engine, which the caller closes; None: a results file is read.

    `started` is given the decoder before it waits for a source, so that another thread can stop it. `engine_of` gives the engine;
    None: the one that `config` asks for is opened. `overwrite`: a results file of another film may be replaced.
    `progress`: keeps the network's answers.
    """
    config = in_host_memory(opening.tuned(config, on_message) if engine_of is None else config, on_message)
    chosen, device = steps([*extra_steps(config), *extra]), opening.find_device(config, on_message)
    with contextlib.ExitStack() as undo:
        decoder, hardware = opening.make_decoder(source, config, device, on_message)
        undo.callback(decoder.close)
        started(decoder)
        info = decoder.open()
        if engine_of is None:
            config = opening.fitted(config, (info.width, info.height), on_message)
        asked = Asked(config, as_source(source), info, chosen, extra, (), overwrite, on_message, device, hardware)
        load = engine_of or partial(opening.load_engine, config, on_message)
        look = partial(look_at, source, extra=extra, on_message=on_message, engine_of=engine_of)
        context, _ = open_context(asked, undo, None, load, look)
        camera = camera_of(config, info, on_message)
        context = replace(context, camera=camera, fixes=fixes_of(config, asked.source, decoder, on_message))
        branches = [Branch("results", [("results", outlet)], 1)]
        trunk = make(chosen, "trunk", context)
        paced = Paced(decoder, config.decode.max_rate)
        runtime = _connect(paced, _remembering(trunk, context, progress), branches, context)
        undo.pop_all()
    return runtime, trunk, context.engine


def _remembering(trunk: Made, context: Context, progress: Progress | None) -> Made:
    """The trunk as it runs: where there is a network, and something keeps its answers, it is asked each thing once."""
    if progress is None or context.engine is None:
        return trunk
    refuse_between([name for name, _ in trunk.stages])
    return remembering(trunk, progress.answers(context.config, context.graph, context.engine))


def look_at(
    source: Source,
    config: PipelineConfig,
    *,
    on_message: Message | None = None,
    engine: Engine | None = None,
    engine_of: Callable[[], Engine] | None = None,
    extra: Sequence[Step] = (),
    progress: Progress | None = None,
) -> None:
    """Look at all that is asked for, and keep what is found as `config` says, without an output. `engine` stays open."""
    outlet = _Nowhere()
    plain = config.model_copy(update={"select": SelectConfig(edits="off")})
    given = engine_of if engine is None else lambda: engine
    runtime, trunk, used = build_results(
        source,
        plain,
        outlet,
        lambda decoder: None,
        on_message=_without_results(on_message),
        engine_of=given,
        extra=extra,
        overwrite=True,
        progress=progress,
    )
    try:
        runtime.run()
    finally:
        finish_results(trunk, runtime)
        if used is not None and engine is None:
            used.close()


def _without_results(on_message: Message | None) -> Message | None:
    """What is said of the results file was said before."""
    if on_message is None:
        return None
    return lambda text: None if text.startswith("results: ") else on_message(text)


class _Nowhere:
    """Where results go that nobody waits for: they are kept on the way."""

    def __call__(self, result: Result) -> None:
        """Nothing."""


def _branch(chosen: Sequence[Step], context: Context, kept: bool = False) -> Branch:
    """kept: an earlier run may have finished parts of it."""
    assert context.output is not None
    assert context.sink is not None
    made, live, name = make(chosen, "output", context), context.live, context.output.name
    made = drawing_less(made, context.output, context.sink) if kept else made
    if context.output.newest:
        return Branch(name, made.stages, 1, "drop_oldest", optional=not live, joined=made.joined)
    return Branch(name, made.stages, context.room, joined=made.joined)


def _admission(trunk: Made, context: Context) -> Admission | None:
    """What bounds the latency, where something does."""
    infer, admission = _one(trunk, Infer), _one(trunk, Admission)
    if admission is not None and infer is not None:
        admission.service = infer.service
    return admission


def _connect(
    source: Paced | FirstFrames,
    trunk: Made,
    branches: Sequence[Branch],
    context: Context,
) -> Runtime:
    admission = _admission(trunk, context)
    return Runtime(
        source,
        trunk.stages,
        branches,
        # A partly filled batch waits inside the channels for the rest of it: they must have room for one.
        capacity=max(context.config.infer.batch, context.room),
        policy="drop_oldest" if context.drops else "block",
        joined=trunk.joined,
        arrived=_arrived,
        through=None if admission is None else lambda item: admission.through(_frame_of(item)),
        around=None if context.device is None else context.device.at_work(),
    )


def _frame_of(item: Any) -> Frame:
    """The frame that passes as this item."""
    if isinstance(item, Frame):
        return item
    return _frame_of(item.result if hasattr(item, "result") else item.frame)  # a result without instances is false, too


def _arrived(item: Rendered | Result) -> float:
    return item.frame.arrived if isinstance(item, Result) else item.result.frame.arrived


def finish_results(trunk: Made, runtime: Runtime | None) -> None:
    """Close the results file of a run that has ended; None: that never began. It is complete if nothing cut the run short.

    Raises OutputError where it must be kept and cannot.
    """
    record = _one(trunk, Record)
    if record is not None:
        whole = runtime is not None and runtime.interrupted is None and not runtime.errors
        record.finish(complete=whole)


def results_report(trunk: Made) -> dict[str, Any]:
    """What a run did about a results file: `path`, whether it was `read` or written, `frames`, and `bytes` written; {}: nothing."""
    record, recall = _one(trunk, Record), _one(trunk, Recall)
    if recall is not None:
        return {"path": str(recall.results.path), "read": True, "frames": len(recall.results), "bytes": 0}
    if record is None:
        return {}
    return {"path": str(record.path), "read": False, "frames": record.frames, "bytes": record.bytes}


def privacy_report(trunk: Made) -> list[dict[str, Any]]:
    """What was hidden in a run, for each setting of privacy: `classes` and what `Safeties.to_json` says."""
    shields, hide = _one(trunk, Shields), _one(trunk, Hide)
    if shields is None:
        return []
    told = [{"classes": each.effect.classes, **each.safeties.to_json()} for each in shields.shields]
    return [{**each, "unknown": hide.unknown if hide is not None else 0} for each in told]


def _one(made: Made, kind: type[T]) -> T | None:
    """The stage of that kind, if there is one."""
    return next((stage for _, stage in made.stages if isinstance(stage, kind)), None)


def _only(made: Made, kind: type[T]) -> T:
    """The stage of that kind, which always runs."""
    found = _one(made, kind)
    assert found is not None
    return found
