"""What a run finds its results with: the engine, or a results file that holds them; and the file that it keeps them in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from streamseg.config.schema import PipelineConfig
from streamseg.decode import SourceInfo
from streamseg.decode.frames import FrameSource
from streamseg.engine import Engine
from streamseg.gpu import Device, DeviceDecoding
from streamseg.pipeline import opening, results, stages
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.stages import Context, Step
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
    asked: Asked, undo: contextlib.ExitStack, engine: Engine | None, load: Callable[[], Engine]
) -> tuple[Context, bool]:
    """What the stages are made from, and whether an engine was opened for it. What is open is closed by `undo`.

    engine: the one that is open already. load: opens one, which is not done where a results file fits.
    Raises StreamsegError.
    """
    config, say = asked.config, asked.on_message
    kept = results.keeping(
        config,
        asked.source,
        asked.info,
        asked.targets,
        asked.chosen,
        asked.own,
        overwrite=asked.overwrite,
        engine=engine,
        say=say,
    )
    live = asked.info.live or config.decode.realtime
    if kept is not None and kept.read is not None:
        undo.callback(kept.read.close)
        stages.check(config, None, asked.own, asked.targets, kept.read)
        if say is not None:
            say(results.describe(kept.read))
        opening.use_device(asked.hardware, str(kept.read.head["model"].get("engine")), asked.device, say)
        return Context(config, None, None, asked.device, live, made=_made(asked.source), recalled=kept.read), False
    own_engine = engine is None
    if engine is None:
        engine = load()
        undo.callback(engine.close)
    opening.use_device(asked.hardware, engine.name, asked.device, say)
    context = Context(config, engine.spec, engine, asked.device, live, made=_made(asked.source))
    if kept is not None:
        writer = kept.begin(config, engine, asked.info, not context.boxes_alone, say)
        if writer is not None:
            undo.callback(writer.discard)
            context = replace(context, writer=writer)
    return context, own_engine


def _made(source: object) -> bool:
    """Whether the pictures come from a program's own iterator, which may wait for results; a list of them is there already."""
    return isinstance(source, FrameSource) and source.count is None
