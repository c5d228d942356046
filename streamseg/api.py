"""The library's front door: `stream` for results one by one, `run` for whole jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from streamseg.cadence import Every
from streamseg.config import PipelineConfig, load_pipeline, override
from streamseg.errors import ConfigError
from streamseg.imports import forks_wait
from streamseg.iteration import iterate
from streamseg.pipeline import Source, build
from streamseg.report import RunReport
from streamseg.result import Result
from streamseg.runtime.process import at_work, check_fork

__all__ = ["run", "stream"]


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
    loop ends it.

    `source` is a file, a folder or glob of images, a camera's number or device, an RTSP or HTTP address. `conf` is the least
    score with which an object is first shown; what is known is followed to lower ones. `classes` are names, as a list or
    "person,car". `size` is the network's input as "HEIGHTxWIDTH" or (height, width), `precision` one of fp32, bf16, fp16 and
    int8, as `--precision` takes it; `start`, and `duration` or `end`, are seconds. A file gives every frame; what happens live
    (`realtime=True`: a file played at its own speed) drops the oldest frames when the loop is too slow.

    With `detect_every` N the network looks at every Nth frame, and optical flow carries masks and identities to the others, whose
    results have `detected` False; "auto" looks at as many frames as keep up with what happens live.

    Raises StreamsegError (see `streamseg.errors`): a bad option or an unreadable source at the first `next`, a damaged source
    after the frames that could be read.
    """
    changes: dict[str, dict[str, Any]] = {
        "decode": {"start": start, "duration": duration, "end": end, "realtime": realtime},
        "preprocess": {"size": size},
        "infer": {
            "model": str(model),
            "engine": engine,
            "batch": batch,
            "threads": threads,
            "precision": precision,
            "every": detect_every,
        },
        "postprocess": {"conf": conf, "classes": classes if classes is None or isinstance(classes, str) else tuple(classes)},
    }
    check_fork()
    with forks_wait():
        config = override(PipelineConfig(), changes)
    return iterate(source, config)


def run(
    source: Source,
    output: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    pipeline: str | PathLike[str] | PipelineConfig = "drive",
    overwrite: bool = False,
    detect_every: Every | None = None,
) -> RunReport:
    """Run a whole pipeline into its outputs, as `streamseg run SOURCE -p PIPELINE -o OUTPUT` does.

    `pipeline` is a shipped name ("drive", "edit", "live"), a file, or a `PipelineConfig`; `detect_every`, as in `stream`, replaces
    what it says. Raises StreamsegError.
    """
    check_fork()
    with forks_wait():
        config = pipeline if isinstance(pipeline, PipelineConfig) else load_pipeline(Path(pipeline))
        config = override(config, {"infer": {"every": detect_every}})
    with at_work():
        return build(source, config, _paths(output), overwrite=overwrite).run()


def _paths(output: object) -> list[str]:
    """What `run` takes as its output, as -o would have it. Raises ConfigError."""
    given: Sequence[object] = output if isinstance(output, (list, tuple)) else [] if output is None else [output]
    paths = [fspath(path) if isinstance(path, (str, PathLike)) else path for path in given]
    for path in paths:
        if not isinstance(path, str):
            raise ConfigError(
                f"an output is a path or a list of paths, each a str or a Path, not {type(path).__name__}; for an output of the "
                "pipeline file by its name write 'NAME=PATH'"
            )
    return [path for path in paths if isinstance(path, str)]
