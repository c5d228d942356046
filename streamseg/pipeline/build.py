"""The whole pipeline, from source to sinks: the one place where the stages meet.

decode → preprocess → infer → postprocess → track → smooth → refine → occlusion → events ─┬→ composite → encode
                                                                                          └→ composite → encode
One such branch for each output.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Literal

from av.video.format import VideoFormat

from streamseg.composite import Compositor, Effect, Rendered, colours_grey
from streamseg.config.schema import OutputConfig, PipelineConfig
from streamseg.core.result import Result
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.address import as_source
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.detect.schedule import Cadence
from streamseg.encode import Sink, check_output, copies_tracks, is_view, make_view, open_sink
from streamseg.encode.video.nvenc import why_not_nvenc
from streamseg.encode.view import MjpegServer
from streamseg.engine import Engine, GraphSpec, computes_on_gpu, open_engine
from streamseg.errors import scrub
from streamseg.events import EventDetector
from streamseg.gpu import Device, DeviceCompositor, DevicePreprocess, Landing, choose_device
from streamseg.occlusion import OcclusionEstimator
from streamseg.pipeline.outputs import Target, plan
from streamseg.pipeline.report import OutputReport, RunReport, Tally, latency_table, stage_table
from streamseg.runtime import Branch, Chain, Runtime, Stage
from streamseg.temporal.flow import Motion
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from streamseg.track import Tracker

__all__ = [
    "Pipeline",
    "build",
    "build_results",
    "compositor_for",
    "effects",
    "engine_for",
    "events_for",
    "occlusion_for",
    "postprocess_for",
    "preprocess_for",
    "refine_for",
    "smooth_for",
    "tracker_for",
]

Say = Callable[[str], None]
Source = str | int | PathLike[str]


@dataclass(slots=True)
class Pipeline:
    """A pipeline whose source, engine and outputs are open, ready to run once."""

    info: SourceInfo
    decoder: Decoder
    engine: Engine
    runtime: Runtime
    tally: Tally
    events: EventDetector
    sinks: list[tuple[Target, Sink]]
    live: bool
    _began: float = field(default=0.0)
    _seconds: float = field(default=0.0)

    def run(self, tick: Callable[[Pipeline], None] | None = None) -> RunReport:
        """Run to the end of the source (or a signal); `tick` is called ten times a second. Raises the run's first error."""
        self._began = time.monotonic()
        try:
            self.runtime.run(tick=None if tick is None else lambda: tick(self))
        finally:
            self._seconds = time.monotonic() - self._began
            self.engine.close()
        return self.report()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def report(self) -> RunReport:
        """What was done so far."""
        counters = self.runtime.snapshot()
        outputs = []
        for target, sink in self.sinks:
            done = counters[_sink_name(target)]
            stages = [c for name, c in counters.items() if name in (_sink_name(target), _draw_name(target))]
            outputs.append(
                OutputReport(
                    target.name, sink.name, done.given, sum(c.dropped for c in stages), tuple(map(scrub, sink.warnings))
                )
            )
        return RunReport(
            source=self.info.name,
            engine=str(self.engine),
            model=self.engine.spec.name,
            seconds=self._seconds or self.elapsed,
            frames_in=counters["decode"].given + self.decoder.left_out,
            frames_done=self.tally.frames,
            dropped=counters["preprocess"].dropped + self.decoder.left_out,
            instances=self.tally.instances,
            objects=dict(self.events.total),
            events={key: value for key, value in self.events.summary().items() if key != "total"},
            latency_ms=latency_table(counters) if self.live else {},
            stages=stage_table(counters),
            outputs=tuple(outputs),
            warnings=tuple(map(scrub, self.decoder.warnings)),
            interrupted=self.runtime.interrupted is not None,
        )


def build(
    source: Source,
    config: PipelineConfig,
    outputs: Sequence[str] = (),
    *,
    overwrite: bool = False,
    say: Say | None = None,
    device: Device | None = None,
) -> Pipeline:
    """Open everything and connect it. `outputs` is what -o says; `say` is told what was chosen. Raises StreamsegError.

    Frames live on `device`; None: on the GPU where the network computes there, else in host memory.
    """
    source = as_source(source)
    targets = plan(config.outputs, outputs, source)
    device = device or _device(config, say)
    with contextlib.ExitStack() as undo:
        landing = _landing(device, config)
        decoder = _decoder(source, config, landing, say)
        undo.callback(decoder.close)
        views = _views(targets, source, overwrite)
        for view in views.values():
            undo.callback(view.close)
        info = decoder.open()
        gpu = device is not None and device.on_gpu
        sinks = [(target, _sink(target, decoder, info, source, overwrite, gpu, views.get(target.name))) for target in targets]
        branches = []
        live = info.live or config.decode.realtime
        for target, sink in sinks:  # before the engine, which takes seconds to load: most refusals are the outputs'
            sink.open()
            undo.callback(sink.close)
            branches.append(_output_branch(target, sink, live, device))
        engine = engine_for(config, say)
        undo.callback(engine.close)
        _settle(landing, engine, device, say)
        tally, events = Tally(), events_for(config)
        runtime = _runtime(decoder, engine, config, branches, tally, events, live, device)
        for view in views.values():
            view.more_stats = lambda: {"dropped": runtime.snapshot()["preprocess"].dropped}
        undo.pop_all()
    return Pipeline(info, decoder, engine, runtime, tally, events, sinks, live)


def build_results(
    source: Source, config: PipelineConfig, outlet: Stage, opening: Callable[[Decoder], None], *, say: Say | None = None
) -> tuple[Runtime, Engine]:
    """Open a source and an engine, and connect them so that results go to `outlet`; the threads are not started yet.

    `opening` is given the decoder before it waits for a source, so that another thread can stop it.
    """
    device = _device(config, say)
    with contextlib.ExitStack() as undo:
        landing = _landing(device, config)
        decoder = _decoder(source, config, landing, say)
        undo.callback(decoder.close)
        opening(decoder)
        info = decoder.open()
        engine = engine_for(config, say)
        undo.callback(engine.close)
        _settle(landing, engine, device, say)
        live = info.live or config.decode.realtime
        branches = [Branch("results", [("results", outlet)], 1)]
        runtime = _runtime(decoder, engine, config, branches, Tally(), events_for(config), live, device)
        undo.pop_all()
    return runtime, engine


# --- the stages, in the order the data flows ------------------------------------------------------------------------------


def _device(config: PipelineConfig, say: Say | None) -> Device | None:
    return choose_device(config.infer.engine, config.decode.device, require_gpu=config.infer.require_gpu, report=say)


def _landing(device: Device | None, config: PipelineConfig) -> Landing | None:
    return None if device is None else Landing(device, config.decode.device)


def _decoder(source: Source, config: PipelineConfig, landing: Landing | None, say: Say | None) -> Decoder:
    policy = config.decode.policy
    how = config.decode.model_dump(exclude={"policy", "device", "end"}) | {"duration": config.decode.span}
    wait: Literal["likely", "live"] = "live" if policy == "drop_oldest" else "likely"
    return Decoder(source, **how, wait=wait, say=say, keep_up=policy != "block", landing=landing)


def _settle(landing: Landing | None, engine: Engine, device: Device | None, say: Say | None) -> None:
    """Now that the engine is known: upload nothing if it computes on the CPU after all; say how frames are decoded."""
    if landing is None or device is None:
        return
    if device.on_gpu and not computes_on_gpu(engine.name):
        landing.uploads = False
    if say is not None:
        say(f"decode: {landing.how}; frames live on {device.where}")
        if device.on_gpu and (reason := why_not_nvenc()) is not None:
            say(f"encode: on the CPU (NVENC: {reason})")


def preprocess_for(engine: Engine, device: Device | None) -> Stage:
    """The preprocess stage: where frames live."""
    height, width = engine.spec.size
    on_device = device is not None and (computes_on_gpu(engine.name) or not device.on_gpu)
    return DevicePreprocess(height, width, device) if device is not None and on_device else Preprocess(height, width)


def engine_for(config: PipelineConfig, say: Say | None = None) -> Engine:
    """The engine that a pipeline asks for, loaded; `say` is told which was chosen and why.

    Raises ModelError, EngineError or, before the engine is loaded, ConfigError for classes that the model does not know.
    """
    i = config.infer

    def check(spec: GraphSpec) -> None:
        postprocess_for(config, spec.classes)
        events_for(config).check_classes(spec.classes)

    return open_engine(
        i.model,
        engine=i.engine,
        precision=i.precision,
        size=config.preprocess.size,
        threads=i.threads,
        in_flight=i.in_flight,
        batch=i.batch,
        require_gpu=i.require_gpu,
        check=check,
        report=say,
    )


def postprocess_for(config: PipelineConfig, class_names: Sequence[str]) -> Postprocess:
    """The postprocess stage: it lets through what the tracker may use, not only what is sure enough to be shown."""
    p = config.postprocess
    return Postprocess(class_names, conf=min(config.track.low, p.conf), classes=p.classes)


def tracker_for(config: PipelineConfig) -> Tracker:
    """The track stage: it passes on what is sure enough or carries on what is known."""
    t = config.track
    return Tracker(config.postprocess.conf, keep=t.keep, max_age=t.max_age, confirm=t.confirm, reidentify=t.reidentify)


def occlusion_for(config: PipelineConfig) -> OcclusionEstimator:
    """The occlusion stage: it remembers an object as long as the tracker does."""
    return OcclusionEstimator(max(config.track.max_age, config.track.reidentify))


def events_for(config: PipelineConfig) -> EventDetector:
    """The events stage: by default it waits for an object a little longer than the tracker, so that none counts twice."""
    e, remembered = config.events, max(config.track.max_age, config.track.reidentify)
    patience = remembered + 0.5 if e.patience is None else e.patience
    return EventDetector(e.lines, e.zones, confirm=e.confirm, hold=e.hold, margin=e.margin, patience=patience)


def _runtime(
    decoder: Decoder,
    engine: Engine,
    config: PipelineConfig,
    branches: Sequence[Branch],
    tally: Tally,
    events: EventDetector,
    live: bool,
    device: Device | None,
) -> Runtime:
    spec, batch = engine.spec, config.infer.batch
    tracker, calm = tracker_for(config), smooth_for(config)

    def track(result: Result) -> Result:
        return tracker(result) if result.detected else result

    def smooth(result: Result) -> Result:
        calmed = calm(result)
        tally(calmed)
        return calmed

    drop = config.decode.policy == "drop_oldest" or (config.decode.policy == "auto" and live)
    every = 1 if config.infer.every == "auto" and not drop else config.infer.every  # a file waits: nothing to keep up with
    trunk: list[tuple[str, Stage]] = [
        ("preprocess", preprocess_for(engine, device)),
        ("infer", Infer(engine, batch, Cadence(every))),
        ("postprocess", postprocess_for(config, spec.classes)),
    ]
    later: list[tuple[str, Stage]] = [("track", track), ("smooth", smooth)]
    if (refine := refine_for(config)) is not None:
        later.append(("refine", refine))
    later.append(("events", Chain([occlusion_for(config), events])))
    # Live, latency counts for more than that these few milliseconds are spread over cores.
    trunk += [("track", Chain([stage for _, stage in later]))] if live else later
    # A partly filled batch waits inside the channels for the rest of it: they must have room for one.
    capacity = max(batch, 1 if live else 4)
    return Runtime(decoder, trunk, branches, capacity=capacity, policy="drop_oldest" if drop else "block", arrived=_arrived)


def smooth_for(config: PipelineConfig) -> Smooth:
    """The smooth stage: what the file asks for."""
    motion, seconds = Motion(), config.smooth.masks
    return Smooth(Smoother(seconds, motion) if seconds else None, motion)


def refine_for(config: PipelineConfig) -> Refiner | None:
    """The refine stage, if the file asks for it. It costs about as much as smoothing, hence a thread of its own."""
    return Refiner() if config.smooth.edges else None


def compositor_for(output: Target | OutputConfig, device: Device | None) -> Compositor:
    """The composite stage of an output: where frames live."""
    grey = output.keep_grey
    if device is None:
        return Compositor(effects(output), keep_grey=grey)
    return DeviceCompositor(effects(output), device, keep_grey=grey)


def _output_branch(target: Target, sink: Sink, live: bool, device: Device | None) -> Branch:
    stages: list[tuple[str, Stage]] = [(_draw_name(target), compositor_for(target, device)), (_sink_name(target), sink)]
    if is_view(target.path):
        return Branch(target.name, stages, 1, "drop_oldest", optional=not live)
    return Branch(target.name, stages, 1 if live else 4)


def effects(output: Target | OutputConfig) -> list[Effect]:
    """The effects of an output, in the order in which they are drawn."""
    return [step.effect for step in output.composite]


def _views(targets: Sequence[Target], source: Source, overwrite: bool) -> dict[str, MjpegServer]:
    """Refuse outputs that can be refused before the source is there, which may be a camera that is off; open the views."""
    for target in targets:
        check_output(target.path, overwrite=overwrite, source=source)
    with contextlib.ExitStack() as undo:
        views = {}
        for target in targets:
            if is_view(target.path):
                views[target.name] = make_view(target.path, "waiting for the source")
                views[target.name].open()
                undo.callback(views[target.name].close)
        undo.pop_all()
    return views


def _sink(
    target: Target, decoder: Decoder, info: SourceInfo, source: Source, overwrite: bool, gpu: bool, view: MjpegServer | None
) -> Sink:
    if view is not None:
        view.title = info.name
    sink = view or open_sink(
        target.path,
        info,
        codec=target.encode.codec,
        crf=target.encode.crf,
        overwrite=overwrite,
        source=str(source) if info.kind in ("file", "images") else None,
        passthrough=decoder.subscribe() if copies_tracks(target.path) else None,
        alpha=any(effect.alpha for effect in effects(target)),
        gpu=gpu,
        audio=target.encode.audio,
    )
    with contextlib.suppress(ValueError):  # a format that PyAV does not know: it is not grey
        if not target.keep_grey and colours_grey(effects(target), VideoFormat(info.pix_fmt)):
            sink.warnings.append(
                f"{target.path}: the source is grey, what is drawn has colour, so the output has; --keep-grey: not"
            )
    return sink


def _arrived(item: Rendered | Result) -> float:
    return item.frame.arrived if isinstance(item, Result) else item.result.frame.arrived


def _draw_name(target: Target) -> str:
    return f"composite {target.name}"


def _sink_name(target: Target) -> str:
    return f"encode {target.name}"
