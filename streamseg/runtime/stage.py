"""What a runtime is made of: a source, stages, branches, what each thread does, and what is counted of each."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamseg.runtime.channel import Channel, Closed, Policy

__all__ = ["Branch", "Counters", "Source", "Stage", "StageThread"]


class Source(Protocol):
    """Where items come from."""

    def frames(self) -> Iterator[Any]:
        """Give the items in order."""

    def stop(self) -> None:
        """Called from another thread: let `frames` end soon."""

    def close(self) -> None:
        """Give back what it holds; called in the thread that iterated."""


class Stage(Protocol):
    """One step: item in, item out. A stage may also have `flush()`, called when the input ends, `close()`, and `abort()`.

    ahead: of a stage whose items wait for later ones, for how many items there must be room behind it.
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
    busy: float = 0.0
    cpu: float = 0.0
    queued: int = 0
    latency: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    """Seconds from decoder to here, of the last thousand items (sinks only)."""


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
    sink: bool = False
    """Its last stage is a sink, whose latency is measured."""
    at: int = 0
    """Index of the stage that works, or failed."""

    def work(self, arrived: Callable[[Any], float] | None) -> None:
        """Take items until the source is closed, then flush. Raises Closed once nobody wants what comes out.

        arrived: the monotonic clock when an item came in, from which a sink's latency counts.
        """
        while True:
            try:
                item = self.source.get()
            except Closed:
                self._flush()
                return
            self._hand_over(self._through(item))
            counters = self.stages[-1][0]
            counters.given += 1
            if self.sink and arrived is not None:
                counters.latency.append(time.monotonic() - arrived(item))

    def _through(self, item: Any) -> Any:
        """What the stages make of an item, one after the other."""
        for at, (counters, stage) in enumerate(self.stages):
            self.at = at
            if at:
                self.stages[at - 1][0].given += 1
            counters.taken += 1
            began, cpu = time.perf_counter(), time.thread_time()
            item = stage(item)
            counters.busy += time.perf_counter() - began
            counters.cpu += time.thread_time() - cpu
        return item

    def _flush(self) -> None:
        for at, (_, stage) in enumerate(self.stages):
            self.at = at
            if (flush := getattr(stage, "flush", None)) is not None:
                flush()

    def _hand_over(self, item: Any) -> None:
        closed = 0
        for output in self.outputs:
            try:
                output.put(item)
            except Closed:
                closed += 1
        if self.outputs and closed == len(self.outputs):
            raise Closed
