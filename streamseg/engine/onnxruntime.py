"""ONNX Runtime on the CPU, of the `onnx` extra: a second opinion, slower here than OpenVINO.

float16 graphs are computed in float32, for want of float16 kernels; int8 graphs run slower than float32 ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.engine.base import PooledEngine
from streamseg.errors import EngineError, MissingExtra
from streamseg.errors.extras import how_to_install
from streamseg.hub.graph_spec import GraphSpec
from streamseg.system.callbacks import Message
from streamseg.system.cores import core_count
from streamseg.system.imports import import_onnxruntime

__all__ = ["open_onnxruntime", "why_not_onnxruntime"]


def why_not_onnxruntime() -> str | None:
    """Why it cannot run here, or None if it can."""
    try:
        import_onnxruntime()
    except ImportError as error:
        return f"onnxruntime cannot be imported ({error}); run: {how_to_install('onnx')}"
    return None


def open_onnxruntime(
    spec: GraphSpec, *, threads: int = 0, in_flight: int = 2, batch: int = 1, on_message: Message | None = None
) -> PooledEngine:
    """Load for the CPU: one session, which is safe to run from `in_flight` threads at once, with `threads` threads (0: one a core).

    `on_message` is not needed: it takes a moment.

    Raises EngineError if ONNX Runtime cannot load the graph, MissingExtra if it is not installed.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise MissingExtra("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, (threads or core_count()) // in_flight)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle workers would otherwise spin on the cores that decoding and drawing need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(spec.path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class but Exception
        raise EngineError(f"ONNX Runtime {onnxruntime.__version__} cannot load {spec.called}: {error}") from error

    names = list(spec.outputs)

    def run(images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        return dict(zip(names, session.run(names, {"images": images}), strict=True))

    types = "int8 and float32" if spec.precision == "int8" else "float32"
    device = f"CPU ({types}, requests: {in_flight}, threads: {options.intra_op_num_threads * in_flight})"
    return PooledEngine("onnxruntime", device, spec, [run] * in_flight, spec.batch or batch)
