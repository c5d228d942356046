"""The protocol every engine speaks, and the pool of workers that the CPU engines share.

`submit` is asynchronous: it hands over a batch and returns a future. The runtimes release the GIL while they compute, so each
request in flight has a plain worker thread of its own, whose exception reaches the future like any other: a callback from a
runtime's own thread would have to be trusted to come also when the request fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Semaphore
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from streamseg.engine.images import Images, check_images
from streamseg.engine.outputs import Outputs
from streamseg.errors import EngineError
from streamseg.hub.graph_spec import GraphSpec
from streamseg.runtime.process import forked, forked_from, keep_in_forks

__all__ = ["Engine", "PooledEngine", "Runner", "refuse_free_rows"]

ByteArray = npt.NDArray[np.uint8]
Arrays = dict[str, npt.NDArray[Any]]
Runner = Callable[[Any], Arrays]
"""Runs [n, H, W, 3] with n as compiled; gives the graph's outputs by name, which the next call may overwrite."""


@runtime_checkable
class Engine(Protocol):
    """Runs a compiled model."""

    @property
    def name(self) -> str:
        """As `--engine` takes it."""

    @property
    def device(self) -> str:
        """What it runs on, for people."""

    @property
    def spec(self) -> GraphSpec:
        """What the model takes and gives."""

    @property
    def precision(self) -> str:
        """What it computes in: that of the graph, or "bf16"."""

    @property
    def in_flight(self) -> int:
        """Batches that it computes at the same time; `submit` takes one more before it blocks."""

    @property
    def together(self) -> int:
        """Pictures that had best be submitted at once, now."""

    def submit(self, images: Images) -> Future[Outputs]:
        """Start on a batch: uint8 [B, H, W, 3] RGB, any B >= 1, H and W the model's; `images` must not change until it is done.

        It may lie on the GPU instead, picture by picture: engines that compute there take it as it is, others download it.

        Blocks while as many batches are under way as the engine keeps in flight. The future gives Outputs of the same B, the
        arrays that `spec.outputs` declares, which belong to the caller, or raises EngineError.
        """

    def close(self) -> None:
        """Finish what is running, cancel what is not, free the model. Twice is harmless."""


class PooledEngine:
    """An engine made of runners, each used by one worker thread at a time."""

    def __init__(self, name: str, device: str, spec: GraphSpec, runners: Sequence[Runner], batch: int) -> None:
        """`batch` is the number of images the runners were compiled for: larger batches are cut, smaller ones padded."""
        self.name = name
        self.device = device
        self.spec = spec
        self.precision = spec.precision
        self.in_flight = len(runners)
        self.together = self._batch = batch
        self._home = os.getpid()
        keep_in_forks(self)
        self._runners: SimpleQueue[Runner] = SimpleQueue()
        for runner in runners:
            self._runners.put(runner)
        self._pool = ThreadPoolExecutor(len(runners), thread_name_prefix=f"engine-{name}")
        # One more than can run, so that a worker that becomes free need not wait for the submitting thread to wake up.
        self._slots = Semaphore(len(runners) + 1)

    def submit(self, images: Images) -> Future[Outputs]:
        """See Engine.submit."""
        if forked(self._home):
            raise EngineError(f"{self.name}: {forked_from('which had opened this engine')}")
        check_images(self.name, self.spec, images)
        self._slots.acquire()
        try:
            future = self._pool.submit(self._run, images)
        except RuntimeError as error:
            self._slots.release()
            raise EngineError(f"{self.name}: the engine is closed") from error
        future.add_done_callback(lambda _: self._slots.release())
        return future

    def warm_up(self) -> None:
        """Run every runner once on an empty picture, so that a model that does not run is found out here. Raises EngineError."""
        image = np.zeros((self._batch, *self.spec.size, 3), np.uint8)
        for _ in range(self._runners.qsize()):
            self.submit(image).result()  # the queue hands the runners out in turn

    def close(self) -> None:
        """See Engine.close."""
        if forked(self._home):
            return
        self._pool.shutdown(wait=True, cancel_futures=True)
        while not self._runners.empty():
            self._runners.get()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self.name} on {self.device}: {self.spec.name} {self.spec.height}x{self.spec.width}"

    def _run(self, images: Images) -> Outputs:
        runner = self._runners.get()
        try:
            parts = [self._run_part(runner, images[i : i + self._batch]) for i in range(0, len(images), self._batch)]
            whole = parts[0] if len(parts) == 1 else {name: _joined([part[name] for part in parts]) for name in parts[0]}
            return Outputs(whole, self.spec.outputs)
        except Exception as error:
            raise EngineError(f"{self.name} failed to run {self.spec.file_name}: {error}") from error
        finally:
            self._runners.put(runner)

    def _run_part(self, runner: Runner, images: Images) -> Arrays:
        if not isinstance(images, np.ndarray):
            images = np.stack([image.host() for image in images])
        count = len(images)
        if count < self._batch:
            images = np.concatenate([images, np.zeros((self._batch - count, *images.shape[1:]), np.uint8)])
        answer = runner(np.ascontiguousarray(images))
        return {name: np.array(array[:count]) for name, array in answer.items()}  # copies: runtimes reuse their output buffers


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The answers of a batch that was cut as one array; where one picture has more rows than another, the missing ones are zero."""
    longest = tuple(map(max, zip(*(part.shape[1:] for part in parts), strict=True)))
    if any(part.shape[1:] != longest for part in parts):
        parts = [np.pad(part, [(0, 0), *((0, m - n) for m, n in zip(longest, part.shape[1:], strict=True))]) for part in parts]
    return np.concatenate(parts)


def refuse_free_rows(spec: GraphSpec, engine: str) -> None:
    """Raise EngineError for a graph whose answers have no fixed length, on behalf of an engine that lays out its memory ahead."""
    if spec.free_rows:
        rows = ", ".join(spec.free_rows)
        raise EngineError(
            f"{spec.file_name} gives as many rows as it finds objects ({rows}), and {engine} needs fixed lengths: use a CPU engine "
            "(--engine openvino or onnxruntime), or export the model with a fixed number of detections"
        )
