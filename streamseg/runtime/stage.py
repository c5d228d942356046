"""What a runtime is made of: a source, stages, branches, what each thread does, and what is counted of each."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamseg.runtime.channel import Channel, Closed, Policy
from streamseg.runtime.latency import Latency

__all__ = ["Branch", "Counters", "Skip", "Source", "Stage", "StageThread"]


_END = object()


class Source(Protocol):
    """Where items come from."""

    def frames(self) -> Iterator[Any]:
        """Give the items in order."""

    def stop(self) -> None:
        """Called from another thread: let `frames` end soon."""

    def close(self) -> None:
        """Give back what it holds; called in the thread that iterated."""


@dataclass(frozen=True, slots=True)
class Skip:
    """What a stage gives in place of an item that it leaves out: it goes no further, and is counted under its reason."""

    reason: str


class Stage(Protocol):
    """One step: item in, item out, or `Skip`. A stage may also have `flush()`, called at the end of input, `close()`, `abort()`.

    ahead: of a stage whose items wait for later ones, for how many items there must be room behind it.

    adopt: takes over what the stage knows in whose place it comes (`Runtime.replace`), or a part of it, whatever kind that is.

    delays: True of a stage that gives items later than it takes them. A call then gives those that are ready, none or several,
        and `flush` those that are left; both as an iterable, in order. It must state how much it holds at most, since a frame
        is large: in seconds and in bytes.
    """

    def __call__(self, item: Any, /) -> Any:
        """Do the work on one item."""


@dataclass(slots=True)
class Counters:
    """What one stage did. `busy` includes waiting for the GIL or an engine; `cpu` is its own thread's time on a core, seconds."""

    name: str
    taken: int = 0
    given: int = 0
    dropped: int = 0
    """Items that were discarded in the channel before it; always 0 for a stage that shares the thread of the one before."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Items that it left out, by reason."""
    busy: float = 0.0
    cpu: float = 0.0
    queued: int = 0
    latency: Latency = field(default_factory=Latency)
    """Seconds from when an item came in until this stage was done with it (stages of branches only)."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The stages of one output, in order; the last one is its sink."""

    name: str
    stages: Sequence[tuple[str, Stage]]
    capacity: int = 2
    policy: Policy = "block"
    optional: bool = False
    """True for a view: the run ends when all other branches have ended."""
    joined: frozenset[str] = frozenset()
    """Names of the stages that run in the thread of the stage before them."""


@dataclass(slots=True)
class StageThread:
    """One thread: the stages that an item passes in it, and the channels before and behind them."""

    stages: list[tuple[Counters, Stage]]
    source: Channel[Any]
    outputs: list[Channel[Any]]
    branch: str | None = None
    """The name of the branch that it is a part of; the latency of its stages is measured."""
    through: Callable[[Any], None] | None = None
    """Is told of each item that a sink has taken, and of each that was left out."""
    at: int = 0
    """Index of the stage that works, or failed."""
    flushes: bool = True
    """At the end of the input the stages are told so."""
    coming: deque[tuple[int, Stage, Callable[[], None]]] = field(default_factory=deque)
    """Stages that take the places of others before the next item; each is told when it has."""

    def work(self, arrived: Callable[[Any], float] | None) -> None:
        """Take items until the source is closed, then flush. Raises Closed once nobody wants what comes out.

        arrived: the monotonic clock when an item came in, from which latency counts.
        """
        while True:
            try:
                item = self.source.get()
            except Closed:
                if self.flushes:
                    self.flush(arrived)
                return
            self.take_over()
            self._pass(item, 0, arrived)

    def take_over(self) -> None:
        """Let the stages that are to come take their places, and what those before them know; close these."""
        while self.coming:
            at, stage, taken = self.coming.popleft()
            counters, former = self.stages[at]
            if (adopt := getattr(stage, "adopt", None)) is not None:
                adopt(former)
            self.stages[at] = (counters, stage)
            taken()
            if (close := getattr(former, "close", None)) is not None:
                close()

    def flush(self, arrived: Callable[[Any], float] | None, start: int = 0) -> None:
        """Tell the stages from `start` on that nothing more comes, and pass on what they held."""
        for at in range(start, len(self.stages)):
            counters, stage = self.stages[at]
            self.at = at
            if (flush := getattr(stage, "flush", None)) is None:
                continue
            with _timed(counters):
                given = flush()
            if getattr(stage, "delays", False):
                self._pass_each(given, at, arrived)

    def _pass(self, item: Any, start: int, arrived: Callable[[Any], float] | None) -> None:
        """Send an item through the stages from `start` on, and what comes out of the last one to the outputs."""
        taken = item
        for at in range(start, len(self.stages)):
            counters, stage = self.stages[at]
            self.at, taken = at, item
            counters.taken += 1
            with _timed(counters):
                item = stage(item)
            if getattr(stage, "delays", False):
                self._pass_each(item, at, arrived)
                return
            if isinstance(item, Skip):
                counters.skipped[item.reason] = counters.skipped.get(item.reason, 0) + 1
                if self.through is not None:
                    self.through(taken)
                return
            if at + 1 < len(self.stages):
                counters.given += 1
                self._measure(counters, taken, arrived)
        self._hand_over(item)
        counters = self.stages[-1][0]
        counters.given += 1
        self._measure(counters, taken, arrived)
        if self.through is not None and self.branch is not None and not self.outputs:
            self.through(taken)

    def _measure(self, counters: Counters, taken: Any, arrived: Callable[[Any], float] | None) -> None:
        if self.branch is not None and arrived is not None:
            counters.latency.add(time.monotonic() - arrived(taken))

    def _pass_each(self, items: Iterable[Any], at: int, arrived: Callable[[Any], float] | None) -> None:
        """Send what the stage `at`, which delays, gave through those behind it: one after the other, so that order is kept."""
        counters, each = self.stages[at][0], iter(items)
        while True:
            self.at = at
            with _timed(counters):
                item = next(each, _END)
            if item is _END:
                return
            if at + 1 < len(self.stages):
                counters.given += 1
            self._pass(item, at + 1, arrived)

    def _hand_over(self, item: Any) -> None:
        closed = 0
        for output in self.outputs:
            try:
                output.put(item)
            except Closed:
                closed += 1
        if self.outputs and closed == len(self.outputs):
            raise Closed


@contextlib.contextmanager
def _timed(counters: Counters) -> Iterator[None]:
    """Count what is done meanwhile as this stage's."""
    began, cpu = time.perf_counter(), time.thread_time()
    yield
    counters.busy += time.perf_counter() - began
    counters.cpu += time.thread_time() - cpu
