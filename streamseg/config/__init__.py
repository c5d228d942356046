"""Pipeline files: their schema, and reading them with errors that name file and line; and the settings of training.

What is named here is loaded when it is first used: the settings of training, which `streamseg --help` shows, need no schema.
"""

from typing import TYPE_CHECKING, Any

from streamseg.system.imports import import_attribute

if TYPE_CHECKING:
    from streamseg.config.load import load_pipeline, override, parse_pipeline, pipeline_names
    from streamseg.config.schema import PipelineConfig
    from streamseg.config.values import parse_seconds, parse_size

__all__ = ["PipelineConfig", "load_pipeline", "override", "parse_pipeline", "parse_seconds", "parse_size", "pipeline_names"]

_WHERE = {"PipelineConfig": "schema", "parse_seconds": "values", "parse_size": "values"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_attribute(f"{__name__}.{_WHERE.get(name, 'load')}", name)
