"""Stages of a user's own: what such a stage says of itself, and how a pipeline file's become entries of the list of stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from streamseg.config.schema import PipelineConfig
from streamseg.config.steps import StageStep
from streamseg.pipeline.stages import STAGES, Context, Step
from streamseg.runtime import Stage
from streamseg.system.registry import why_no_options

__all__ = ["ExtraStage", "builtin", "extra_steps", "why_not"]


class ExtraStage:
    """Base of stages that are added: dataclasses whose fields are the options that a pipeline file gives.

    A stage takes what the one before it gives, and gives the same kind: behind `track` and later ones, a `Result`. It may have
    `flush()`, called at the end of the input, `close()` and `abort()`, and with `delays = True` it may give items later than it
    takes them (see `streamseg.runtime.Stage`). Each run makes one of its own from the options, so that it may keep what it needs
    from frame to frame (in fields with `init=False`).
    """

    after: ClassVar[str] = "link"
    """The stage behind which it runs, where the pipeline file does not say. What is taken out of a result between `track` and
    `link` may come back: `link` fills gaps."""

    def begin(self, class_names: Sequence[str]) -> None:
        """Called before the first item with the names that the model knows, and to check them. Raises ConfigError."""

    def __call__(self, item: Any, /) -> Any:
        """Take one item, give one."""
        raise NotImplementedError


def builtin() -> dict[str, Step]:
    """The stages that run in any case, by name."""
    return {step.name: step for step in STAGES}


def why_not(thing: Any) -> str | None:
    """What keeps `thing` from being a stage that can be added; None: nothing does."""
    if not (isinstance(thing, type) and issubclass(thing, ExtraStage)):
        return "it is not a class derived from streamseg.pipeline.extra.ExtraStage"
    return why_no_options(thing)


def extra_steps(config: PipelineConfig) -> list[Step]:
    """The stages that a pipeline file adds, as entries of the list."""
    return [_step(each) for each in config.stages]


def _step(asked: StageStep) -> Step:
    stage = asked.stage

    def make(context: Context) -> Stage:
        own: Stage = dataclasses.replace(stage)
        own.begin(context.classes)  # type: ignore[attr-defined]
        return own

    does = (type(stage).__doc__ or "").strip().partition("\n")[0]
    behind = asked.after or stage.after
    gives = next((step.gives for step in STAGES if step.name == behind), "Result")
    return Step(asked.name, does, gives, make, checks=True, after=behind)
