"""What the network has answered, kept frame by frame, so that a run that goes on after it was cut off need not ask it again.

All that comes behind the network (identities, masks through time, events) is worked out anew from the first frame on, from the same
answers: whatever a stage remembers is then the same as in a run that was never cut off. No stage has to be able to store itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from streamseg.composite import Rendered
from streamseg.config.schema import PipelineConfig
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.decode import SourceInfo
from streamseg.encode.sink import Keeper, Sink
from streamseg.engine import Engine, GraphSpec
from streamseg.errors import ConfigError
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.stages import Made
from streamseg.runtime import Stage

__all__ = ["Answers", "Known", "Progress", "drawing_less", "refuse_between", "remembering"]


class Answers(Protocol):
    """Where they are kept."""

    def known(self, frame: Frame) -> bool:
        """Whether the answer for a frame is there; not for one behind a frame for which it is not."""

    def recall(self, frame: Frame) -> Result:
        """The answer for a frame that is known. Raises ResultsError."""

    def keep(self, result: Result) -> None:
        """Keep the answer for the next frame. Raises OutputError."""


class Progress(Protocol):
    """What a run that may be cut off keeps, and finds again when it is begun anew."""

    def begin(self, info: SourceInfo) -> None:
        """The source is open. Raises StreamsegError where it cannot be gone back to."""

    def opened(self) -> None:
        """The outputs are open, too: what lies in their places is this run's own. Raises OutputError."""

    def answers(self, config: PipelineConfig, spec: GraphSpec, engine: Engine) -> Answers:
        """The network's answers, where it is asked as `config` says. Raises StreamsegError where there are those of another one."""

    def keeper(self, name: str) -> Keeper:
        """What is finished of the output `name`."""


@dataclass(frozen=True, slots=True)
class Known:
    """A frame that the network need not look at."""

    frame: Frame


def remembering(trunk: Made, answers: Answers) -> Made:
    """The stages of a trunk, with the network left out for known frames, and what it answers kept."""
    ways: dict[str, Callable[[Stage], Stage]] = {
        "preprocess": lambda stage: _First(stage, answers),
        "infer": _Passing,
        "postprocess": lambda stage: _Last(stage, answers),
    }
    return replace(trunk, stages=[(name, ways[name](stage) if name in ways else stage) for name, stage in trunk.stages])


def drawing_less(made: Made, output: Target, sink: Sink) -> Made:
    """The stages of an output, with nothing drawn that the sink has from an earlier run.

    All is drawn for a sink that makes its output anew each time, and where what is drawn depends on the frames before.
    """
    recalls = getattr(sink, "recalls", None)
    own = all(type(effect).__module__.startswith("streamseg.") and not effect.looks_back for effect in output.effects)
    if recalls is None or not own or len(made.stages) != 2:  # a stage of the user's own may remember, too
        return made
    (name, compositor), last = made.stages
    stage = compositor if getattr(compositor, "delays", False) else _Recalling(compositor, recalls)
    return replace(made, stages=[(name, stage), last])


def refuse_between(names: Sequence[str]) -> None:
    """Raise ConfigError for stages that would get known frames instead of pictures or answers under way: a user's own, the gate."""
    at = [names.index(name) for name in ("preprocess", "infer", "postprocess")]
    if own := [name for name in names[at[0] : at[2]] if name not in ("preprocess", "infer")]:
        raise ConfigError(f"--resume: the stage {own[0]} works on what the network sees, which is not kept; put it later")


class _Recalling:
    """Draws what an output does not have; what it has goes by as it was decoded."""

    def __init__(self, stage: Stage, recalls: Callable[[Frame], bool]) -> None:
        self._stage, self._recalls = stage, recalls

    def __call__(self, result: Result) -> Rendered:
        return Rendered(result, result.frame.picture) if self._recalls(result.frame) else self._stage(result)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)  # flush, close, abort: where the stage has them


class _Passing:
    """A stage for what is not known."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __call__(self, item: Any) -> Any:
        return item if isinstance(item, Known) else self._stage(item)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stage, name)  # flush, close, abort, ahead: where the stage has them


class _First(_Passing):
    def __init__(self, stage: Stage, answers: Answers) -> None:
        super().__init__(stage)
        self._answers = answers

    def __call__(self, item: Any) -> Any:
        return Known(item) if self._answers.known(item) else self._stage(item)


class _Last(_Passing):
    def __init__(self, stage: Stage, answers: Answers) -> None:
        super().__init__(stage)
        self._answers = answers

    def __call__(self, item: Any) -> Any:
        if isinstance(item, Known):
            return self._answers.recall(item.frame)
        result = self._stage(item)
        self._answers.keep(result)
        return result
