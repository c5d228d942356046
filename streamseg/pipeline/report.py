"""What a run did: frames, instances by class, rates, latency, drops. Plain data for the table, the progress bar and machines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from streamseg.core.result import Result
from streamseg.errors import NotKept
from streamseg.pipeline.speed import Speed
from streamseg.runtime import Counters

__all__ = ["OutputReport", "RunReport", "Tally", "refuse_warnings"]


@dataclass(slots=True)
class Tally:
    """The stage that counts what passes by, for the report and the progress line."""

    frames: int = 0
    detected: int = 0
    """Of these, frames that the network looked at."""
    gated: int = 0
    """Of these, frames that the motion gate kept off it."""
    instances: int = 0
    first_time: float | None = None
    last_time: float = 0.0
    current: dict[str, int] = field(default_factory=dict)
    """Instances of each class in the newest frame."""

    def __call__(self, result: Result) -> Result:
        """The same result, counted."""
        found = result.instances
        self.frames += 1
        self.detected += result.detected
        self.gated += result.still
        self.instances += len(found)
        self.first_time = result.time if self.first_time is None else self.first_time
        self.last_time = result.time
        self.current = {}
        for name in found.names:
            self.current[name] = self.current.get(name, 0) + 1
        return result


@dataclass(frozen=True, slots=True)
class OutputReport:
    """One output of a run."""

    name: str
    path: str
    frames: int
    dropped: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run."""

    source: str
    engine: str
    model: str
    seconds: float
    """Wall clock, from the first thread's start to the last one's end."""
    frames_in: int
    frames_done: int
    dropped: int
    """Frames that a live run left out to keep up."""
    instances: int
    objects: dict[str, int]
    """Different identities of each class, each counted once it was certain."""
    latency_ms: dict[str, float]
    """Live only: from capture to the composited picture, of the slowest output over the last minute: `p50`, `p95`, `p99`."""
    events: dict[str, Any]
    """`lines`: crossings of each by direction; `zones`: of each `inside`, `entered`, `left`, `mean_seconds`, `longest_seconds`."""
    stages: dict[str, dict[str, float]]
    """For each stage: items, milliseconds an item (busy) and on a core (cpu), items dropped before it."""
    outputs: tuple[OutputReport, ...]
    warnings: tuple[str, ...]
    interrupted: bool
    precision: str = ""
    """Number format in which the network was computed."""
    speed: Speed | None = None
    """What the run reached of what its engine could do alone, and what kept it from that; None for a run of a moment."""

    skipped: dict[str, int] = field(default_factory=dict)
    """Frames that got no result, by "PLACE: REASON"; with `frames_done` they make up `frames_in`."""
    detected: int = 0
    """Frames that the network looked at."""
    gated: int = 0
    """Frames that the motion gate kept off it."""
    results: dict[str, Any] = field(default_factory=dict)
    """The results file: its `path`, whether it was `read` or written, its `frames`, and `bytes` written; {}: there is none."""

    privacy: list[dict[str, Any]] = field(default_factory=list)
    """For each setting of privacy: `classes`, `frames`, `hidden_share`, and `needed`: which safety hid what; []: there is none."""

    camera: dict[str, Any] = field(default_factory=dict)
    """Of a driving scene: `source` (given, exif, film, guessed), `fov` (degrees), `focal_std` (a share), `height` (metres or None);
    {}: the scene is not looked at."""

    @property
    def fps(self) -> float:
        """Frames a second, processed."""
        return self.frames_done / self.seconds if self.seconds > 0 else 0.0

    def __repr__(self) -> str:
        parts = [f"{self.frames_done} frames of {self.source!r} in {self.seconds:.1f} s ({self.fps:.1f}/s)"]
        parts += [f"{self.dropped} dropped"] if self.dropped else []
        parts += ["interrupted"] if self.interrupted else []
        parts += [f"outputs {', '.join(repr(output.path) for output in self.outputs)}"] if self.outputs else []
        warned = len(self.all_warnings)
        parts += [f"{warned} warning{'s' * (warned > 1)}"] if warned else []
        return f"RunReport({', '.join(parts)})"

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Those of the whole and those of each output."""
        return (*self.warnings, *(text for output in self.outputs for text in output.warnings))

    def worded(self, word: Callable[[str], str]) -> Self:
        """The same with each warning in other words."""
        outputs = tuple(replace(output, warnings=tuple(map(word, output.warnings))) for output in self.outputs)
        return replace(self, outputs=outputs, warnings=tuple(map(word, self.warnings)))

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {**asdict(self), "fps": round(self.fps, 3)}


def refuse_warnings(warnings: Sequence[str], then: str) -> None:
    """Raise NotKept where there is a warning; `then` says what becomes of the files."""
    told = list(dict.fromkeys(warnings))
    if told:
        raise NotKept(f"--strict: {then}, but not all is as in the source: {'; '.join(told)}")


def stage_table(counters: dict[str, Counters]) -> dict[str, dict[str, float]]:
    """Milliseconds and counts of each stage."""
    table: dict[str, dict[str, float]] = {}
    for name, c in counters.items():
        n = max(1, c.given)
        table[name] = {
            "items": c.given,
            "busy_ms": round(1000 * c.busy / n, 3),
            "cpu_ms": round(1000 * c.cpu / n, 3),
            "dropped": c.dropped,
        }
    return table


def latency_table(stages: Iterable[Counters]) -> dict[str, float]:
    """Milliseconds as `Latency.milliseconds` gives them, of that stage whose median is largest; {} where nothing arrived."""
    return max((c.latency.milliseconds() for c in stages), key=lambda table: table.get("p50", -1.0), default={})
