"""The few CUDA driver calls that the runtime needs, through NVIDIA's cuda-bindings.

cuda-bindings is 30 MB and talks to the driver that is there; torch, the other way to the same calls, is gigabytes and brings a
CUDA runtime of its own version. Handles are plain integers, as TensorRT takes them. All memory is allocated up front and freed by
`close`.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from streamseg.errors import EngineError, EngineUnavailable, MissingExtra

__all__ = ["Driver", "Gpu", "OutOfMemory", "find_gpu", "no_driver", "sleep_while_waiting"]

ByteArray = npt.NDArray[np.uint8]


class OutOfMemory(EngineError):
    """The GPU has no memory left."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that would be used: the first one visible (CUDA_VISIBLE_DEVICES)."""

    name: str
    capability: tuple[int, int]
    """Compute capability, (8, 6) for 8.6."""
    memory: int
    """Bytes."""


def no_driver() -> str | None:
    """Why there is no CUDA driver to talk to; None if there is one."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver"
    return None


def find_gpu() -> Gpu:
    """Look at the first GPU without opening it. Raises EngineUnavailable, saying what is missing, or MissingExtra."""
    if (reason := no_driver()) is not None:
        raise EngineUnavailable(reason)
    cuda = _bindings()
    try:
        code = cuda.cuInit(0)[0]
        hidden = code == cuda.CUresult.CUDA_ERROR_NO_DEVICE
        if not hidden:
            _check(cuda, (code,))
        if hidden or _check(cuda, cuda.cuDeviceGetCount()) == 0:
            raise EngineUnavailable(
                "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES hides them, or the container has none)"
            )
        device = _check(cuda, cuda.cuDeviceGet(0))
        name = _check(cuda, cuda.cuDeviceGetName(256, device)).split(b"\0")[0].decode()
        attribute = cuda.CUdevice_attribute
        capability = [
            int(_check(cuda, cuda.cuDeviceGetAttribute(which, device)))
            for which in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        ]
        return Gpu(name, (capability[0], capability[1]), int(_check(cuda, cuda.cuDeviceTotalMem(device))))
    except EngineUnavailable:
        raise
    except EngineError as error:
        raise EngineUnavailable(f"the NVIDIA driver does not work: {error}") from error


def sleep_while_waiting() -> None:
    """Let threads that wait for the first GPU sleep, not spin. Call it before anything else uses the GPU.

    FFmpeg shares the primary context, which torch and TensorRT use, only where it was made like this. Nothing happens where that
    cannot be set: FFmpeg then says so itself. Raises MissingExtra.
    """
    cuda = _bindings()
    cuda.cuInit(0)
    code, device = cuda.cuDeviceGet(0)
    if code == cuda.CUresult.CUDA_SUCCESS:
        cuda.cuDevicePrimaryCtxSetFlags(device, int(cuda.CUctx_flags.CU_CTX_SCHED_BLOCKING_SYNC))


class Driver:
    """One GPU's primary context, and what was allocated in it."""

    def __init__(self) -> None:
        """Open the first GPU. Raises EngineUnavailable or EngineError."""
        self.gpu = find_gpu()
        self._cuda = cuda = _bindings()
        self._device = self._do(cuda.cuDeviceGet(0))
        self._context = self._do(cuda.cuDevicePrimaryCtxRetain(self._device))
        self._undo = contextlib.ExitStack()
        self._undo.callback(lambda: cuda.cuDevicePrimaryCtxRelease(self._device))
        self.attach()

    def attach(self) -> None:
        """Make the context current in the calling thread, which every thread must do before other calls."""
        self._do(self._cuda.cuCtxSetCurrent(self._context))

    def stream(self) -> int:
        """A stream that does not wait for the default stream."""
        stream = self._do(self._cuda.cuStreamCreate(self._cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self._undo.callback(self._cuda.cuStreamDestroy, stream)
        return int(stream)

    def event(self) -> int:
        """An event that a thread can wait for without spinning."""
        flags = self._cuda.CUevent_flags
        event = self._do(self._cuda.cuEventCreate(flags.CU_EVENT_BLOCKING_SYNC | flags.CU_EVENT_DISABLE_TIMING))
        self._undo.callback(self._cuda.cuEventDestroy, event)
        return int(event)

    def record(self, event: int, stream: int) -> None:
        """Let `event` happen once all that is in `stream` so far is done."""
        self._do(self._cuda.cuEventRecord(event, stream))

    def wait(self, stream: int, event: int) -> None:
        """Let what follows in `stream` wait for `event` as last recorded; the caller does not wait."""
        self._do(self._cuda.cuStreamWaitEvent(stream, event, 0))

    def synchronize(self, event: int) -> None:
        """Wait, without the GIL, until `event` as last recorded has happened. Errors of the work before it come out here."""
        self._do(self._cuda.cuEventSynchronize(event))

    def device_memory(self, size: int) -> int:
        """The address of `size` bytes on the GPU, 256-byte aligned. Raises OutOfMemory."""
        address = self._do(self._cuda.cuMemAlloc(max(1, size)))
        self._undo.callback(self._cuda.cuMemFree, address)
        return int(address)

    def host_memory(self, size: int) -> ByteArray:
        """`size` bytes of page-locked memory, which alone is copied asynchronously; valid until `close`. Raises OutOfMemory."""
        address = int(self._do(self._cuda.cuMemHostAlloc(max(1, size), 0)))
        self._undo.callback(self._cuda.cuMemFreeHost, address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def upload(self, device: int, host: ByteArray, stream: int) -> None:
        """Copy all of `host`, a part of host_memory, to the GPU."""
        self._do(self._cuda.cuMemcpyHtoDAsync(device, host.ctypes.data, host.nbytes, stream))

    def copy(self, to: int, device: int, size: int, stream: int) -> None:
        """Copy `size` bytes from one place on the GPU to another."""
        self._do(self._cuda.cuMemcpyDtoDAsync(to, device, size, stream))

    def download(self, host: ByteArray, device: int, stream: int) -> None:
        """Fill `host`, a part of host_memory, from the GPU."""
        self._do(self._cuda.cuMemcpyDtoHAsync(host.ctypes.data, device, host.nbytes, stream))

    @contextlib.contextmanager
    def capture(self, stream: int) -> Iterator[list[int]]:
        """Record what is put into `stream` instead of running it; afterwards the list holds the graph to `launch`, or nothing.

        Nothing is held if the work cannot be captured: TensorRT then says why in its log, and the caller enqueues it every time.
        """
        cuda, made = self._cuda, list[int]()
        self._do(cuda.cuStreamBeginCapture(stream, cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL))
        try:
            yield made
        finally:
            code, graph = cuda.cuStreamEndCapture(stream)
            if code == cuda.CUresult.CUDA_SUCCESS:
                code, executable = cuda.cuGraphInstantiate(graph, 0)
                cuda.cuGraphDestroy(graph)
                if code == cuda.CUresult.CUDA_SUCCESS:
                    self._undo.callback(cuda.cuGraphExecDestroy, executable)
                    made.append(int(executable))

    def launch(self, graph: int, stream: int) -> None:
        """Run a captured graph in `stream`."""
        self._do(self._cuda.cuGraphLaunch(graph, stream))

    def close(self) -> None:
        """Free everything, once the GPU has finished. Twice is harmless; errors of work that failed are not reported again."""
        undo = self._undo.pop_all()  # a second call finds nothing
        self._cuda.cuCtxSetCurrent(self._context)
        self._cuda.cuCtxSynchronize()
        undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, answer: tuple[Any, ...]) -> Any:
        return _check(self._cuda, answer)


def _bindings() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise MissingExtra("cuda-bindings", "rtx") from error
    return driver


def _check(cuda: Any, answer: tuple[Any, ...]) -> Any:
    """The value of a driver call's (code, value). Raises OutOfMemory or EngineError with the driver's own words."""
    code, *values = answer
    if code == cuda.CUresult.CUDA_SUCCESS:
        return values[0] if values else None
    if code == cuda.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
        raise OutOfMemory("the GPU is out of memory")
    found, text = cuda.cuGetErrorString(code)
    words = text.decode() if found == cuda.CUresult.CUDA_SUCCESS and text else "unknown error"
    raise EngineError(f"CUDA: {words} ({code.name})")
