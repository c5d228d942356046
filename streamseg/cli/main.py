"""The command line: each verb a few lines that call the API. An error is one message and an exit code; `--debug` shows where."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamseg.cli import engines, models, train
from streamseg.cli.errors import end_with, fill_closed
from streamseg.cli.help import Command, Group

if TYPE_CHECKING:
    from collections.abc import Sequence


app = typer.Typer(
    name="streamseg",
    cls=Group,
    help="Instance segmentation of video in real time: find objects with Mask R-CNN, track them, draw or blur their masks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SourceArg = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A video, a folder or glob of images, a camera (0, /dev/video0), an RTSP or HTTP address, or - for standard input.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
PRECISION = typer.Option(
    help="Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs that have it). "
    "Default: the format of the model's own file."
)
SIZE = typer.Option(help="Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576.")
MODEL = typer.Option(help="A name that `streamseg models` lists, or an .onnx file.")
TRUST = typer.Option("--trust", help="Let the pipeline file name Python code to run (use: module:Class).")
PIPELINE = typer.Option("-p", "--pipeline", help="drive, edit, live, or a .yaml file of your own.")
ENGINE = typer.Option(help="What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.")


def _version(value: bool) -> None:
    if value:
        from streamseg import __version__

        print(f"streamseg {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Options that are given before the command."""


@app.command(cls=Command)
def run(
    source: SourceArg,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Where to write: a video, a folder for a video, images (frames/%06d.png), results (.jsonl), or - for standard "
            "output. NAME=OUT sets one of the pipeline's outputs. Can be given several times.",
        ),
    ] = None,
    pipeline: Annotated[str, PIPELINE] = "drive",
    classes: Annotated[str | None, typer.Option(help="Classes to keep, as person,car, or all.")] = None,
    conf: Annotated[float | None, typer.Option(help="Score (0 to 1) that an object needs to appear. Default: 0.5.")] = None,
    engine: Annotated[str | None, ENGINE] = None,
    model: Annotated[str | None, MODEL] = None,
    precision: Annotated[str | None, PRECISION] = None,
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", help="Make it an error if the network cannot run on a GPU.")
    ] = False,
    size: Annotated[str | None, SIZE] = None,
    start: Annotated[str | None, typer.Option(help="Time to start at: 3s, 1m30s, 00:01:30.")] = None,
    duration: Annotated[str | None, typer.Option(help="Length of the part to read, as 10s.")] = None,
    end: Annotated[str | None, typer.Option(help="Time to stop at, as 15s; instead of --duration.")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a file at its own speed, as a camera would.")] = False,
    rate: Annotated[float | None, typer.Option(help="Frames per second of images, and of sources without times.")] = None,
    reconnect: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long to retry when a camera is off or lost, as 10m or 24h.")
    ] = None,
    spool: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Store a pipe or download in a temporary file first, up to SIZE, as 2GB.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Frames in one call of the network.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads of the engine.")] = None,
    detect_every: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Run the network on every Nth frame only, and carry masks to the others."),
    ] = None,
    decode: Annotated[
        str | None,
        typer.Option(help="Decoder, if a GPU runs the network: auto, nvdec, cpu, or host (frames stay off the GPU)."),
    ] = None,
    deinterlace: Annotated[
        str | None,
        typer.Option(metavar="[frame|field]", help="Make interlaced pictures progressive; field: at twice the rate."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="Format of standard output (-o -): mkv, webm, ts, mp4, mov, jsonl.")
    ] = None,
    codec: Annotated[str | None, typer.Option(help="h264, hevc, ffv1, … or an FFmpeg encoder. Default: by file type.")] = None,
    crf: Annotated[float | None, typer.Option(help="Quality: a smaller number gives better quality and a larger file.")] = None,
    audio: Annotated[
        str | None,
        typer.Option(help="convert: copy sound, convert it if the file cannot hold it; copy: never convert; none: no sound."),
    ] = None,
    keep_grey: Annotated[bool, typer.Option("--keep-grey", help="Draw in grey on a grey source, not in colour.")] = False,
    trust: Annotated[bool, TRUST] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")] = False,
    json_report: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Find, track and draw the objects of a video."""
    from streamseg.cli import display
    from streamseg.config import load_pipeline, override
    from streamseg.pipeline.build import build
    from streamseg.pipeline.outputs import in_format, with_encoding

    changes: dict[str, dict[str, Any]] = {
        "decode": {
            "start": start,
            "duration": duration,
            "end": end,
            "realtime": realtime or None,
            "rate": rate,
            "reconnect": reconnect,
            "spool": spool,
            "device": decode,
            "deinterlace": deinterlace,
        },
        "preprocess": {"size": _size(size, model)},
        "infer": {
            "model": model,
            "engine": engine,
            "precision": precision,
            "batch": batch,
            "threads": threads,
            "require_gpu": require_gpu or None,
            "every": detect_every,
        },
        "postprocess": {"conf": conf, "classes": classes},
    }
    config = with_encoding(override(load_pipeline(pipeline, trust=trust), changes, trust=trust), codec, crf, audio, keep_grey)
    screen = display.Screen(quiet=quiet or json_report)
    built = build(source, config, in_format(output or [], form, json_report), overwrite=overwrite, say=screen.say)
    if classes is None and (others := _left_out(config.postprocess.classes, built.engine.spec.classes)):
        screen.say(f"classes: {', '.join(config.postprocess.classes or ())} (not {', '.join(others)}: --classes all)")
    with screen.progress(built) as tick:
        report = built.run(tick)
    screen.summary(report)
    if json_report:
        print(json.dumps(report.to_json(), indent=2))
    if built.runtime.interrupted is not None:
        raise typer.Exit(128 + built.runtime.interrupted)


def _size(size: str | None, model: str | None) -> str | None:
    """Another model has its own size; the pipeline file's was meant for the model that stands there."""
    return "auto" if size is None and model is not None else size


def _left_out(kept: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """The classes that the model knows and the pipeline file leaves out; "..." stands for those after the fourth."""
    others = [name for name in known if kept is not None and name not in kept]
    return others if len(others) <= 4 else [*others[:4], "..."]


@app.command(cls=Command)
def probe(source: SourceArg, as_json: JsonOption = False) -> None:
    """Show what a source contains, and what streamseg would do with it."""
    from streamseg.cli import display
    from streamseg.pipeline.probe import probe as look

    _show(look(source), as_json, display.probe)


@app.command(cls=Command)
def doctor(as_json: JsonOption = False) -> None:
    """Show which engines can run here, which one is chosen, why a faster one is not, and what to install."""
    from streamseg.cli import display
    from streamseg.cli.doctor import doctor as examine

    report = examine()
    _show(report.as_dict(), as_json, display.doctor)
    if not report.ok:
        raise typer.Exit(1)


@app.command(cls=Command)
def bench(
    source: SourceArg,
    pipeline: Annotated[str, PIPELINE] = "drive",
    frames: Annotated[int, typer.Option(min=10, help="Frames to measure.")] = 200,
    engine: Annotated[str | None, ENGINE] = None,
    model: Annotated[str | None, MODEL] = None,
    precision: Annotated[str | None, PRECISION] = None,
    size: Annotated[str | None, SIZE] = None,
    trust: Annotated[bool, TRUST] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure each stage and the whole pipeline on this machine."""
    from streamseg.cli import display
    from streamseg.config import load_pipeline, override
    from streamseg.pipeline.bench import bench as measure

    config = override(
        load_pipeline(pipeline, trust=trust),
        {"preprocess": {"size": _size(size, model)}, "infer": {"model": model, "engine": engine, "precision": precision}},
    )
    _show(measure(source, config, frames).to_json(), as_json, display.bench)


@app.command(name="eval", cls=Command)
def evaluate(
    data: Annotated[str, typer.Argument(metavar="DATA", help="COCO-format annotations, or a folder with instances.json.")],
    images: Annotated[str | None, typer.Option(help="Folder of the photos. Default: images/ beside the annotations.")] = None,
    engine: Annotated[str, ENGINE] = "auto",
    model: Annotated[str, MODEL] = "lite",
    precision: Annotated[str, PRECISION] = "auto",
    size: Annotated[str | None, SIZE] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many photos. Default: all.")] = None,
    conf: Annotated[float, typer.Option(help="Detections below this score are ignored, except for AP, which uses all.")] = 0.5,
    pool: Annotated[
        list[str] | None,
        typer.Option(help="Also measure several classes as one, as vehicles=car,bus. Can be given several times."),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the engine; 0: one per core.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results as JSON to this file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write a web page with the worst photos to this file.")] = None,
    worst: Annotated[int, typer.Option(min=1, help="Number of photos on that page.")] = 20,
) -> None:
    """Measure how good a model is, in the engine that runs it: COCO AP, AP^r, IoU, Dice, PQ, boundary F."""
    from streamseg import evaluate as ev
    from streamseg.cli import display

    pools = ev.parse_pools(pool or [])
    read: list[str | Path] = [*([model] if model.endswith(".onnx") else []), *([images] if images is not None else [])]
    ev.check_outputs([path for path in (json_file, page) if path is not None], data, read)
    with ev.progress() as on_progress:
        done = ev.evaluate(
            data,
            images=images,
            model=model,
            engine=engine,
            precision=precision,
            size=size,
            limit=limit,
            conf=conf,
            pools=pools,
            threads=threads,
            on_message=display.Screen().say,
            on_progress=on_progress,
        )
    ev.show(done.to_json())
    if json_file is not None:
        ev.write_json(done, json_file)
    if page is not None:
        ev.write_page(done, page, worst)


app.command(cls=Command)(engines.build)
app.command(cls=Command)(train.train)
app.add_typer(engines.app, name="engines")
app.command(cls=Command)(models.export)
app.add_typer(models.app, name="models")


def _show(data: Any, as_json: bool, human: Any) -> None:
    if as_json:
        print(json.dumps(data, indent=2, default=str))
    else:
        human(data)


def main() -> None:
    """The console script `streamseg`."""
    fill_closed()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    # --debug may stand anywhere: who adds it has just seen an error, and appends it to that command.
    arguments = (["--debug"] if debug else []) + [a for a in arguments if a != "--debug"]
    for at, word in enumerate(arguments):
        if word == "--deinterlace" and arguments[at + 1 : at + 2] not in (["frame"], ["field"], ["off"]):
            arguments.insert(at + 1, "frame")
    try:
        app(arguments, standalone_mode=True)
    except Exception as error:
        end_with(error, debug)
