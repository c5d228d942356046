"""Runs the stages of a pipeline in threads, with channels between them. No other module of the pipeline handles threads.

    source ─▶ trunk stage ─▶ … ─▶ trunk stage ─┬▶ branch stage ─▶ sink
                                               └▶ branch stage ─▶ sink

Every stage runs in a thread of its own, or in that of the stage before it, not in a coroutine: libav, OpenVINO, OpenCV and TensorRT
block, release the GIL, and cannot be cancelled. Rules:

- Items keep their order, and every channel is bounded. With `block` a producer waits (files: no frame is lost). With `drop_oldest`
  the item that waited longest is discarded and counted (live: latency is bounded).
- An error in the source or in a trunk stage ends the input there: what is behind it, and what later stages hold (`Stage.delays`),
  is still written. An error in a branch closes that branch, or everything if it was the last branch. `Runtime.run` raises the
  first error.
- `stop` ends the input and lets the items in flight reach the sinks; `abort` discards them. Both close every stage.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from streamseg.errors import StageError, StreamsegError, clean
from streamseg.runtime.channel import Channel, Closed, Policy
from streamseg.runtime.process import DEADLINE, keep_in_forks, wait_at_exit
from streamseg.runtime.stage import Branch, Counters, Source, Stage, StageThread

__all__ = ["Runtime"]


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
        joined: Collection[str] = (),
        arrived: Callable[[Any], float] | None = None,
        through: Callable[[Any], None] | None = None,
        around: contextlib.AbstractContextManager[object] | None = None,
        flushes: bool = True,
    ) -> None:
        """`joined` names the stages of the trunk that run in the thread of the stage before them. Every thread and its channel
        hold up to two items, so that where something behind is slow, each thread less is latency less. `around` is
        entered before the first thread starts, and left by the last one. `through` is told of each item that a sink has taken,
        and of each that a stage left out. Without `flushes` the stages of the trunk are not told when the input ends: it goes on
        elsewhere.
        """
        self._through, self._flushes = through, flushes
        self._source, self._arrived, self._around = source, arrived, around or contextlib.nullcontext()
        self._lock = threading.Lock()
        self.errors: list[tuple[str, BaseException]] = []
        """What failed so far, as (stage, error), in order; the first one leaves `run`."""
        self._done = threading.Event()
        self._begin = threading.Event()
        """All threads are there. Nothing flows before: one that has no memory to begin with keeps CPython's `start` for ever."""
        self._threads: list[threading.Thread] = []
        self._channels: list[Channel[Any]] = []
        self._lines: list[StageThread] = []
        self._running = 0
        self._aborted: float | None = None
        self._draining: tuple[int, float] | None = None
        """Since a stage of the trunk failed: how many items had moved when last looked, and when that number last grew."""
        self.counters: dict[str, Counters] = {"decode": Counters("decode")}
        self.interrupted: int | None = None
        """The signal that stopped the run."""
        self._live_branches = {branch.name for branch in branches if not branch.optional}

        self._first = self._channel(capacity, policy)
        tees: list[Channel[Any]] = []
        self._line_up(trunk, joined, self._first, capacity, tees)
        for branch in branches:
            tees.append(self._channel(branch.capacity, branch.policy))
            self._line_up(branch.stages, branch.joined, tees[-1], branch.capacity, [], branch.name)
        self._threads.insert(0, threading.Thread(target=self._read, args=(self._first,), name="decode", daemon=True))

    def _channel(self, capacity: int, policy: Policy) -> Channel[Any]:
        self._channels.append(Channel(capacity, policy))
        return self._channels[-1]

    def _line_up(
        self,
        stages: Sequence[tuple[str, Stage]],
        joined: Collection[str],
        source: Channel[Any],
        capacity: int,
        ends: list[Channel[Any]],
        branch: str | None = None,
    ) -> None:
        """Threads for `stages`, from `source` to `ends`."""
        flushes = self._flushes or branch is not None
        groups: list[list[tuple[Counters, Stage]]] = []
        for name, stage in stages:
            if name in self.counters:
                raise ValueError(f"two stages are named {name!r}")
            self.counters[name] = Counters(name)
            if not groups or name not in joined:
                groups.append([])
            groups[-1].append((self.counters[name], stage))
        for group in groups[:-1]:
            ahead = max(getattr(stage, "ahead", 1) for _, stage in group)
            following = self._channel(max(capacity, ahead), "block")
            self._add(StageThread(group, source, [following], branch, self._through, flushes=flushes))
            source = following
        self._add(StageThread(groups[-1], source, ends, branch, self._through, flushes=flushes))

    def _add(self, line: StageThread) -> None:
        self._lines.append(line)
        name = line.stages[0][0].name
        self._threads.append(threading.Thread(target=self._work, args=(line,), name=name, daemon=True))

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
                counters.given += 1  # before anything behind it can count the frame, so that no sum is larger than this
                try:
                    output.put(frame)
                except Closed:
                    counters.given -= 1
                    break
        except BaseException as error:
            self._record("decode", error)
        finally:
            output.close()
            self._finish([("decode", self._source)])

    def _work(self, line: StageThread) -> None:
        failed = False
        try:
            line.work(self._arrived)
        except Closed:
            line.source.close(discard=True)
        except BaseException as error:
            failed = True
            self._fail(line, error)
        finally:
            for output in line.outputs:
                output.close()
            line.take_over()
            self._finish([(counters.name, stage) for counters, stage in line.stages], failed=failed)

    def _finish(self, stages: Sequence[tuple[str, Any]], *, failed: bool = False) -> None:
        """Close the stages in their own thread; the last thread to come here ends the run."""
        for name, stage in stages:
            try:
                close = getattr(stage, "abort" if failed else "close", None) or getattr(stage, "close", None)
                if close is not None:
                    close()
            except BaseException as error:
                self._record(name, error)
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._around.__exit__(None, None, None)
                self._done.set()

    # --- ends -----------------------------------------------------------------------------------------------------------

    def _record(self, name: str, error: BaseException) -> None:
        with self._lock:
            self.errors.append((name, error))

    def _fail(self, line: StageThread, error: BaseException) -> None:
        self._record(line.stages[line.at][0].name, error)
        line.source.close(discard=True)
        if line.branch is None:
            self._drain(line)
            return
        with self._lock:
            self._live_branches.discard(line.branch)
            if self._live_branches:
                return
        self.abort()

    def _drain(self, line: StageThread) -> None:
        """A stage of the trunk failed: read no more, and let what is behind it reach the sinks."""
        self._draining = self._draining or (self._progress(), time.monotonic())
        self._source.stop()
        try:
            line.flush(self._arrived, line.at + 1)
        except Closed:
            pass
        except BaseException as error:
            self._record(line.stages[line.at][0].name, error)

    def _progress(self) -> int:
        return sum(counters.taken + counters.given for counters in self.counters.values())

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
        """Give up on threads that hang in native code long after an abort. They are daemons and must not keep the caller.

        After an error first abort where nothing has moved for as long.
        """
        if self._draining is not None and self._aborted is None:
            progress, since = self._draining
            if progress != self._progress():
                self._draining = self._progress(), time.monotonic()
            elif time.monotonic() - since > DEADLINE:
                self.abort()
        return self._aborted is not None and time.monotonic() - self._aborted > DEADLINE

    # --- for the caller -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all threads."""
        self._running = len(self._threads)
        self._around.__enter__()
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
            self._give_up(left)
        except BaseException:
            self._give_up(left)
            raise
        finally:
            self._begin.set()

    def _give_up(self, left: Sequence[threading.Thread]) -> None:
        self.abort()
        self._begin.set()
        for thread in left:
            if thread.ident is None:
                thread.run()  # here: all channels are closed, so that it only gives back what it holds

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

    def run(self, *, every: float = 0.1, on_tick: Callable[[], None] | None = None) -> None:
        """Start, wait for the end, raise the first error. `on_tick` is called in the calling thread, once in `every` seconds.

        KeyboardInterrupt in the calling thread stops the run; a second one, or an error of `on_tick`, aborts it. Either is raised
        once all threads have ended. Signal handlers are not changed: see `interrupt`.
        """
        try:
            self.start()
            while not self.wait(every) and not self._overdue():
                if on_tick is not None:
                    on_tick()
            if on_tick is not None:
                on_tick()
        except BaseException as error:
            self._end(self.stop if isinstance(error, KeyboardInterrupt) else self.abort)
            raise
        self.check()

    def _end(self, how: Callable[[], None]) -> None:
        try:
            how()
            while not self.wait(0.1) and not self._overdue():
                pass
        except KeyboardInterrupt:
            self.abort()
            self.wait(DEADLINE)

    def interrupt(self, number: int) -> None:
        """Stop; the second time, abort. A program that wants signals to do that passes this to `process.handle_signals`."""
        # In a thread of its own: a handler that takes a lock the interrupted code holds would wait for ever.
        end = self.stop if self.interrupted is None else self.abort
        self.interrupted = number
        threading.Thread(target=end, daemon=True).start()

    def replace(self, name: str, stage: Stage, taken: Callable[[], None]) -> None:
        """Let `stage` take the place of the one of that name before the next item; `taken` is called when it has, in its thread.

        Raises KeyError where there is none.
        """
        for line in self._lines:
            for at, (counters, _) in enumerate(line.stages):
                if counters.name == name:
                    line.coming.append((at, stage, taken))
                    return
        raise KeyError(name)

    def waiting(self) -> dict[str, int]:
        """Items that wait before each stage that has a thread of its own."""
        return {line.stages[0][0].name: line.source.queued for line in self._lines}

    def snapshot(self) -> dict[str, Counters]:
        """The counters as they stand, in the order of the stages, with queue lengths and drops filled in."""
        for line in self._lines:
            line.stages[0][0].dropped = line.source.dropped
            line.stages[0][0].queued = line.source.queued
        return self.counters

    @property
    def dropped(self) -> int:
        """Items of the source that were discarded before the trunk took them, so that no branch has them."""
        return self._first.dropped

    def trunk(self) -> list[Counters]:
        """Of `snapshot`, what the stages of the trunk did, in order."""
        self.snapshot()
        return [counters for line in self._lines if line.branch is None for counters, _ in line.stages]

    def branch(self, name: str) -> list[Counters]:
        """Of `snapshot`, what the stages of one branch did; the last one is its sink."""
        self.snapshot()
        return [counters for line in self._lines if line.branch == name for counters, _ in line.stages]

    @property
    def ended(self) -> bool:
        """Whether all threads were started and have ended."""
        return self._done.is_set()

    def alive(self) -> list[str]:
        """Names of the threads that still run."""
        return [thread.name for thread in self._threads if thread.is_alive()]
