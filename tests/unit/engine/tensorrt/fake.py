"""A GPU that is not there: the driver's calls, and a runtime that answers for a plan, so that the order of things can be tested.

Used as the module of a `Library`: all but what needs a driver is the real tensorrt_rtx. Streams hold what was put into them until
somebody waits; then steps are taken from the streams in a random order that obeys the events, and nothing but the events. A missing
event therefore shows as a wrong answer.

The network it computes: row r of an image's boxes, scores, labels and masks is filled with the value of that image's first pixel.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorrt_rtx

from streamseg.device.driver import Gpu, OutOfMemory

__version__ = tensorrt_rtx.__version__
GPU = Gpu("Fake RTX 3090", (8, 6), 24 << 30)
NAMES = ("images", "boxes", "scores", "labels", "masks")


def __getattr__(name: str) -> Any:
    return getattr(tensorrt_rtx, name)


@dataclass
class World:
    """What the test sets and sees."""

    batches: tuple[int, ...] = (1, 4)
    size: tuple[int, int] = (8, 12)
    detections: int = 3
    side: int = 28
    memory: int = 1 << 30
    """Bytes of the GPU."""
    capturable: bool = True
    names: tuple[str, ...] = NAMES
    information: str = "{}"
    """What the engine inspector says."""
    refuse: str = ""
    """deserialize, context or enqueue: fails, saying this error."""
    error: str = "something broke"
    driver: FakeDriver | None = None
    runs: list[int] = field(default_factory=list)
    """Batch sizes in the order in which the network computed them."""
    launched: int = 0
    loaded: list[bytes] = field(default_factory=list)
    """Plans that reached the runtime."""
    jit: bytes = b""
    """What the runtime's cache was filled with."""
    graph_strategy: Any = None


world = World()


class FakeDriver:
    """See streamseg.device.driver.Driver."""

    def __init__(self) -> None:
        self.gpu = GPU
        self.lock = threading.RLock()
        self.chance = random.Random(1)
        self.streams: dict[int, deque[tuple[str, Any]]] = {}
        self.happened: dict[int, int] = {}
        self.recorded: dict[int, int] = {}
        self.memory: dict[int, np.ndarray] = {}
        self.used = self.allocations = 0
        self.attached = set[int]()
        self.capturing: dict[int, list[tuple[str, Any]]] = {}
        self.graphs: dict[int, list[tuple[str, Any]]] = {}
        self.closed = False
        self.next = 1
        self.attach()
        world.driver = self

    def attach(self) -> None:
        self.attached.add(threading.get_ident())

    def _handle(self) -> int:
        assert threading.get_ident() in self.attached, "a thread that has no context called the driver"
        self.next += 1
        return self.next

    def stream(self) -> int:
        handle = self._handle()
        self.streams[handle] = deque()
        return handle

    def event(self) -> int:
        handle = self._handle()
        self.happened[handle] = self.recorded[handle] = 0
        return handle

    def put(self, stream: int, kind: str, what: Any) -> None:
        assert threading.get_ident() in self.attached
        with self.lock:
            if stream in self.capturing:
                self.capturing[stream].append((kind, what))
            else:
                self.streams[stream].append((kind, what))

    def record(self, event: int, stream: int) -> None:
        with self.lock:
            self.recorded[event] += 1
            self.put(stream, "record", (event, self.recorded[event]))

    def wait(self, stream: int, event: int) -> None:
        with self.lock:
            self.put(stream, "wait", (event, self.recorded[event]))

    def synchronize(self, event: int) -> None:
        goal = self.recorded[event]
        while self.happened[event] < goal:
            with self.lock:
                self._step()

    def _step(self) -> None:
        ready = [s for s in self.streams.values() if s and not (s[0][0] == "wait" and self.happened[s[0][1][0]] < s[0][1][1])]
        if not ready:
            return
        kind, what = self.chance.choice(ready).popleft()
        if kind == "record":
            self.happened[what[0]] = what[1]
        elif kind == "work":
            what()

    def _allocate(self, size: int) -> int:
        self.allocations += 1
        self.used += size
        if self.used > world.memory:
            raise OutOfMemory("the GPU is out of memory")
        address = self._handle() << 32
        self.memory[address] = np.full(size, 77, np.uint8)
        return address

    def device_memory(self, size: int) -> int:
        return self._allocate(size)

    def host_memory(self, size: int) -> np.ndarray:
        self.allocations += 1
        return np.full(size, 78, np.uint8)

    def upload(self, device: int, host: np.ndarray, stream: int) -> None:
        def work() -> None:
            self.memory[device][: host.nbytes] = host

        self.put(stream, "work", work)

    def copy(self, to: int, device: int, size: int, stream: int) -> None:
        """`device` is the address of a tensor of torch's; `to` lies within what was allocated here."""

        def work() -> None:
            base = max(address for address in self.memory if address <= to)
            found = (ctypes.c_uint8 * size).from_address(device)
            self.memory[base][to - base : to - base + size] = found

        self.put(stream, "work", work)

    def download(self, host: np.ndarray, device: int, stream: int) -> None:
        def work() -> None:
            host[:] = self.memory[device][: host.nbytes]

        self.put(stream, "work", work)

    @contextlib.contextmanager
    def capture(self, stream: int) -> Iterator[list[int]]:
        made: list[int] = []
        self.capturing[stream] = []
        yield made
        steps = self.capturing.pop(stream)
        if world.capturable:
            made.append(self._handle())
            self.graphs[made[0]] = steps

    def launch(self, graph: int, stream: int) -> None:
        world.launched += 1
        for kind, what in self.graphs[graph]:
            self.put(stream, kind, what)

    def close(self) -> None:
        self.closed = True


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.shape: tuple[int, ...] = ()
        self.scratch = (0, 0)

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = index
        return index < len(world.batches)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shape = shape
        return name == "images" and shape == (world.batches[self.profile], *world.size, 3)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return name in world.names

    def set_device_memory(self, address: int, size: int) -> None:
        self.scratch = (address, size)

    def execute_async_v3(self, stream: int) -> bool:
        if world.refuse == "enqueue":
            self.engine.log.log(tensorrt_rtx.ILogger.Severity.ERROR, world.error)
            return False
        assert world.driver is not None
        driver, batch, d = world.driver, self.shape[0], world.detections
        assert self.scratch[1] >= self.engine.get_device_memory_size_for_profile_v2(self.profile)
        addresses = dict(self.addresses)

        def work() -> None:
            row = world.size[0] * world.size[1] * 3
            first = driver.memory[addresses["images"]][: batch * row].reshape(batch, row)[:, 0]
            for name, count, kind in (
                ("boxes", 4, "f4"),
                ("scores", 1, "f4"),
                ("labels", 1, "i4"),
                ("masks", world.side**2, "f4"),
            ):
                values = np.repeat(first.astype(kind), d * count)
                driver.memory[addresses[name]][: values.nbytes] = values.view(np.uint8)
            world.runs.append(batch)

        driver.put(stream, "work", work)
        return True


class _Config:
    def __init__(self) -> None:
        self.dynamic_shapes_kernel_specialization_strategy: Any = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        assert strategy == tensorrt_rtx.ExecutionContextAllocationStrategy.USER_MANAGED

    @property
    def cuda_graph_strategy(self) -> Any:
        return world.graph_strategy

    @cuda_graph_strategy.setter
    def cuda_graph_strategy(self, strategy: Any) -> None:
        world.graph_strategy = strategy

    def create_runtime_cache(self) -> Any:
        def fill(data: bytes) -> bool:
            world.jit = data
            return True

        return SimpleNamespace(deserialize=fill, serialize=lambda: b"kernels")

    def set_runtime_cache(self, cache: Any) -> bool:
        return True


class _Engine:
    def __init__(self, log: Any) -> None:
        self.log = log
        self.num_io_tensors = len(world.names)

    def get_tensor_name(self, index: int) -> str:
        return world.names[index]

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        return [(world.batches[index], *world.size, 3)] * 3

    def get_device_memory_size_for_profile_v2(self, index: int) -> int:
        return 1000 * world.batches[index]

    def create_runtime_config(self) -> _Config:
        return _Config()

    def create_execution_context(self, how: Any) -> _Context | None:
        if world.refuse == "context":
            self.log.log(tensorrt_rtx.ILogger.Severity.ERROR, world.error)
            return None
        return _Context(self)

    def create_engine_inspector(self) -> Any:
        say: Callable[[Any], str] = lambda _: world.information  # noqa: E731
        return SimpleNamespace(get_engine_information=say)


class Runtime:
    def __init__(self, log: Any) -> None:
        self.log = log

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        world.loaded.append(plan)
        if world.refuse == "deserialize":
            self.log.log(tensorrt_rtx.ILogger.Severity.ERROR, world.error)
            return None
        return _Engine(self.log)
