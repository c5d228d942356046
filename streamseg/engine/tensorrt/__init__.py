"""TensorRT and TensorRT-RTX: one package for both, since they share an API.

`compiler` makes an ONNX graph a plan, with no GPU for TensorRT-RTX; `runtime` runs a plan; `opener` finds or builds the plan
for this GPU in the store (`streamseg.engine.store`). Networks are strongly typed: precision is that of the graph's own types, which
is all that TensorRT 11 and TensorRT-RTX offer. The libraries are imported when they are first used.
"""

from streamseg.engine.tensorrt.builder import Built
from streamseg.engine.tensorrt.compiler import compile_plan
from streamseg.engine.tensorrt.library import LIBRARIES, TENSORRT, TENSORRT_RTX, Library
from streamseg.engine.tensorrt.opener import open_tensorrt, open_tensorrt_rtx, why_not_tensorrt, why_not_tensorrt_rtx

__all__ = [
    "LIBRARIES",
    "TENSORRT",
    "TENSORRT_RTX",
    "Built",
    "Library",
    "compile_plan",
    "open_tensorrt",
    "open_tensorrt_rtx",
    "why_not_tensorrt",
    "why_not_tensorrt_rtx",
]
