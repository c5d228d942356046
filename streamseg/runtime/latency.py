"""How long items took, over the last minute."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator

__all__ = ["PERCENTILES", "Latency"]

SPAN = 60.0
"""Seconds that are looked back on."""
MOST = 30_000
"""Items that are remembered: a minute of 500 a second."""
PERCENTILES = (50, 95, 99)


class Latency:
    """Seconds that items took, of those that were measured within `span` seconds of the newest. One thread adds, any may ask."""

    def __init__(self, span: float = SPAN) -> None:
        self._span = span
        self._items: deque[tuple[float, float]] = deque(maxlen=MOST)
        """(when it was measured on the monotonic clock, seconds that it took)."""

    def add(self, seconds: float, now: float | None = None) -> None:
        """An item took so long; `now` is the monotonic clock's time."""
        now = time.monotonic() if now is None else now
        self._items.append((now, seconds))
        while self._items[0][0] < now - self._span:
            self._items.popleft()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[float]:
        return (seconds for _, seconds in self._items.copy())

    def milliseconds(self) -> dict[str, float]:
        """`p50`, `p95` and `p99`: so many percent of the items took at most so many milliseconds; {} where there were none.

        The nearest-rank percentile: each is a time that an item really took.
        """
        ordered = sorted(self)
        if not ordered:
            return {}
        ranks = {share: max(0, math.ceil(share / 100 * len(ordered)) - 1) for share in PERCENTILES}
        return {f"p{share}": round(1000 * ordered[rank], 1) for share, rank in ranks.items()}
