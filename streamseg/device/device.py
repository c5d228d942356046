"""The GPU as the picture's stages need it: streams, events, page-locked memory. All through torch, which the kernels need anyway.

Memory comes from torch's caching allocators, for the GPU and for page-locked memory, so that after the first few frames nothing is
allocated or freed. If one stream makes a tensor and another reads it, the allocator is told so (`DevicePicture.use`): it reuses the
memory only when both are done.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from streamseg.device.driver import OutOfMemory, find_gpu, no_driver, sleep_while_waiting
from streamseg.device.toolchain import why_not_build
from streamseg.errors import MissingExtra, StreamsegError
from streamseg.system.process_settings import ProcessSetting

__all__ = ["Device", "why_not_gpu"]

_TRITON = threading.RLock()
"""Triton is not made for several threads: the first launch of a kernel loads it, and a second thread would launch what is not
loaded yet. On the CPU kernels run in its interpreter, where no two may run at once."""

_SWITCH = 0.0005
"""Seconds after which a thread that computes in Python must let another have the GIL. Each of torch's calls gives it up and waits
for it: beside a busy thread a copy of 64 KB took 15 ms with Python's own 5 ms, 3.9 ms with this, 0.003 ms alone (two cores)."""
_TURNS = ProcessSetting(sys.getswitchinterval, sys.setswitchinterval)

Tensor = Any
"""torch.Tensor: torch is an extra, and is imported where it is needed."""


def why_not_gpu() -> str | None:
    """Why pictures cannot be kept on a GPU here, and what to install; None if they can. Does not import torch."""
    if (reason := no_driver()) is not None:
        return reason
    for package in ("torch", "triton"):
        if find_spec(package) is None:
            return str(MissingExtra(package, "gpu"))
    if (reason := why_not_build()) is not None:
        return reason
    try:
        find_gpu()
    except StreamsegError as error:
        return str(error)
    return None


class Device:
    """A GPU, or with the name "cpu" what stands in for one where there is none: the same code, with nothing asynchronous.

    To make one also tells the driver, for good, that threads wait for this GPU asleep: a property of the one context that the
    process has there, which FFmpeg can share only so. It must be said before anything else uses the GPU.
    """

    def __init__(self, name: str = "cuda") -> None:
        import torch

        self.torch: Any = torch
        self.where = torch.device(name)
        self.on_gpu = self.where.type == "cuda"
        if self.on_gpu:
            sleep_while_waiting()

    def at_work(self) -> contextlib.AbstractContextManager[None]:
        """For as long as a run puts its frames there: threads that compute in Python let others have the GIL sooner (see _SWITCH).

        It holds for the whole process, and is undone when the last run ends.
        """
        if not self.on_gpu:
            return contextlib.nullcontext()
        return _TURNS.held(min(sys.getswitchinterval(), _SWITCH))

    def why_not(self) -> str | None:
        """Why torch cannot use it; None if it can."""
        if self.on_gpu and not self.torch.cuda.is_available():
            return f"torch {self.torch.__version__} cannot use the GPU; install one that is built for CUDA"
        return None

    def stream(self) -> Any:
        """A stream that does not wait for the default stream; None on the CPU."""
        return self.torch.cuda.Stream(self.where) if self.on_gpu else None

    def default_stream(self) -> Any:
        """The stream in which FFmpeg works; None on the CPU."""
        return self.torch.cuda.default_stream(self.where) if self.on_gpu else None

    @contextlib.contextmanager
    def running(self, stream: Any) -> Iterator[None]:
        """What is started within, by this thread, goes into `stream`. Raises OutOfMemory."""
        try:
            with self.torch.cuda.stream(stream) if self.on_gpu else _TRITON:
                yield
        except self.torch.cuda.OutOfMemoryError as error:
            raise OutOfMemory(
                "the GPU has no memory left for pictures: free some, lower batch or in_flight, or keep frames in host memory "
                "(--decode host)"
            ) from error

    @contextlib.contextmanager
    def launching(self, stream: Any) -> Iterator[None]:
        """As `running`, for Triton's kernels: one thread at a time. Raises OutOfMemory."""
        with _TRITON, self.running(stream):
            yield

    def mark(self, stream: Any) -> Any:
        """An event that happens when all that is in `stream` so far is done; None on the CPU, where it is done already."""
        if not self.on_gpu:
            return None
        event = self.torch.cuda.Event(blocking=True)  # a thread that waits for it sleeps
        event.record(stream)
        return event

    def empty(self, shape: Sequence[int], dtype: Any) -> Tensor:
        """Uninitialised memory on the device."""
        return self.torch.empty(tuple(shape), dtype=dtype, device=self.where)

    def staging(self, shape: Sequence[int], dtype: Any) -> Tensor:
        """Page-locked host memory, which alone is copied asynchronously; it may be let go while a copy is under way."""
        return self.torch.empty(tuple(shape), dtype=dtype, pin_memory=self.on_gpu)

    def sample_type(self, bits: int) -> Any:
        """The type of samples of so many bits."""
        return self.torch.uint8 if bits <= 8 else self.torch.uint16
