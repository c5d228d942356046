"""Sums of events: tracks of each class, crossings of each line, stays in each zone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from streamseg.core.types import Event

__all__ = ["Counts"]


class Counts:
    """What was counted so far."""

    def __init__(self, directions: Mapping[str, Iterable[str]], zones: Iterable[str]) -> None:
        """`directions`: of each line, by its name."""
        self.total: dict[str, int] = {}
        """Tracks, of each class."""
        self.crossed = {name: dict.fromkeys(both, 0) for name, both in directions.items()}
        """Crossings of each line, by direction."""
        self.stays: dict[str, dict[str, float]] = {
            name: {"inside": 0, "entered": 0, "left": 0, "seconds": 0.0, "longest": 0.0} for name in zones
        }
        """Of each zone: tracks inside, entries, exits; seconds of all stays that ended, and of the longest."""

    def adopt(self, former: Counts, same: Collection[str]) -> None:
        """Go on from these, for lines and zones of the same name; into zones that are not the `same`, tracks have to enter anew."""
        self.total = former.total
        for name, both in self.crossed.items():
            both.update({way: count for way, count in former.crossed.get(name, {}).items() if way in both})
        for name, stays in self.stays.items():
            stays.update(former.stays.get(name, {}))
            if name not in same:
                stays["inside"] = 0

    def add(self, event: Event) -> None:
        """Take an event into the sums."""
        if event.kind == "count":
            self.total[event.name] = self.total.get(event.name, 0) + 1
        elif event.kind == "cross":
            self.crossed[event.place][event.direction] += 1
        elif event.kind == "enter":
            self.stays[event.place]["inside"] += 1
            self.stays[event.place]["entered"] += 1
        elif event.kind == "leave":
            stays, seconds = self.stays[event.place], event.seconds or 0.0
            stays["inside"] -= 1
            stays["left"] += 1
            stays["seconds"] += seconds
            stays["longest"] = max(stays["longest"], seconds)

    def summary(self, lasting: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """All as plain data. `lasting`: of each zone, the seconds so far of the stays that go on, which count too."""
        zones: dict[str, dict[str, float]] = {}
        for name, stays in self.stays.items():
            all_seconds, number = stays["seconds"] + sum(lasting[name]), int(stays["left"]) + len(lasting[name])
            zones[name] = {
                "inside": int(stays["inside"]),
                "entered": int(stays["entered"]),
                "left": int(stays["left"]),
                "mean_seconds": round(all_seconds / number, 3) if number else 0.0,
                "longest_seconds": round(max([stays["longest"], *lasting[name]]), 3),
            }
        return {"total": dict(self.total), "lines": {k: dict(v) for k, v in self.crossed.items()}, "zones": zones}
