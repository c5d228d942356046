"""Whether and how a film is divided. Its files are the same either way: those of a run with `--resume` on one machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streamseg.composite import Compositor
from streamseg.config.schema import PipelineConfig
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.address import parse_source
from streamseg.decode.cuts import Cuts, cuts
from streamseg.encode.kinds import kind_of
from streamseg.encode.video.sink import VideoSink
from streamseg.engine import GraphSpec
from streamseg.errors import ResultsError
from streamseg.jobs.progress import SavedProgress
from streamseg.pipeline import private
from streamseg.pipeline.context import Context
from streamseg.pipeline.dated import is_dated
from streamseg.pipeline.decide import edits_of, needs_film
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.opening import decoder_options
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.results import place_of
from streamseg.pipeline.split import is_split
from streamseg.pipeline.stages import steps
from streamseg.ranges.find import unfreezable
from streamseg.ranges.look import LOOKS
from streamseg.ranges.order import FilmOrder
from streamseg.ranges.state import freeze
from streamseg.record import open_results
from streamseg.system.output_files import replace_atomically

__all__ = ["Model", "divide", "ranges_of", "step_of", "why_whole"]


@dataclass(frozen=True, slots=True)
class Model:
    """What all workers look with."""

    spec: GraphSpec
    engine: str
    """The engine's name, and its number format."""
    precision: str


RANGE_SECONDS = 10.0
"""A range is the fewest whole parts of a video that last so long."""
LONGEST = 60.0
"""Seconds: a range that would have to be longer is none."""


def step_of(length: int, rate: float, config: PipelineConfig) -> int | None:
    """Pictures of a range; None: it would be too long.

    length: pictures in a part of a video. Ranges are whole parts, and begin where the network would look and a batch begin in a
    run that is not divided.
    """
    every = config.infer.every if isinstance(config.infer.every, int) else 1
    step = math.lcm(length, every * config.infer.batch)
    step *= max(1, math.ceil(RANGE_SECONDS * rate / step))
    return None if step > LONGEST * rate else step


def why_whole(source: str, config: PipelineConfig, targets: Sequence[Target], context: Context) -> str | None:
    """Why a film cannot be divided, whatever its packets say; None: it can. Raises ConfigError."""
    return _why_source(source, config) or _why_stages(source, config, targets, context) or _why_outputs(targets)


def _why_source(source: str, config: PipelineConfig) -> str | None:
    d = config.decode
    if parse_source(source, trip=d.trip).kind not in ("file", "images"):
        return "it is neither a file nor a folder of images"
    if d.use is not None or d.max_rate is not None or d.spool:
        return "of how it is to be read (decode: use, max_rate, spool)"
    return None


def _why_stages(source: str, config: PipelineConfig, targets: Sequence[Target], context: Context) -> str | None:
    if config.strict:
        return "--strict looks at all of it before anything is written"
    if config.motion.gate:
        return "the motion gate compares each picture with those before"
    if private.settings(config):
        return "what is hidden depends on what was seen before"
    place = place_of(config, targets, source)
    if place is not None and place.exists():
        try:
            with open_results(place):
                return f"{place} may hold what was found"
        except ResultsError:
            return f"{place} is there, and is to be replaced"
    edits, _ = edits_of(config, place)
    if wish := needs_film(config, edits, targets):
        return f"{wish} is known when all of it has been looked at"
    looking = [step.name for step in steps(extra_steps(config)) if step.looks]
    between = [name for name in looking[: looking.index(LOOKS[-1])] if name not in (*LOOKS, "motion")]
    if between:
        return f"the stage {between[0]} works on what the network sees"
    if (stage := unfreezable(context)) is not None:
        return f"the stage {stage} cannot go on in another process"
    return None


def _why_outputs(targets: Sequence[Target]) -> str | None:
    for target in targets:
        kind = kind_of(target.path, target.use)
        if is_split(target.path) or is_dated(target.path) or kind is None or not (kind.results or kind is VideoSink):
            return f"{target.path} is neither a video nor a format of results"
        if kind.looks:
            return f"{target.path} holds pictures of its own"
        if any(effect.ahead for effect in target.effects):
            return f"{target.name}: remove looks at what comes before and after"
        if any(not type(effect).__module__.startswith("streamseg.") for effect in target.effects):
            return f"{target.name}: an effect of your own may remember anything"
        drawing = Compositor(target.effects, keep_grey=target.keep_grey)
        try:
            freeze(drawing)
        except Exception:  # of an effect with a file that is open, say
            return f"{target.name}: an effect reads a film beside it"
        finally:
            drawing.close()
    return None


def ranges_of(
    source: str, info: SourceInfo, config: PipelineConfig, targets: Sequence[Target], spec: GraphSpec, length: int
) -> Cuts | str:
    """Where the ranges of a film begin, or in words why it is not divided. `length`: pictures in a part of a video.

    Raises StreamsegError.
    """
    if (why := why_whole(source, config, targets, Context(config, spec))) is not None:
        return why
    step = step_of(length, min(float(info.rate or 25), 240.0), config)
    if step is None:
        return "batches of the network and parts of a video would seldom begin together"
    found = cuts(source, step, decoder_options(config))
    return found if isinstance(found, str) or len(found.starts) > 1 else "it is too short"


def divide(
    source: str,
    config: PipelineConfig,
    outputs: Sequence[str],
    targets: Sequence[Target],
    progress: SavedProgress,
    model: Model,
) -> FilmOrder | str:
    """How a film is divided, or in words why it is not. Raises StreamsegError for one that cannot be opened.

    config: as the engine was asked for. progress: held, and begun where it is divided; its folder gets the timetable.
    """
    with Decoder(source, **decoder_options(config)) as decoder:
        info = decoder.info
    progress.begin(info)
    found = ranges_of(source, info, config, targets, model.spec, progress.length)
    if isinstance(found, str):
        return found
    progress.opened()
    made = FilmOrder(
        source,
        config,
        tuple(outputs),
        progress.folder,
        progress.length,
        found.starts,
        found.total,
        progress.threads,
        model.spec,
        model.engine,
        model.precision,
    )
    replace_atomically(made.table, found.table.packed())
    return made
