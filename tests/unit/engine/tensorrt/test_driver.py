"""The driver's calls: each exists in cuda-bindings, gets what it takes, and its failures say what the driver said.

No driver is here: the calls are checked against the real functions' signatures and answered by a stand-in.
"""

from __future__ import annotations

import ctypes
import inspect
import re
from typing import Any

import numpy as np
import pytest
import tensorrt_rtx
from cuda.bindings import driver as real

from streamseg.device import driver as module
from streamseg.device.driver import Driver, OutOfMemory, find_gpu, no_driver
from streamseg.errors import EngineError, EngineUnavailable, MissingExtra
from streamseg.errors.extras import how_to_install
from tests.unit.engine.tensorrt import fake

SUCCESS = real.CUresult.CUDA_SUCCESS


class StandIn:
    """cuda.bindings.driver, of which every call is checked and answered without a driver."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.fail: dict[str, Any] = {}
        self.devices = 1
        self.kept: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(real, name)
        if not name.startswith("cu") or isinstance(function, type):
            return function

        def call(*arguments: Any) -> tuple[Any, ...]:
            inspect.signature(function).bind(*arguments)
            self.calls.append((name, arguments))
            return (self.fail[name], None) if name in self.fail else (SUCCESS, *self._answer(name, arguments))

        return call

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        if name == "cuMemHostAlloc":
            self.kept.append(ctypes.create_string_buffer(arguments[0]))
            return (ctypes.addressof(self.kept[-1]),)
        if name == "cuDeviceGetAttribute":
            return (8,) if "MAJOR" in arguments[0].name else (6,)
        known = {
            "cuDeviceGetCount": self.devices,
            "cuDeviceGetName": b"GeForce\0\0\0",
            "cuDeviceTotalMem": 8 << 30,
            "cuGetErrorString": b"the driver's words",
        }
        silent = (
            "Destroy",
            "Free",
            "Release",
            "SetCurrent",
            "Synchronize",
            "Record",
            "Wait",
            "Memcpy",
            "Launch",
            "Begin",
            "Init",
            "SetFlags",
        )
        return () if any(word in name for word in silent) else (known.get(name, 4096 + len(self.calls)),)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture
def cuda(monkeypatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(module, "_bindings", lambda: stand_in)
    monkeypatch.setattr(module, "no_driver", lambda: None)
    return stand_in


def test_every_call_is_one_that_the_driver_takes(cuda):
    with Driver() as driver:
        assert (driver.gpu.name, driver.gpu.capability, driver.gpu.memory) == ("GeForce", (8, 6), 8 << 30)
        stream, event, memory = driver.stream(), driver.event(), driver.device_memory(100)
        host = driver.host_memory(64)
        assert (host.shape, host.dtype) == ((64,), np.uint8)
        host[:] = 3
        assert cuda.kept[0].raw == b"\3" * 64
        driver.upload(memory, host[:10], stream)
        driver.download(host[10:30], memory, stream)
        driver.copy(memory, memory + 8, 40, stream)
        driver.record(event, stream)
        driver.wait(stream, event)
        driver.synchronize(event)
        with driver.capture(stream) as graphs:
            pass
        driver.launch(graphs[0], stream)
    address = host.ctypes.data
    copies = {name: arguments for name, arguments in cuda.calls if "Memcpy" in name}
    assert copies["cuMemcpyHtoDAsync"] == (memory, address, 10, stream)
    assert copies["cuMemcpyDtoHAsync"] == (address + 10, memory, 20, stream)
    assert copies["cuMemcpyDtoDAsync"] == (memory, memory + 8, 40, stream)


def test_close_frees_everything_once_after_the_gpu_has_finished_and_the_context_last(cuda):
    driver = Driver()
    stream = driver.stream()
    driver.event(), driver.device_memory(1), driver.host_memory(1)
    with driver.capture(stream):
        pass
    cuda.calls.clear()
    driver.close()
    names = cuda.names()
    assert names.index("cuCtxSynchronize") < names.index("cuMemFree")
    assert sorted(names[2:]) == sorted(
        ["cuGraphExecDestroy", "cuMemFree", "cuMemFreeHost", "cuEventDestroy", "cuStreamDestroy", "cuDevicePrimaryCtxRelease"]
    )
    assert names[-1] == "cuDevicePrimaryCtxRelease"
    driver.close()
    assert cuda.names().count("cuMemFree") == 1


@pytest.mark.parametrize(("call", "ask"), [("cuMemAlloc", "device_memory"), ("cuMemHostAlloc", "host_memory")])
def test_memory_that_is_not_there(cuda, call, ask):
    with Driver() as driver:
        cuda.fail[call] = real.CUresult.CUDA_ERROR_OUT_OF_MEMORY
        with pytest.raises(OutOfMemory, match="the GPU is out of memory"):
            getattr(driver, ask)(1 << 40)


def test_an_error_says_what_the_driver_said(cuda):
    with Driver() as driver:
        cuda.fail["cuEventSynchronize"] = real.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
        with pytest.raises(EngineError, match=r"CUDA: the driver's words \(CUDA_ERROR_ILLEGAL_ADDRESS\)") as caught:
            driver.synchronize(driver.event())
        assert not isinstance(caught.value, OutOfMemory)


@pytest.mark.parametrize("call", ["cuStreamEndCapture", "cuGraphInstantiate"])
def test_work_that_cannot_be_captured_gives_no_graph(cuda, call):
    with Driver() as driver:
        cuda.fail[call] = real.CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
        with driver.capture(driver.stream()) as graphs:
            pass
        assert graphs == []


def test_a_machine_whose_gpus_cannot_be_used(cuda, monkeypatch):
    cuda.devices = 0
    with pytest.raises(EngineUnavailable, match="shows no GPU"):
        find_gpu()
    cuda.fail["cuInit"] = real.CUresult.CUDA_ERROR_NO_DEVICE  # what an empty CUDA_VISIBLE_DEVICES gives
    with pytest.raises(EngineUnavailable, match="CUDA_VISIBLE_DEVICES hides them"):
        find_gpu()
    cuda.fail["cuInit"] = real.CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
    with pytest.raises(EngineUnavailable, match="the NVIDIA driver does not work: CUDA: the driver's words"):
        find_gpu()
    monkeypatch.setattr(module, "no_driver", lambda: "no NVIDIA driver")
    with pytest.raises(EngineUnavailable, match="no NVIDIA driver"):
        find_gpu()


def test_cuda_bindings_that_are_not_there_say_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "no_driver", lambda: None)
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(MissingExtra, match=re.escape(f"cuda-bindings is not installed; run: {how_to_install('rtx')}")):
        find_gpu()


def test_a_library_of_the_drivers_name_is_looked_for(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert no_driver() == "no NVIDIA driver"
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object() if name == "libcuda.so.1" else 1 / 0)
    assert no_driver() is None


@pytest.mark.parametrize(
    ("stand_in", "name"),
    [
        (fake.FakeDriver, ""),
        (fake._Context, "IExecutionContext"),
        (fake._Engine, "ICudaEngine"),
        (fake._Config, "IRuntimeConfig"),
        (fake.Runtime, "Runtime"),
    ],
)
def test_the_stand_ins_of_these_tests_have_no_calls_that_the_real_ones_lack(stand_in, name):
    genuine = getattr(tensorrt_rtx, name) if name else Driver
    ours = {call for call in vars(stand_in) if not call.startswith("_")} - {"put"}
    assert ours
    assert ours <= set(dir(genuine))


def test_the_primary_context_is_made_as_ffmpeg_wants_it(cuda):
    """FFmpeg: "Primary context already active with incompatible flags", and decodes on the CPU."""
    module.sleep_while_waiting()
    name, arguments = cuda.calls[-1]
    assert (name, arguments[1]) == ("cuDevicePrimaryCtxSetFlags", real.CUctx_flags.CU_CTX_SCHED_BLOCKING_SYNC)
    cuda.calls.clear()
    cuda.fail["cuDeviceGet"] = real.CUresult.CUDA_ERROR_NO_DEVICE
    module.sleep_while_waiting()
    assert cuda.names() == ["cuInit", "cuDeviceGet"], "no GPU: it is for others to say"
