"""The workers of a job on Ray, and who of them has what."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from streamseg.cluster.work import Ahead, Given, Hands, Work
from streamseg.cluster.worker import Answer, Worker
from streamseg.config.schema import PipelineConfig
from streamseg.engine import computes_on_gpu
from streamseg.errors import EngineError, StreamsegError
from streamseg.jobs.films import Film
from streamseg.jobs.job import Job
from streamseg.jobs.manifest import Manifest
from streamseg.jobs.outcome import FilmReport
from streamseg.jobs.places import outputs_of
from streamseg.jobs.progress import SavedProgress, why_not_resumable
from streamseg.ranges.film import DividedFilm, Task
from streamseg.ranges.plan import Model, divide

__all__ = ["ATTEMPTS", "Crew"]

ATTEMPTS = 3
"""Times that a film may kill its worker."""
_TICK = 0.5
"""Seconds after which an interrupt is looked for."""
_ENDING = 60.0
"""Seconds in which workers that were interrupted finish their frames."""


@dataclass(slots=True)
class Crew:
    """See the module."""

    ray: Any
    job: Job
    manifest: Manifest
    workers: int | None
    _under_way: dict[Any, Given] = field(default_factory=dict)
    _idle: list[Hands] = field(default_factory=list)
    _again: list[Work] = field(default_factory=list)
    """Films whose worker died."""
    _divided: list[Work] = field(default_factory=list)
    _model: Model | None = None
    _left: Counter[bool] = field(default_factory=Counter)
    """Workers that may still be made, by whether they look."""
    _done: Callable[[FilmReport], None] = lambda report: None
    _begun: Callable[[int, Film], None] | None = None

    def run(
        self,
        reports: list[FilmReport],
        on_film: Callable[[int, Film], None] | None,
        on_done: Callable[[FilmReport], None] | None,
    ) -> None:
        """Run what is not done yet. Raises EngineError where no worker can open an engine, OutputError of the book."""
        told_to_end, self._begun = 0.0, on_film
        gpu, count = self._count()

        def done(report: FilmReport) -> None:
            reports.append(report)
            if on_done is not None:
                on_done(report)

        self._done = done
        to_do = Ahead(self._to_do(), count)
        try:
            while True:
                while self.job.interrupted is None and self._give(to_do, gpu):
                    pass
                if not self._under_way:
                    return
                if self.job.interrupted is not None:
                    told_to_end = told_to_end or self._interrupt()
                    whole = any(given.task is None for given in self._under_way.values())
                    if not whole or time.monotonic() > told_to_end + _ENDING:
                        return
                ready, _ = self.ray.wait(list(self._under_way), num_returns=1, timeout=_TICK)
                for reference in ready:
                    self._take(reference)
        finally:
            for work in self._divided:
                if self.job.interrupted is None:
                    self._note(work)
                else:
                    self._done(self.job.cut_off(work.film, self.manifest, work.entry, self._frames(work)))
                work.close()

    def _to_do(self) -> Iterator[Work]:
        """The films that have to be run; what becomes of others is told."""
        for number, film in enumerate(self.job.films, 1):
            entry = self.job.begin(film, self.manifest)
            if isinstance(entry, FilmReport):
                self._done(entry)
            else:
                yield Work(number, film, entry, time.monotonic())

    # --- giving work ------------------------------------------------------------------------------------------------------

    def _give(self, to_do: Ahead, gpu: bool) -> bool:
        """Give a worker something to do; False: there is nothing now, or nobody."""
        for work in self._divided:
            assert work.divided is not None
            for task in work.divided.ready():
                if (worker := self._worker(gpu, looks=task.kind == "look")) is not None:
                    self._submit(Given(work, worker, task))
                    return True
        if not (self._again or to_do.any) or (worker := self._worker(gpu, looks=True)) is None:
            return False
        begun = self._again.pop() if self._again else to_do.next()
        if to_do.few and not begun.whole and self._divide(begun, worker):
            self._idle.append(worker)
        else:
            self._submit(Given(begun, worker))
        return True

    def _worker(self, gpu: bool, *, looks: bool) -> Hands | None:
        """One that is idle, or a new one; rather one that does not look, where that will do. None: all have something to do."""
        for kind in (True,) if looks else (False, True):
            if (found := next((each for each in self._idle if each.looks is kind), None)) is not None:
                self._idle.remove(found)
                return found
            if self._left[kind]:
                self._left[kind] -= 1
                made = self._actor_class(gpu and kind).remote(self._config(gpu), list(self.job.outputs))
                return Hands(made, kind)
        return None

    def _divide(self, work: Work, worker: Hands) -> bool:
        """Divide a film among the workers, where that can be. `worker`: says what all look with."""
        film, targets = work.film, self.job.films[work.film]
        source = str(film.source)
        progress: SavedProgress | None = None
        work.whole = True
        try:
            if why_not_resumable(source, self.job.config, targets) is not None:
                return False
            model = self._look_with(work, worker)
            if model is None:
                return False
            progress = SavedProgress(source, self.job.config, targets, overwrite=True)
            outputs = outputs_of(film, self.job.config, self.job.outputs)
            order = divide(source, self.job.config, outputs, targets, progress, model)
        except StreamsegError:  # whoever runs it says why
            if progress is not None:
                progress.close(done=not progress.goes_on)
            return False
        if isinstance(order, str):
            self.job.say(f"{film.name}: one worker has all of it: {order}")
            progress.close(done=not progress.goes_on)
            return False
        work.divided = DividedFilm(order, list(targets), progress)
        self.job.say(f"{film.name}: {order.total} frames in {len(order)} ranges")
        self._divided.append(work)
        self._announce(work)
        return True

    def _look_with(self, work: Work, worker: Hands) -> Model | None:
        """What all workers look with: the first one says."""
        if self._model is None:
            try:
                answer: Answer = self.ray.get(worker.actor.describe.remote(self.job.films[work.film]))
            except self.ray.exceptions.RayActorError:
                return None  # who runs the film finds out, too
            self._tell(answer)
            self._model = answer.model
        return self._model

    def _announce(self, work: Work) -> None:
        self._note(work)
        if self._begun is not None and not work.told:
            work.told = True
            self._begun(work.number, work.film)

    def _note(self, work: Work) -> None:
        """How far a film has come, in the book."""
        self.manifest.put(os.path.abspath(work.film.source), replace(work.entry, frames=self._frames(work)))

    @staticmethod
    def _frames(work: Work) -> int:
        return 0 if work.divided is None else work.divided.frames_found

    def _submit(self, given: Given) -> None:
        work = given.work
        if given.task is None:
            self._announce(work)
            reference = given.worker.actor.run.remote(work.film, self.job.films[work.film])
        else:
            assert work.divided is not None
            work.divided.running.add(given.task)
            reference = given.worker.actor.do.remote(given.task, work.divided.order)
        self._under_way[reference] = given

    # --- what became of it ------------------------------------------------------------------------------------------------

    def _take(self, reference: Any) -> None:
        """Note what became of a task."""
        given = self._under_way.pop(reference)
        work = given.work
        if given.task is not None and work.divided is not None:
            work.divided.running.discard(given.task)
        try:
            answer: Answer = self.ray.get(reference)
        except self.ray.exceptions.RayActorError as error:
            self._left[given.worker.looks] += 1
            self._lost(given, error)
            return
        self._idle.append(given.worker)
        self._tell(answer)
        if given.task is None:
            self._ended(work, answer)
        elif work.given_up:
            self._again_whole(work)
        elif work.divided is not None:  # else another of its tasks has failed
            self._advanced(work, given.task, answer)

    def _tell(self, answer: Answer) -> None:
        for message in answer.messages:
            self.job.say(message)
        if answer.of_engine:
            raise EngineError(str(answer.error))

    def _lost(self, given: Given, error: BaseException) -> None:
        """A worker died."""
        work = given.work
        if work.given_up and given.task is not None:
            self._again_whole(work)
            return
        if given.task is not None and work.divided is None:
            return  # it was set aside already
        work.lost[given.task] += 1
        if work.lost[given.task] < ATTEMPTS and self.job.interrupted is None:
            if given.task is None:
                self._again.append(work)
            return
        over = "" if given.task is None else f" over {given.task}"
        why = f"{work.film.source}: its worker died {work.lost[given.task]} times{over}, the last time: {_reason(error)}"
        self._set_aside(work, why)

    def _ended(self, work: Work, answer: Answer) -> None:
        """A film that one worker had is over."""
        if answer.report is None:
            self._done(self.job.failed(work.film, self.manifest, work.entry, str(answer.error)))
        else:
            self._done(self.job.ended(work.film, self.manifest, work.entry, answer.report))

    def _advanced(self, work: Work, task: Task, answer: Answer) -> None:
        """A task of a divided film is over."""
        divided = work.divided
        assert divided is not None
        if answer.whole:
            self.job.say(f"{work.film.name}: one worker has all of it: {answer.error}")
            self._divided.remove(work)
            work.given_up = True
            self._again_whole(work)
        elif answer.made is None:
            self._set_aside(work, str(answer.error))
        else:
            divided.took(task, answer.made)
            if task.kind == "find":
                self._note(work)
            if divided.report is not None:
                report = replace(divided.report, seconds=time.monotonic() - work.began)
                self._divided.remove(work)
                work.close(done=True)
                self._done(self.job.ended(work.film, self.manifest, work.entry, report))

    def _again_whole(self, work: Work) -> None:
        """A film is run whole after all, once nobody writes into its folder any more."""
        if work.divided is not None and not work.divided.running:
            work.close(done=True)
            self._again.append(work)

    def _set_aside(self, work: Work, why: str) -> None:
        """A film has failed."""
        if work in self._divided:
            self._divided.remove(work)
        work.close()
        self._done(self.job.failed(work.film, self.manifest, work.entry, why))

    def _interrupt(self) -> float:
        """Tell all workers to end; gives when."""
        for given in self._under_way.values():
            given.worker.actor.interrupt.remote(self.job.interrupted)
        return time.monotonic()

    # --- workers ----------------------------------------------------------------------------------------------------------

    def _count(self) -> tuple[bool, int]:
        """Whether workers look on GPUs; and how many there may be that look, one a GPU, else one a core.

        Where they look on GPUs, the cores that are left do what needs none.
        """
        there, gpu = self.ray.cluster_resources(), computes_on_gpu(self.job.config.infer.engine)
        count = self.workers or max(1, int(there.get("GPU" if gpu else "CPU", 1)))
        self._left = Counter({True: count, False: max(0, int(there.get("CPU", 1)) - count) if gpu else 0})
        return gpu, count

    def _config(self, gpu: bool) -> PipelineConfig:
        """The job's, with one thread for each engine: there is a worker a core."""
        infer = self.job.config.infer
        if gpu or infer.threads:
            return self.job.config
        return self.job.config.model_copy(update={"infer": infer.model_copy(update={"threads": 1, "in_flight": 1})})

    def _actor_class(self, gpu: bool) -> Any:
        """Two calls at a time: a task, and the word that it is to end."""
        return self.ray.remote(num_cpus=1, num_gpus=1 if gpu else 0, max_concurrency=2, max_restarts=0)(Worker)


def _reason(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
