"""What privacy asks of a run beside its two stages: what the network must tell, where frames live, what outputs may hold."""

from __future__ import annotations

from collections.abc import Sequence

from streamseg.composite import Effect, Privacy
from streamseg.config.schema import OutputConfig, PipelineConfig
from streamseg.encode.kinds import kind_of
from streamseg.engine import GraphSpec
from streamseg.errors import ConfigError
from streamseg.pipeline.outputs import Target
from streamseg.system.callbacks import Message

__all__ = [
    "FLOOR",
    "check_first",
    "in_host_memory",
    "looked_for",
    "lowest",
    "outlines_told",
    "refuse_film",
    "settings",
    "with_outputs",
]

FLOOR = 0.05
"""Score down to which `score: auto` hides what a model finds that does not say itself where its answers end."""


def settings(config: PipelineConfig) -> list[Privacy]:
    """All settings of privacy in a run: its own, and those of its outputs; each once."""
    drawn = [step.effect for output in config.outputs.values() for step in output.composite]
    own = [] if (effect := config.privacy.effect) is None else [effect]
    return list(dict.fromkeys([*own, *(effect for effect in drawn if isinstance(effect, Privacy))]))


def with_outputs(config: PipelineConfig, targets: Sequence[Target]) -> PipelineConfig:
    """The configuration with those outputs of a program's own that hide something, so that it is known what they hide."""
    hiding = [target for target in targets if any(isinstance(effect, Privacy) for effect in target.effects)]
    own = {target.name: OutputConfig(composite=target.composite) for target in hiding}
    return config.model_copy(update={"outputs": {**config.outputs, **own}}) if own else config


def lowest(config: PipelineConfig, spec: GraphSpec) -> float:
    """The lowest score that any of them hides; 1 where there is none."""
    auto = spec.score_threshold or FLOOR
    return min((auto if each.score == "auto" else float(each.score) for each in settings(config)), default=1.0)


def looked_for(config: PipelineConfig, classes: Sequence[str] | None) -> tuple[str, ...] | None:
    """The classes that the network must tell of, where these are shown; None: all."""
    hidden = [each.classes for each in settings(config)]
    if classes is None or None in hidden:
        return None
    return tuple(dict.fromkeys((*classes, *(name for names in hidden for name in names or ()))))


def in_host_memory(config: PipelineConfig, say: Message | None) -> PipelineConfig:
    """A configuration whose frames live where they can be hidden, and whose results are found anew. Raises ConfigError.

    What a results file holds is what was shown: not the doubtful, which is hidden, too.
    """
    if not settings(config):
        return config
    decode, keep = config.decode, config.results.keep
    if decode.device in ("nvdec", "cpu"):
        raise ConfigError(
            f"privacy: pictures are hidden in host memory, and decode: device: {decode.device} keeps them on the GPU; leave it out"
        )
    if keep not in ("off", "auto"):
        raise ConfigError(
            f"privacy: {keep} holds what was shown, not the doubtful, which is hidden, too: the film must be looked at; "
            "leave --results out"
        )
    if keep == "auto" and say is not None:
        say("results: none are kept or read: privacy hides more than they hold")
    results = config.results.model_copy(update={"keep": "off"})
    return config.model_copy(update={"decode": decode.model_copy(update={"device": "host"}), "results": results})


def refuse_film(config: PipelineConfig, wish: str) -> None:
    """Raise ConfigError where something can be known only from a results file (`wish`, in words), which privacy cannot use."""
    if wish and settings(config):
        raise ConfigError(
            f"privacy: {wish} is known when the whole film has been looked at before, and privacy hides what is found while it "
            "is looked at; leave one of them out"
        )


def check_first(name: str, effects: Sequence[Effect]) -> None:
    """Raise ConfigError where privacy is not the first of an output's effects: what others draw of the picture would stay."""
    if any(isinstance(effect, Privacy) for effect in effects[1:]):
        raise ConfigError(
            f"outputs: {name}: privacy must be the first effect, and stand there once: it hides what others draw on"
        )


def outlines_told(config: PipelineConfig, target: Target) -> str:
    """That an output shows the outlines of what is hidden, in words; empty: it does not."""
    kind = kind_of(target.path, target.use)
    shapes = any(getattr(effect, "alpha", False) or effect.name == "matte" for effect in target.effects)
    if not settings(config) or not (shapes or (kind is not None and kind.results)):
        return ""
    return f"{target.path}: it holds the outlines of what is hidden, though not its picture"
