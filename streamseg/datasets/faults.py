"""What is wrong in annotated photos: named, counted, and either worked around or refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from streamseg.errors import ConfigError

__all__ = ["BadData", "Fault", "Faults"]

BadData = Literal["skip", "refuse"]
EXAMPLES = 3


@dataclass(slots=True)
class Fault:
    """One kind of fault."""

    done: str
    """What becomes of it where it is not refused: "left out", "region ignored", …"""
    count: int = 0
    examples: list[str] = field(default_factory=list)
    """Where the first few are."""


@dataclass(slots=True)
class Faults:
    """All that was wrong in some data, by kind."""

    kinds: dict[str, Fault] = field(default_factory=dict)

    def add(self, kind: str, where: str, done: str = "left out", count: int = 1) -> None:
        """Note one fault, or so many."""
        fault = self.kinds.setdefault(f"{kind}, {done}", Fault(done))
        fault.count += count
        if len(fault.examples) < EXAMPLES:
            fault.examples.append(where)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(fault.count for fault in self.kinds.values())

    def sentences(self) -> list[str]:
        """One for each kind."""
        return [f"{fault.count} × {kind} (as {'; '.join(fault.examples)})" for kind, fault in self.kinds.items()]

    def raise_if_refused(self, choice: str) -> None:
        """Raise ConfigError, naming every kind, where there is a fault and `choice` is "refuse"."""
        if choice not in get_args(BadData):
            raise ConfigError(f"bad data: {choice!r} is not a choice; allowed: {', '.join(get_args(BadData))}")
        if choice == "refuse" and self.kinds:
            listed = "\n  ".join(self.sentences())
            raise ConfigError(f"the data have faults; correct them, or take the rest with --bad-data skip:\n  {listed}")
