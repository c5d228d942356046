"""What all tasks of a divided film are told: the film, how it is run, where its ranges begin, and where what they make is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamseg.config.schema import PipelineConfig
from streamseg.engine import GraphSpec
from streamseg.pipeline.report import RunReport

__all__ = ["FilmOrder", "Made"]


@dataclass(frozen=True, slots=True)
class FilmOrder:
    """One film, divided. The same for all of its tasks; it can be pickled."""

    source: str
    config: PipelineConfig
    outputs: Sequence[str]
    """As -o says them."""
    folder: Path
    """Where it is kept what tasks have made: the run's `.NAME.job` (`jobs.progress`), which all workers see."""
    length: int
    """Pictures in a part of a video (`jobs.progress.PART_SECONDS`)."""
    starts: Sequence[int]
    """The first frame of each range, the multiple of a part's length; the last range ends with the film."""
    total: int
    """Pictures of the film, as its packets promise."""
    threads: int
    """Of each encoder, on whichever machine."""
    spec: GraphSpec
    """The model."""
    engine: str
    """What runs it, and in which number format."""
    precision: str

    def __len__(self) -> int:
        return len(self.starts)

    def frames(self, k: int) -> tuple[int, int | None]:
        """The first frame of range `k`, and the one behind its last; None: the film's end, wherever that is."""
        return self.starts[k], self.starts[k + 1] if k + 1 < len(self.starts) else None

    def parts(self, k: int) -> range:
        """The numbers of the parts of a video that range `k` has; of the last one as many as its packets promise."""
        first, end = self.frames(k)
        return range(first // self.length, -(-(self.total if end is None else end) // self.length))

    @property
    def table(self) -> Path:
        """The film's timetable, packed."""
        return self.folder / "timetable"

    def answers(self, k: int) -> str:
        """What look(k) makes: the network's answers."""
        return f"answers-{k:06d}.streamseg"

    def found(self, k: int) -> str:
        """What find(k) makes: the results, without pictures."""
        return f"found-{k:06d}"

    def record(self, k: int) -> str:
        """What find(k) makes: chunks of the results file."""
        return f"record-{k:06d}"

    def state(self, k: int) -> str:
        """What find(k) makes: the stages as they stand behind range `k`."""
        return f"state-{k:06d}"

    def memory(self, k: int) -> str:
        """What the outputs' effects remember where range `k` begins."""
        return f"memory-{k:06d}"


@dataclass(frozen=True, slots=True)
class Made:
    """What a task made."""

    parts: Sequence[tuple[str, str]] = ()
    """The name of each file below the folder, and its SHA-256."""
    messages: Sequence[str] = ()
    """What a person should be told."""
    report: RunReport | None = None
    """Of the whole run; `join` gives it."""
