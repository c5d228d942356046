"""The kernels of a run compiled for real GPUs on a machine without one: launches are recorded, and compiled instead of run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

_TYPES = {
    torch.uint8: "*u8",
    torch.uint16: "*u16",
    torch.int32: "*i32",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
}


class Launch:
    """A kernel and what it was launched with: as much as the compiler needs to know."""

    def __init__(self, kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.kernel = kernel
        self.name: str = kernel.fn.__name__
        given = self._given = dict(zip(kernel.arg_names, args, strict=False)) | kwargs
        self.constants = {p.name: given[p.name] for p in kernel.params if p.is_constexpr}
        self.signature = {p.name: "constexpr" if p.is_constexpr else _type_of(given[p.name]) for p in kernel.params}
        self.options = {name: value for name, value in kwargs.items() if name not in kernel.arg_names}

    @property
    def variant(self) -> tuple[Any, ...]:
        """What Triton compiles a kernel anew for: besides types and constants whether a number is 1 or a multiple of 16."""
        known = []
        for param in self.kernel.params:
            value = self._given[param.name]
            if isinstance(value, torch.Tensor) and not param.do_not_specialize_on_alignment:
                known.append((param.name, value.data_ptr() % 16 == 0))
            elif isinstance(value, int) and not param.is_constexpr and not param.do_not_specialize:
                known.append((param.name, value == 1, value % 16 == 0))
        return self.name, tuple(sorted(self.constants.items())), tuple(self.signature.values()), tuple(known)

    def compile(self, capability: int) -> Any:
        """Machine code for a compute capability, 90 for 9.0: by Triton and the ptxas that it brings."""
        at = {(self.kernel.arg_names.index(name),): value for name, value in self.constants.items()}
        source = ASTSource(fn=self.kernel, signature=self.signature, constexprs=at)
        return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=self.options)


def _type_of(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return _TYPES[value.dtype]
    assert isinstance(value, int), f"a kernel is launched with {value!r}"
    return "i32"


@contextlib.contextmanager
def recorded() -> Iterator[list[Launch]]:
    """All launches within, none of which happens."""
    launches: list[Launch] = []

    def run(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        launches.append(Launch(self, args, kwargs))

    with mock.patch.object(JITFunction, "run", run):
        yield launches
