"""What runs on a worker: one engine, and one task after the other: a whole film, or a range of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streamseg.config.schema import PipelineConfig
from streamseg.engine import Engine
from streamseg.errors import EngineError, StreamsegError
from streamseg.jobs.films import Film
from streamseg.jobs.job import open_film
from streamseg.jobs.progress import why_not_resumable
from streamseg.jobs.resume import Run
from streamseg.pipeline.build import Pipeline
from streamseg.pipeline.opening import load_engine
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.report import RunReport
from streamseg.ranges.film import Task, run_task
from streamseg.ranges.order import FilmOrder, Made
from streamseg.ranges.plan import Model
from streamseg.ranges.sources import NotDivisible

__all__ = ["Answer", "Worker"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a task."""

    report: RunReport | None = None
    """Of a whole film."""
    made: Made | None = None
    """Of a task of a divided film."""
    model: Model | None = None
    error: str | None = None
    """Why it failed."""
    of_engine: bool = False
    """It failed before any film could: the engine does not open, on no film of the job."""
    whole: bool = False
    """The film turned out not to be divisible."""
    messages: tuple[str, ...] = ()
    """What was told meanwhile."""


@dataclass(slots=True)
class Worker:
    """The engine is opened with the first task that needs it; one that fails is opened anew for the next."""

    config: PipelineConfig
    outputs: Sequence[str]
    _engine: Engine | None = None
    _running: Pipeline | None = None
    _interrupted: int | None = None
    _told: list[str] = field(default_factory=list)

    def describe(self, targets: Sequence[Target]) -> Answer:
        """What it looks with."""
        self._told = []
        try:
            engine = self._open(targets)
        except StreamsegError as error:
            return Answer(error=str(error), of_engine=True, messages=tuple(self._told))
        return Answer(model=Model(engine.spec, engine.name, engine.precision), messages=tuple(self._told))

    def run(self, film: Film, targets: Sequence[Target]) -> Answer:
        """Run one film, in parts where that can be; its errors are told, not raised."""
        self._told = []
        try:
            engine = self._open(targets)
        except StreamsegError as error:
            return Answer(error=str(error), of_engine=True, messages=tuple(self._told))
        try:
            run = self._film(film, targets, engine)
            self._running = run.pipeline
            if self._interrupted is not None:
                run.pipeline.runtime.interrupt(self._interrupted)
            return Answer(run.run(), messages=tuple(self._told))
        except StreamsegError as error:
            if isinstance(error, EngineError):
                self.close()
            return Answer(error=str(error), messages=tuple(self._told))
        finally:
            self._running = None

    def _film(self, film: Film, targets: Sequence[Target], engine: Engine) -> Run:
        in_parts = why_not_resumable(str(film.source), self.config, targets) is None
        return open_film(film, self.config, self.outputs, engine, resume=in_parts, on_message=self._told.append)

    def do(self, task: Task, order: FilmOrder) -> Answer:
        """Do a task of a divided film; its errors are told, not raised."""
        self._told = []
        try:
            made = run_task(task, order, lambda: self._open(()), self._told.append)
            return Answer(made=made, messages=(*self._told, *made.messages))
        except NotDivisible as error:
            return Answer(whole=True, error=str(error), messages=tuple(self._told))
        except StreamsegError as error:
            if isinstance(error, EngineError):
                self.close()
            return Answer(error=str(error), messages=tuple(self._told))
        except (OSError, MemoryError) as error:  # a disk that is full, or gone
            return Answer(error=f"{order.source}: {task} failed: {error or 'no memory is left'}", messages=tuple(self._told))

    def _open(self, targets: Sequence[Target]) -> Engine:
        if self._engine is None:
            self._engine = load_engine(self.config, self._told.append, targets)
        return self._engine

    def interrupt(self, number: int) -> None:
        """End after the frames that are under way; a second time, at once."""
        self._interrupted = number
        if self._running is not None:
            self._running.runtime.interrupt(number)

    def close(self) -> None:
        """Close the engine."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
