"""OpenVINO on the CPU: the engine of the light base."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.engine.base import PooledEngine
from streamseg.errors import EngineError, EngineUnavailable
from streamseg.hub.graph_spec import GraphSpec
from streamseg.runtime.process import forked, forked_from, keep_in_forks
from streamseg.system.callbacks import Message
from streamseg.system.cores import allowed_cores, core_count
from streamseg.system.cpu import bf16_is_faster, int8_is_faster
from streamseg.system.imports import import_openvino

__all__ = ["faster_precisions", "open_openvino", "why_not_bf16", "why_not_openvino"]


@cache
def _loaded() -> Any:
    """OpenVINO's core: one for the process, which stays.

    The CPU plugin gives the thread that loads it a stack for signals, and unmaps it when it is unloaded, by whichever thread: an
    engine opened in the main thread and closed in another made the next Ctrl-C a segmentation fault (seen with OpenVINO 2026.4).
    So it is loaded by a thread that no signal reaches, and never unloaded.

    That thread also reads a first tensor. What OpenVINO lays down at the first of all waits for the GIL while it holds a lock that
    others wait for with the GIL: two first answers at once stood still for ever (seen with 2026.4).
    """
    openvino = import_openvino()

    def load() -> Any:
        core = openvino.Core()
        core.available_devices  # noqa: B018 - loads the plugins
        openvino.Tensor(np.zeros(1, np.uint8)).data  # noqa: B018
        openvino.Type.u8.to_dtype()
        return core

    with ThreadPoolExecutor(1, "openvino") as thread:
        core = thread.submit(load).result()
    keep_in_forks(core)
    return core


_home: int | None = None
"""The process that loads, or has loaded, the core."""


def _core() -> Any:
    """The core. Raises EngineUnavailable in a fork of the process that loaded it: there OpenVINO waits for its threads for ever."""
    global _home
    _home = _home or os.getpid()
    if forked(_home):
        raise EngineUnavailable(forked_from("which had loaded OpenVINO"))
    return _loaded()


def why_not_openvino() -> str | None:
    """Why it cannot run here, or None if it can."""
    try:
        import_openvino()  # the core may be there from before
        devices = _core().available_devices
    except EngineUnavailable as error:
        return str(error)
    except ImportError as error:
        return f"openvino cannot be imported ({error}); run: pip install openvino"
    return (
        None
        if "CPU" in devices
        else f"OpenVINO finds no CPU plugin (devices: {', '.join(devices) or 'none'}); reinstall openvino"
    )


def why_not_bf16() -> str | None:
    """Why the CPU cannot compute in bfloat16, or None if it can (AVX512_BF16 or AMX)."""
    if (reason := why_not_openvino()) is not None:
        return reason
    core = _core()
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    return f"this CPU ({core.get_property('CPU', 'FULL_DEVICE_NAME')}) has no bfloat16 arithmetic (AVX512_BF16 or AMX)"


def faster_precisions() -> tuple[str, ...]:
    """What this CPU computes faster than float32, fastest first."""
    return ("int8",) * int8_is_faster() + ("bf16",) * (bf16_is_faster() and why_not_bf16() is None)


class _Request:
    """One infer request; its buffers are reused by every call."""

    def __init__(self, compiled: Any, names: Iterable[str]) -> None:
        self._request, self._names = compiled.create_infer_request(), tuple(names)

    def __call__(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        self._request.infer({"images": images}, share_inputs=True, share_outputs=True)
        return {name: self._request.get_tensor(name).data for name in self._names}


def open_openvino(
    spec: GraphSpec,
    *,
    threads: int = 0,
    in_flight: int = 2,
    batch: int = 1,
    on_message: Message | None = None,
    bf16: bool = False,
) -> PooledEngine:
    """Compile for the CPU: `in_flight` requests share `threads` threads (0: one a core).

    Measured with the lite model on 2 cores: two requests of one thread each need 9 to 25 % less processor time a picture than
    one request of two threads, whose threads wait for each other; one alone is about as fast on one thread as on two.

    Computes in float32 whatever the CPU offers, float16 graphs too, so that answers are the same on every machine: bfloat16,
    OpenVINO's default where the CPU has it, changes boxes and masks. `bf16` asks for it. The quantised layers of an int8 graph are
    computed in int8. `on_message` is not needed: it takes a moment.

    Raises EngineError if OpenVINO cannot compile the graph, EngineUnavailable if it is not installed or the CPU has no bfloat16.
    """
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise EngineUnavailable(f"openvino: {why_not_openvino()}") from error
    if bf16 and (reason := why_not_bf16()) is not None:
        raise EngineUnavailable(f"openvino: {reason}: leave the precision bf16 out, or take int8")
    size = spec.batch or batch
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "NUM_STREAMS": str(in_flight),
        "INFERENCE_NUM_THREADS": str(threads or core_count()),
    }
    if (threads or core_count()) < allowed_cores():
        # OpenVINO ties its threads to the first cores, in each process to the same ones, while others are idle.
        options["ENABLE_CPU_PINNING"] = "NO"
    try:
        core = _core()
        model = core.read_model(spec.path)
        if spec.batch == 0:
            model.reshape({"images": [size, *spec.size, 3]})  # a fixed shape runs faster than a dynamic one
        compiled = core.compile_model(model, "CPU", options)
        runners = [_Request(compiled, spec.outputs) for _ in range(in_flight)]
        cpu = str(core.get_property("CPU", "FULL_DEVICE_NAME"))
    except (RuntimeError, ValueError) as error:  # the latter where it cannot even say in UTF-8 what is wrong with a graph
        raise EngineError(f"OpenVINO {openvino.__version__} cannot compile {spec.called}: {error}") from error
    types = ("int8 and " if spec.precision == "int8" else "") + ("bfloat16" if bf16 else "float32")
    device = f"{cpu} ({types}, requests: {in_flight}, threads: {options['INFERENCE_NUM_THREADS']})"
    engine = PooledEngine("openvino", device, spec, runners, size)
    engine.precision = "bf16" if bf16 else spec.precision
    return engine
