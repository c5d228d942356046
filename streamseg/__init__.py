"""streamseg: instance segmentation of video, in real time.

    import streamseg

    for result in streamseg.stream("video.mp4"):
        print(result.time, result.names, result.track_ids)

`astream` is the same for coroutines, `run` does whole jobs (`streamseg.run("in.mp4", "out.mp4", pipeline="edit")`), a `Session`
does both with an engine that is opened once, `Live` watches many cameras with one, `probe` tells what a source holds. Errors are
`StreamsegError` and its children in `streamseg.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamseg import errors
from streamseg.errors import StreamsegError
from streamseg.system.imports import import_attribute

if TYPE_CHECKING:
    from streamseg.api import astream, open, run, run_many, stream, tune
    from streamseg.config import PipelineConfig, load_pipeline
    from streamseg.config.schema import EventsConfig, SceneConfig, SmoothConfig, TrackConfig
    from streamseg.core.result import Result
    from streamseg.core.types import Activity, Event, Frame, Instances, Occlusion
    from streamseg.edits import Edits
    from streamseg.jobs.outcome import JobReport
    from streamseg.live.live import Live
    from streamseg.pipeline.probe import probe
    from streamseg.pipeline.report import RunReport
    from streamseg.pipeline.session import Session
    from streamseg.pipeline.video import Video
    from streamseg.record import Results, open_results
    from streamseg.select import Selection

    __version__: str

__all__ = [
    "Activity",
    "Edits",
    "Event",
    "EventsConfig",
    "Frame",
    "Instances",
    "JobReport",
    "Live",
    "Occlusion",
    "PipelineConfig",
    "Result",
    "Results",
    "RunReport",
    "SceneConfig",
    "Selection",
    "Session",
    "SmoothConfig",
    "StreamsegError",
    "TrackConfig",
    "Video",
    "__version__",
    "astream",
    "errors",
    "load_pipeline",
    "open",
    "open_results",
    "probe",
    "run",
    "run_many",
    "stream",
    "tune",
]

# Loaded when first used: `streamseg --help` must not wait for FFmpeg and the engines.
_LAZY = {
    "Activity": "streamseg.core.types",
    "Edits": "streamseg.edits",
    "Event": "streamseg.core.types",
    "EventsConfig": "streamseg.config.schema",
    "Frame": "streamseg.core.types",
    "Instances": "streamseg.core.types",
    "JobReport": "streamseg.jobs.outcome",
    "Live": "streamseg.live.live",
    "Occlusion": "streamseg.core.types",
    "PipelineConfig": "streamseg.config",
    "Result": "streamseg.core.result",
    "Results": "streamseg.record",
    "RunReport": "streamseg.pipeline.report",
    "SceneConfig": "streamseg.config.schema",
    "Selection": "streamseg.select",
    "Session": "streamseg.pipeline.session",
    "SmoothConfig": "streamseg.config.schema",
    "TrackConfig": "streamseg.config.schema",
    "Video": "streamseg.pipeline.video",
    "astream": "streamseg.api",
    "load_pipeline": "streamseg.config",
    "open": "streamseg.api",
    "open_results": "streamseg.record",
    "probe": "streamseg.pipeline.probe",
    "run": "streamseg.api",
    "run_many": "streamseg.api",
    "stream": "streamseg.api",
    "tune": "streamseg.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_attribute("streamseg.system.version", "installed_version")()
    if name == "ray":
        return import_module("streamseg.ray")
    if name not in _LAZY:
        raise AttributeError(f"module 'streamseg' has no attribute {name!r}")
    return import_attribute(_LAZY[name], name)


def __dir__() -> list[str]:
    return sorted(__all__)
