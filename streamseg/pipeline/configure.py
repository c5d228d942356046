"""Makes the configuration of a run from a pipeline file, or its name, and options on top (`pipeline.options`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

from streamseg.config import PipelineConfig, load_pipeline, override
from streamseg.config.load import Location, validate
from streamseg.config.privacy import PrivacyConfig, privacy_section
from streamseg.config.section import Section
from streamseg.errors import ConfigError, StreamsegError
from streamseg.errors.describe import brief, path_of
from streamseg.pipeline.options import OPTIONS, Naming, Option, in_python, pythonic
from streamseg.pipeline.output_options import with_encoding
from streamseg.pipeline.preview import preview
from streamseg.runtime.process import check_fork
from streamseg.system.imports import forks_wait

__all__ = ["configure", "configured", "output_paths", "python_words", "words_of"]

Given = Mapping[str, Any]
_SWITCHES = ("overwrite", "preview", "resume", "trust")
"""Options that stand in no pipeline file, so that no schema tells a wrong value."""
_OF_OUTPUTS = (("encode",), ("keep_grey",), ("composite",))
"""The first part of the places of options that speak of outputs."""


def configure(given: Given, naming: Naming = in_python) -> PipelineConfig:
    """The pipeline that was asked for; `given` is name → value of options, None for those that were not given.

    Raises ConfigError, which calls an option what `naming` calls it.
    """
    asked = {option: value for option in OPTIONS if (value := given.get(option.name)) is not None}
    for option, value in asked.items():
        if option.name in _SWITCHES and not isinstance(value, bool):
            raise ConfigError(f"{naming(option)}: True or False is needed, not {brief(value)}")
    trust = bool(given.get("trust"))
    config = _one_end(_pipeline(given.get("pipeline"), trust), given)
    # A size was meant for the pipeline's own model.
    another = given.get("model") is not None and isinstance(config.preprocess.size, tuple)
    changes: dict[str, Any] = {"preprocess": {"size": "auto"}} if another else {}
    part = given.get("head")
    if isinstance(part, str) and part != "full" and given.get("classes") is None:  # the pipeline's are the whole network's
        changes["postprocess"] = {"classes": "all"}
    called: dict[Location, str] = {}
    for option, value in asked.items():
        match option.place:
            case ["encode", _] | ["keep_grey"] | ["composite"] | []:
                continue
            case ["privacy"]:
                changes["privacy"] = privacy_section(value, naming(option))
                called["privacy",] = called["privacy", "classes"] = naming(option)
            case [section]:  # a switch alone is the section's first field
                changes[section] = {"watch": value} if section == "scene" and isinstance(value, bool) else value
                called[section,] = naming(option)
            case [section, field]:
                changes[section] = _with(changes.get(section, {}), field, _plain(option, value, naming))
                called[section, field] = naming(option)
                called[section,] = ", ".join(filter(None, [called.get((section,)), naming(option)]))
    hidden = changes.get("privacy")
    if isinstance(hidden, Mapping) and hidden.get("classes") == ():  # off: how something would have been hidden says nothing
        changes["privacy"] = PrivacyConfig()
    encoding = {option.name: value for option, value in asked.items() if option.place[:1] in _OF_OUTPUTS}
    names = {option.place[-1]: naming(option) for option in asked if option.name in encoding}
    config = with_encoding(override(config, changes, called, "", trust=trust), **encoding, called=names, trust=trust)
    return preview(config, given) if given.get("preview") else config


def configured(given: Given) -> PipelineConfig:
    """The pipeline that the arguments of a function mean. Raises ConfigError, StreamsegError in the fork of a process at work."""
    check_fork()
    with forks_wait():
        return configure(given)


def output_paths(output: object) -> list[str]:
    """What `run` takes as its output, as -o would have it. Raises ConfigError."""
    given: Sequence[object] = output if isinstance(output, (list, tuple)) else [] if output is None else [output]
    return [
        path_of(path, "an output is a path or a list of paths ('NAME=PATH' for one that the pipeline file names)")
        for path in given
    ]


@contextlib.contextmanager
def words_of(naming: Naming, given: Given) -> Iterator[None]:
    """Let errors that begin with the name of an option that was given call it what `naming` calls it."""
    try:
        yield
    except ConfigError as error:
        lines = str(error).split("\n")
        for at, line in enumerate(lines):
            name, colon, rest = line.partition(": ")
            option = next((each for each in OPTIONS if each.name == name and given.get(name) is not None), None)
            if option is not None:
                lines[at] = f"{naming(option)}{colon}{rest}"
        error.args = ("\n".join(lines),)
        raise


@contextlib.contextmanager
def python_words() -> Iterator[None]:
    """Let errors that leave from here name arguments, where they were written for the shell."""
    try:
        yield
    except StreamsegError as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (pythonic(error.args[0]), *error.args[1:])
        raise


def _pipeline(given: object, trust: bool) -> PipelineConfig:
    """The pipeline before its options: an object as it is, a dict of sections, a name or a file; None: an empty one."""
    if given is None:
        return PipelineConfig()
    if isinstance(given, PipelineConfig):
        return given
    if isinstance(given, Mapping):
        sections = {key: {} if value is None else value for key, value in given.items()}
        return validate(PipelineConfig, sections, "pipeline", None, trust=trust)
    if not isinstance(given, str | PathLike):
        raise ConfigError(f"pipeline: a name, a path, a PipelineConfig or a dict of sections is needed, not {brief(given)}")
    return load_pipeline(given, trust=trust)


def _one_end(config: PipelineConfig, given: Given) -> PipelineConfig:
    """`config` without the end that its file tells, where another is given, as a length or as a time."""
    if given.get("end") is None and given.get("duration") is None:
        return config
    return config.model_copy(update={"decode": config.decode.model_copy(update={"end": None, "duration": None})})


def _with(section: Any, field: str, value: Any) -> Any:
    """What was given for a section, with one field more; as it is where it is no section, which the schema then tells."""
    if isinstance(section, Section):
        return type(section)(**dict(section) | {field: value})
    return {**section, field: value} if isinstance(section, Mapping) else section


def _plain(option: Option, value: Any, naming: Naming) -> Any:
    return path_of(value, naming(option)) if option.name == "model" else value
