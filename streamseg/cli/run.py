"""The verb `streamseg run`. Its options are written by `python -m tools.options`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from streamseg.cli.flags import flag
from streamseg.cli.many import check_cluster, run_films, show_forecast
from streamseg.pipeline.options import in_shell

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="A video, a folder or glob of images, a camera (0, /dev/video0), an RTSP or HTTP address, or - for standard "
            "input. Several videos, a folder or glob of videos, or @list.txt (one a line) are rendered one after the other.",
        ),
    ],
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Where to write: a video, a folder for a video, images (frames/%06d.png), results (.jsonl), or - for standard "
            "output. NAME=OUT sets one of the pipeline's outputs; {name} stands for what each of several films is called. Can be "
            "given several times.",
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="CLUSTER",
            help="Run films on Ray, one a worker, or a long one in ranges: ray, a worker on each core of this machine; or "
            "ray://HOST:10001, a cluster.",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="With --on: how many. Default: one a core, or a GPU.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done, on which workers, and how long it would take; write nothing."),
    ] = False,
    # options: shell pipeline network source results privacy output job = "drive"
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
    results: Annotated[str | None, flag("results")] = None,
    select: Annotated[str | None, flag("select")] = None,
    edits: Annotated[str | None, flag("edits")] = None,
    privacy: Annotated[str | None, flag("privacy")] = None,
    margin: Annotated[str | None, flag("margin")] = None,
    format: Annotated[str | None, flag("format")] = None,
    codec: Annotated[str | None, flag("codec")] = None,
    crf: Annotated[float | None, flag("crf")] = None,
    audio: Annotated[str | None, flag("audio")] = None,
    segment: Annotated[str | None, flag("segment")] = None,
    exr: Annotated[str | None, flag("exr")] = None,
    clips: Annotated[str | None, flag("clips")] = None,
    key_rate: Annotated[float | None, flag("key_rate")] = None,
    effects: Annotated[str | None, flag("effects")] = None,
    keep_grey: Annotated[bool | None, flag("keep_grey")] = None,
    strict: Annotated[bool | None, flag("strict")] = None,
    trust: Annotated[bool, flag("trust")] = False,
    overwrite: Annotated[bool, flag("overwrite")] = False,
    preview: Annotated[bool, flag("preview")] = False,
    resume: Annotated[bool, flag("resume")] = False,
    # options end
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")] = False,
    json_report: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Find, track and draw the objects of a video, or of many."""
    given = locals()
    from streamseg.cli import display
    from streamseg.errors import ConfigError
    from streamseg.jobs.films import means_films
    from streamseg.jobs.resume import ResumableRun, Run
    from streamseg.pipeline.configure import configure, words_of
    from streamseg.pipeline.decide import shown_classes
    from streamseg.pipeline.outputs import in_format
    from streamseg.runtime.process import handle_signals

    config = configure(given, in_shell)
    screen = display.Screen(quiet=quiet or json_report)
    with words_of(in_shell, given):
        outputs = in_format(output or [], format, json_report)
        if config.decode.trip != "off" and len(source) > 1:
            raise ConfigError("--trip joins the films of one folder, glob or list (@files.txt); give one of them")
        many = config.decode.trip == "off" and means_films(source)
        if on is not None:
            check_cluster(on, trip=config.decode.trip != "off")
        elif workers is not None:
            raise ConfigError("--workers is for --on, which says on what cluster")
        if dry_run:
            show_forecast(source, config, outputs, screen, overwrite=overwrite, on=on, workers=workers, as_json=json_report)
            return
        if many or on is not None:
            how = {"overwrite": overwrite, "resume": resume, "as_json": json_report}
            run_films(source, config, outputs, screen, **how, on=on, workers=workers)
            return
        run_of = ResumableRun if resume else Run
        job = run_of(source[0], config, outputs, overwrite=overwrite, on_message=screen.say)
    built = job.pipeline
    shown = shown_classes(config, built.classes)
    if classes is None and (others := _left_out(shown, built.classes)):
        screen.say(f"classes: {', '.join(shown or ())} (not {', '.join(others)}: --classes all)")
    with screen.progress(built) as on_tick, handle_signals(built.runtime.interrupt):
        report = job.run(on_tick)
    screen.summary(report)
    if json_report:
        print(json.dumps(report.to_json(), indent=2))
    if built.runtime.interrupted is not None:
        if resume:
            screen.say("the same command goes on from here")
        raise typer.Exit(128 + built.runtime.interrupted)


def _left_out(kept: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """The classes that the model knows and the pipeline file leaves out; "..." stands for those after the fourth."""
    others = [name for name in known if kept is not None and name not in kept]
    return others if len(others) <= 4 else [*others[:4], "..."]
