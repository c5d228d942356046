"""The list of stages: what runs, in which order, and how each stage is made. Everything that must know the order reads it here.

decode ─┬→ preprocess → infer → postprocess → track → link → smooth → refine → record ─┐
        └→ recall ─────────────────────────────────────────────────────────────────────┴→ edit → occlusion → events → tally ─┐
   remove → composite → encode ←┬────────────────────────────────────────────────────────────────────────────────────────────┘
   remove → composite → encode ←┘
The trunk runs once, remove (where it is asked for), composite and encode once for each output. `record` keeps what was found in a
results file; where one fits, `recall` reads it and stands for all from preprocess to record.

A stage of your own is one more entry, which says behind which other it runs. It takes what that stage gives, and gives the same
kind::

    class OnlyLarge:
        def __call__(self, result: Result) -> Result: ...

    large = Step("large", "lets large objects through", "Result", lambda context: OnlyLarge(), after="link")
    build_pipeline("in.mp4", config, ["out.mp4"], extra=[large])

A pipeline file's own stages (`extra.ExtraStage`) become such entries.

It may have `flush()`, called at the end of the input, `close()` and `abort()`, and it may give its items later than it takes them
(`delays`, see `streamseg.runtime.Stage`). Its name stands in
the report, in `bench`, and in an error that it raises. Behind composite it runs once for each output.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from streamseg.composite import Compositor, Remove
from streamseg.composite.choose import check_classes
from streamseg.config.schema import PipelineConfig
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess, gives_masks, wanted_classes
from streamseg.detect.preprocess import Preprocess
from streamseg.detect.schedule import DetectionSchedule
from streamseg.encode import Sink
from streamseg.encode.kinds import kind_of
from streamseg.engine import Engine, GraphSpec, computes_on_gpu
from streamseg.errors import ConfigError
from streamseg.events import EventDetector
from streamseg.gpu import Device, DeviceCompositor, DevicePreprocess
from streamseg.link import Link
from streamseg.occlusion import OcclusionEstimator
from streamseg.pipeline.decide import Decided, check_known, shown_classes
from streamseg.pipeline.edit import Edit, keeps_all
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.report import Tally
from streamseg.pipeline.split import SplitSink, is_split
from streamseg.record import Results
from streamseg.record.stages import Recall, Record
from streamseg.record.write import RecordWriter
from streamseg.removal import Remover
from streamseg.runtime import Stage
from streamseg.select import Selection
from streamseg.temporal.flow import FlowCache
from streamseg.temporal.matting import Matting
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from streamseg.track import Tracker

__all__ = ["STAGES", "Context", "Made", "Part", "Step", "check", "close", "make", "steps"]

ROOM = 48 * 10**6
"""Bytes of pictures that may wait in front of each stage of a film: three of 4K with 8 bits, one with 10."""

Part = Literal["source", "trunk", "output"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage can be made from."""

    config: PipelineConfig
    spec: GraphSpec | None
    """The model: its classes, and the size of its input. None: what it found before is read (`recalled`)."""
    engine: Engine | None = None
    """What runs the model; None while a pipeline file is checked, before an engine is loaded."""
    device: Device | None = None
    """Where frames live; None: in host memory."""
    live: bool = False
    """What happens happens now, so that latency counts."""
    made: bool = False
    """A program makes the pictures one after the other, and may wait for the result of one before it makes the next."""
    frame_bytes: int = 0
    """What a decoded picture takes in memory; 0: not known."""
    output: Target | None = None
    """For a stage of an output: which one."""
    sink: Sink | None = None
    """That output's sink, open."""
    recalled: Results | None = None
    """What was found before, which is read in place of looking again."""
    decided: Decided | None = None
    """What a person decided, where the whole film is known; None: it is not."""
    writer: RecordWriter | None = None
    """The results file that is written."""

    @property
    def graph(self) -> GraphSpec:
        """The model, of a stage that looks."""
        assert self.spec is not None  # such stages are not made where results are read
        return self.spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's classes, in the order of their labels."""
        return self.recalled.class_names if self.recalled is not None else self.graph.classes

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.recalled.head["model"]["name"]) if self.recalled is not None else self.graph.name

    @property
    def found_by(self) -> str:
        """The engine, in words, or the file that is read in its place."""
        return str(self.engine) if self.recalled is None else f"none: {self.recalled.path} is read"

    @property
    def precision(self) -> str:
        """Number format in which the network is, or was, computed."""
        if self.recalled is not None:
            return str(self.recalled.head["model"].get("precision", ""))
        return "" if self.engine is None else self.engine.precision

    @property
    def boxes_alone(self) -> bool:
        """Instances have no masks."""
        p = self.config.postprocess
        if self.recalled is not None:
            return not self.recalled.head["model"]["masks"]
        return not gives_masks(self.graph, None if p.head == "auto" else p.head, p.masks)

    @property
    def online(self) -> bool:
        """Whether each frame's tracks are settled when it comes, with nothing known of what comes after."""
        asked = self.config.track.online
        return self.live or (self.made if asked == "auto" else asked)

    @property
    def room(self) -> int:
        """Items that wait in front of a stage at most. Each may hold a picture: of large ones there are fewer."""
        return 1 if self.live else max(1, min(4, ROOM // max(1, self.frame_bytes)))

    @property
    def drops(self) -> bool:
        """Whether the oldest frames are left out when the pipeline is too slow."""
        policy = self.config.decode.policy
        return policy == "drop_oldest" or (policy == "auto" and self.live)


@dataclass(frozen=True, slots=True)
class Step:
    """An entry of the list."""

    name: str
    """In reports, in `bench` and in errors; with the name of the output behind it where there is one for each output."""
    does: str
    """What it does, in a few words."""
    gives: str
    """The kind of item that it passes on; the step behind it takes that."""
    make: Callable[[Context], Stage | None] | None
    """The stage, for frames where `Context.device` says. None: left out, as the pipeline file asks. The source has no maker: it is
    opened first of all."""
    part: Part = "trunk"
    section: str = ""
    """Of the pipeline file: where its settings stand; an output's are within `outputs`."""
    gpu: bool = False
    """Frames that live on a GPU are worked on there; else this step works on the CPU."""
    optional: str = ""
    """The setting that leaves it out."""
    brings: str = ""
    """The setting that brings it in: as usual it is left out."""
    joins: Literal["never", "live", "always"] = "live"
    """When it runs in the thread of the step before it, instead of one of its own. Live, each thread less is latency less."""
    checks: bool = False
    """It can refuse what a file says of a model's classes: it is tried before the engine is loaded, which takes seconds."""
    looks: bool = False
    """It has a part in finding: left out where what was found is read from a results file. A step that is added is as the one
    behind which it runs."""
    after: str = ""
    """For a step that is added to the list: the name of the one behind which it runs."""


# --- how each is made, in the order in which data flows --------------------------------------------------------------------------


def _preprocess(context: Context) -> Stage:
    spec, device = context.graph, context.device
    if device is None or (device.on_gpu and context.engine is not None and not computes_on_gpu(context.engine.name)):
        return Preprocess(*spec.size, spec.fit, spec.padding)
    return DevicePreprocess(*spec.size, device, spec.fit, spec.padding)


def _infer(context: Context) -> Stage:
    i = context.config.infer
    if context.engine is None:
        raise ValueError("the infer stage needs an engine")
    every = 1 if i.every == "auto" and not context.drops else i.every  # a file waits: nothing to keep up with
    return Infer(context.engine, i.batch, DetectionSchedule(every))


def _confidence(context: Context) -> float:
    """The score that begins an object."""
    asked = context.config.postprocess.conf
    return context.graph.conf if asked is None else asked


def _postprocess(context: Context) -> Stage:
    """It lets through what the tracker may use, not only what is sure enough to be shown.

    Of regions that may be objects there are many over each other: a doubtful one is no second sight of a sure one.
    """
    p = context.config.postprocess
    head, low, conf = None if p.head == "auto" else p.head, context.config.track.low, _confidence(context)
    usual = conf if context.graph.part == "proposals" else 0.2 * context.graph.conf
    least = min(usual if low is None else low, conf)
    classes = None if keeps_all(context.config) else shown_classes(context.config, context.graph.classes)
    return Postprocess(context.graph, conf=least, classes=classes, head=head, masks=p.masks)


def _track(context: Context) -> Stage:
    """It passes on what is sure enough, or continues what is known."""
    t, conf, keep = context.config.track, _confidence(context), _kept(context)
    others = not context.online
    return Tracker(conf, keep=keep, max_age=t.max_age, confirm=t.confirm, reidentify=t.reidentify, tells_others=others)


def _kept(context: Context) -> float:
    """The mean score down to which an object is shown."""
    asked = context.config.track.keep
    return 0.6 * _confidence(context) if asked is None else asked


def _link(context: Context) -> Stage | None:
    """Left out where nobody waits for what comes after a frame."""
    if context.online:
        return None
    t = context.config.track
    return Link(
        _confidence(context),
        keep=_kept(context),
        look_ahead=t.look_ahead,
        fill=t.look_ahead if t.fill is None else t.fill,
        min_track=t.min_track,
        memory=t.memory,
        remembered=_remembered(context),
    )


def _smooth(context: Context) -> Stage:
    flows, seconds = FlowCache(), context.config.smooth.masks
    return Smooth(Smoother(seconds, flows) if seconds else None, flows)


def _refine(context: Context) -> Stage | None:
    edges = context.config.smooth.edges
    if edges == "matte":
        return Matting()
    return Refiner() if edges else None


def _recall(context: Context) -> Stage | None:
    return None if context.recalled is None else Recall(context.recalled)


def _record(context: Context) -> Stage | None:
    asked = context.config.results.keep
    return None if context.writer is None else Record(context.writer, must=asked != "auto")


def _edit(context: Context) -> Stage | None:
    """Where all classes are kept in the file, those asked for are chosen behind it."""
    config, decided = context.config, context.decided
    film = None if decided is None else decided.film
    classes = shown_classes(config, context.classes, None if film is None else film.edits) if keeps_all(config) else None
    shown = None if classes is None else wanted_classes(classes, context.classes)
    selection = Selection.parse(config.select.objects) if decided is None else decided.selection
    if decided is None:
        check_known(selection, context.classes)
    applied = film.applied if film is not None and film.edits else None
    if shown is None and applied is None and selection == Selection.all():
        return None
    return Edit(shown, selection, applied, film.also if film is not None else ())


def _remembered(context: Context) -> float:
    """Seconds for which the tracker may find an object again."""
    return max(context.config.track.max_age, context.config.track.reidentify)


def _occlusion(context: Context) -> Stage:
    return OcclusionEstimator(_remembered(context))


def _events(context: Context) -> Stage:
    """By default it waits for an object a little longer than the tracker, so that none counts twice."""
    e = context.config.events
    patience = _remembered(context) + 0.5 if e.patience is None else e.patience
    detector = EventDetector(e.lines, e.zones, confirm=e.confirm, hold=e.hold, margin=e.margin, patience=patience)
    detector.check_classes(context.classes)
    return detector


def _tally(context: Context) -> Stage:
    return Tally()


def _remove(context: Context) -> Stage | None:
    output = context.output
    assert output is not None  # made once for each
    _check_output(context, output)
    effect = next((effect for effect in output.effects if isinstance(effect, Remove)), None)
    if effect is None:
        return None
    if context.live:
        raise ConfigError(f"outputs: {output.name}: remove waits for {effect.seconds:g} s of film, and the source is live")
    return Remover(effect, warnings=None if context.sink is None else context.sink.warnings)


def _composite(context: Context) -> Stage:
    output, device = context.output, context.device
    assert output is not None  # made once for each
    _check_output(context, output)
    effects = [effect for effect in output.effects if not effect.ahead]
    drawing = (
        Compositor(effects, keep_grey=output.keep_grey)
        if device is None
        else DeviceCompositor(effects, device, keep_grey=output.keep_grey)
    )
    if isinstance(context.sink, SplitSink):  # it draws each object alone, when it writes that
        context.sink.prepare(drawing, context.classes)
        return Compositor()
    return drawing


def _check_output(context: Context, output: Target) -> None:
    """Raise ConfigError for an output that cannot show what this model finds: of other classes, or masks where there are none."""
    alone = context.boxes_alone
    for effect in output.effects:
        where = f"outputs: {output.name}: {getattr(effect, 'name', '') or type(effect).__name__}: "
        check_classes(effect.class_names(), context.classes, where)
        effect.check()
        if alone and effect.needs_masks:
            raise ConfigError(f"{where}needs masks, and {_why_boxes_alone(context)}")
    if any(effect.ahead for effect in output.effects[1:]):
        raise ConfigError(
            f"outputs: {output.name}: remove must be the first effect, and stand there once: it looks at the film as it is; "
            "name all objects in its where"
        )
    kind = kind_of(output.path, output.use)
    if is_split(output.path) and not (kind is not None and kind.results) and not any(e.replaces for e in output.effects):
        raise ConfigError(
            f"outputs: {output.name}: {output.path}: a file for each object shows that object alone: its effects must be matte or "
            f"alpha, not {', '.join(step.name for step in output.composite) or 'none'}"
        )
    if alone and kind is not None and kind.needs_masks:
        raise ConfigError(f"outputs: {output.name}: {output.path}: this format holds masks, and {_why_boxes_alone(context)}")


def _why_boxes_alone(context: Context) -> str:
    asked = context.config.postprocess.masks == "none"
    why = "boxes alone were asked for (masks: none)" if asked else f"the model {context.model} gives boxes alone"
    return f"{why}; --masks box takes each box for its mask"


def _encode(context: Context) -> Stage | None:
    return context.sink


STAGES: tuple[Step, ...] = (
    Step("decode", "reads the source", "Frame", None, "source", "decode", gpu=True, joins="never"),
    Step(
        "preprocess",
        "makes the network's picture",
        "Prepared",
        _preprocess,
        section="preprocess",
        gpu=True,
        joins="never",
        looks=True,
    ),
    Step("infer", "runs the network", "Pending", _infer, section="infer", gpu=True, joins="never", looks=True),
    Step(
        "postprocess", "reads the answer", "Result", _postprocess, section="postprocess", joins="never", checks=True, looks=True
    ),
    Step("track", "gives identities", "Result", _track, section="track", joins="never", looks=True),
    Step(
        "link",
        "settles tracks with what comes after known",
        "Result",
        _link,
        section="track",
        optional="online: true",
        looks=True,
    ),
    Step("smooth", "steadies masks, carries them on", "Result", _smooth, section="smooth", looks=True),
    Step("refine", "fits outlines to the picture", "Result", _refine, section="smooth", optional="edges: false", looks=True),
    Step("recall", "reads what was found before", "Result", _recall, section="results", brings="keep: auto", joins="never"),
    Step("record", "keeps what was found in a file", "Result", _record, section="results", brings="keep: auto", joins="always"),
    Step("edit", "leaves what is to be shown", "Result", _edit, section="select", brings="select", joins="always", checks=True),
    Step("occlusion", "says who hides whom", "Result", _occlusion, section="track"),
    Step("events", "counts, watches lines and zones", "Result", _events, section="events", joins="always", checks=True),
    Step("tally", "counts frames for the report", "Result", _tally, joins="always"),
    Step("remove", "takes objects out", "Result", _remove, "output", "composite", brings="remove", joins="never"),
    Step("composite", "draws", "Rendered", _composite, "output", "composite", gpu=True, joins="never"),
    Step("encode", "writes", "", _encode, "output", "encode", gpu=True, joins="never"),
)


# --- using the list ---------------------------------------------------------------------------------------------------------------


def steps(extra: Sequence[Step] = ()) -> tuple[Step, ...]:
    """The whole list, each of `extra` behind the step that its `after` names (several behind the same one: in the order given).

    Raises ConfigError for a name that is taken, and for an `after` that names no step, or the last one.
    """
    found = list(STAGES)
    for step in extra:
        names = [known.name for known in found]
        if step.name in names or not step.name:
            raise ConfigError(f"stage {step.name!r}: a stage needs a name of its own; taken: {', '.join(names)}")
        if step.after not in names[:-1]:
            raise ConfigError(f"stage {step.name!r}: after is {step.after!r}; allowed: {', '.join(names[:-1])}")
        at = names.index(step.after)
        part: Part = "output" if found[at].part == "output" else "trunk"
        while found[at + 1].after == step.after:
            at += 1
        found.insert(at + 1, replace(step, part=part, looks=found[at].looks))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Made:
    """The stages of the trunk, or of an output, as a runtime takes them."""

    stages: list[tuple[str, Stage]]
    joined: frozenset[str]
    """Those that run in the thread of the one before."""


def make(chosen: Sequence[Step], part: Part, context: Context) -> Made:
    """Make the stages of `part`, without those that the pipeline file leaves out; all or none. Raises StreamsegError."""
    output = "" if context.output is None else f" {context.output.name}"
    stages, joined = [], set()
    with contextlib.ExitStack() as undo:
        for step in chosen:
            runs = step.part == part and not (step.looks and context.recalled is not None)
            stage = step.make(context) if runs and step.make is not None else None
            if stage is not None:
                stage = _Checked(stage) if step.after else stage
                undo.callback(close, stage)
                stages.append((f"{step.name}{output}", stage))
                if step.joins == "always" or (step.joins == "live" and context.room == 1):
                    joined.add(stages[-1][0])
        undo.pop_all()
    return Made(stages, frozenset(joined))


class _Checked:
    """A stage that was added to the list, seen to give what it takes: else the stage behind it would fail, and be blamed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._kind: type = object
        if getattr(stage, "delays", False):
            self.flush = self._flush

    def __call__(self, item: Any) -> Any:
        given, self._kind = self._stage(item), type(item)
        return self._each(given) if getattr(self._stage, "delays", False) else self._own(given)

    def _flush(self) -> Iterable[Any]:
        flush = getattr(self._stage, "flush", None)
        return () if flush is None else self._each(flush())

    def _each(self, given: Any) -> Iterable[Any]:
        if not isinstance(given, Iterable):
            raise TypeError(f"it says that it delays, and gave {_told(given)} where a list of items is needed")
        return map(self._own, given)

    def _own(self, given: Any) -> Any:
        if not isinstance(given, self._kind) and not issubclass(self._kind, type(given)):
            raise TypeError(f"it gave {_told(given)} where a {self._kind.__name__} is needed")
        return given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)  # flush, close, abort, ahead, delays: where the stage has them


def _told(given: Any) -> str:
    return "None" if given is None else f"a value of type {type(given).__name__}"


def close(stage: Stage | None) -> None:
    """Give back what a stage holds that is not run."""
    if (end := getattr(stage, "close", None)) is not None:
        end()


def check(
    config: PipelineConfig,
    spec: GraphSpec | None,
    extra: Sequence[Step] = (),
    outputs: Sequence[Target] = (),
    recalled: Results | None = None,
    decided: Decided | None = None,
) -> None:
    """Raise ConfigError for what a pipeline file says of classes, and its outputs of masks, that the model does not have.

    `recalled`: results are read in place of a model; `decided`: what a person decided about them.
    """
    context = Context(config, spec, recalled=recalled, decided=decided)
    for step in steps(extra):
        if step.checks and step.make is not None and not (step.looks and context.recalled is not None):
            close(step.make(context))
    for output in outputs:
        _check_output(context, output)
