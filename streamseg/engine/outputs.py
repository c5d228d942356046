"""What a network answered for a batch: named arrays, as its graph declares them. What they mean is for `streamseg.detect.heads`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.hub.graph_file import TensorInfo

__all__ = ["Outputs"]

Array = npt.NDArray[Any]


class Outputs(Mapping[str, Array]):
    """The arrays [B, ...] of a batch of B pictures by the names of the graph's outputs; nothing is checked of their values.

    Never changes; the arrays are the caller's, and slices of it share them.
    """

    __slots__ = ("_arrays", "_count")

    def __init__(self, arrays: Mapping[str, Array], declared: Mapping[str, TensorInfo] | None = None) -> None:
        """With `declared` (`GraphSpec.outputs`) names, types and shapes must be those. Raises ValueError where they are not."""
        counts = {len(array) if array.ndim else 0 for array in arrays.values()}
        if len(counts) != 1:
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items()) or "no array"
            raise ValueError(f"Outputs: expected arrays of one number of pictures, got {shapes}")
        if declared is not None:
            _check(arrays, declared)
        self._arrays, self._count = dict(arrays), counts.pop()

    @property
    def batch(self) -> int:
        """B, pictures."""
        return self._count

    def row(self, picture: int) -> dict[str, Array]:
        """Views of one picture's arrays, without the axis of the batch. Raises IndexError."""
        return {name: array[picture] for name, array in self._arrays.items()}

    def rows(self, first: int, end: int) -> Outputs:
        """The answers for some pictures in a row, as views."""
        return Outputs({name: array[first:end] for name, array in self._arrays.items()})

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"Outputs({', '.join(f'{name}: {array.dtype.name} {list(array.shape)}' for name, array in self.items())})"


def _check(arrays: Mapping[str, Array], declared: Mapping[str, TensorInfo]) -> None:
    if arrays.keys() != declared.keys():
        raise ValueError(f"Outputs: the graph declares {', '.join(declared)}, but the engine gave {', '.join(arrays)}")
    for name, info in declared.items():
        array = arrays[name]
        axes = zip(array.shape[1:], info.shape[1:], strict=False)
        if array.dtype != np.dtype(info.dtype) or array.ndim != len(info.shape) or any(want not in (0, n) for n, want in axes):
            raise ValueError(f"Outputs: {name} is declared as {info}, but is {array.dtype.name} {list(array.shape)}")
