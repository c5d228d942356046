"""What may stand in cameras.yaml: the engine, what all cameras have in common, the cameras, and who is told of them.

    engine: {model: lite}
    defaults: {detect_every: auto}
    cameras:
      door: {source: rtsp://user:password@10.0.0.7/main, classes: [person], lines: {step: [[0.1, 0.5], [0.9, 0.5]]}}
      yard: rtsp://10.0.0.8/main

A camera takes the options of a run (`pipeline.options`) that say how its source is read, what is found in it and what is drawn.
What belongs to the engine, which all cameras share, stands in `engine` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, create_model

from streamseg.config.live_log import LogConfig
from streamseg.config.live_metrics import MetricsConfig
from streamseg.config.live_mqtt import MqttConfig
from streamseg.config.live_notify import NotifyConfig
from streamseg.config.live_page import PageConfig, page_of
from streamseg.config.live_record import Record, RecordConfig, record_of
from streamseg.config.live_webhooks import WebhookConfig
from streamseg.config.load import Location, line_in, parse_yaml, read_yaml, validate
from streamseg.config.schema import EventsConfig, OutputConfig, PipelineConfig, SmoothConfig, TrackConfig, parse_place
from streamseg.config.section import Section
from streamseg.config.values import Positive
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.events import Line, Zone
from streamseg.live.pushes import Pushes
from streamseg.pipeline.options import OPTIONS, Option
from streamseg.pipeline.output_options import listed_effects

__all__ = [
    "CAMERA_OPTIONS",
    "CameraConfig",
    "EngineConfig",
    "LiveConfig",
    "LiveFile",
    "check_camera",
    "engine_options",
    "load_live",
    "merged",
    "read_live",
]

_EXAMPLE = "cameras: {door: rtsp://10.0.0.7/main}"
Options = Mapping[str, Any]
"""Of a camera, as they stand in the file."""

_NO_CAMERAS = {
    *("start", "duration", "end", "realtime", "reconnect", "spool", "online"),
    *("pipeline", "trust", "track", "smooth", "events"),
}
"""Options of a run that make no sense for what is watched as it happens, or are declared in another way."""
CAMERA_OPTIONS: tuple[Option, ...] = tuple(
    each
    for each in OPTIONS
    if each.name not in _NO_CAMERAS
    and ({"pipeline", "source", "privacy"} & {*each.groups} or each.name in ("effects", "keep_grey", "select"))
)
"""Those of a run that a camera may have."""
ENGINE_OPTIONS: tuple[Option, ...] = tuple(each for each in OPTIONS if "network" in each.groups)


def _name(value: Any) -> str:
    """Of a camera: it stands in addresses, topics and names of files. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic tells ValueErrors alone
            f'{value!r} is no name; YAML reads some words as values: write it in quotes, as "{str(value).lower()}"'
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise ValueError(f"{brief(value)} is no name of a camera; use up to 64 letters (a to z), digits, - and _")
    return value


def _source(value: Any) -> Any:
    """A camera's number is an address, too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _camera(value: Any) -> Any:
    """An address alone is a camera with it."""
    return {"source": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


class _CameraBase(Section):
    """What a camera has beside the options of a run."""

    source: Annotated[str, BeforeValidator(_source), Field(min_length=1)]
    """An address, a device's number or name, or a film, which is played at its own speed."""
    pipeline: str = "live"
    """The pipeline that these options change: `live`, or a file."""
    lines: dict[str, Annotated[Line, BeforeValidator(parse_place)]] = Field(default_factory=dict)
    """As in the section `events` of a pipeline file."""
    zones: dict[str, Annotated[Zone, BeforeValidator(parse_place)]] = Field(default_factory=dict)
    events: EventsConfig = EventsConfig()
    """The rest of that section, or all of it."""
    track: TrackConfig = TrackConfig()
    smooth: SmoothConfig = SmoothConfig()
    record: Record = None
    """What of it is recorded."""
    push: Pushes = ()
    """Media servers that what it shows is pushed to; {name} stands for its name."""
    enabled: bool = True
    """False: it is only known, as if it were paused."""
    loop: bool = False
    """A film begins again when it has ended."""
    names: dict[Annotated[int, Field(gt=0)], str] = Field(default_factory=dict)
    """Track → what a person calls it. Tracks are numbered as they are seen: forgotten when the source is opened anew."""
    hide: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """Tracks that are in no picture, result or count; forgotten likewise."""


def _field(option: Option) -> tuple[Any, Any]:
    """The type that an option's value has where it stands in a pipeline file; None, the default: as the pipeline says."""
    section: type[BaseModel] = PipelineConfig if option.place[0] not in ("composite", "keep_grey") else OutputConfig
    for part in option.place[:-1]:
        section = section.model_fields[part].annotation  # type: ignore[assignment]
    found = section.model_fields[option.place[-1]]
    kind: Any = Annotated[(found.annotation, *found.metadata)] if found.metadata else found.annotation
    if option.name == "effects":
        kind = Annotated[kind, BeforeValidator(lambda value: tuple(listed_effects(value, "effects")))]
    return kind | None, Field(default=None)


CameraConfig = create_model(
    "CameraConfig",
    __base__=_CameraBase,
    **{option.name: _field(option) for option in CAMERA_OPTIONS},  # type: ignore[call-overload]
)
DefaultsConfig = create_model(
    "DefaultsConfig", __base__=CameraConfig, source=(Annotated[str | None, Field(max_length=0)], None)
)


class _EngineBase(Section):
    in_flight: Annotated[int, Field(ge=1, le=16)] | None = None
    """Batches that are computed at the same time."""
    max_wait: Positive | None = None
    """Seconds for which a batch that is not full waits for pictures of other cameras."""
    patience: Positive = 60.0
    """Seconds for which an answer is waited for; then the engine is taken for dead, and the program ends."""


EngineConfig = create_model(
    "EngineConfig",
    __base__=_EngineBase,
    **{option.name: _field(option) for option in ENGINE_OPTIONS},  # type: ignore[call-overload]
)


class LiveConfig(Section):
    """The whole file. A section of who is told of the cameras is a field here; its model stands in `config/live_SECTION.py`."""

    engine: EngineConfig = EngineConfig()  # type: ignore[valid-type]
    defaults: DefaultsConfig = DefaultsConfig()  # type: ignore[valid-type]
    record: RecordConfig = RecordConfig()
    page: Annotated[PageConfig | None, BeforeValidator(page_of)] = None
    """The page in the browser; `off`: none."""
    cameras: dict[Annotated[str, BeforeValidator(_name)], Annotated[CameraConfig, BeforeValidator(_camera)]] = Field(  # type: ignore[valid-type]
        default_factory=dict
    )
    mqtt: MqttConfig | None = None
    webhooks: tuple[WebhookConfig, ...] = ()
    notify: tuple[NotifyConfig, ...] = ()
    log: LogConfig | None = None
    metrics: MetricsConfig | None = None


def engine_options(options: Options) -> tuple[dict[str, Any], float]:
    """Of the options of an engine those of a Session, and the patience. Raises ConfigError."""
    config = validate(EngineConfig, dict(options), "engine", None)
    return {key: value for key, value in options.items() if key != "patience"}, config.patience


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A configuration that was read, checked as far as it can be without opening anything."""

    config: LiveConfig
    engine: Options
    """As it stands there."""
    cameras: Mapping[str, Options]
    """What each camera is to have, with the defaults in it."""
    path: Path | None = None
    raw: Options = field(default_factory=dict)
    """All of it as it stands there."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where each camera, and each option of one (`door.classes`), stands, as a message begins: `cameras.yaml:3: `."""
    problems: tuple[str, ...] = ()
    """What is wrong with what was left out of it, where that was asked for."""
    engine_is_sound: bool = True
    """Nothing of `engine` was left out."""

    def placed(self, camera: str, said: str) -> list[str]:
        """What is wrong with a camera, each line with its place in the file."""
        return [_placed(self.places, camera, line) for line in said.splitlines()]


def load_live(path: Path, *, trust: bool = False, partly: bool = False) -> LiveFile:
    """Read cameras.yaml; `partly`: see `read_live`.

    Raises ConfigError, which names every problem with its line; one without cameras is none.
    """
    data, tree = parse_yaml(read_yaml(path, "file of cameras"), str(path), LiveConfig)
    file = read_live(data, str(path), tree, trust=trust, path=path, partly=partly)
    if not file.cameras and not file.problems:
        raise ConfigError(f"{path}: there are no cameras in it; name one or more in its section cameras, as {_EXAMPLE}")
    return file


def read_live(
    data: Options, name: str, tree: Any = None, *, trust: bool = False, path: Path | None = None, partly: bool = False
) -> LiveFile:
    """A configuration from its keys and values; `name` stands in messages, `tree` knows the lines.

    partly: leave out what is wrong and tell it in `problems`, so that what else is wrong can be found out, too. Raises
    ConfigError, which names every problem.
    """
    given = {key: {} if value is None else value for key, value in data.items()}
    problems: list[str] = []
    wrong: set[Location] = set()
    try:
        config = validate(LiveConfig, given, name, tree, trust=trust)
    except ConfigError as error:
        problems += str(error).splitlines()
        given, wrong = _sound(given, trust)
        try:
            config = validate(LiveConfig, given, name, tree, trust=trust)
        except ConfigError:
            raise error from None
    shared = given.get("defaults", {})
    cameras = {
        each: {key: value for key, value in merged(shared, _camera(options)).items() if ("cameras", each, key) not in wrong}
        for each, options in given.get("cameras", {}).items()
    }
    places = {} if tree is None else _places(name, tree, cameras)
    for each, options in cameras.items():
        try:
            record_of(each, options)
        except ConfigError as error:
            problems.append(_placed(places, each, str(error)))
    if problems and not partly:
        raise ConfigError("\n".join(problems))
    sound = all(place[0] != "engine" for place in wrong)
    return LiveFile(config, given.get("engine", {}), cameras, path, given, places, tuple(problems), sound)


def _sound(data: Options, trust: bool) -> tuple[dict[str, Any], set[Location]]:
    """What is left without what is wrong, and the places of that: an option of a camera or of all, a camera, or a section."""
    try:
        LiveConfig.model_validate(data, context={"trust": trust})
    except ValidationError as error:
        wrong = {problem["loc"][: 3 if problem["loc"][0] == "cameras" else 2] for problem in error.errors(include_url=False)}
    left: dict[Any, Any] = dict(data)
    cameras = left.get("cameras")
    if isinstance(cameras, Mapping):
        left["cameras"] = {
            each: dict(options) if isinstance(options, Mapping) else options for each, options in cameras.items()
        }
    if isinstance(left.get("defaults"), Mapping):
        left["defaults"] = dict(left["defaults"])
    for section, *inner in wrong:
        match section, inner:
            case "cameras", [camera, option] if option != "source" and isinstance(left["cameras"].get(camera), dict):
                left["cameras"][camera].pop(option, None)
            case "cameras", [camera, *_]:
                left["cameras"].pop(camera, None)
            case "defaults", [option]:
                left["defaults"].pop(option, None)
            case _:
                left.pop(section, None)
    return left, wrong


def _places(name: str, tree: Any, cameras: Mapping[str, Options]) -> dict[str, str]:
    """See `LiveFile.places`. What a camera has from the defaults stands at the camera."""
    found: dict[str, Location] = {each: ("cameras", each) for each in cameras}
    found |= {f"{each}.{key}": ("cameras", each, key) for each, options in cameras.items() for key in options}
    return {said: f"{name}:{line_in(tree, place)}: " for said, place in found.items()}


def _placed(places: Mapping[str, str], camera: str, said: str) -> str:
    """A message of a camera with the place of the option that it begins with, or else of the camera."""
    option = re.match(r"\w*", said.removeprefix(f"camera {camera}: "))
    return places.get(f"{camera}.{option[0] if option else ''}", places.get(camera, "")) + said


def merged(first: Options, then: Options) -> dict[str, Any]:
    """Options with others on top; None leaves what was there."""
    return {**first, **{key: value for key, value in then.items() if value is not None}}


def check_camera(name: str, options: Options | str, *, trust: bool = False) -> dict[str, Any]:
    """The options of one camera, checked. Raises ConfigError."""
    given = dict(_camera(options))
    try:
        _name(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    validate(CameraConfig, given, f"camera {name}", None, trust=trust)
    record_of(name, given)
    return given
