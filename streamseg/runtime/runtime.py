"""Runs the stages of a pipeline in threads, with channels between them. No other module of the pipeline handles threads.

    source ─▶ trunk stage ─▶ … ─▶ trunk stage ─┬▶ branch stage ─▶ sink
                                               └▶ branch stage ─▶ sink

Every stage runs in a thread of its own, not in a coroutine: libav, OpenVINO, OpenCV and TensorRT block, release the GIL, and cannot
be cancelled. Rules:

- Items keep their order, and every channel is bounded. With `block` a producer waits (files: no frame is lost). With `drop_oldest`
  the item that waited longest is discarded and counted (live: latency is bounded).
- An error in a trunk stage closes everything. An error in a branch closes that branch, or everything if it was the last branch. An
  error in the source ends the input, so that the frames read before it are still written. `Runtime.run` raises the first error.
- `stop` ends the input and lets the items in flight reach the sinks; `abort` discards them. Both close every stage.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamseg.errors import StageError, StreamsegError, clean
from streamseg.runtime.channel import Channel, Closed, Policy
from streamseg.runtime.process import DEADLINE, handle_signals, keep_in_forks, wait_at_exit

__all__ = ["Branch", "Counters", "Runtime", "Source", "Stage"]


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

    A stage whose items wait for each other says in `ahead` for how many of them there must be room behind it.
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
    """A view: does not keep the run alive when all other branches are gone."""


class Runtime:
    """Runs a source, a trunk and its branches until the input ends, `stop`, `abort` or an error."""

    def __init__(
        self,
        source: Source,
        trunk: Sequence[tuple[str, Stage]],
        branches: Sequence[Branch],
        *,
        capacity: int = 2,
        policy: Policy = "block",
        arrived: Callable[[Any], float] | None = None,
    ) -> None:
        self._source, self._arrived = source, arrived
        self._lock = threading.Lock()
        self.errors: list[tuple[str, BaseException]] = []
        """What failed so far, as (stage, error), in order; the first one leaves `run`."""
        self._done = threading.Event()
        self._begin = threading.Event()
        """All threads are there. Nothing flows before: one that has no memory to begin with keeps CPython's `start` for ever."""
        self._threads: list[threading.Thread] = []
        self._channels: list[Channel[Any]] = []
        self._running = 0
        self._aborted: float | None = None
        self.counters: dict[str, Counters] = {"decode": Counters("decode")}
        self.interrupted: int | None = None
        """The signal that stopped the run."""
        self._inputs: dict[str, Channel[Any]] = {}
        self._branch_of: dict[str, str] = {}
        self._live_branches = {branch.name for branch in branches if not branch.optional}

        channel = first = self._channel(capacity, policy)
        self._tees: list[Channel[Any]] = []
        for position, (name, stage) in enumerate(trunk):
            last = position == len(trunk) - 1
            following = None if last else self._channel(max(capacity, getattr(stage, "ahead", 1)), "block")
            self._add(name, stage, channel, self._tees if last else [following])
            channel = following or channel
        for branch in branches:
            channel = self._channel(branch.capacity, branch.policy)
            self._tees.append(channel)
            for position, (name, stage) in enumerate(branch.stages):
                last = position == len(branch.stages) - 1
                following = None if last else self._channel(branch.capacity, "block")
                self._branch_of[name] = branch.name
                self._add(name, stage, channel, [following] if following else [], sink=last)
                channel = following or channel
        self._threads.insert(0, threading.Thread(target=self._read, args=(first,), name="decode", daemon=True))

    def _channel(self, capacity: int, policy: Policy) -> Channel[Any]:
        self._channels.append(Channel(capacity, policy))
        return self._channels[-1]

    def _add(self, name: str, stage: Stage, source: Channel[Any], outputs: list[Any], *, sink: bool = False) -> None:
        if name in self.counters:
            raise ValueError(f"two stages are named {name!r}")
        self.counters[name] = Counters(name)
        self._inputs[name] = source
        self._threads.append(
            threading.Thread(target=self._work, args=(name, stage, source, outputs, sink), name=name, daemon=True)
        )

    # --- one thread each ------------------------------------------------------------------------------------------------

    def _read(self, output: Channel[Any]) -> None:
        counters = self.counters["decode"]
        self._begin.wait()
        try:
            frames = iter(self._source.frames())
            while True:
                began, cpu = time.perf_counter(), time.thread_time()
                try:
                    frame = next(frames)
                except StopIteration:
                    break
                counters.busy += time.perf_counter() - began
                counters.cpu += time.thread_time() - cpu
                output.put(frame)
                counters.given += 1
        except Closed:
            pass
        except BaseException as error:
            self._record("decode", error)
        finally:
            output.close()
            self._finish("decode", self._source)

    def _work(self, name: str, stage: Stage, source: Channel[Any], outputs: list[Channel[Any]], sink: bool) -> None:
        counters, failed = self.counters[name], False
        try:
            self._loop(stage, source, outputs, counters, sink)
        except Closed:
            source.close(discard=True)
        except BaseException as error:
            failed = True
            self._fail(name, error, source)
        finally:
            for output in outputs:
                output.close()
            self._finish(name, stage, failed=failed)

    def _loop(self, stage: Stage, source: Channel[Any], outputs: list[Channel[Any]], counters: Counters, sink: bool) -> None:
        while True:
            try:
                item = source.get()
            except Closed:
                if hasattr(stage, "flush"):
                    stage.flush()
                return
            counters.taken += 1
            began, cpu = time.perf_counter(), time.thread_time()
            made = stage(item)
            counters.busy += time.perf_counter() - began
            counters.cpu += time.thread_time() - cpu
            self._hand_over(made, outputs)
            counters.given += 1
            if sink and self._arrived is not None:
                counters.latency.append(time.monotonic() - self._arrived(item))

    def _hand_over(self, item: Any, outputs: list[Channel[Any]]) -> None:
        closed = 0
        for output in outputs:
            try:
                output.put(item)
            except Closed:
                closed += 1
        if outputs and closed == len(outputs):
            raise Closed

    def _finish(self, name: str, stage: Any, *, failed: bool = False) -> None:
        """Close the stage in its own thread; the last thread to come here ends the run."""
        try:
            close = getattr(stage, "abort" if failed else "close", None) or getattr(stage, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._record(name, error)
        finally:
            with self._lock:
                self._running -= 1
                if self._running == 0:
                    self._done.set()

    # --- ends -----------------------------------------------------------------------------------------------------------

    def _record(self, name: str, error: BaseException) -> None:
        with self._lock:
            self.errors.append((name, error))

    def _fail(self, name: str, error: BaseException, source: Channel[Any]) -> None:
        self._record(name, error)
        branch = self._branch_of.get(name)
        source.close(discard=True)
        if branch is not None:
            with self._lock:
                self._live_branches.discard(branch)
                if self._live_branches:
                    return
        self.abort()

    def stop(self) -> None:
        """End the input; what is in flight still reaches the sinks."""
        self._source.stop()

    def abort(self) -> None:
        """End at once: what is in flight is discarded, the sinks finalise what they have."""
        self._aborted = self._aborted or time.monotonic()
        self._source.stop()
        for channel in self._channels:
            channel.close(discard=True)

    def _overdue(self) -> bool:
        """Some thread hangs in native code long after the abort; it is a daemon and must not keep the caller."""
        return self._aborted is not None and time.monotonic() - self._aborted > DEADLINE

    # --- for the caller -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all threads."""
        self._running = len(self._threads)
        keep_in_forks(self)
        wait_at_exit(self)
        left = list(self._threads)
        try:
            while left:
                left[0].start()
                del left[0]
        except (RuntimeError, MemoryError) as error:
            self._record(
                "start", StreamsegError(f"cannot start {len(self._threads)} threads ({error}): memory or threads ran out")
            )
            self.abort()
            for thread in left:
                thread.run()  # here: all channels are closed, so that it only gives back what it holds
        finally:
            self._begin.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all threads have ended; False when `timeout` seconds passed before it."""
        if not self._done.wait(timeout):
            return False
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()  # it has nothing left to do
        return True

    def check(self) -> None:
        """Raise the first error of the run: a StreamsegError as it is, anything else as StageError naming its stage."""
        if not self.errors:
            return
        name, error = self.errors[0]
        if isinstance(error, StreamsegError):
            raise error
        raise StageError(name, error) from clean(error)

    def run(self, *, every: float = 0.1, tick: Callable[[], None] | None = None) -> None:
        """Start, wait for the end, raise the first error. SIGINT, SIGTERM and SIGHUP stop, a second one aborts.

        `tick` is called every `every` seconds in the calling thread (progress). Signals are only handled in the main thread.
        """
        with handle_signals(self._signalled):
            self.start()
            while not self.wait(every) and not self._overdue():
                if tick is not None:
                    tick()
            if tick is not None:
                tick()
        self.check()

    def _signalled(self, number: int) -> None:
        # In a thread of its own: a handler that takes a lock the interrupted code holds would wait for ever.
        end = self.stop if self.interrupted is None else self.abort
        self.interrupted = number
        threading.Thread(target=end, daemon=True).start()

    def snapshot(self) -> dict[str, Counters]:
        """The counters as they stand, with queue lengths and drops filled in."""
        for name, channel in self._inputs.items():
            self.counters[name].dropped = channel.dropped
            self.counters[name].queued = channel.queued
        return self.counters

    def alive(self) -> list[str]:
        """Names of the threads that still run."""
        return [thread.name for thread in self._threads if thread.is_alive()]
