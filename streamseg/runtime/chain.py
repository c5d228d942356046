"""Several stages in one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamseg.runtime.runtime import Stage

__all__ = ["Chain"]


class Chain:
    """Stages that run one after the other as one.

    Each thread and its channel hold up to two frames, so that where something behind is slow every stage less is latency less.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def __call__(self, item: Any, /) -> Any:
        """Through all of them."""
        for stage in self._stages:
            item = stage(item)
        return item

    def flush(self) -> None:
        """The input has ended; no stage here may hold items back."""
        self._all("flush")

    def close(self) -> None:
        """Close those that can be closed."""
        self._all("close")

    def _all(self, name: str) -> None:
        for stage in self._stages:
            if (end := getattr(stage, name, None)) is not None:
                end()
