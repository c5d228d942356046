"""streamseg: instance segmentation of video, in real time.

    import streamseg

    for result in streamseg.stream("video.mp4"):
        print(result.time, result.names, result.track_ids)

`astream` is the same for coroutines, `run` does whole jobs (`streamseg.run("in.mp4", "out.mp4", pipeline="edit")`), `probe` tells
what a source holds. Errors are `StreamsegError` and its children in `streamseg.errors`.
"""

from typing import TYPE_CHECKING, Any

from streamseg.errors import StreamsegError
from streamseg.imports import import_attribute

if TYPE_CHECKING:
    from streamseg.api import astream, run, stream
    from streamseg.config import PipelineConfig, load_pipeline
    from streamseg.decode.probe import probe
    from streamseg.report import RunReport
    from streamseg.result import Result
    from streamseg.types import Frame, Instances

    __version__: str

__all__ = [
    "Frame",
    "Instances",
    "PipelineConfig",
    "Result",
    "RunReport",
    "StreamsegError",
    "__version__",
    "astream",
    "load_pipeline",
    "probe",
    "run",
    "stream",
]

# Loaded when first used: `streamseg --help` must not wait for FFmpeg and the engines.
_LAZY = {
    "Frame": "streamseg.types",
    "Instances": "streamseg.types",
    "PipelineConfig": "streamseg.config",
    "Result": "streamseg.result",
    "RunReport": "streamseg.report",
    "astream": "streamseg.api",
    "load_pipeline": "streamseg.config",
    "probe": "streamseg.decode.probe",
    "run": "streamseg.api",
    "stream": "streamseg.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _LAZY:
        raise AttributeError(f"module 'streamseg' has no attribute {name!r}")
    return import_attribute(_LAZY[name], name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("streamseg")
    except PackageNotFoundError:  # a checkout on the path, not installed
        return "0.0.0"
