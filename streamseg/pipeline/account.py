"""What became of every frame that a source gave: it got a result, was left out at a place for a reason, or is under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamseg.decode import Decoder
from streamseg.pipeline.pace import Paced
from streamseg.pipeline.report import Tally
from streamseg.runtime import Runtime

__all__ = ["BUSY", "LATE", "OVER_RATE", "UNFINISHED", "Account", "take_account"]

LATE = "decode: late"
"""The decoder was behind: pictures before a newer key frame were not decoded."""
OVER_RATE = "decode: above max_rate"
BUSY = "busy"
"""A newer frame came while all behind were busy: the one that had waited longest went. Its place is the stage that was busy."""
UNFINISHED = "end: unfinished"
"""The run was cut short while it was under way."""


@dataclass(frozen=True, slots=True)
class Account:
    """Frames so far: `captured` is `processed`, all that is in `skipped`, and `under_way` together, whenever it is asked for."""

    captured: int
    """Frames that the source gave."""
    processed: int
    """Frames that got a result."""
    detected: int
    """Of these, frames that the network looked at."""
    gated: int
    """Of these, frames that the motion gate kept off the network."""
    under_way: int
    """Frames that are being worked on; 0 once a run has ended."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Frames that were left out, by "PLACE: REASON"."""

    @property
    def dropped(self) -> int:
        """Frames that were left out to keep up, not because a lower rate was asked for."""
        return sum(count for reason, count in self.skipped.items() if reason not in (OVER_RATE, UNFINISHED))


def take_account(decoder: Decoder, paced: Paced, runtime: Runtime, tally: Tally, *, ended: bool) -> Account:
    """The account of a run as it stands.

    Frames move on while this looks. So it looks from the end of their way to its beginning: what it has counted there can only
    have come from what it counts later, and nothing is counted that was not captured.
    """
    detected, gated, processed = tally.detected, tally.gated, tally.frames
    skipped: dict[str, int] = {}
    trunk = runtime.trunk()
    for counters in reversed(trunk):
        skipped |= {f"{counters.name}: {reason}": count for reason, count in dict(counters.skipped).items()}
    if busy := runtime.dropped:
        skipped[f"{trunk[0].name}: {BUSY}"] = busy
    given = runtime.counters["decode"].given
    skipped |= {reason: count for reason, count in ((OVER_RATE, paced.skipped), (LATE, decoder.left_out)) if count}
    left = skipped.get(OVER_RATE, 0) + skipped.get(LATE, 0)
    under_way = given + left - processed - sum(skipped.values())
    if ended and under_way:
        skipped[UNFINISHED], under_way = under_way, 0
    return Account(given + left, processed, detected, gated, under_way, skipped)
