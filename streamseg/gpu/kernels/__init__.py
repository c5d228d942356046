"""Triton kernels for the picture on the GPU: the network's input, and the effects, in the picture's own planes.

They compute what the CPU's `streamseg.pixels.letterbox` and `streamseg.composite` compute, step by step, and run on a GPU or, with
TRITON_INTERPRET=1 in the environment before Triton is imported, on CPU tensors in Triton's interpreter. Importing this package
needs torch and triton, and raises MissingExtra without.
"""

from importlib.util import find_spec

from streamseg.errors import MissingExtra

for _package in ("torch", "triton"):
    if find_spec(_package) is None:
        raise MissingExtra(_package, "gpu")

from streamseg.gpu.kernels.composite import CompositeKernels  # noqa: E402
from streamseg.gpu.kernels.preprocess import PreprocessKernel  # noqa: E402
from streamseg.gpu.kernels.surface import Surface, supported  # noqa: E402

__all__ = ["CompositeKernels", "PreprocessKernel", "Surface", "supported"]
