"""What a job on a cluster has to do, and who does it: films, tasks of divided ones, workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from streamseg.jobs.films import Film
from streamseg.jobs.manifest import Entry
from streamseg.ranges.film import DividedFilm, Task

__all__ = ["Ahead", "Given", "Hands", "Work"]


@dataclass(slots=True, eq=False)
class Work:
    """A film that is being made."""

    number: int
    film: Film
    entry: Entry
    began: float
    lost: Counter[Task | None] = field(default_factory=Counter)
    """How many workers died over each of its tasks; None: over all of it."""
    told: bool = False
    """That it has begun."""
    whole: bool = False
    """One worker is to have all of it."""
    given_up: bool = False
    """It turned out not to be divisible: its tasks that still run are waited for."""
    divided: DividedFilm | None = None
    """Its ranges; None: one worker has all of it."""

    def close(self, *, done: bool = False) -> None:
        """Give back what it holds; `done`: nothing need be kept."""
        divided, self.divided = self.divided, None
        if divided is not None:
            divided.progress.close(done=done)


@dataclass(slots=True, eq=False)
class Hands:
    """A worker."""

    actor: Any
    looks: bool
    """It may open an engine; else it does only what needs none."""


@dataclass(slots=True, eq=False)
class Given:
    """What a worker has: a film, or one task of it."""

    work: Work
    worker: Hands
    task: Task | None = None


class Ahead:
    """The films that are left, of which it is known whether they are few."""

    def __init__(self, works: Iterator[Work], few: int) -> None:
        self._works, self._few = works, few
        self._known: list[Work] = []
        self.few = False
        """Fewer than workers were left when the last one was given, with that."""

    @property
    def any(self) -> bool:
        """Whether there is another one."""
        while len(self._known) < self._few and (work := next(self._works, None)) is not None:
            self._known.append(work)
        return bool(self._known)

    def next(self) -> Work:
        """The next one; there must be one."""
        self.few = self.any and len(self._known) < self._few
        return self._known.pop(0)
