"""A film that is being made in ranges: which tasks may run now, and what has been made. Who runs them is said elsewhere.

What tasks make lies in the folder of a run that can be gone on with (`jobs.progress`), and stands in its book: a film goes on where
it was, whoever began it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from streamseg.engine import Engine
from streamseg.jobs.progress import SavedProgress
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.report import RunReport
from streamseg.ranges.draw import draw, looks_back, videos
from streamseg.ranges.find import find
from streamseg.ranges.found import given_up_to
from streamseg.ranges.join import join
from streamseg.ranges.look import look
from streamseg.ranges.order import FilmOrder, Made
from streamseg.system.callbacks import Message
from streamseg.system.output_files import sha256_of

__all__ = ["DividedFilm", "Task", "run_in_ranges", "run_task"]

Kind = Literal["look", "find", "draw", "join"]
AHEAD = 24
"""Ranges that are looked at before who is in them is found, at most: it bounds what lies in the folder."""


class Task(NamedTuple):
    """A task of a film."""

    kind: Kind
    k: int = 0
    """The range."""

    def __str__(self) -> str:
        return self.kind if self.kind == "join" else f"{self.kind} of range {self.k + 1}"


def run_task(task: Task, order: FilmOrder, engine: Callable[[], Engine], on_message: Message | None = None) -> Made:
    """Run one. Raises StreamsegError."""
    if task.kind == "look":
        return look(order, task.k, engine(), on_message)
    if task.kind == "join":
        return join(order, on_message, overwrite=True)
    return {"find": find, "draw": draw}[task.kind](order, task.k, on_message)


@dataclass(slots=True)
class DividedFilm:
    """One film."""

    order: FilmOrder
    targets: list[Target]
    progress: SavedProgress
    done: set[Task] = field(default_factory=set)
    running: set[Task] = field(default_factory=set)
    report: RunReport | None = None
    """Of the film, once it is joined."""
    _given: int = 0
    """Frames whose results are there: stages hold some for a while, so that they are fewer than were looked through."""

    def __post_init__(self) -> None:
        """Take up what is there: what stands in the book and is still as it was written."""
        ranges = range(len(self.order))
        sound = {name for k in ranges for task in self._tasks(k) for name in self._makes(task) if self._sound(name)}
        self.done = {task for k in ranges for task in self._tasks(k) if self._makes(task) <= sound}
        found = next((k for k in ranges if Task("find", k) not in self.done), len(self.order)) - 1
        while found >= 0 and not self._sound(self.order.state(found)):
            found -= 1  # the chain goes on from where its stages are still there
        self.done -= {Task("find", k) for k in range(found + 1, len(self.order))}
        self._given = max((given_up_to(self.order.folder / self.order.found(k)) for k in range(found + 1)), default=0)
        if self._chained:
            drawn = next((k for k in ranges if Task("draw", k) not in self.done), len(self.order))
            self.done -= {Task("draw", k) for k in range(drawn, len(self.order))}

    def _sound(self, name: str) -> bool:
        digest = self.progress.digest(name)
        try:
            return digest is not None and sha256_of(self.order.folder / name) == digest
        except OSError:
            return False

    @property
    def _chained(self) -> bool:
        return any(map(looks_back, videos(self.targets)))

    def _tasks(self, k: int) -> Iterator[Task]:
        yield from (Task("look", k), Task("find", k))
        if videos(self.targets):
            yield Task("draw", k)

    def _makes(self, task: Task) -> set[str]:
        """The files that a task leaves, of those that others or the end need."""
        order, k = self.order, task.k
        if task.kind == "look":
            return {order.answers(k)}
        if task.kind == "find":
            return {order.found(k)} | (set() if order.config.results.keep == "off" else {order.record(k)})
        parts = {f"{target.name}/{number:06d}.packets" for target in videos(self.targets) for number in order.parts(k)}
        return parts | ({order.memory(k + 1)} if self._chained and k + 1 < len(order) else set())

    # --- what may run -----------------------------------------------------------------------------------------------------

    def ready(self) -> list[Task]:
        """What may run now, what others wait for first: find, draw, join, look."""
        found = next((k for k in range(len(self.order)) if Task("find", k) not in self.done), len(self.order))
        wanted: list[Task] = []
        if found < len(self.order) and Task("look", found) in self.done:
            wanted.append(Task("find", found))
        if videos(self.targets):
            wanted += [Task("draw", k) for k in range(len(self.order)) if self._may_draw(k, found)]
        rest = (task for k in range(found) for task in self._tasks(k) if task.kind == "draw")
        if found == len(self.order) and self.done.issuperset(rest):
            wanted.append(Task("join"))
        wanted += [Task("look", k) for k in range(found, min(found + AHEAD, len(self.order)))]
        return [task for task in wanted if task not in self.done and task not in self.running]

    def _may_draw(self, k: int, found: int) -> bool:
        before = not self._chained or k == 0 or Task("draw", k - 1) in self.done
        end = self.order.frames(k)[1]
        return before and (found == len(self.order) if end is None else self._given >= end)

    # --- what was made ----------------------------------------------------------------------------------------------------

    def took(self, task: Task, made: Made) -> None:
        """A task is done. Raises OutputError where the book cannot be written."""
        for name, digest in made.parts:
            self.progress.note(name, digest)
        self.running.discard(task)
        self.done.add(task)
        if task.kind == "find":
            self._given = max(self._given, given_up_to(self.order.folder / self.order.found(task.k)))
            if task.k > 0:
                (self.order.folder / self.order.state(task.k - 1)).unlink(missing_ok=True)
        if task.kind == "join":
            self.report = made.report

    @property
    def frames_found(self) -> int:
        """Frames in which it is known who is who."""
        ends = (*self.order.starts[1:], self.order.total)
        return max((ends[task.k] for task in self.done if task.kind == "find"), default=0)

    @property
    def ranges_done(self) -> int:
        """Ranges that need nothing more but joining."""
        return sum(all(task in self.done for task in self._tasks(k)) for k in range(len(self.order)))


def run_in_ranges(
    film: DividedFilm,
    engine: Callable[[], Engine],
    on_message: Message | None = None,
    pick: Callable[[list[Task]], Task] | None = None,
) -> RunReport:
    """Run a film here, one task after the other. `pick`: which of those that may run. Raises StreamsegError."""
    while film.report is None:
        ready = film.ready()
        task = ready[0] if pick is None else pick(ready)
        film.running.add(task)
        try:
            film.took(task, run_task(task, film.order, engine, on_message))
        finally:
            film.running.discard(task)
    return film.report
