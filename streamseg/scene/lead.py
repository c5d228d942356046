"""The lead: the vehicle ahead in the same lane. It stays the lead through doubt of a moment, and while it is unseen for one."""

from __future__ import annotations

from collections.abc import Iterable

from streamseg.scene.followed import Followed

__all__ = ["Lead"]

TAKEN, KEPT = 0.6, 0.25
"""Probability that it is in the corridor: from which it may lead, and under which it no longer does."""
TAKES, LEAVES, UNSEEN = 0.3, 0.6, 1.0
"""Seconds: for which it must be the nearest, out of the corridor, or unseen, for the lead to change."""
SAME = 0.5
"""Overlap (IoU) from which a new track is the lead that has just been lost."""
Box = tuple[float, float, float, float]


class Lead:
    """Which track leads; 0: none."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A new epoch."""
        self.track = 0
        self._box: Box | None = None
        self._seen = self._inside = self._ahead = 0.0
        self._candidate, self._since = 0, 0.0

    def __call__(self, present: Iterable[tuple[Followed, Box]], now: float) -> int:
        """`present`: who is seen in this frame, with their boxes."""
        vehicles = [(f, box) for f, box in present if f.kind == "vehicle" or f.name.lower() in ("motorcycle", "motorbike")]
        if self.track:
            self._keep(vehicles, now)
        ahead = [(f, box) for f, box in vehicles if f.in_path >= TAKEN]
        if self.track and self._seen < now:  # only who has come between
            ahead = [(f, box) for f, box in ahead if f.look.ahead < self._ahead]
        nearest = min(ahead, key=lambda each: each[0].look.ahead, default=None)
        if nearest is None or nearest[0].track == self.track:
            self._candidate = 0
        elif nearest[0].track != self._candidate:
            self._candidate, self._since = nearest[0].track, now
        elif now - self._since >= TAKES:
            self._take(*nearest, now)
        return self.track

    def _keep(self, vehicles: list[tuple[Followed, Box]], now: float) -> None:
        mine = next(((f, box) for f, box in vehicles if f.track == self.track), None)
        if mine is None:
            same = [(f, box) for f, box in vehicles if self._box is not None and _overlap(box, self._box) >= SAME]
            if same:
                self._take(*max(same, key=lambda each: _overlap(each[1], self._box or each[1])), now)
            elif now - self._seen > UNSEEN:
                self.track = 0
            return
        self._seen, self._ahead, self._box = now, mine[0].look.ahead, mine[1]
        if not mine[0].in_path < KEPT:
            self._inside = now
        elif now - self._inside > LEAVES:
            self.track = 0

    def _take(self, followed: Followed, box: Box, now: float) -> None:
        self.track, self._box, self._ahead = followed.track, box, followed.look.ahead
        self._seen, self._inside, self._candidate = now, now, 0


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
