"""The command line: each verb a few lines that call the API. An error is one message and an exit code; `--debug` shows where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streamseg.cli import engines, measure, models, show_model, train  # noqa: F401 - show_model adds a verb to models
from streamseg.cli.cameras import cameras
from streamseg.cli.errors import end_with, fill_closed
from streamseg.cli.events import events, replay
from streamseg.cli.flags import JsonOption, SourceArg, answer, flag
from streamseg.cli.help import Command, Group
from streamseg.cli.jobs import jobs
from streamseg.cli.live import live
from streamseg.cli.report import report
from streamseg.cli.run import run
from streamseg.cli.serve import serve
from streamseg.cli.tracks import tracks

app = typer.Typer(
    name="streamseg",
    cls=Group,
    help="Instance segmentation of video in real time: find objects with Mask R-CNN, track them, draw or blur their masks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


app.command(cls=Command)(run)
app.command(cls=Command)(live)
app.command(cls=Command)(events)
app.command(cls=Command)(replay)
app.command(cls=Command)(cameras)
app.command(cls=Command)(serve)
app.command(cls=Command)(jobs)
app.command(cls=Command)(tracks)
app.command(cls=Command)(report)


@app.command(cls=Command)
def probe(source: SourceArg, as_json: JsonOption = False) -> None:
    """Show what a source contains, and what streamseg would do with it."""
    from streamseg.cli import display
    from streamseg.pipeline.probe import probe as look

    answer(look(source), as_json, display.show_probe)


@app.command(cls=Command)
def doctor(as_json: JsonOption = False) -> None:
    """Show which engines can run here, which one is chosen, why a faster one is not, and what to install."""
    from streamseg.cli import display
    from streamseg.cli.doctor import doctor as examine

    report = examine()
    answer(report.as_dict(), as_json, display.show_doctor)
    if not report.ok:
        raise typer.Exit(1)


app.command(cls=Command)(measure.bench)
app.command(cls=Command)(measure.tune)


@app.command(name="eval", cls=Command)
def evaluate(
    data: Annotated[str, typer.Argument(metavar="DATA", help="COCO-format annotations, or a folder with instances.json.")],
    images: Annotated[str | None, typer.Option(help="Folder of the photos. Default: images/ beside the annotations.")] = None,
    engine: Annotated[str, flag("engine")] = "auto",
    model: Annotated[str, flag("model")] = "lite",
    family: Annotated[str | None, flag("family")] = None,
    head: Annotated[str, flag("head")] = "full",
    masks: Annotated[str, typer.Option(help="auto: what the model gives; none: measure boxes alone.")] = "auto",
    precision: Annotated[str, flag("precision")] = "auto",
    size: Annotated[str | None, flag("size")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first so many photos. Default: all.")] = None,
    conf: Annotated[
        float | None,
        typer.Option(help="Detections below this score are ignored, except for AP, which uses all. Default: the model's own."),
    ] = None,
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
            family=family,
            head=head,
            masks=masks,
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


def main() -> None:
    """The console script `streamseg`."""
    fill_closed()
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    # --debug may stand anywhere: who adds it has just seen an error, and appends it to that command.
    arguments = (["--debug"] if debug else []) + [a for a in arguments if a != "--debug"]
    try:
        app(arguments, standalone_mode=True)
    except Exception as error:
        end_with(error, debug)
