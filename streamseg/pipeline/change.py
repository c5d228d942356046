"""Changes what a pipeline does while it runs: the stages that another configuration would make differently are made anew, and take
the places of the former ones between two frames. The source stays open, and no frame is lost.

A stage may have `adopt(former)`, which takes over what that knows, in the thread that runs both: identities, counts, masks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from streamseg.composite import Privacy
from streamseg.config.schema import PipelineConfig
from streamseg.config.steps import EffectStep
from streamseg.pipeline import makers
from streamseg.pipeline.build import Pipeline
from streamseg.pipeline.private import in_host_memory, settings
from streamseg.pipeline.stages import Through, close
from streamseg.runtime import Stage

__all__ = ["change"]


def change(pipeline: Pipeline, config: PipelineConfig, effects: Mapping[str, tuple[EffectStep, ...]]) -> bool:
    """Let `pipeline`, which was built to be changeable, go on as `config` says, with these effects in the outputs of those names.

    False: it must be opened anew for that; nothing was changed. Raises ConfigError, for example for a class that the model does not
    know; then, too, nothing was changed. The configuration's own outputs are not looked at.
    """
    before = pipeline.context.config
    config = in_host_memory(config.model_copy(update={"outputs": before.outputs}), None)  # as it was built
    differs = _differences(before, config)
    if not differs <= {section for step in pipeline.steps for section in step.changes}:
        return False
    known = settings(before)
    if any(isinstance(step.effect, Privacy) and step.effect not in known for steps in effects.values() for step in steps):
        return False  # nobody works out what it hides
    context = replace(pipeline.context, config=config)
    if differs & {"motion", "ignore"}:
        context = replace(context, gate=makers.gate_of(context))
    lists = [("trunk", pipeline.trunk.stages, context, differs)]
    sinks = []
    for branch, (target, sink) in zip(pipeline.branches, pipeline.sinks, strict=True):
        drawn = replace(target, composite=effects.get(target.name, target.composite))
        sinks.append((drawn, sink))
        if drawn != target and isinstance(branch.stages, list):
            lists.append(("output", branch.stages, replace(context, output=drawn, sink=sink), {"composite"}))
    made: list[tuple[list[tuple[str, Stage]], int, Stage]] = []
    with contextlib.ExitStack() as undo:
        for part, stages, there, sections in lists:
            suffix = "" if there.output is None else f" {there.output.name}"
            for step in pipeline.steps:
                if step.part != part or step.make is None or not sections & {*step.changes}:
                    continue
                at = next((at for at, (name, _) in enumerate(stages) if name == f"{step.name}{suffix}"), None)
                stage = step.make(there) or Through()
                undo.callback(close, stage)
                if at is None:
                    return False
                made.append((stages, at, stage))
        undo.pop_all()
    for stages, at, stage in made:
        _take_place(pipeline, stages, at, stage)
    pipeline.paced.rate = config.decode.max_rate
    pipeline.context, pipeline.sinks = context, sinks
    return True


def _differences(before: PipelineConfig, after: PipelineConfig) -> set[str]:
    """The sections in which they differ; of `infer`, the engine has all but how often the network runs.

    A limit on the rate is the source's, which can change it, and a matter of how often the network runs.
    """
    differs = {name for name in PipelineConfig.model_fields if getattr(before, name) != getattr(after, name)} - {"outputs"}
    if before.decode.model_copy(update={"max_rate": after.decode.max_rate}) == after.decode and "decode" in differs:
        differs = differs - {"decode"} | {"infer"}
    if before.infer.model_copy(update={"every": after.infer.every}) != after.infer:
        differs.add("the engine")
    return differs


def _take_place(pipeline: Pipeline, stages: list[tuple[str, Stage]], at: int, stage: Stage) -> None:
    name = stages[at][0]

    def taken() -> None:
        stages[at] = (name, stage)

    pipeline.runtime.replace(name, stage, taken)
