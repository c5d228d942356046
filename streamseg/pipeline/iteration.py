"""Results one by one: a pipeline without outputs, run a few frames ahead of whoever takes its results."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from streamseg.config import PipelineConfig
from streamseg.core.result import Result
from streamseg.decode import Decoder
from streamseg.engine import Engine
from streamseg.errors import StreamsegError
from streamseg.pipeline.build import build_results, finish_results
from streamseg.pipeline.configure import python_words
from streamseg.pipeline.opening import Source
from streamseg.pipeline.stages import Made
from streamseg.runtime import Channel, Closed, Runtime
from streamseg.runtime.process import DEADLINE, begin_work, end_work, forked, forked_from, wait_at_exit
from streamseg.system.callbacks import Message

__all__ = ["aiterate", "iterate"]

T = TypeVar("T")


EngineOf = Callable[[], Engine]
"""Gives an engine that is closed after use."""


def iterate(
    source: Source, config: PipelineConfig, *, on_message: Message | None = None, engine_of: EngineOf | None = None
) -> Iterator[Result]:
    """The results of a source, one by one, computed while they are taken; memory does not grow with their number.

    `engine_of` is asked for the engine with the first result; None: the one that `config` means is opened.
    """
    results = _Results(source, config, on_message, engine_of)
    with python_words():
        try:
            while (result := results.take()) is not None:
                yield result
        finally:
            results.close()
        results.check()


async def aiterate(
    source: Source, config: PipelineConfig, *, on_message: Message | None = None, engine_of: EngineOf | None = None
) -> AsyncIterator[Result]:
    """As `iterate`; waits in a thread of its own, so that the event loop goes on meanwhile."""
    results, worker = _Results(source, config, on_message, engine_of), _Worker("streamseg-astream")
    with python_words():
        try:
            while (result := await worker.run(results.take)) is not None:
                yield result
        finally:
            results.interrupt()  # wakes the worker, if it waits for a result
            closing = worker.run(results.close)
            worker.end()
            await asyncio.shield(closing)
            worker.join()
        results.check()


class _Outlet(Channel[Result]):
    """The last stage: a channel from which the caller takes results; it ends when the pipeline ends."""

    def __call__(self, result: Result) -> None:
        self.put(result)


class _Results:
    """A pipeline that is opened when the first result is asked for. One thread takes and closes; any may interrupt."""

    def __init__(self, source: Source, config: PipelineConfig, on_message: Message | None, engine_of: EngineOf | None) -> None:
        self._outlet = _Outlet(1)
        self._open = partial(
            build_results, source, config, self._outlet, self._opening, on_message=on_message, engine_of=engine_of
        )
        self._decoder: Decoder | None = None
        self._running: tuple[Runtime, Made, Engine | None] | None = None
        self._ended = False
        self._interrupted = threading.Event()
        self._home = os.getpid()

    def take(self) -> Result | None:
        """The next result; None: there is none left. Raises StreamsegError for what cannot be opened."""
        if self._running is None:
            self._home = os.getpid()
            begin_work(self)
            wait_at_exit(self)
            self._running = self._open()
            self._running[0].start()
        if forked(self._home):
            raise StreamsegError(forked_from("in which these results are computed"))
        with contextlib.suppress(Closed):
            if not self._interrupted.is_set():
                return self._outlet.get()
        if not self._interrupted.is_set():
            self._running[0].wait()
            self._ended = True
        return None

    def _opening(self, decoder: Decoder) -> None:
        self._decoder = decoder
        if self._interrupted.is_set():
            decoder.stop()

    def interrupt(self) -> None:
        """Let `take` return soon, or fail where it still waits for the source; the rest is left to `close`."""
        self._interrupted.set()
        self._outlet.close()
        if self._decoder is not None:
            self._decoder.stop()

    def abort(self) -> None:
        """For `wait_at_exit`: nobody takes any more, and the thread that has a result to give would wait for that."""
        self.interrupt()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until its threads have ended."""
        return self._running is None or self._running[0].wait(timeout)

    def close(self) -> None:
        """End all threads and give back what they held."""
        if self._running is None or forked(self._home):
            end_work(self)
            return
        runtime, trunk, engine = self._running
        self._outlet.close()
        runtime.abort()
        runtime.wait(DEADLINE)
        if engine is not None:
            engine.close()
        end_work(self)
        finish_results(trunk, runtime if self._ended else None)

    def check(self) -> None:
        """Raise what went wrong after the last result."""
        if self._running is not None:
            self._running[0].check()


class _Worker:
    """One thread that does what it is told to, in order. A daemon: what blocks it for ever does not keep the interpreter."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """Do it; the future belongs to the event loop that runs."""
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return asyncio.wrap_future(future)

    def end(self) -> None:
        """End after what it has been told."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait until it has ended; a moment, once all it was told is done."""
        self._thread.join()

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, future = given
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:  # it is raised where the future is awaited
                    future.set_exception(error)
            del given, job, future  # or it would hold the last result
