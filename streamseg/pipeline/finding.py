"""What a run finds its results with: the engine, or a results file that holds them; and the file that it keeps them in."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from streamseg.config.schema import PipelineConfig
from streamseg.decode import SourceInfo
from streamseg.decode.frames import FrameSource
from streamseg.engine import Engine
from streamseg.errors import ConfigError, OutputError, ResultsError
from streamseg.gpu import Device, DeviceDecoding
from streamseg.pipeline import makers, opening, results, stages
from streamseg.pipeline.decide import decide, describe, edits_of, needs_film, sidecar_of
from streamseg.pipeline.expected import wants_tracks
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.private import refuse_film
from streamseg.pipeline.results import Keeping
from streamseg.pipeline.stages import Context, Step
from streamseg.pixels.memory import format_bytes
from streamseg.record import ENDING, open_results
from streamseg.system.callbacks import Message

__all__ = ["Asked", "open_context"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known once a source is open, of which the rest is made."""

    config: PipelineConfig
    source: object
    """As given, once it is known what it is (`as_source`)."""
    info: SourceInfo
    chosen: Sequence[Step]
    """All stages that may run, in order."""
    own: Sequence[Step] = ()
    """Those that a program added."""
    targets: Sequence[Target] = ()
    overwrite: bool = False
    on_message: Message | None = None
    device: Device | None = None
    hardware: DeviceDecoding | None = None


def open_context(
    asked: Asked,
    undo: contextlib.ExitStack,
    engine: Engine | None,
    load: Callable[[], Engine],
    look: Callable[[PipelineConfig], None],
) -> tuple[Context, bool]:
    """What the stages are made from, and whether an engine was opened for it. What is open is closed by `undo`.

    engine: the one that is open already. load: opens one, which is not done where a results file fits. look: looks at the whole of
    what is asked for and keeps it as the configuration says, without an output. Raises StreamsegError.
    """
    asked, kept = _looked_first(asked, undo, engine, look)
    config, say = asked.config, asked.on_message
    live, info = asked.info.live or config.decode.realtime, asked.info
    size = format_bytes(info.pix_fmt, info.width, info.height)
    if kept is not None and kept.read is not None:
        undo.callback(kept.read.close)
        edits, sidecar = edits_of(config, kept.path)
        decided = decide(config, kept.read, edits, sidecar, asked.targets)
        stages.check(config, None, asked.own, decided.targets, kept.read, decided)
        if say is not None:
            say(results.describe(kept.read))
            for line in describe(decided, sidecar, config):
                say(line)
        opening.use_device(asked.hardware, str(kept.read.head["model"].get("engine")), asked.device, say)
        made = _made(asked.source)
        context = Context(config, None, None, asked.device, live, made=made, frame_bytes=size)
        return replace(context, recalled=kept.read, decided=decided), False
    own_engine = engine is None
    if engine is None:
        engine = load()
        undo.callback(engine.close)
    opening.use_device(asked.hardware, engine.name, asked.device, say)
    context = Context(config, engine.spec, engine, asked.device, live, made=_made(asked.source), frame_bytes=size)
    context = replace(context, gate=makers.gate_of(context), say=say)
    if say is not None and (known := _known_ahead(context, info.rate)) is not None:
        say(known)
    if kept is not None:
        writer = kept.begin(config, engine, asked.info, not context.boxes_alone, say)
        if writer is not None:
            undo.callback(writer.discard)
            context = replace(context, writer=writer)
    return context, own_engine


def _known_ahead(context: Context, rate: Fraction | None) -> str | None:
    """That fewer seconds are known ahead than were asked for, since pictures are large; None: they are not."""
    asked, held = context.config.track, context.config.track.memory // max(1, context.frame_bytes)
    if context.online or rate is None or held / rate >= asked.look_ahead:
        return None
    return (
        f"tracks: {float(held / rate):.2g} s of film are known ahead, not {asked.look_ahead:g} s: {held} pictures fill "
        f"{asked.memory / 1e6:.0f} MB (track: memory)"
    )


def _made(source: object) -> bool:
    """Whether the pictures come from a program's own iterator, which may wait for results; a list of them is there already."""
    return isinstance(source, FrameSource) and source.count is None


def _looked_first(
    asked: Asked, undo: contextlib.ExitStack, engine: Engine | None, look: Callable[[PipelineConfig], None]
) -> tuple[Asked, Keeping | None]:
    """The results file of a run; the film is looked at first where the run needs to know all of it, and no file that fits is there.

    Where none is to be kept, it is one that is deleted with its last reader.
    """
    kept, config = _keeping(asked, engine), asked.config
    edits, sidecar = edits_of(config, None if kept is None else kept.path)
    wish = needs_film(config, edits, asked.targets)
    if not wish and kept is not None and wants_tracks(asked.targets):
        wish = "which tracks an EXR has layers for"
    refuse_film(config, wish)
    if not wish or (kept is not None and kept.read is not None):
        return asked, kept
    if kept is not None and kept.path.exists() and edits and sidecar == sidecar_of(kept.path):
        _refuse_orphans(asked, kept, sidecar, engine)
    why_not = results.why_no_key(config, asked.source, asked.info, asked.chosen, asked.own)
    if why_not is not None:
        raise ConfigError(f"{wish} is known when the whole film has been looked at, which cannot be done first: {why_not}")
    if asked.on_message is not None:
        asked.on_message(f"{wish} is known when the whole film has been looked at: that is done first")
    if kept is not None:
        with contextlib.suppress(OutputError):  # it need not be kept there
            look(results_config(config, kept.path))
        kept = _keeping(replace(asked, on_message=None), engine)
    if kept is None or kept.read is None:
        folder = tempfile.mkdtemp(prefix="streamseg-")
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        asked = replace(asked, config=results_config(config, Path(folder) / f"film{ENDING}"))
        look(asked.config)
        kept = _keeping(replace(asked, on_message=None), engine)
        assert kept is not None
        shutil.rmtree(folder, ignore_errors=True)  # what is open stays readable, but on Windows, where it goes with its reader
        if kept.read is not None and os.path.exists(folder):
            weakref.finalize(kept.read, shutil.rmtree, folder, ignore_errors=True)
    if kept.read is None:
        raise ConfigError(f"{wish} is not known: the film could not be looked at to its end")
    return asked, kept


def _refuse_orphans(asked: Asked, kept: Keeping, sidecar: Path, engine: Engine | None) -> None:
    """Raise ConfigError rather than replace a results file whose tracks a person has worked on, if they would get other numbers."""
    try:
        with open_results(kept.path) as found:
            if results.is_beginning(found, asked.config, kept.settings, engine):
                return
            why = results.why_not(found, asked.config, kept.settings, engine) or "it is of another film"
    except ResultsError as error:
        why = str(error)
    raise ConfigError(
        f"{kept.path} does not fit what is asked for ({why}), and the edits in {sidecar} are of its tracks, which would get other "
        "numbers; ask for what it was made with, or keep others elsewhere: --results FILE.streamseg, without edits: --edits off"
    )


def results_config(config: PipelineConfig, path: Path) -> PipelineConfig:
    """The configuration with its results kept at `path`."""
    return config.model_copy(update={"results": config.results.model_copy(update={"keep": str(path)})})


def _keeping(asked: Asked, engine: Engine | None) -> Keeping | None:
    return results.keeping(
        asked.config,
        asked.source,
        asked.info,
        asked.targets,
        asked.chosen,
        asked.own,
        overwrite=asked.overwrite,
        engine=engine,
        say=asked.on_message,
    )
