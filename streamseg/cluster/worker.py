"""What runs on a worker: one engine, and one film after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streamseg.config.schema import PipelineConfig
from streamseg.engine import Engine
from streamseg.errors import EngineError, StreamsegError
from streamseg.jobs.films import Film
from streamseg.jobs.job import open_film
from streamseg.pipeline.build import Pipeline
from streamseg.pipeline.opening import load_engine
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.report import RunReport

__all__ = ["Answer", "Worker"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a film."""

    report: RunReport | None = None
    error: str | None = None
    """Why it failed."""
    of_engine: bool = False
    """It failed before any film could: the engine does not open, on no film of the job."""
    messages: tuple[str, ...] = ()
    """What was told meanwhile."""


@dataclass(slots=True)
class Worker:
    """The engine is opened with the first film; one that fails is opened anew for the next."""

    config: PipelineConfig
    outputs: Sequence[str]
    resume: bool = False
    _engine: Engine | None = None
    _running: Pipeline | None = None
    _interrupted: int | None = None
    _told: list[str] = field(default_factory=list)

    def run(self, film: Film, targets: Sequence[Target]) -> Answer:
        """Run one film; its errors are told, not raised."""
        self._told = []
        try:
            if self._engine is None:
                self._engine = load_engine(self.config, self._told.append, targets)
        except StreamsegError as error:
            return Answer(error=str(error), of_engine=True, messages=tuple(self._told))
        try:
            run = open_film(film, self.config, self.outputs, self._engine, resume=self.resume, on_message=self._told.append)
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
