"""The library's front door: `stream` and `astream` for results one by one, `run` for whole jobs."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from os import PathLike
from typing import Any, ParamSpec, TypeVar, cast

from streamseg.config import PipelineConfig, load_pipeline, override
from streamseg.core.result import Result
from streamseg.detect.schedule import Every
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief, path_of
from streamseg.pipeline.build import build
from streamseg.pipeline.iteration import aiterate, iterate
from streamseg.pipeline.opening import Source
from streamseg.pipeline.report import RunReport
from streamseg.runtime.process import at_work, check_fork
from streamseg.system.imports import forks_wait

__all__ = ["astream", "run", "stream"]

P = ParamSpec("P")
R = TypeVar("R")

_FIELDS = {
    "start": ("decode", "start"),
    "duration": ("decode", "duration"),
    "end": ("decode", "end"),
    "realtime": ("decode", "realtime"),
    "size": ("preprocess", "size"),
    "model": ("infer", "model"),
    "engine": ("infer", "engine"),
    "batch": ("infer", "batch"),
    "threads": ("infer", "threads"),
    "precision": ("infer", "precision"),
    "detect_every": ("infer", "every"),
    "conf": ("postprocess", "conf"),
    "classes": ("postprocess", "classes"),
}
"""Where in a pipeline file each option of `stream` stands."""


def stream(
    source: Source,
    *,
    model: str | PathLike[str] = "lite",
    engine: str = "auto",
    size: str | tuple[int, int] | None = None,
    conf: float = 0.5,
    classes: str | Sequence[str] | None = None,
    start: float | str = 0.0,
    duration: float | str | None = None,
    end: float | str | None = None,
    realtime: bool = False,
    batch: int = 1,
    threads: int = 0,
    precision: str = "auto",
    detect_every: Every = 1,
) -> Iterator[Result]:
    """Find and follow the instances of a video, lazily, one `Result` a frame.

        for result in streamseg.stream("video.mp4", classes=["person"]):
            print(result.time, result.names, result.track_ids)
            picture = result.plot()

    The pipeline runs ahead of the loop by a few frames and no further: memory does not grow with the video's length. Leaving the
    loop ends it. In a coroutine take `astream`.

    Args:
        source: A file, a folder or glob of images, a camera's number or device, an RTSP or HTTP address, "-" for a pipe.
        model: A name of `streamseg models`, or the path of an .onnx file.
        engine: What runs it: "auto" takes the best that runs here; or tensorrt, tensorrt-rtx, openvino, onnxruntime, torch.
        size: The network's input, as "HEIGHTxWIDTH" or (height, width); None: the model's own.
        conf: The least score, 0 to 1, with which an object is first brief; what is known is followed to lower ones.
        classes: Names, as a list or "person,car"; None: all that the model knows.
        start: Where to begin, in seconds, or as "1m30s" or "0:01:30".
        duration: How long to go on, likewise; None: to the end.
        end: Where to end, instead of `duration`.
        realtime: Play a file at its own speed, as a camera would.
        batch: Frames in one call of the network.
        threads: CPU threads of the engine; 0: one a core.
        precision: How the network computes: "auto" (as the model says), fp32, bf16, fp16 or int8.
        detect_every: With N the network looks at every Nth frame, and optical flow carries masks and identities to the others,
            whose results have `detected` False; "auto": at as many as keep up with what happens live.

    A file gives every frame; what happens live drops the oldest frames when the loop is too slow.

    Raises StreamsegError (see `streamseg.errors`): for an option of a wrong kind at once, for a source or a model that cannot be
    read at the first `next`, for a damaged source after the frames that could be read.
    """
    return iterate(source, _read(locals()))


def _like(other: Callable[P, Any]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Let a function say that it takes what `other` takes."""

    def say(function: Callable[..., R]) -> Callable[P, R]:
        signature, given = inspect.signature(other), inspect.signature(function)
        function.__signature__ = signature.replace(return_annotation=given.return_annotation)  # type: ignore[attr-defined]
        return cast("Callable[P, R]", function)

    return say


@_like(stream)
def astream(source: Source, **options: Any) -> AsyncIterator[Result]:
    """As `stream`, for a coroutine: the event loop goes on while a result is waited for.

        async for result in streamseg.astream("rtsp://camera/main"):
            ...

    Where the loop is left early the threads end soon after; `contextlib.aclosing(streamseg.astream(...))` waits for that. A task
    that is cancelled in it ends when they have.
    """
    bound = inspect.signature(stream).bind(source, **options)
    bound.apply_defaults()
    return aiterate(source, _read(bound.arguments))


def _read(options: dict[str, Any]) -> PipelineConfig:
    """The pipeline that the options of `stream` mean. Raises ConfigError."""
    check_fork()
    options = options | {"model": path_of(options["model"], "model")}
    changes: dict[str, dict[str, Any]] = {section: {} for section, _ in _FIELDS.values()}
    for name, (section, field) in _FIELDS.items():
        changes[section][field] = options[name]
    with forks_wait():
        return override(PipelineConfig(), changes, {place: name for name, place in _FIELDS.items()})


def run(
    source: Source,
    output: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    pipeline: str | PathLike[str] | PipelineConfig = "drive",
    overwrite: bool = False,
    detect_every: Every | None = None,
    trust: bool = False,
) -> RunReport:
    """Run a whole pipeline into its outputs, as `streamseg run SOURCE -p PIPELINE -o OUTPUT` does.

    Args:
        source: As for `stream`.
        output: A path, or several: a video, a folder or frames/%06d.png, a .jsonl file, a view as http://127.0.0.1:8080.
        pipeline: A shipped name ("drive", "edit", "live"), a file, or a `PipelineConfig`.
        overwrite: Replace outputs that exist.
        detect_every: As for `stream`; None: as the pipeline says.
        trust: Let a pipeline file name Python code to run (`use: module:Class`).

    Returns: what was done, how long it took, and what there is to know of it.

    Raises StreamsegError.
    """
    check_fork()
    if not isinstance(overwrite, bool):
        raise ConfigError(f"overwrite: True or False is needed, not {brief(overwrite)}")
    with forks_wait():
        config = pipeline if isinstance(pipeline, PipelineConfig) else load_pipeline(pipeline, trust=trust)
        config = override(config, {"infer": {"every": detect_every}}, {("infer", "every"): "detect_every"})
    with at_work():
        return build(source, config, _paths(output), overwrite=overwrite).run()


def _paths(output: object) -> list[str]:
    """What `run` takes as its output, as -o would have it. Raises ConfigError."""
    given: Sequence[object] = output if isinstance(output, (list, tuple)) else [] if output is None else [output]
    return [
        path_of(path, "an output is a path or a list of paths ('NAME=PATH' for one that the pipeline file names)")
        for path in given
    ]
