"""How each stage of the list is made from a `Context`, in the order in which data flows; None: it is left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamseg.composite import Compositor, Remove
from streamseg.composite.choose import check_classes
from streamseg.core.types import Instances
from streamseg.detect.ignore import Ignore
from streamseg.detect.infer import Infer
from streamseg.detect.motion import Learn, MotionGate
from streamseg.detect.postprocess import Postprocess, wanted_classes
from streamseg.detect.preprocess import Preprocess
from streamseg.detect.schedule import DetectionSchedule
from streamseg.encode.kinds import kind_of
from streamseg.engine import computes_on_gpu
from streamseg.errors import ConfigError
from streamseg.events import EventDetector
from streamseg.gpu import DeviceCompositor, DevicePreprocess
from streamseg.link import Link
from streamseg.occlusion import OcclusionEstimator
from streamseg.pipeline import private
from streamseg.pipeline.admission import Admission
from streamseg.pipeline.context import Context
from streamseg.pipeline.decide import check_known, shown_classes
from streamseg.pipeline.edit import Edit, keeps_all
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.report import Tally
from streamseg.pipeline.split import SplitSink, is_split
from streamseg.record.stages import Recall, Record
from streamseg.removal import Remover
from streamseg.runtime import Stage
from streamseg.scene import Road, RoadSettings, SceneStage
from streamseg.select import Selection
from streamseg.shield.hide import Hide
from streamseg.shield.shield import Shields
from streamseg.temporal.flow import FlowCache
from streamseg.temporal.held import Held
from streamseg.temporal.matting import Matting
from streamseg.temporal.refine import Refiner
from streamseg.temporal.smooth import Smooth, Smoother
from streamseg.track import Tracker

__all__ = [
    "check_output",
    "composite",
    "edit",
    "encode",
    "events",
    "gate_of",
    "hide",
    "ignore",
    "infer",
    "learn",
    "link",
    "motion",
    "occlusion",
    "postprocess",
    "preprocess",
    "recall",
    "record",
    "refine",
    "remove",
    "scene",
    "shield",
    "smooth",
    "tally",
    "track",
]


def preprocess(context: Context) -> Stage:
    """It works where the frames are, on a GPU or not."""
    spec, device = context.graph, context.device
    made: Stage
    if device is None or (device.on_gpu and context.engine is not None and not computes_on_gpu(context.engine.name)):
        made = Preprocess(*spec.size, spec.fit, spec.padding)
    else:
        made = DevicePreprocess(*spec.size, device, spec.fit, spec.padding)
    return Admission(made, lambda: 0.0) if context.live and context.drops else made


def gate_of(context: Context) -> MotionGate | None:
    """What keeps still frames off the network; None: nothing does. Raises ConfigError where tracks would be lost meanwhile."""
    asked = context.config.motion
    if not asked.gate:
        return None
    if not context.online:
        raise ConfigError(
            "motion: still frames are left out only where each frame's tracks are settled when it comes: add --online, or take the "
            "pipeline live"
        )
    ignored = [area.points for area in context.config.ignore.values() if area.classes is None]
    return MotionGate(asked.hold, asked.refresh, ignored)


def motion(context: Context) -> Stage | None:
    """Left out where the network looks whether anything moves or not."""
    return context.gate


def learn(context: Context) -> Stage | None:
    """It is there where the gate is."""
    return None if context.gate is None else Learn(context.gate)


def ignore(context: Context) -> Stage | None:
    """Left out where all of the picture counts."""
    if not context.config.ignore:
        return None
    for name, area in context.config.ignore.items():
        try:
            wanted_classes(area.classes, context.classes)
        except ConfigError as error:
            raise ConfigError(f"ignore: {name}: {error}") from error
    return Ignore(context.config.ignore.values())


def infer(context: Context) -> Stage:
    """Raises ValueError without an engine."""
    i = context.config.infer
    if context.engine is None:
        raise ValueError("the infer stage needs an engine")
    every = 1 if i.every == "auto" and not context.drops else i.every  # a file waits: nothing to keep up with
    stale = context.config.decode.stale if context.live and context.drops else None
    schedule = DetectionSchedule(every, max_rate=context.config.decode.max_rate, say=context.say)
    return Infer(context.engine, i.batch, schedule, stale=stale)


def _confidence(context: Context) -> float:
    """The score that begins an object."""
    asked = context.config.postprocess.conf
    return context.graph.conf if asked is None else asked


def postprocess(context: Context) -> Stage:
    """It lets through what the tracker may use, not only what is sure enough to be shown.

    Of regions that may be objects there are many over each other: a doubtful one is no second sight of a sure one.
    """
    p = context.config.postprocess
    head = None if p.head == "auto" else p.head
    for each in private.settings(context.config):  # before the classes asked for, among which they are from here on
        check_classes(each.class_names(), context.classes, "privacy: ")
    least = min(_least(context), private.lowest(context.config, context.graph))
    classes = private.looked_for(context.config, _asked_for(context))
    return Postprocess(context.graph, conf=least, classes=classes, head=head, masks=p.masks)


def _least(context: Context) -> float:
    """The score down to which detections are followed."""
    low, conf = context.config.track.low, _confidence(context)
    usual = conf if context.graph.part == "proposals" else 0.2 * context.graph.conf
    return min(usual if low is None else low, conf)


def _asked_for(context: Context) -> tuple[str, ...] | None:
    """The classes that are followed; None: all."""
    return None if keeps_all(context.config) else shown_classes(context.config, context.graph.classes)


def shield(context: Context) -> Stage | None:
    """Left out where nothing is hidden. What goes on is what `postprocess` would give without it."""
    asked = private.settings(context.config)
    if not asked:
        return None
    least, wanted = _least(context), wanted_classes(_asked_for(context), context.classes)

    def shows(found: Instances) -> npt.NDArray[np.bool_]:
        return np.asarray((found.scores >= least) & wanted[found.labels], bool)

    return Shields(asked, sure=_confidence(context), live=context.live, shows=shows)


def hide(context: Context) -> Stage | None:
    """Left out where nothing is hidden in all outputs."""
    effect = context.config.privacy.effect
    return None if effect is None else Hide(effect)


def track(context: Context) -> Stage:
    """It passes on what is sure enough, or continues what is known."""
    t, conf, keep = context.config.track, _confidence(context), _kept(context)
    others = not context.online
    return Tracker(conf, keep=keep, max_age=t.max_age, confirm=t.confirm, reidentify=t.reidentify, tells_others=others)


def _kept(context: Context) -> float:
    """The mean score down to which an object is shown."""
    asked = context.config.track.keep
    return 0.6 * _confidence(context) if asked is None else asked


def link(context: Context) -> Stage | None:
    """Left out where nobody waits for what comes after a frame, and for region proposals: of these there are many an object."""
    if context.online or context.graph.part == "proposals":
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


def smooth(context: Context) -> Stage:
    """Both parts look at the same flow."""
    flows, seconds = FlowCache(), context.config.smooth.masks
    return Smooth(Smoother(seconds, flows) if seconds else None, flows)


def refine(context: Context) -> Stage | None:
    """Left out where outlines stay as the network gives them."""
    edges = context.config.smooth.edges
    if not edges:
        return None
    return Held(Matting() if edges == "matte" else Refiner())


def recall(context: Context) -> Stage | None:
    """Left out where the network looks."""
    return None if context.recalled is None else Recall(context.recalled)


def record(context: Context) -> Stage | None:
    """Left out where no results file is written."""
    asked = context.config.results.keep
    return None if context.writer is None else Record(context.writer, must=asked != "auto")


def edit(context: Context) -> Stage | None:
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


def occlusion(context: Context) -> Stage:
    """It remembers objects for as long as the tracker."""
    return OcclusionEstimator(_remembered(context))


def events(context: Context) -> Stage:
    """By default it waits for an object a little longer than the tracker, so that none counts twice."""
    e = context.config.events
    patience = _remembered(context) + 0.5 if e.patience is None else e.patience
    detector = EventDetector(e.lines, e.zones, confirm=e.confirm, hold=e.hold, margin=e.margin, patience=patience)
    detector.check_classes(context.classes)
    return detector


def scene(context: Context) -> Stage | None:
    """Left out where the camera looks at no road. Raises ConfigError for an alert's class that the model does not know."""
    asked = context.config.scene
    if not asked.watch:
        return None
    road = Road(RoadSettings(asked.width, asked.margin, asked.alerts, asked.near_miss, asked.hidden))
    road.check_classes(context.classes)
    return SceneStage(context.camera, road=road, fixes=context.fixes)


def tally(context: Context) -> Stage:
    """For the report and the progress line."""
    return Tally()


def remove(context: Context) -> Stage | None:
    """Left out of outputs that take nothing out."""
    output = context.output
    assert output is not None  # made once for each
    check_output(context, output)
    effect = next((effect for effect in output.effects if isinstance(effect, Remove)), None)
    if effect is None:
        return None
    if context.live:
        raise ConfigError(f"outputs: {output.name}: remove waits for {effect.seconds:g} s of film, and the source is live")
    return Remover(effect, warnings=None if context.sink is None else context.sink.warnings)


def composite(context: Context) -> Stage:
    """Effects that look ahead were before it."""
    output, device = context.output, context.device
    assert output is not None  # made once for each
    check_output(context, output)
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


def check_output(context: Context, output: Target) -> None:
    """Raise ConfigError for an output that cannot show what this model finds: of other classes, or masks where there are none."""
    alone = context.boxes_alone
    private.check_first(output.name, output.effects)
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
    if kind is not None and kind.copies and private.settings(context.config):
        raise ConfigError(
            f"outputs: {output.name}: {output.path}: clips are copied from the source, and would show what privacy hides; "
            "leave them out, or cut them out of the film that is written"
        )
    if alone and kind is not None and kind.needs_masks:
        raise ConfigError(f"outputs: {output.name}: {output.path}: this format holds masks, and {_why_boxes_alone(context)}")


def _why_boxes_alone(context: Context) -> str:
    asked = context.config.postprocess.masks == "none"
    why = "boxes alone were asked for (masks: none)" if asked else f"the model {context.model} gives boxes alone"
    return f"{why}; --masks box takes each box for its mask"


def encode(context: Context) -> Stage | None:
    """The output's own sink."""
    return context.sink
