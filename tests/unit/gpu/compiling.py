"""The kernels of a run compiled for real GPUs on a machine without one: launches are recorded, and compiled instead of run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction


class _Driver:
    """What Triton asks the driver of before a launch: which GPU there is."""

    def __init__(self, capability: int) -> None:
        self._capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self._capability, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: int) -> int:
        return 0


class Launch:
    """A kernel and what it was launched with."""

    def __init__(self, kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.kernel, self._args, self._kwargs = kernel, args, kwargs
        self.name: str = kernel.fn.__name__
        self.given: dict[str, Any] = dict(zip(kernel.arg_names, args, strict=False)) | kwargs

    @property
    def variant(self) -> tuple[Any, ...]:
        """What Triton compiles anew for: types, constants, and whether numbers are 1 or multiples of 16, unless told not to."""
        known: list[Any] = [self.name]
        for param in self.kernel.params:
            value = self.given[param.name]
            if param.is_constexpr:
                known.append((param.name, value))
            elif isinstance(value, torch.Tensor):
                known.append((param.name, value.dtype, param.do_not_specialize_on_alignment or value.data_ptr() % 16 == 0))
            elif not param.do_not_specialize:
                known.append((param.name, value == 1, value % 16 == 0))
        return tuple(known)

    def compile(self, capability: int) -> Any:
        """Compiled for a compute capability, 90 for 9.0, as the launch would on such a GPU: Triton, and the ptxas it brings."""
        with mock.patch.object(driver, "_active", _Driver(capability)):
            self.kernel.device_caches.clear()
            try:
                return self.kernel.warmup(*self._args, grid=(1,), **self._kwargs)
            finally:
                self.kernel.device_caches.clear()


@contextlib.contextmanager
def recorded() -> Iterator[list[Launch]]:
    """All launches within, none of which happens."""
    launches: list[Launch] = []

    def run(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> None:
        launches.append(Launch(self, args, kwargs))

    with mock.patch.object(JITFunction, "run", run):
        yield launches
