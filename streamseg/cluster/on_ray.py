"""Runs a job on Ray: a worker a core (or GPU), each with an engine of its own, one film at a time on each.

What is to be done, what was done, and what cannot be is decided and noted by the driver alone, in the same book as without a
cluster: a job may move from a laptop to a cluster and back. A worker that dies costs the film that it had, which is tried again on
another; a film that kills its worker `ATTEMPTS` times is set aside as failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from streamseg.cluster.worker import Answer, Worker
from streamseg.config.schema import PipelineConfig
from streamseg.engine import computes_on_gpu
from streamseg.errors import ConfigError, EngineError, MissingExtra
from streamseg.jobs.films import Film
from streamseg.jobs.job import Job
from streamseg.jobs.manifest import NAME, Entry, Manifest
from streamseg.jobs.outcome import FilmReport, JobReport

__all__ = ["ATTEMPTS", "check_place", "run_on_ray"]

ATTEMPTS = 3
"""Times that a film may kill its worker."""
_TICK = 0.5
"""Seconds after which an interrupt is looked for."""
_ENDING = 60.0
"""Seconds in which workers that were interrupted finish their frames."""


def check_place(where: str) -> None:
    """Raise ConfigError for what --on cannot be, MissingExtra without Ray."""
    parts = urlsplit(where)
    if where not in ("ray", "ray://auto") and not (parts.scheme == "ray" and parts.hostname):
        raise ConfigError(
            f"--on {where}: allowed: ray, the cores of this machine; or the address of a cluster's head, as ray://head:10001"
        )
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise MissingExtra("ray", "cluster") from error


def run_on_ray(
    job: Job,
    where: str = "ray",
    *,
    workers: int | None = None,
    on_film: Callable[[int, Film], None] | None = None,
    on_done: Callable[[FilmReport], None] | None = None,
) -> JobReport:
    """Run what is not done yet.

    where: `ray`, a cluster of this machine's cores; or the address of one, `ray://HOST:10001`. Paths must be the same on all of its
        machines.
    workers: how many; None: one a GPU where the network computes there, else one a core.

    Raises StreamsegError only for what concerns all films: the engine, the book of the job, the cluster.
    """
    import ray

    check_place(where)
    began, reports = time.monotonic(), list[FilmReport]()
    manifest = Manifest.hold(job.folder, len(job.films))
    try:
        own = _connect(ray, where, workers)
        try:
            crew = _Crew(ray, job, workers)
            crew.run(manifest, reports, on_film, on_done)
        finally:
            if own:
                ray.shutdown()
    finally:
        manifest.close()
    return JobReport(tuple(reports), len(job.films) - len(reports), time.monotonic() - began, str(job.folder / NAME))


def _connect(ray: Any, where: str, workers: int | None) -> bool:
    """Whether the connection is ours to end. Raises ConfigError where there is no cluster."""
    if ray.is_initialized():
        return False
    quiet = {"include_dashboard": False} if where == "ray" else {}
    address: dict[str, Any] = {} if where == "ray" else {"address": "auto" if where == "ray://auto" else where}
    if where == "ray":
        address["num_cpus"] = workers or os.cpu_count() or 1
    try:
        ray.init(log_to_driver=False, logging_level="error", **address, **quiet)
    except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise ConfigError(f"--on {where}: there is no cluster: {error}") from error
    return True


@dataclass(slots=True)
class _Task:
    """A film that a worker has."""

    number: int
    film: Film
    entry: Entry
    worker: Any
    attempts: int = 1


@dataclass(slots=True)
class _Crew:
    """The workers, and who has what."""

    ray: Any
    job: Job
    workers: int | None
    under_way: dict[Any, _Task] = field(default_factory=dict)
    idle: list[Any] = field(default_factory=list)
    again: list[_Task] = field(default_factory=list)
    """Films whose worker died."""

    def run(
        self,
        manifest: Manifest,
        reports: list[FilmReport],
        on_film: Callable[[int, Film], None] | None,
        on_done: Callable[[FilmReport], None] | None,
    ) -> None:
        gpu = computes_on_gpu(self.job.config.infer.engine)
        made = self._actor_class(gpu)
        count = self.workers or max(1, int(self.ray.cluster_resources().get("GPU" if gpu else "CPU", 1)))
        left, told_to_end, films = count, 0.0, iter(enumerate(self.job.films, 1))

        def done(report: FilmReport) -> None:
            reports.append(report)
            if on_done is not None:
                on_done(report)

        to_do = self._to_do(films, manifest, done)
        while True:
            while self.job.interrupted is None and (self.idle or left):
                task = self.again.pop() if self.again else next(to_do, None)
                if task is None:
                    break
                if self.idle:
                    task.worker = self.idle.pop()
                else:
                    task.worker, left = made.remote(self._config(gpu), list(self.job.outputs), self.job.resume), left - 1
                self._submit(task, manifest, on_film)
            if not self.under_way:
                return
            if self.job.interrupted is not None:
                told_to_end = told_to_end or self._interrupt()
                if time.monotonic() > told_to_end + _ENDING:
                    return
            ready, _ = self.ray.wait(list(self.under_way), num_returns=1, timeout=_TICK)
            for reference in ready:
                left += self._take(reference, manifest, done)

    def _to_do(
        self, films: Iterator[tuple[int, Film]], manifest: Manifest, done: Callable[[FilmReport], None]
    ) -> Iterator[_Task]:
        """The films that have to be run; what becomes of others is told."""
        for number, film in films:
            entry = self.job.begin(film, manifest)
            if isinstance(entry, FilmReport):
                done(entry)
            else:
                yield _Task(number, film, entry, None)

    def _submit(self, task: _Task, manifest: Manifest, on_film: Callable[[int, Film], None] | None) -> None:
        manifest.put(os.path.abspath(task.film.source), task.entry)
        if on_film is not None and task.attempts == 1:
            on_film(task.number, task.film)
        self.under_way[task.worker.run.remote(task.film, self.job.films[task.film])] = task

    def _take(self, reference: Any, manifest: Manifest, done: Callable[[FilmReport], None]) -> int:
        """Note what became of a film; gives how many workers were lost. Raises EngineError where no worker can open an engine."""
        task = self.under_way.pop(reference)
        try:
            answer: Answer = self.ray.get(reference)
        except self.ray.exceptions.RayActorError as error:
            if task.attempts < ATTEMPTS and self.job.interrupted is None:
                task.attempts += 1
                self.again.append(task)
            else:
                why = f"{task.film.source}: its worker died {task.attempts} times, the last time: {_reason(error)}"
                done(self.job.failed(task.film, manifest, task.entry, why))
            return 1
        self.idle.append(task.worker)
        for message in answer.messages:
            self.job.say(message)
        if answer.of_engine:
            raise EngineError(str(answer.error))
        if answer.report is None:
            done(self.job.failed(task.film, manifest, task.entry, str(answer.error)))
        else:
            done(self.job.ended(task.film, manifest, task.entry, answer.report))
        return 0

    def _interrupt(self) -> float:
        """Tell all workers to end; gives when."""
        for task in self.under_way.values():
            task.worker.interrupt.remote(self.job.interrupted)
        return time.monotonic()

    def _config(self, gpu: bool) -> PipelineConfig:
        """The job's, with one thread for each engine: there is a worker a core."""
        infer = self.job.config.infer
        if gpu or infer.threads:
            return self.job.config
        return self.job.config.model_copy(update={"infer": infer.model_copy(update={"threads": 1, "in_flight": 1})})

    def _actor_class(self, gpu: bool) -> Any:
        """Two calls at a time: a film, and the word that it is to end."""
        return self.ray.remote(num_cpus=1, num_gpus=1 if gpu else 0, max_concurrency=2, max_restarts=0)(Worker)


def _reason(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
