"""The verbs `streamseg bench` and `streamseg tune`. The options of a run are written by `python -m tools.options`."""

from __future__ import annotations

from typing import Annotated

import typer

from streamseg.cli.flags import JsonOption, SourceArg, answer, flag
from streamseg.pipeline.options import in_shell


def bench(
    source: SourceArg,
    frames: Annotated[int, typer.Option(min=10, help="Frames to measure.")] = 200,
    # options: shell pipeline network source privacy = "drive"
    pipeline: Annotated[str, flag("pipeline")] = "drive",
    classes: Annotated[str | None, flag("classes")] = None,
    conf: Annotated[float | None, flag("conf")] = None,
    masks: Annotated[str | None, flag("masks")] = None,
    engine: Annotated[str | None, flag("engine")] = None,
    model: Annotated[str | None, flag("model")] = None,
    family: Annotated[str | None, flag("family")] = None,
    head: Annotated[str | None, flag("head")] = None,
    precision: Annotated[str | None, flag("precision")] = None,
    require_gpu: Annotated[bool | None, flag("require_gpu")] = None,
    size: Annotated[str | None, flag("size")] = None,
    start: Annotated[str | None, flag("start")] = None,
    duration: Annotated[str | None, flag("duration")] = None,
    end: Annotated[str | None, flag("end")] = None,
    realtime: Annotated[bool | None, flag("realtime")] = None,
    rate: Annotated[float | None, flag("rate")] = None,
    max_rate: Annotated[float | None, flag("max_rate")] = None,
    stale: Annotated[str | None, flag("stale")] = None,
    reconnect: Annotated[str | None, flag("reconnect")] = None,
    trip: Annotated[str | None, flag("trip")] = None,
    rotate: Annotated[int | None, flag("rotate")] = None,
    mirror: Annotated[bool | None, flag("mirror")] = None,
    playlists: Annotated[bool | None, flag("playlists")] = None,
    spool: Annotated[str | None, flag("spool")] = None,
    batch: Annotated[int | None, flag("batch")] = None,
    threads: Annotated[int | None, flag("threads")] = None,
    no_tuned: Annotated[bool | None, flag("no_tuned")] = None,
    detect_every: Annotated[str | None, flag("detect_every")] = None,
    motion: Annotated[bool | None, flag("motion")] = None,
    ignore: Annotated[str | None, flag("ignore")] = None,
    decode: Annotated[str | None, flag("decode")] = None,
    deinterlace: Annotated[str | None, flag("deinterlace")] = None,
    scene: Annotated[bool | None, flag("scene")] = None,
    telemetry: Annotated[str | None, flag("telemetry")] = None,
    telemetry_offset: Annotated[str | None, flag("telemetry_offset")] = None,
    camera: Annotated[str | None, flag("camera")] = None,
    camera_height: Annotated[str | None, flag("camera_height")] = None,
    online: Annotated[bool | None, flag("online")] = None,
    privacy: Annotated[str | None, flag("privacy")] = None,
    margin: Annotated[str | None, flag("margin")] = None,
    trust: Annotated[bool, flag("trust")] = False,
    # options end
    as_json: JsonOption = False,
) -> None:
    """Measure each stage and the whole pipeline on this machine."""
    given = locals()
    from streamseg.cli import display
    from streamseg.pipeline.bench import bench as measure
    from streamseg.pipeline.configure import configure

    answer(measure(source, configure(given, in_shell), frames).to_json(), as_json, display.show_bench)


def tune(
    source: SourceArg,
    seconds: Annotated[float, typer.Option(min=1, help="How long to try; what is under way is finished.")] = 60.0,
    frames: Annotated[int, typer.Option(min=5, help="Frames of the source that each way is tried on, at most.")] = 60,
    apply: Annotated[bool, typer.Option("--apply", help="Let runs on this machine use what was found.")] = False,
    # options: shell pipeline network source privacy = "drive"
    pipeline: Annotated[str, flag("pipeline")] = "drive",
    classes: Annotated[str | None, flag("classes")] = None,
    conf: Annotated[float | None, flag("conf")] = None,
    masks: Annotated[str | None, flag("masks")] = None,
    engine: Annotated[str | None, flag("engine")] = None,
    model: Annotated[str | None, flag("model")] = None,
    family: Annotated[str | None, flag("family")] = None,
    head: Annotated[str | None, flag("head")] = None,
    precision: Annotated[str | None, flag("precision")] = None,
    require_gpu: Annotated[bool | None, flag("require_gpu")] = None,
    size: Annotated[str | None, flag("size")] = None,
    start: Annotated[str | None, flag("start")] = None,
    duration: Annotated[str | None, flag("duration")] = None,
    end: Annotated[str | None, flag("end")] = None,
    realtime: Annotated[bool | None, flag("realtime")] = None,
    rate: Annotated[float | None, flag("rate")] = None,
    max_rate: Annotated[float | None, flag("max_rate")] = None,
    stale: Annotated[str | None, flag("stale")] = None,
    reconnect: Annotated[str | None, flag("reconnect")] = None,
    trip: Annotated[str | None, flag("trip")] = None,
    rotate: Annotated[int | None, flag("rotate")] = None,
    mirror: Annotated[bool | None, flag("mirror")] = None,
    playlists: Annotated[bool | None, flag("playlists")] = None,
    spool: Annotated[str | None, flag("spool")] = None,
    batch: Annotated[int | None, flag("batch")] = None,
    threads: Annotated[int | None, flag("threads")] = None,
    no_tuned: Annotated[bool | None, flag("no_tuned")] = None,
    detect_every: Annotated[str | None, flag("detect_every")] = None,
    motion: Annotated[bool | None, flag("motion")] = None,
    ignore: Annotated[str | None, flag("ignore")] = None,
    decode: Annotated[str | None, flag("decode")] = None,
    deinterlace: Annotated[str | None, flag("deinterlace")] = None,
    scene: Annotated[bool | None, flag("scene")] = None,
    telemetry: Annotated[str | None, flag("telemetry")] = None,
    telemetry_offset: Annotated[str | None, flag("telemetry_offset")] = None,
    camera: Annotated[str | None, flag("camera")] = None,
    camera_height: Annotated[str | None, flag("camera_height")] = None,
    online: Annotated[bool | None, flag("online")] = None,
    privacy: Annotated[str | None, flag("privacy")] = None,
    margin: Annotated[str | None, flag("margin")] = None,
    trust: Annotated[bool, flag("trust")] = False,
    # options end
    as_json: JsonOption = False,
) -> None:
    """Find the fastest way to run on this machine, on your own film, and prove that it finds the same."""
    given = locals()
    from streamseg.cli import display
    from streamseg.pipeline.configure import configure
    from streamseg.pipeline.tune import tune as try_all

    say = display.Screen(quiet=as_json).say
    report = try_all(source, configure(given, in_shell), seconds=seconds, frames=frames, apply=apply, on_message=say)
    answer(report.to_json(), as_json, display.show_tune)
