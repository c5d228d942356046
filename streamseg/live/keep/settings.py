"""The settings with which a camera is watched, kept as JSON, and as a film of that camera is to be looked at with them."""

from __future__ import annotations

from typing import Any

from streamseg.config.load import validate
from streamseg.config.schema import PipelineConfig

__all__ = ["as_film", "as_json"]


def as_json(config: PipelineConfig) -> str:
    """All that has a part in what is found; not what is drawn, or covered: a clip of what is shown has that in its pictures."""
    return config.model_dump_json(exclude={"outputs", "privacy"})


def as_film(settings: Any, model: str | None = None) -> PipelineConfig:
    """Settings of a camera, for a film of it: every picture is looked at as they say, and nothing depends on how fast this is.

    `model`: in place of the one that they name. Raises ConfigError.
    """
    config = validate(PipelineConfig, settings, "settings of the incident", None)
    every = 1 if config.infer.every == "auto" else config.infer.every
    other = {} if model is None else {"model": model}
    return config.model_copy(
        update={
            "decode": config.decode.model_copy(update={"realtime": False, "policy": "block", "stale": None, "reconnect": 0.0}),
            "infer": config.infer.model_copy(update={"every": every, "no_tuned": True, "batch": 1, **other}),
            "track": config.track.model_copy(update={"online": True}),
        }
    )
