"""How near a run came to what its engine could do alone, what kept it from that, and whether the machine slowed down meanwhile.

The engine alone: once the run has ended, its last pictures are given to the engine again and again for half a second to two, and
nothing else runs. Compared are pictures a second through the network, so that `detect_every` does not count for speed. A run of a
few seconds is not compared, nor is what happens live, where the source sets the pace: its share of the engine's time is told.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from streamseg.detect.infer import Infer
from streamseg.engine import Engine
from streamseg.runtime import Counters
from streamseg.system.cores import core_count
from streamseg.system.throttling import Throttling, lost_since

__all__ = ["LEAST_SECONDS", "Speed", "bare_rate", "measure_speed"]

LEAST_SECONDS = 10.0
"""Of a run that is compared with its engine alone: the measurement takes a twentieth of it."""
SLOWED = 1.2
"""So many times the time a picture at the beginning is told as having slowed down."""
_WAITS = ("infer", "postprocess")
"""Stages that wait for the engine inside: only what they compute is theirs."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of a run's speed."""

    pictures: int
    """That went through the network."""
    engine_busy: float
    """Share of the time in which the engine had a picture to work on."""
    alone: float | None
    """Pictures a second of the engine alone; None: not measured."""
    of_alone: float | None
    """The run's pictures a second over that."""
    limit: str
    """What kept the run from being faster, in words."""
    slowed: tuple[str, ...] = ()
    """What the machine lost meanwhile, as far as the system counts it, in sentences."""


def bare_rate(engine: Engine, images: Any, seconds: float) -> float:
    """Pictures a second of `engine` with `images`, a batch, and nothing beside it. Raises EngineError."""
    under_way: deque[Future[Any]] = deque(engine.submit(images) for _ in range(engine.in_flight))
    under_way.popleft().result()
    under_way.append(engine.submit(images))
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        under_way.append(engine.submit(images))
        under_way.popleft().result()
        done += len(images)
    rate = done / (time.perf_counter() - began)
    for future in under_way:
        future.result()
    return rate


def measure_speed(
    infer: Infer | None,
    counters: Mapping[str, Counters],
    seconds: float,
    *,
    live: bool,
    dropped: int,
    before: Throttling,
    alone: float | None,
) -> Speed:
    """Put together what a run of `seconds` says; `alone`: what `bare_rate` gave, if it was asked; `infer` None: no network ran."""
    wall = max(seconds, 1e-9)
    if infer is None:
        return Speed(0, 0.0, None, None, _limit(counters, wall, 0.0, False), tuple(lost_since(before, seconds, core_count())))
    work = infer.work
    busy = min(1.0, work.seconds / wall)
    slowed = [*_slower(work.at_first(), work.at_last()), *lost_since(before, seconds, core_count())]
    of_alone = None if not alone else round(work.pictures / wall / alone, 3)
    limit = _limit(counters, wall, busy, live and not dropped)
    return Speed(work.pictures, round(busy, 3), None if alone is None else round(alone, 2), of_alone, limit, tuple(slowed))


def _limit(counters: Mapping[str, Counters], wall: float, engine: float, source: bool) -> str:
    if source:
        return f"the source; the engine was busy for {engine:.0%} of the time"
    shares = {name: (c.cpu if name in _WAITS else c.busy) / wall for name, c in counters.items()} | {"the engine": engine}
    name, share = max(shares.items(), key=lambda pair: pair[1])
    return f"{name}, busy for {min(1.0, share):.0%} of the time"


def _slower(first: float | None, last: float | None) -> list[str]:
    if first is None or last is None or last < SLOWED * first:
        return []
    return [f"the network took {1000 * last:.1f} ms a picture at the end, {1000 * first:.1f} ms at the beginning"]
