"""What a camera's pipelines counted, put together over as many of them as it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from streamseg.pipeline.build import Pipeline

__all__ = ["NOTHING", "Counts"]


@dataclass(frozen=True, slots=True)
class Counts:
    """See CameraStatus."""

    captured: int = 0
    processed: int = 0
    detected: int = 0
    gated: int = 0
    under_way: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    reconnects: int = 0
    total: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """What a pipeline counted so far."""
        account = pipeline.account()
        return cls(
            account.captured,
            account.processed,
            account.detected,
            account.gated,
            account.under_way,
            account.skipped,
            pipeline.decoder.counters.reconnects,
            pipeline.objects,
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.captured + other.captured,
            self.processed + other.processed,
            self.detected + other.detected,
            self.gated + other.gated,
            self.under_way + other.under_way,
            Counter(self.skipped) + Counter(other.skipped),
            self.reconnects + other.reconnects,
            Counter(self.total) + Counter(other.total),
        )


NOTHING = Counts()
