"""Steps: how a pipeline file names a thing of a registry, and gives its options.

- overlay                       by name, a built-in one or that of an installed package
- overlay: {fill: 0.4}          with options, the fields of its dataclass
- use: my_module:Glow           by reference, which imports code: only where that is trusted
  strength: 0.5
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from streamseg.composite import Effect
from streamseg.config.problems import unknown_key
from streamseg.config.section import Section
from streamseg.config.values import is_number, parse_names
from streamseg.errors import ConfigError, StreamsegError
from streamseg.errors.describe import brief, did_you_mean
from streamseg.system.registry import EFFECTS, STAGES, Reference, Registry, nearest

__all__ = [
    "EffectStep",
    "Listed",
    "StageStep",
    "check_name",
    "check_reference",
    "options_of",
    "read_step",
    "step_schema",
    "trusts",
]


def trusts(context: Any) -> bool:
    """Whether what is read may name code (the context of a validation)."""
    return bool((context or {}).get("trust"))


def check_reference(value: Any, *, trust: bool) -> Reference:
    """`module:Class` as a reference that may be imported. Raises ConfigError where code is not trusted."""
    if isinstance(value, Reference):
        return value
    if not isinstance(value, str) or ":" not in value:
        raise ConfigError(f"{brief(value)} does not name a class; write module:Class, as my_module:Glow")
    if not trust:
        raise ConfigError(
            f"{brief(value)} would run code, and a pipeline file is data; if you trust the file and that module, add --trust "
            "(in Python: trust=True)"
        )
    return Reference(value)


def check_name(registry: Registry, value: Any, *, others: Sequence[str] = (), trust: bool) -> str:
    """The name of a thing of the registry, or one of `others`; `use: module:Class`, or `module:Class` alone, as a reference.

    Imports nothing. Raises ConfigError.
    """
    if isinstance(value, dict) and list(value) == ["use"]:
        return check_reference(value["use"], trust=trust)
    if isinstance(value, Reference) or (isinstance(value, str) and ":" in value):
        return check_reference(value, trust=trust)
    if isinstance(value, str) and (value in others or value in registry):
        return value
    known = [*others, *registry.names()]
    hint = did_you_mean(value, known) if isinstance(value, str) else ""
    raise ConfigError(f"{brief(value)} is not allowed; allowed: {', '.join(map(repr, known))}{hint}")


def read_step(registry: Registry, value: Any, *, trust: bool) -> tuple[str, Any]:
    """The name (or reference) and the thing that a step means, made with its options; a thing itself is taken as it is.

    Raises ValidationError, whose locations begin at the step, or ConfigError.
    """
    if registry.why_not(type(value)) is None:
        return getattr(value, "name", "") or type(value).__name__, value
    name, options, known_as = _parts(registry, value)
    if known_as:
        kind = _named(registry, name, value)
    else:
        name = check_reference(name, trust=trust)
        kind = registry.use(name)
    if isinstance(options, kind):
        return name, options
    if not isinstance(options, dict):
        raise _located([((*known_as,), "options", f"{brief(options)} is not a section of options", options)])
    fields = options_of(kind)
    unknown = [key for key in options if key not in fields]
    if unknown:
        raise _located([((*known_as, str(key)), "unknown_key", _unknown(key, options, fields), None) for key in unknown])
    if truths := [key for key, value in options.items() if isinstance(value, bool) and _is_number(kind, key)]:
        said = "{} is not allowed; a number is needed"
        raise _located([((*known_as, key), "value_error", said.format(options[key]), None) for key in truths])
    if "classes" in options and "classes" in fields:
        options = options | {"classes": parse_names(options["classes"])}
    try:
        made: Any = _model(kind).model_validate({"it": options})
    except ValidationError as error:
        raise _moved(error, known_as) from None
    except StreamsegError:
        raise
    except Exception as error:  # of a stranger's __post_init__
        raise ConfigError(f"{name} cannot be made with these options: {type(error).__name__}: {error}") from error
    return name, made.it


def _unknown(key: Any, options: Mapping[Any, Any], fields: Iterable[str]) -> str:
    """What to say of an option that there is not. YAML takes what stands behind a comma for a key without a value."""
    if options[key] is None and isinstance(where := options.get("where"), str):
        return f"unknown key; a selection with a comma needs quotation marks: where: '{where}, {key}'"
    return unknown_key(str(key), list(fields))


def _is_number(kind: Any, key: str) -> bool:
    return is_number(FieldInfo.from_annotation(get_type_hints(kind, include_extras=True)[key]))


def _parts(registry: Registry, value: Any) -> tuple[str, Any, tuple[str, ...]]:
    """The name or reference of a step, its options, and where these stand in it: () for a reference's."""
    if isinstance(value, str):
        return value, {}, (value,)
    if isinstance(value, dict) and "use" in value:
        return value["use"], {key: inner for key, inner in value.items() if key != "use"}, ()
    if isinstance(value, dict) and len(value) == 1:
        name, options = next(iter(value.items()))
        return str(name), {} if options is None else options, (str(name),)
    raise ConfigError(f"a step is exactly one of {', '.join(registry.names())}, or use: module:Class with its options")


def _named(registry: Registry, name: str, value: Any) -> Any:
    if name not in registry:
        hint = nearest(name, registry.names())
        raise _located([((name,), "unknown_name", f"there is no such {registry.kind}{hint}", value)])
    return registry.get(name)


def step_schema(registry: Registry, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """JSON Schema of a step: what the registry has, plug-ins that can be loaded included, each with its options; or a reference.

    `more`: properties that a step has besides.
    """
    kinds = {found.name: registry.get(found.name) for found in registry.found() if found.problem is None}
    kinds |= {name: registry.get(name) for name in registry.names() if registry.is_builtin(name)}
    kinds = {name: kind for name, kind in kinds.items() if registry.why_not(kind) is None}
    options = {name: _options_schema(kind) for name, kind in kinds.items()}
    for each in options.values():
        each["additionalProperties"] = False
        each["properties"] = {**each.get("properties", {}), **(more or {})}
    sections = {name: {"anyOf": [each, {"type": "null"}]} for name, each in options.items()}
    by_name = {"type": "object", "properties": sections, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    by_reference = {"type": "object", "properties": {"use": {"type": "string"}, **(more or {})}, "required": ["use"]}
    return {"anyOf": [{"enum": list(kinds)}, by_name, by_reference]}


def _options_schema(kind: Any) -> dict[str, Any]:
    try:
        return TypeAdapter(kind).json_schema()
    except PydanticUserError:  # a type that has no schema: no file can give it
        return {"type": "object", "properties": {name: {} for name in options_of(kind)}}


class Listed:
    """For annotations: the JSON Schema of a field that `check_name` reads."""

    def __init__(self, registry: Registry, *others: str) -> None:
        self._registry, self._others = registry, others

    def __get_pydantic_json_schema__(self, _core: Any, _handler: Any) -> dict[str, Any]:
        use = {"type": "object", "properties": {"use": {"type": "string"}}, "required": ["use"], "additionalProperties": False}
        return {"anyOf": [{"enum": [*self._others, *self._registry.names()]}, use]}


def options_of(kind: Any) -> dict[str, Any]:
    """Name → type of the options: the fields of the dataclass that may be given."""
    return {field.name: field.type for field in dataclasses.fields(kind) if field.init}


@lru_cache(maxsize=256)
def _model(kind: Any) -> type[BaseModel]:
    """What checks the options of `kind`. Raises ConfigError where its fields are of types that cannot be checked."""
    try:
        model = create_model(kind.__name__, __config__=ConfigDict(extra="forbid", frozen=True), it=(kind, ...))
        model.model_rebuild()  # else a type that is not defined is told only when a value is checked
    except Exception as error:  # whatever a stranger's annotations do when they are evaluated
        words = str(error).partition("\n")[0]
        raise ConfigError(f"the options of {kind.__module__}:{kind.__qualname__} cannot be checked: {words}") from error
    return model


def _located(problems: list[tuple[tuple[str, ...], str, str, Any]]) -> ValidationError:
    details = [
        InitErrorDetails(type=PydanticCustomError(kind, "{words}", {"words": words}), loc=where, input=value)
        for where, kind, words, value in problems
    ]
    return ValidationError.from_exception_data("step", details)


def _moved(error: ValidationError, place: tuple[str, ...]) -> ValidationError:
    """The same problems, at the options' place in the step."""
    details = [
        InitErrorDetails(type=p["type"], loc=(*place, *p["loc"][1:]), input=p["input"], ctx=p.get("ctx", {}))
        for p in error.errors(include_url=False)
    ]
    return ValidationError.from_exception_data("step", details)


class EffectStep(Section):
    """One step of composite: an effect of the registry by its name, or `use: module:Class`, with the fields of its class."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str
    """Its key in the file, or the reference."""
    effect: Effect

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        """`overlay` alone means `overlay: {}`; so does a key without a value."""
        name, effect = read_step(EFFECTS, value, trust=trusts(info.context))
        return {"name": name, "effect": effect}

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: Any, _handler: Any) -> dict[str, Any]:
        return step_schema(EFFECTS)

    @model_serializer
    def _written(self) -> dict[str, Any]:
        options = dataclasses.asdict(self.effect)  # type: ignore[call-overload]
        return {"use": self.name, **options} if isinstance(self.name, Reference) else {self.name: options}

    @classmethod
    def of(cls, effect: Effect) -> EffectStep:
        """The step that means `effect`."""
        return cls.model_validate(effect)


class StageStep(Section):
    """A stage that is added: one of an installed package by its name, or `use: module:Class`, with the fields of its class.

    `after` says behind which stage it runs, if not where it says itself; `name` what it is called, if not as the class is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str
    after: str
    """"": where the stage says itself."""
    stage: Any

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        value, place = _without_place(value)
        name, stage = read_step(STAGES, value, trust=trusts(info.context))
        called = type(stage).__name__ if isinstance(name, Reference) else name
        return {"name": place.get("name", called), "after": place.get("after", ""), "stage": stage}

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: Any, _handler: Any) -> dict[str, Any]:
        return step_schema(STAGES, {"after": {"type": "string"}, "name": {"type": "string"}})


def _without_place(value: Any) -> tuple[Any, dict[str, Any]]:
    """A step without what it says of its place and its name; and that."""
    if isinstance(value, str | dict) and (name := value if isinstance(value, str) else next(iter(value), "")) != "use":
        if STAGES.is_builtin(name):
            raise ValueError(f"the stage {name!r} runs in any case; what it does is set in sections of its own")
        options = value[name] if isinstance(value, dict) and len(value) == 1 else None
        if isinstance(options, dict):
            kept, place = _split_place(options)
            return {name: kept}, place
    elif isinstance(value, dict):
        return _split_place(value)
    return value, {}


def _split_place(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {key: inner for key, inner in options.items() if key not in ("after", "name")},
        {key: inner for key, inner in options.items() if key in ("after", "name")},
    )
