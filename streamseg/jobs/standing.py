"""How a job stands, from its book alone: also of one that runs elsewhere, or has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from streamseg.errors import SourceNotFound
from streamseg.jobs.manifest import NAME, Book, Entry

__all__ = ["Standing", "standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A job, as its book has it."""

    folder: Path
    films: dict[str, Entry]
    """By path of the source."""
    of: int
    """Films of the job, those that were not come to yet included; 0: not known (a book of an older version)."""
    began: datetime | None
    """When it was last begun."""
    now: datetime
    command: tuple[str, ...] = ()
    """How it was begun, behind `streamseg`; empty: not known, or by a program."""
    begun_in: str = ""
    """The folder in which that was typed."""

    def having(self, status: str) -> dict[str, Entry]:
        """The films that stand so."""
        return {source: entry for source, entry in self.films.items() if entry.status == status}

    @property
    def left(self) -> int | None:
        """Films that are neither done nor have failed; None: not known."""
        return None if not self.of else max(0, self.of - len(self.having("done")) - len(self.having("failed")))

    @property
    def rate(self) -> float | None:
        """Films an hour since it was last begun; None: none has ended since."""
        if self.began is None:
            return None
        ended = [when for entry in self.films.values() if (when := _when(entry.ended)) is not None and when >= self.began]
        if not ended:
            return None
        running = bool(self.having("running"))
        seconds = ((self.now if running else max(ended)) - self.began).total_seconds()
        return len(ended) / max(seconds, 1.0) * 3600

    @property
    def seconds_left(self) -> float | None:
        """Until all are done, as fast as so far; None: not known, or nothing is left."""
        return None if not self.left or not self.rate else self.left / self.rate * 3600

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        counts = {status: len(self.having(status)) for status in ("done", "failed", "running", "interrupted")}
        films = {source: entry.as_json() for source, entry in self.films.items()}
        told = {"folder": str(self.folder), "of": self.of or None, "left": self.left, **counts}
        return told | {"films_an_hour": self.rate, "seconds_left": self.seconds_left, "films": films}


def standing(folder: str | PathLike[str]) -> Standing:
    """How the job whose outputs are in `folder` stands. Raises SourceNotFound where there is no book that can be read."""
    folder = Path(folder)
    book = Book.read(folder)
    if book.damaged:
        raise SourceNotFound(f"{folder / NAME}: {book.damaged}")
    if not (folder / NAME).exists():
        raise SourceNotFound(f"{folder}: there is no job (no {NAME}); name the folder of its outputs")
    return Standing(folder, book.films, book.of, _when(book.began), datetime.now(UTC), book.command, book.folder)


def _when(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
