"""The verb `streamseg report`. The options of a run are written by `python -m tools.options`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamseg.cli.flags import flag
from streamseg.pipeline.options import in_shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamseg.cli.display import Screen
    from streamseg.config import PipelineConfig

_PAGE = "Page"


def report(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER...", help="A folder of films, or of their results (.jsonl); or files of either kind."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PAGE", help="The page.", rich_help_panel=_PAGE)] = Path(
        "report.html"
    ),
    title: Annotated[str | None, typer.Option(help="Its title. Default: the folder's name.", rich_help_panel=_PAGE)] = None,
    clips: Annotated[
        int, typer.Option(min=0, max=500, help="Events that are shown as clips, the gravest first.", rich_help_panel=_PAGE)
    ] = 40,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page.", rich_help_panel=_PAGE)] = False,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Results of films that have none yet. Default: PAGE.results.", rich_help_panel=_PAGE
        ),
    ] = None,
    # options: shell pipeline network source = "drive"
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
    trust: Annotated[bool, flag("trust")] = False,
    # options end
) -> None:
    """Make one page of a folder of drives: the way, events with clips, closest approaches, and what could not be judged.

    Films that have no results yet are looked at first; the same command goes on where it was cut off.
    """
    given = {**locals(), "results": None, "output": None, "clips": None}
    from streamseg.cli.display import Screen
    from streamseg.errors import ConfigError, SourceNotFound
    from streamseg.pipeline.configure import configure, words_of
    from streamseg.report import film_of, read_film, sorted_out, write_report
    from streamseg.system.output_files import check_file

    screen, places = Screen(), [Path(source) for source in sources]
    for place in places:
        if not place.exists():
            raise SourceNotFound(f"{place}: is not there; a report is made of folders and files")
    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"-o {output}: a report is a page; let its name end in .html")
    check_file(output, None, overwrite)
    into = results or output.with_name(f"{output.stem}.results")
    films, written = _films(places, into), _written(places)
    results_there, junk = sorted_out(places, into)
    found = [read_film(path) for path in results_there]
    for film in found:
        film.source = film_of(film, films, written)
    known = {os.path.realpath(film.source) for film in found if film.source is not None}
    left = [film for film in films if os.path.realpath(film) not in known]
    notes = [f"{path}: holds no results of a film" for path in junk]
    if left:
        with words_of(in_shell, given):
            looked, failed = _look(left, configure(given, in_shell), into, screen)
        notes += failed
        for path, source in looked.items():
            found.append(read_film(path))
            found[-1].source = source
    if not found:
        nothing = "; ".join(notes) or "neither films nor results (.jsonl) are there"
        raise SourceNotFound(f"{', '.join(sources)}: {nothing}")
    found.sort(key=lambda film: film.utc or "")
    told = title or (places[0].resolve().name if len(places) == 1 else f"{len(found)} drives")
    write_report(output, found, title=told, notes=notes, clips=clips, on_message=screen.say)
    screen.say(f"report: {output}")


def _films(places: Sequence[Path], into: Path) -> list[Path]:
    """The films that are meant, but for the results themselves."""
    from streamseg.errors import SourceNotFound
    from streamseg.jobs.films import find_films

    named = [str(place) for place in places if place.suffix.lower() not in (".jsonl", ".ndjson")]
    try:
        return [film.source for film in find_films(named, [into])] if named else []
    except SourceNotFound:
        return []


def _written(places: Sequence[Path]) -> dict[str, Path]:
    """What jobs have noted in these folders: real path of an output -> the film that it is of."""
    from streamseg.jobs.manifest import Book

    folders = {place if place.is_dir() else place.parent for place in places}
    entries = [each for folder in folders for each in Book.read(folder).films.items()]
    return {os.path.realpath(path): Path(source) for source, entry in entries for path, _ in entry.outputs}


def _look(films: Sequence[Path], config: PipelineConfig, into: Path, screen: Screen) -> tuple[dict[Path, Path], list[str]]:
    """Run the films that have no results: results -> film, and why there are none of others."""
    from streamseg.jobs.job import Job
    from streamseg.jobs.manifest import Book
    from streamseg.runtime.process import handle_signals

    job = Job.prepare([str(film) for film in films], config, [f"{into}/{{name}}.jsonl"], on_message=screen.say)
    many = len(job.films)
    screen.say(f"{'1 film is' if many == 1 else f'{many} films are'} looked at first; the results: {into}")
    with handle_signals(job.interrupt):
        report = job.run(screen.progress, lambda number, film: screen.say(f"[{number}/{len(job.films)}] {film.source}"))
    if job.interrupted is not None:
        screen.say("the same command goes on from here")
        raise typer.Exit(128 + job.interrupted)
    notes = [f"{film.source}: could not be looked at: {film.error}" for film in report.having("failed")]
    done = {film.source for film in (*report.having("done"), *report.having("skipped"))}
    entries = {source: entry for source, entry in Book.read(into).films.items() if source in {os.path.abspath(d) for d in done}}
    return {
        Path(path): Path(source) for source, entry in entries.items() for path, _ in entry.outputs if path.endswith(".jsonl")
    }, notes
