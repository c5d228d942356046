"""What a job did: plain data, for programs and for the summary at its end.

Annotations are no strings here, so that `help` shows what they mean.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from streamseg.pipeline.report import RunReport

__all__ = ["FilmReport", "JobReport", "Status"]

Status = Literal["done", "skipped", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class FilmReport:
    """One film of a job."""

    source: str
    name: str
    status: Status
    """`skipped`: it was done before, and nothing has changed since."""
    error: str | None = None
    """Why it failed."""
    report: RunReport | None = None
    """What its run did."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """A whole job."""

    films: tuple[FilmReport, ...]
    """Those that were come to, in order."""
    left: int
    """How many were not, because the job was interrupted."""
    seconds: float
    manifest: str
    """Where it says what is done."""

    def having(self, status: Status) -> list[FilmReport]:
        """The films that ended so."""
        return [film for film in self.films if film.status == status]

    @property
    def ok(self) -> bool:
        """Whether all films are done."""
        return not self.left and all(film.status in ("done", "skipped") for film in self.films)

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        films = [{**dataclasses.asdict(f), "report": f.report.to_json() if f.report else None} for f in self.films]
        return {"films": films, "left": self.left, "seconds": self.seconds, "manifest": self.manifest, "ok": self.ok}
