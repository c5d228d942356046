"""Run a plan: batches flow through three streams (upload, compute, download), several in flight, on memory allocated once.

    lane 0   upload ─▶ compute ─▶ download
    lane 1            upload ─▶ compute ─▶ download          each arrow an event; the host waits only for a lane's last one

A lane is what one batch in flight needs: page-locked and device buffers, and for each batch size an execution context and, where it
can be captured, a CUDA graph of it. A graph fixes addresses and shapes, and a context must not change under its graph: hence one
context for each. All computing is in one stream, one after the other, so that all contexts share one scratch memory.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from streamseg.device.driver import Driver, OutOfMemory
from streamseg.engine.base import PooledEngine
from streamseg.engine.images import Images
from streamseg.engine.tensorrt.library import Library, capability_name
from streamseg.errors import EngineError
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["Loaded", "TensorRTEngine", "load_plan"]

ByteArray = npt.NDArray[np.uint8]

_RUNS_BEFORE_CAPTURE = 4
"""TensorRT-RTX wants to have run a shape before it captures it: better now than between the frames of a film."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plan in the GPU's memory."""

    library: Library
    trt: Any
    engine: Any
    """ICudaEngine."""
    log: Any
    runtime: Any
    """IRuntime: must outlive the engine."""
    jit_cache: Any
    """IRuntimeCache of TensorRT-RTX: the kernels that it compiles for this GPU when they are first used; None for TensorRT."""
    config: Any
    """IRuntimeConfig of TensorRT-RTX, None for TensorRT."""


def load_plan(library: Library, plan: bytes, spec: GraphSpec, batches: Sequence[int], jit_cache: bytes = b"") -> Loaded:
    """Deserialise a plan that the store has checked. Raises EngineError if it is not of this graph and these batch sizes."""
    trt, log = library.load(), library.logger()
    try:
        runtime = trt.Runtime(log)
    except TypeError:  # pybind11's for a null: why, stands in the log
        _fail(log, f"{library.name} {trt.__version__} cannot start")
    if spec.plugins:
        library.load_plugins(log)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        _fail(log, f"{library.name} {trt.__version__} cannot load the engine of {spec.path}")
    _check(engine, spec, batches)
    config = cache = None
    if library.ahead_of_time:
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        # It captures graphs by itself, at the right moment: a captured stream would keep its provisional kernels for good.
        config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        cache = config.create_runtime_cache()
        if jit_cache:
            cache.deserialize(jit_cache)
        config.set_runtime_cache(cache)
    return Loaded(library, trt, engine, log, runtime, cache, config)


def _check(engine: Any, spec: GraphSpec, batches: Sequence[int]) -> None:
    names = {engine.get_tensor_name(index) for index in range(engine.num_io_tensors)}
    if names != {"images", *spec.outputs}:
        there, expected = (", ".join(sorted(each)) for each in (names, ("images", *spec.outputs)))
        raise EngineError(f"the engine of {spec.path} has the tensors {there}, but its graph {expected}")
    for index, batch in enumerate(batches):
        shapes = [tuple(shape) for shape in engine.get_tensor_profile_shape("images", index)]
        if shapes != [(batch, *spec.size, 3)] * 3:
            raise EngineError(
                f"the engine of {spec.path} takes images of {shapes[0]} to {shapes[-1]}, expected {batch} of {spec.size}"
            )


def _fail(log: Any, what: str) -> NoReturn:
    said = "; ".join(log.errors[-3:]) or "it gave no reason"
    if "out of memory" in said.lower() or "outofmemory" in said.lower():
        raise OutOfMemory(f"{what}: the GPU is out of memory ({said})")
    raise EngineError(f"{what}: {said}")


@dataclass(slots=True)
class _Shape:
    """What runs one batch size in one lane."""

    context: Any
    graph: int | None = None
    """A captured CUDA graph; None where the context is enqueued every time."""


@dataclass(slots=True)
class _Streams:
    upload: int
    compute: int
    download: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while one batch is put into the streams, so that each stream sees the batches in one order."""


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Memory for what lies between a network's layers."""

    address: int
    size: int
    """Bytes, enough for every profile in use."""


@dataclass(frozen=True, slots=True)
class _Output:
    """One of the graph's outputs, and where its answers lie."""

    name: str
    host: ByteArray
    device: int
    """Address."""
    shape: tuple[int, ...]
    """Of one picture's part."""
    dtype: np.dtype[Any]
    row: int
    """Bytes of one picture's part."""


class _Lane:
    """A Runner: what one batch in flight needs. Used by one thread at a time."""

    def __init__(
        self, loaded: Loaded, driver: Driver, spec: GraphSpec, batches: Sequence[int], streams: _Streams, scratch: _Scratch
    ) -> None:
        self._driver, self._streams, self._loaded = driver, streams, loaded
        largest = max(batches)
        self._row = math.prod(spec.size) * 3
        self._input = driver.host_memory(largest * self._row)
        self._device_input = driver.device_memory(largest * self._row)
        self._outputs: list[_Output] = []
        addresses = {"images": self._device_input}
        for name, info in spec.outputs.items():
            shape, kind = info.shape[1:], np.dtype(info.dtype)
            row = math.prod(shape) * kind.itemsize
            host, addresses[name] = driver.host_memory(largest * row), driver.device_memory(largest * row)
            self._outputs.append(_Output(name, host, addresses[name], shape, kind, row))
        self._uploaded, self._computed, self._done = driver.event(), driver.event(), driver.event()
        self._shapes = {
            batch: _Shape(self._context(index, (batch, *spec.size, 3), addresses, scratch))
            for index, batch in enumerate(batches)
        }
        driver.record(self._done, streams.download)

    def __call__(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """Run [n, H, W, 3], n up to the largest batch size; the answers lie in page-locked memory until the next call."""
        driver, streams, count = self._driver, self._streams, len(images)
        driver.attach()
        batch = min(size for size in self._shapes if size >= count)
        shape = self._shapes[batch]
        if isinstance(images, np.ndarray):
            self._input[: count * self._row] = images.reshape(-1)
        with streams.lock:
            self._fill(images)
            driver.record(self._uploaded, streams.upload)
            driver.wait(streams.compute, self._uploaded)
            self._compute(shape)
            driver.record(self._computed, streams.compute)
            driver.wait(streams.download, self._computed)
            for out in self._outputs:
                driver.download(out.host[: count * out.row], out.device, streams.download)
            driver.record(self._done, streams.download)
        driver.synchronize(self._done)
        return {o.name: o.host[: count * o.row].view(o.dtype).reshape(count, *o.shape) for o in self._outputs}

    def _fill(self, images: Images) -> None:
        """Bring the pictures to where the network reads them: its graph is bound to that place.

        What lies on the GPU is copied there once more (microseconds at the speed of its memory), never by way of the host. It is
        kept by the caller until the batch is done, so that its memory is not given to another meanwhile.
        """
        driver, upload = self._driver, self._streams.upload
        if isinstance(images, np.ndarray):
            driver.upload(self._device_input, self._input[: len(images) * self._row], upload)
            return
        for slot, image in enumerate(images):
            if image.ready is not None:
                driver.wait(upload, int(image.ready.cuda_event))
            driver.copy(self._device_input + slot * self._row, int(image.tensor.data_ptr()), self._row, upload)

    def capture(self) -> int:
        """Capture a graph of every batch size, each of which must have run once; gives how many could be."""
        for shape in self._shapes.values():
            with self._driver.capture(self._streams.compute) as graphs:
                whole = shape.context.execute_async_v3(self._streams.compute)
            shape.graph = graphs[0] if graphs and whole else None
        return sum(shape.graph is not None for shape in self._shapes.values())

    def close(self) -> None:
        """Let go of the contexts, also where an error's traceback keeps this lane."""
        self._shapes.clear()

    def _compute(self, shape: _Shape) -> None:
        if shape.graph is not None:
            self._driver.launch(shape.graph, self._streams.compute)
        elif not shape.context.execute_async_v3(self._streams.compute):
            _fail(self._loaded.log, f"{self._loaded.library.name} cannot run a batch")

    def _context(self, profile: int, images: tuple[int, ...], addresses: dict[str, int], scratch: _Scratch) -> Any:
        trt, engine, log = self._loaded.trt, self._loaded.engine, self._loaded.log
        chosen = self._loaded.config or trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = engine.create_execution_context(chosen)
        if context is None:
            _fail(log, f"{self._loaded.library.name} gives no execution context")
        context.nvtx_verbosity = trt.ProfilingVerbosity.NONE  # else as detailed as the plan, at each run
        ok = context.set_optimization_profile_async(profile, self._streams.compute) and context.set_input_shape(
            "images", images
        )
        for name, address in addresses.items():
            ok = ok and context.set_tensor_address(name, address)
        if not ok:
            _fail(log, f"{self._loaded.library.name} refuses images of {images}")
        context.set_device_memory(scratch.address, scratch.size)
        return context


class TensorRTEngine(PooledEngine):
    """A plan, run by `in_flight` lanes. See Engine for what it promises."""

    def __init__(self, loaded: Loaded, driver: Driver, spec: GraphSpec, batches: Sequence[int], in_flight: int) -> None:
        """Allocate everything; `batches` are the plan's profiles to use, in its order. Raises OutOfMemory or EngineError."""
        self._driver = driver
        self._loaded: Loaded | None = loaded
        self.batches = tuple(batches)
        streams = _Streams(driver.stream(), driver.stream(), driver.stream())
        size = max(int(loaded.engine.get_device_memory_size_for_profile_v2(index)) for index in range(len(self.batches)))
        scratch = _Scratch(driver.device_memory(size), size)
        self._lanes = [_Lane(loaded, driver, spec, batches, streams, scratch) for _ in range(in_flight)]
        gpu = driver.gpu
        sizes = ", ".join(map(str, batches))
        device = f"{gpu.name} ({capability_name(gpu.capability)}, {spec.precision}, batches of {sizes}, in flight: {in_flight})"
        super().__init__(loaded.library.name, device, spec, self._lanes, max(batches))

    def prepare(self) -> None:
        """Run every batch size in every lane, then capture them as CUDA graphs where the library does not do so by itself.

        Raises OutOfMemory or EngineError. Comes before anything is submitted.
        """
        by_itself = self._loaded is not None and self._loaded.config is not None
        for lane in self._lanes:
            for batch in self.batches:
                for _ in range(_RUNS_BEFORE_CAPTURE if by_itself else 1):
                    lane(np.zeros((batch, *self.spec.size, 3), np.uint8))
        if not by_itself:
            captured = sum(lane.capture() for lane in self._lanes)
            if captured < len(self._lanes) * len(self.batches):
                self.device = f"{self.device[:-1]}, without CUDA graphs)"

    def jit_cache(self) -> bytes:
        """The kernels that TensorRT-RTX has compiled for this GPU, to give to `load_plan` next time; empty for TensorRT."""
        cache = None if self._loaded is None else self._loaded.jit_cache
        return b"" if cache is None else bytes(cache.serialize())

    def close(self) -> None:
        """See Engine.close."""
        super().close()
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()  # the contexts, then the engine, go before the memory they use
        self._loaded = None
        self._driver.close()

    def _run_part(self, runner: Any, images: Images) -> dict[str, npt.NDArray[Any]]:
        # Not padded to the largest batch size: the lane takes the smallest that holds them.
        whole = np.ascontiguousarray(images) if isinstance(images, np.ndarray) else images
        return {name: np.array(array) for name, array in runner(whole).items()}
