"""The parts of a divided film's videos, as sinks ask for them: what a task makes is noted, and taken to the driver's book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.ranges.order import FilmOrder

__all__ = ["Kept"]


@dataclass(slots=True)
class Kept:
    """See `pipeline.answers.Progress`: of it only `keeper` means anything here."""

    order: FilmOrder
    book: Mapping[str, str] | None = None
    """SHA-256 of each part, all of which are finished; None: they are being made."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """Those that were made: name in the folder, and SHA-256."""

    def keeper(self, name: str) -> _Keeper:
        """Of the output `name`."""
        return _Keeper(self, name, self.order.length, self.order.threads)

    def begin(self, info: Any) -> None:
        """Nothing."""

    def opened(self) -> None:
        """Nothing."""

    def answers(self, config: Any, spec: Any, engine: Any) -> Any:
        """There are none to keep."""
        raise NotImplementedError


@dataclass(slots=True)
class _Keeper:
    """See `encode.sink.Keeper`."""

    kept: Kept
    name: str
    length: int
    threads: int

    def path(self, part: str) -> Path:
        folder = self.kept.order.folder / self.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder / part

    def digest(self, part: str) -> str | None:
        return None if self.kept.book is None else self.kept.book.get(f"{self.name}/{part}")

    def note(self, part: str, sha256: str) -> None:
        if self.kept.book is not None:
            raise OutputError(f"{self.path(part)}: this part was not finished")
        self.kept.notes.append((f"{self.name}/{part}", sha256))
