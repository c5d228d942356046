"""The list of stages: what runs, in which order, and how each stage is made. Everything that must know the order reads it here.

decode ─┬→ preprocess → motion → infer → postprocess → ignore → learn → track → link → smooth → refine → record ─┐
        └→ recall ───────────────────────────────────────────────────────────────────────────────────────────────┤
   remove → composite → encode ←┬────────────────────────────── tally ← scene ← events ← occlusion ← edit ←──────┘
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from streamseg.config.schema import PipelineConfig
from streamseg.engine import GraphSpec
from streamseg.errors import ConfigError
from streamseg.pipeline import makers
from streamseg.pipeline.context import Context
from streamseg.pipeline.decide import Decided
from streamseg.pipeline.outputs import Target
from streamseg.record import Results
from streamseg.runtime import Stage

__all__ = ["STAGES", "Context", "Made", "Part", "Step", "Through", "check", "close", "make", "steps"]

Part = Literal["source", "trunk", "output"]


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
    changes: tuple[str, ...] = ()
    """Sections of the pipeline file that it can take over while it runs: it is then made anew (`pipeline.change`)."""
    after: str = ""
    """For a step that is added to the list: the name of the one behind which it runs."""


STAGES: tuple[Step, ...] = (
    Step("decode", "reads the source", "Frame", None, "source", "decode", gpu=True, joins="never"),
    Step(
        "preprocess",
        "makes the network's picture",
        "Prepared",
        makers.preprocess,
        section="preprocess",
        gpu=True,
        joins="never",
        looks=True,
    ),
    Step(
        "motion",
        "leaves out still frames",
        "Prepared",
        makers.motion,
        section="motion",
        brings="gate: true",
        joins="always",
        looks=True,
        changes=("motion", "ignore"),
    ),
    Step(
        "infer",
        "runs the network",
        "Pending",
        makers.infer,
        section="infer",
        gpu=True,
        joins="never",
        looks=True,
        changes=("infer",),
    ),
    Step(
        "postprocess",
        "reads the answer",
        "Result",
        makers.postprocess,
        section="postprocess",
        joins="never",
        checks=True,
        looks=True,
        changes=("postprocess", "track"),
    ),
    Step(
        "shield",
        "says what must not be seen",
        "Result",
        makers.shield,
        section="privacy",
        brings="privacy",
        checks=True,
        looks=True,
        changes=("postprocess", "track"),
    ),
    Step(
        "ignore",
        "drops what is in areas to ignore",
        "Result",
        makers.ignore,
        section="ignore",
        brings="ignore",
        joins="always",
        checks=True,
        looks=True,
        changes=("ignore",),
    ),
    Step(
        "learn",
        "tells the gate what was found",
        "Result",
        makers.learn,
        section="motion",
        brings="gate: true",
        joins="always",
        looks=True,
        changes=("motion", "ignore"),
    ),
    Step(
        "track",
        "gives identities",
        "Result",
        makers.track,
        section="track",
        joins="never",
        looks=True,
        changes=("postprocess", "track"),
    ),
    Step(
        "link",
        "settles tracks with what comes after known",
        "Result",
        makers.link,
        section="track",
        optional="online: true",
        looks=True,
    ),
    Step(
        "smooth", "steadies masks, carries them on", "Result", makers.smooth, section="smooth", looks=True, changes=("smooth",)
    ),
    Step(
        "refine",
        "fits outlines to the picture",
        "Result",
        makers.refine,
        section="smooth",
        optional="edges: false",
        looks=True,
        changes=("smooth",),
    ),
    Step(
        "recall", "reads what was found before", "Result", makers.recall, section="results", brings="keep: auto", joins="never"
    ),
    Step(
        "record",
        "keeps what was found in a file",
        "Result",
        makers.record,
        section="results",
        brings="keep: auto",
        joins="always",
    ),
    Step(
        "edit",
        "leaves what is to be shown",
        "Result",
        makers.edit,
        section="select",
        brings="select",
        joins="always",
        checks=True,
        changes=("select", "postprocess"),
    ),
    Step("occlusion", "says who hides whom", "Result", makers.occlusion, section="track"),
    Step(
        "events",
        "counts, watches lines and zones",
        "Result",
        makers.events,
        section="events",
        joins="always",
        checks=True,
        changes=("events", "track"),
    ),
    Step(
        "scene",
        "says where road users are, and how soon",
        "Result",
        makers.scene,
        section="scene",
        brings="scene: true",
        checks=True,
    ),
    Step("tally", "counts frames for the report", "Result", makers.tally, joins="always"),
    Step("hide", "hides what must not be seen", "Result", makers.hide, section="privacy", brings="privacy"),
    Step("remove", "takes objects out", "Result", makers.remove, "output", "composite", brings="remove", joins="never"),
    Step(
        "composite",
        "draws",
        "Rendered",
        makers.composite,
        "output",
        "composite",
        gpu=True,
        joins="never",
        changes=("composite",),
    ),
    Step("encode", "writes", "", makers.encode, "output", "encode", gpu=True, joins="never"),
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
            if stage is None and runs and step.changes and context.changeable:
                stage = Through()  # the place that it takes if it is asked for later
            if stage is not None:
                stage = _Checked(stage) if step.after else stage
                undo.callback(close, stage)
                stages.append((f"{step.name}{output}", stage))
                if step.joins == "always" or (step.joins == "live" and context.room == 1):
                    joined.add(stages[-1][0])
        undo.pop_all()
    return Made(stages, frozenset(joined))


class Through:
    """Stands for a stage that is left out."""

    def __call__(self, item: Any) -> Any:
        """The item as it is."""
        return item


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
    found: dict[str, None] = {}  # several stages may tell the same
    for step in steps(extra):
        if step.checks and step.make is not None and not (step.looks and context.recalled is not None):
            with _noted(found):
                close(step.make(context))
    for output in outputs:
        with _noted(found):
            makers.check_output(context, output)
    if found:
        raise ConfigError("\n".join(found))


@contextlib.contextmanager
def _noted(found: dict[str, None]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        found[str(error)] = None
