"""From a camera's options to the pipeline that watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamseg.config import PipelineConfig
from streamseg.config.steps import EffectStep
from streamseg.errors import ConfigError
from streamseg.live.config import CAMERA_OPTIONS
from streamseg.pipeline.configure import configured
from streamseg.pipeline.outputs import OVERLAY

__all__ = ["pipeline_of"]

FOR_GOOD = 1e8
"""Seconds for which a camera that is away is tried again: three years."""


def pipeline_of(name: str, options: Mapping[str, Any], *, trust: bool = False) -> tuple[PipelineConfig, tuple[EffectStep, ...]]:
    """The pipeline of a camera with these options, and what is drawn for who looks at it. Raises ConfigError, naming the camera."""
    known = {each.name for each in CAMERA_OPTIONS}
    given = {key: value for key, value in options.items() if key in known or key in ("track", "smooth")}
    events = {**options.get("events", {}), **{key: options[key] for key in ("lines", "zones") if options.get(key)}}
    try:
        config = configured(
            given
            | {"pipeline": options.get("pipeline", "live"), "realtime": True, "reconnect": FOR_GOOD, "trust": trust}
            | ({"events": events} if events else {})
        )
    except ConfigError as error:
        raise ConfigError("\n".join(f"camera {name}: {line}" for line in str(error).splitlines())) from None
    main = next((output for output in config.outputs.values() if "{out}" in output.path), OVERLAY)
    return config.model_copy(update={"outputs": {}}), main.composite
