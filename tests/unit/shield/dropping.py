"""A detector that loses what it has found for a while, and what is then seen of the people in a scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from streamseg.composite import Privacy
from streamseg.core.result import Result
from streamseg.shield.shield import Shields
from tests.noisy_detector import NoisyDetector
from tests.scenes import PERSON, Truth

SURE = 0.5


@dataclass
class Dropping:
    """Says what is true of each frame, but that it drops a person now and then for up to `longest` seconds."""

    longest: float
    seed: int = 0
    _until: dict[int, float] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng, self._exact = np.random.default_rng(self.seed), NoisyDetector.perfect()

    def __call__(self, truth: Truth) -> Result:
        kept = np.array([self._sees(int(one), truth.time) for one in truth.ids], bool)
        names = ("ids", "labels", "visible", "amodal", "depths", "inside")
        some = replace(truth, hidden_by=truth.hidden_by[kept][:, kept], **{name: getattr(truth, name)[kept] for name in names})
        return Result(truth.frame(), self._exact.instances(some))

    def _sees(self, one: int, time: float) -> bool:
        if time < self._until.get(one, -1.0):
            return False
        self._seen[one] = self._seen.get(one, 0) + 1
        if self.longest and self._seen[one] > 5 and self._rng.uniform() < 0.1:
            self._until[one], self._seen[one] = time + float(self._rng.uniform(0.04, self.longest)), 0
            return False
        return True


class Seen(NamedTuple):
    """Of a whole film."""

    uncovered: list[int]
    """Frames in which a pixel of a person is seen."""
    pixels: int
    """Pixels of people that are seen in all."""
    needless: float
    """Pixels that are hidden without a person, to one of a person."""


def covers(results: Iterable[Result], effect: Privacy, *, live: bool) -> list[Result]:
    """What a shield makes of them."""
    shield = Shields([effect], sure=SURE, live=live)
    given = [one for result in results for one in shield(result)]
    return given + shield.flush()


def seen(truths: list[Truth], told: list[Result], effect: Privacy) -> Seen:
    """Of the people of these frames, where `told` covers them."""
    assert [one.frame.index for one in told] == [truth.index for truth in truths]
    bad, pixels, hidden, people = [], 0, 0, 0
    for truth, result in zip(truths, told, strict=True):
        person = truth.visible[truth.labels == PERSON].any(0)
        cover = result.covers[effect]
        alpha = cover.alpha(result.frame.width, result.frame.height, (2, 2)) > 0
        count = 0 if cover.whole else int((person & ~alpha).sum())
        bad += [truth.index] * bool(count)
        pixels, hidden, people = pixels + count, hidden + int((alpha & ~person).sum()), people + int(person.sum())
    return Seen(bad, pixels, hidden / max(1, people))
