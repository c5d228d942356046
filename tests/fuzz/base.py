"""What a campaign's part is, and what counts as wrong although nothing was raised."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Part", "Wrong"]


class Wrong(Exception):
    """The product ended well, but what it made is not right."""


class Part(Protocol):
    """Inputs of one kind: how they are made, and what the product does with them."""

    name: str
    count: int
    """Inputs of a whole campaign."""

    def prepare(self, folder: Path) -> None:
        """Once in each process, before its first input; `folder` is there and outlives the process.

        What the inputs need is loaded here: libraries take seconds on a busy machine, and an input would be blamed for them.
        """

    def make(self, rng: random.Random) -> Any:
        """The input that `rng` leads to; the same for the same state of `rng`."""

    def save(self, case: Any, folder: Path) -> Path:
        """Write the input into `folder`, for people."""

    def run(self, case: Any, folder: Path) -> str:
        """Let the product have it, in an empty folder; a word for how it ended. Raises StreamsegError (that is right, too)."""
