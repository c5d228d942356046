"""Pipeline files: their schema, and reading them with errors that name file and line."""

from streamseg.config.load import load_pipeline, override, parse_pipeline, pipeline_names
from streamseg.config.schema import PipelineConfig, parse_seconds, parse_size

__all__ = ["PipelineConfig", "load_pipeline", "override", "parse_pipeline", "parse_seconds", "parse_size", "pipeline_names"]
