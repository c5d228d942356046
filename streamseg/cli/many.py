"""`streamseg run` of several films: what a person sees of a job."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from streamseg.errors import ConfigError

if TYPE_CHECKING:
    from streamseg.cli.display import Screen
    from streamseg.config import PipelineConfig
    from streamseg.jobs.films import Film
    from streamseg.jobs.outcome import FilmReport, JobReport

__all__ = ["check_cluster", "run_films", "show_forecast"]


def check_cluster(on: str, *, trip: bool) -> None:
    """Raise ConfigError for what --on cannot be, MissingExtra without Ray."""
    from streamseg.cluster.on_ray import check_place

    check_place(on)
    if trip:
        raise ConfigError(f"--on {on}: the films of a trip are one, and are not divided: leave --on out")


def run_films(
    sources: Sequence[str],
    config: PipelineConfig,
    outputs: Sequence[str],
    screen: Screen,
    *,
    overwrite: bool,
    resume: bool,
    as_json: bool,
    on: str | None = None,
    workers: int | None = None,
) -> None:
    """Run a job, say what becomes of each film, and end with 1 where one failed."""
    from streamseg.jobs.job import Job
    from streamseg.runtime.process import handle_signals

    job = Job.prepare(sources, config, outputs, overwrite=overwrite, resume=resume, on_message=screen.say)
    job.command = sys.argv[1:] if Path(sys.argv[0]).name in ("streamseg", "__main__.py") else ()
    count = len(job.films)

    def begin(number: int, film: Film) -> None:
        screen.say(f"[{number}/{count}] {film.source}")

    def end(done: FilmReport) -> None:
        if done.report is not None:
            screen.summary(done.report)
        elif done.status == "skipped":
            screen.say("  was done before, and nothing has changed: skipped")
        elif done.status == "interrupted":
            screen.say("  interrupted: what is done of it is kept")
        else:
            screen.say(f"  failed: {done.error}")

    with handle_signals(job.interrupt):
        if on is None:
            report = job.run(screen.progress, begin, end)
        else:
            from streamseg.cluster.on_ray import run_on_ray

            report = run_on_ray(job, on, workers=workers, on_film=begin, on_done=end)
    _summarise(report, screen)
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
    if job.interrupted is not None:
        raise typer.Exit(128 + job.interrupted)
    if not report.ok:
        raise typer.Exit(1)


def show_forecast(
    sources: Sequence[str],
    config: PipelineConfig,
    outputs: Sequence[str],
    screen: Screen,
    *,
    overwrite: bool,
    on: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Say what a job would do, and end with 1 where a film would fail."""
    from rich.table import Table
    from rich.text import Text

    from streamseg.cli.display import stdout
    from streamseg.cli.jobs import in_words
    from streamseg.jobs.job import Job
    from streamseg.ranges.forecast import forecast
    from streamseg.system.cores import core_count

    job = Job.prepare(sources, config, outputs, overwrite=overwrite, on_message=screen.say)
    if on is not None and workers is None:
        if on != "ray":
            raise ConfigError(f"--dry-run: say with --workers how many work on {on}")
        workers = core_count()
    told = forecast(job, workers if on is not None else None)
    if as_json:
        print(json.dumps(told.to_json(), indent=2))
    else:
        table = Table("film", "frames", "how", "outputs")
        paths = {film.name: ", ".join(target.path for target in targets) for film, targets in job.films.items()}
        for film in told.films:
            how = f"{film.ranges} ranges" if film.ranges else "done before" if film.done else "fails" if film.fails else "whole"
            why = "" if film.done or not film.why else f": {film.why}"
            table.add_row(Text(film.source), str(film.frames or ""), Text(f"{how}{why}"), Text(paths[film.name]))
        stdout().print(table)
        count, crew = len(told.to_run), f" by {told.workers} workers" if on is not None else ""
        lasts = "" if told.seconds is None else f", about {in_words(told.seconds)}: {told.core_ms:g} ms a frame"
        lasts += f" and core, measured on {told.measured_on}" if lasts and on is not None else " here" if lasts else ""
        stdout().print(Text(f"{count} of {len(told.films)} films would be run{crew}{lasts}"))
    if any(film.fails for film in told.films):
        raise typer.Exit(1)


def _summarise(report: JobReport, screen: Screen) -> None:
    """How many films ended in which way, and why those that failed did."""
    by = {status: len(report.having(status)) for status in ("done", "skipped", "failed", "interrupted")}
    words = {"done": "rendered", "skipped": "done before", "failed": "failed", "interrupted": "interrupted"}
    told = [f"{number} {words[status]}" for status, number in by.items() if number]
    told += [f"{report.left} not begun"] if report.left else []
    total = len(report.films) + report.left
    screen.say(f"{'1 film' if total == 1 else f'{total} films'} in {report.seconds:.1f} s: {', '.join(told)}")
    for film in report.having("failed"):
        screen.say(f"  {film.source}: {film.error}")
    if report.left or by["interrupted"]:
        screen.say("the same command goes on from here")
    screen.say(f"  what was done: {report.manifest}")
