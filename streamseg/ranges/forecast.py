"""What a job would do, without doing it: which films are run, which of them in ranges, and how long that takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from streamseg.decode import Decoder, SourceInfo
from streamseg.errors import StreamsegError
from streamseg.jobs.films import Film
from streamseg.jobs.job import Job
from streamseg.jobs.progress import part_of, why_not_resumable
from streamseg.pipeline.bench import BenchReport, bench
from streamseg.pipeline.opening import asked_graph, decoder_options
from streamseg.ranges.plan import ranges_of

__all__ = ["FilmForecast", "Forecast", "forecast"]

_MEASURED = 64
"""Frames."""
_CHAIN = ("track", "link", "smooth", "refine", "occlusion", "events", "scene", "decode")
"""Stages that follow the frames of a film one after the other, wherever they are."""


@dataclass(frozen=True, slots=True)
class FilmForecast:
    """One film."""

    source: str
    name: str
    frames: int | None = None
    """As its header or its packets say; None: not known."""
    ranges: int = 0
    """In how many it is divided; 0: one worker has all of it."""
    why: str = ""
    """Why it is not divided, or not run."""
    done: bool = False
    fails: bool = False


@dataclass(frozen=True, slots=True)
class Forecast:
    """A job."""

    films: tuple[FilmForecast, ...]
    workers: int
    core_ms: float | None = None
    """What a frame takes of cores, measured on the first film that is run; None: that could not be measured."""
    chain_ms: float | None = None
    """What of that follows one after the other in a film."""
    measured_on: str = ""

    @property
    def to_run(self) -> list[FilmForecast]:
        """The films that are run."""
        return [film for film in self.films if not (film.done or film.fails)]

    @property
    def seconds(self) -> float | None:
        """How long it takes, with a core a worker; None: not known."""
        frames = [film.frames for film in self.to_run]
        if self.core_ms is None or self.chain_ms is None or None in frames:
            return None
        each = [(self.core_ms if not film.ranges else self.chain_ms) * (film.frames or 0) for film in self.to_run]
        return max(self.core_ms * sum(film.frames or 0 for film in self.to_run) / self.workers, max(each, default=0.0)) / 1000

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "seconds": self.seconds}


def forecast(job: Job, workers: int | None = None) -> Forecast:
    """What a job would do: with so many workers of a cluster; None: here, one film after the other.

    Raises StreamsegError for what concerns all films, such as a model that is not there.
    """
    films = list(_films(job, workers))
    first = next((film for film in films if not (film.done or film.fails)), None)
    made = None if first is None else _measured(job, first.source, one_thread=workers is not None)
    if made is None:
        return Forecast(tuple(films), workers or 1)
    core = sum(cost.core_ms for cost in made.stages.values())
    chain = sum(cost.core_ms for name, cost in made.stages.items() if name in _CHAIN)
    if workers is None:  # all cores work on one film
        core, chain = 1000 / made.fps, 1000 / made.fps
    return Forecast(tuple(films), workers or 1, round(core, 2), round(chain, 2), f"{made.frames} frames of {made.source}")


def _films(job: Job, workers: int | None) -> Iterator[FilmForecast]:
    states = {film: job.would(film) for film in job.films}
    few = workers is not None and sum(not state for state in states.values()) < workers
    for film, state in states.items():
        if state:
            yield FilmForecast(str(film.source), film.name, why=state, done=state == "done", fails=state != "done")
            continue
        try:
            yield _film(job, film, few)
        except StreamsegError as error:
            yield FilmForecast(str(film.source), film.name, why=str(error), fails=True)


def _film(job: Job, film: Film, few: bool) -> FilmForecast:
    source, targets = str(film.source), job.films[film]
    with Decoder(source, **decoder_options(job.config)) as decoder:
        info = decoder.info
    if not few:
        return FilmForecast(source, film.name, _frames(info))
    why = why_not_resumable(source, job.config, targets)
    found = why or ranges_of(source, info, job.config, targets, asked_graph(job.config), part_of(info))
    if isinstance(found, str):
        return FilmForecast(source, film.name, _frames(info), why=found)
    return FilmForecast(source, film.name, found.total, len(found.starts))


def _frames(info: SourceInfo) -> int | None:
    if info.frame_count is None and info.duration is not None and info.rate is not None:
        return round(info.duration * float(info.rate))
    return info.frame_count


def _measured(job: Job, source: str, *, one_thread: bool) -> BenchReport | None:
    config = job.config
    if one_thread and not config.infer.threads:
        config = config.model_copy(update={"infer": config.infer.model_copy(update={"threads": 1, "in_flight": 1})})
    try:
        return bench(source, config, _MEASURED)
    except StreamsegError:  # a pipeline without a picture, say
        return None
