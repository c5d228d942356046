"""From a camera's options to the pipeline that watches it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from streamseg.config import PipelineConfig
from streamseg.config.schema import EncodeConfig
from streamseg.config.steps import EffectStep
from streamseg.engine import GraphSpec
from streamseg.errors import ConfigError
from streamseg.live.config import CAMERA_OPTIONS, LiveFile
from streamseg.live.named import Named
from streamseg.pipeline import stages
from streamseg.pipeline.configure import configured
from streamseg.pipeline.options import filed
from streamseg.pipeline.outputs import OVERLAY, Target
from streamseg.pipeline.session import Session

__all__ = [
    "OF_TRACKS",
    "SHOW",
    "check_options",
    "named_of",
    "opened_anew",
    "pipeline_of",
    "problems_of",
    "shown",
    "words_of_camera",
]

SHOW = "show"
"""The output that is shown."""
OF_TRACKS = ("names", "hide")
"""Options that say something of tracks, which are numbered as they are seen."""
FOR_GOOD = 1e8
"""Seconds for which a camera that is away is tried again: three years."""


def pipeline_of(name: str, options: Mapping[str, Any], *, trust: bool = False) -> tuple[PipelineConfig, tuple[EffectStep, ...]]:
    """The pipeline of a camera with these options, and what is drawn for who looks at it. Raises ConfigError, naming the camera."""
    with words_of_camera(name):
        return _pipeline_of(options, trust)


def shown(name: str, options: Mapping[str, Any], effects: tuple[EffectStep, ...]) -> Target:
    """The output of a camera that is shown, without its sink."""
    return Target(SHOW, name, effects, EncodeConfig(), bool(options.get("keep_grey")))


def opened_anew(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether options differ that are no part of the pipeline, which can be changed: then the source has to be opened anew."""
    inside = {each.name for each in CAMERA_OPTIONS} - {"keep_grey"} | {
        "lines",
        "zones",
        "events",
        "track",
        "smooth",
        "push",
        *OF_TRACKS,
    }
    return any(before.get(key) != after.get(key) for key in {*before, *after} - inside)


def named_of(options: Mapping[str, Any]) -> Named:
    """The names and hidden tracks of a camera with these options. Raises ConfigError."""
    return Named({int(track): name for track, name in options.get("names", {}).items()}, options.get("hide", ()))


def check_options(name: str, options: Mapping[str, Any], session: Session | None, *, trust: bool = False) -> None:
    """Raise ConfigError where a camera cannot have these; what a model knows counts where one is open."""
    config, effects = pipeline_of(name, options, trust=trust)
    with words_of_camera(name):
        named_of(options)
    if session is not None:
        with words_of_camera(name):
            stages.check(session.fit(config), session.spec, outputs=[shown(name, options, effects)])


def problems_of(file: LiveFile, spec: GraphSpec | None, *, trust: bool = False) -> list[str]:
    """All that is wrong with a file of cameras, each with its line; of what the model knows where there is one."""
    found = list(file.problems)
    for name, options in file.cameras.items():
        try:
            config, effects = pipeline_of(name, options, trust=trust)
            with words_of_camera(name):
                named_of(options)
                if spec is not None:
                    stages.check(config, spec, outputs=[shown(name, options, effects)])
        except ConfigError as error:
            found += file.placed(name, str(error))
    return found


@contextlib.contextmanager
def words_of_camera(name: str) -> Iterator[None]:
    """Let errors name the camera that they are of, and options as its file does."""
    try:
        yield
    except ConfigError as error:
        start = f"camera {name}: "
        said = [filed(line).removeprefix(start) for line in str(error).splitlines()]
    else:
        return
    raise ConfigError("\n".join(f"{start}{line}" for line in said))


def _pipeline_of(options: Mapping[str, Any], trust: bool) -> tuple[PipelineConfig, tuple[EffectStep, ...]]:
    known = {each.name for each in CAMERA_OPTIONS}
    given = {key: value for key, value in options.items() if key in known or key in ("track", "smooth")}
    events = {**options.get("events", {}), **{key: options[key] for key in ("lines", "zones") if options.get(key)}}
    config = configured(
        given
        | {"pipeline": options.get("pipeline", "live"), "realtime": True, "reconnect": FOR_GOOD, "trust": trust}
        | ({"events": events} if events else {})
    )
    main = next((output for output in config.outputs.values() if "{out}" in output.path), OVERLAY)
    return config.model_copy(update={"outputs": {}}), main.composite
