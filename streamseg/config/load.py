"""Finds pipeline files by name and reads them. The error for a bad value names file and line, what is wrong, what is allowed."""

import sys
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from streamseg.config.problems import Location
from streamseg.config.reading import line_in, parse_yaml, read_yaml, validate
from streamseg.config.schema import PipelineConfig
from streamseg.config.section import Section
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, path_of
from streamseg.system.resources import shipped_folder

__all__ = [
    "Location",
    "line_in",
    "load_pipeline",
    "override",
    "parse_pipeline",
    "parse_yaml",
    "pipeline_names",
    "read_yaml",
    "validate",
]


def pipeline_names() -> list[str]:
    """Names of the pipelines that streamseg brings."""
    return sorted(path.stem for path in shipped_folder("pipelines").glob("*.yaml"))


def load_pipeline(name_or_path: str | PathLike[str], *, trust: bool = False) -> PipelineConfig:
    """The pipeline of that shipped name ("drive", "edit", "live") or file.

    trust: let the file name code to run (`use: module:Class`), also of modules that lie beside it. Raises ConfigError.
    """
    name = path_of(name_or_path, "pipeline")
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if name not in pipeline_names():
            known = ", ".join(pipeline_names())
            raise ConfigError(f"there is no pipeline {brief(name)}; known: {known}, or the path of a .yaml file")
        path = shipped_folder("pipelines") / f"{name}.yaml"
    text = read_yaml(path, "pipeline file")
    if trust and (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # last: nothing that is installed is hidden by what lies there
    return parse_pipeline(text, str(path), trust=trust)


def parse_pipeline(text: str, name: str, *, trust: bool = False) -> PipelineConfig:
    """The pipeline that `text` describes; `name` stands in the messages; `trust` as for `load_pipeline`. Raises ConfigError."""
    data, tree = parse_yaml(text, name, PipelineConfig)
    data = {key: {} if value is None else value for key, value in data.items()}
    return validate(PipelineConfig, data, name, tree, trust=trust)


def override(
    config: PipelineConfig,
    changes: Mapping[str, Mapping[str, Any] | Section],
    called: Mapping[Location, str] | None = None,
    name: str = "options",
    *,
    trust: bool = False,
) -> PipelineConfig:
    """`config` with `{section: {field: value}}` put on top, as command line flags do; None leaves a field, a `Section` is all.

    `called` says what the user calls what stands at a place of the file, `name` stands in the messages before it. Raises
    ConfigError.
    """
    data = dict(config)  # what is not changed was checked
    for section, given in changes.items():
        data[section] = given
        if isinstance(given, Mapping):
            before = getattr(config, section)
            said = before.model_fields_set if isinstance(before, Section) else before.keys()
            kept = {key: value for key, value in dict(before).items() if key in said}
            data[section] = kept | {key: value for key, value in given.items() if value is not None}
    return validate(PipelineConfig, data, name, None, called, trust=trust)
