"""Every pixel of every person is hidden in every frame, and each rule is needed for that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamseg.composite import Privacy
from streamseg.core.result import Result
from streamseg.shield.safeties import told_of
from streamseg.shield.shield import Shield
from tests import scenes
from tests.noisy_detector import NoisyDetector
from tests.unit.shield.dropping import SURE, Dropping, Seen, covers, seen

PERSON = Privacy(("person",))


@pytest.fixture(scope="module")
def crossing() -> list[scenes.Truth]:
    """People who meet and hide each other, 1.2 s."""
    scene = scenes.crossing(seed=2)
    return [scene.truth(i) for i in range(40, 70)]


def of(truths: list[scenes.Truth], effect: Privacy = PERSON) -> Seen:
    detector = Dropping(0.4, seed=5)
    return seen(truths, covers(map(detector, truths), effect, live=True), effect)


def test_whoever_is_lost_stays_hidden(crossing) -> None:
    told = of(crossing)
    assert told.uncovered == []
    assert told.needless < 4, "what is hidden without a person, to one pixel of a person"


def test_that_is_by_remembering(crossing) -> None:
    """Without it the people who are dropped are seen."""
    assert len(of(crossing, replace(PERSON, hold=0)).uncovered) > 5


def test_whoever_is_found_late_was_hidden_before(crossing) -> None:
    """In a film; live nobody can know."""
    some, exact = crossing[:12], Dropping(0.0)
    results = [exact(truth) for truth in some]
    results[:5] = [replace(result, instances=result.instances[:0]) for result in results[:5]]
    assert seen(some, covers(results, PERSON, live=False), PERSON).uncovered == []
    assert seen(some, covers(results, PERSON, live=True), PERSON).uncovered == [40, 41, 42, 43, 44]


def test_low_scores_are_hidden(crossing) -> None:
    def doubtful(truth: scenes.Truth) -> Result:
        result = Dropping(0.0)(truth)
        return replace(result, instances=replace(result.instances, scores=np.full(len(result), 0.06, np.float32)))

    some = crossing[:6]
    assert seen(some, covers(map(doubtful, some), PERSON, live=True), PERSON).uncovered == []
    only_sure = replace(PERSON, score=SURE)
    assert len(seen(some, covers(map(doubtful, some), only_sure, live=True), only_sure).uncovered) == 6


def test_the_margin_hides_what_masks_lack(crossing) -> None:
    some, none = crossing[:10], replace(PERSON, margin="0px", hold=0)
    noisy = {"miss": 0.0, "least_visible": 0.0, "flicker": 0.0, "merge": 0.0, "false": 0.0}
    results = [detector(truth) for detector in [NoisyDetector(seed=1, **noisy)] for truth in some]
    assert seen(some, covers(results, PERSON, live=True), PERSON).uncovered == []
    assert len(seen(some, covers(results, none, live=True), none).uncovered) == 10


def test_a_frame_that_was_not_answered_is_held_or_hidden_whole(crossing) -> None:
    def skipped(result: Result) -> Result:
        return replace(result, detected=False, instances=result.instances[:0]) if result.frame.index % 3 else result

    results = [skipped(Dropping(0.0)(truth)) for truth in crossing[:7]]
    told = covers(results, PERSON, live=True)
    # Of frames 40 to 46 those that are multiples of three are answered; at first nothing is there to be held.
    assert [one.covers[PERSON].unanswered for one in told] == ["cover", "cover", "", "hold", "hold", "", "hold"]
    nonsense = [results[2], replace(results[5], answered=False)]
    assert covers(nonsense, PERSON, live=True)[1].covers[PERSON].whole


def test_what_is_carried_on_unseen_says_so(crossing) -> None:
    effect = replace(PERSON, unanswered="carry")
    results = [Dropping(0.0)(truth) for truth in crossing[:4]]
    results[1:3] = [replace(result, detected=False, instances=result.instances[:0]) for result in results[1:3]]
    told = covers(results, effect, live=True)
    assert seen(crossing[:4], told, effect).uncovered == []
    assert [one.covers[effect].unanswered for one in told] == ["", "carry", "carry", ""]


def test_nothing_is_trusted_over_a_cut() -> None:
    makes = (scenes.crossing, scenes.street)
    shots = [replace(make(seed=seed), times=scenes.times(0.2)) for seed, make in enumerate(makes)]
    film = list(scenes.Film(shots))
    detector = NoisyDetector.perfect()
    results = [detector(truth) for truth in film]
    first = film[5].index
    results[first] = replace(results[first], detected=False, instances=results[first].instances[:0])
    cover = covers(results, PERSON, live=True)[first].covers[PERSON]
    assert cover.unanswered == "cover", "the picture before the cut is not held"
    assert not cover.cells.any(), "nothing is carried over it"


def test_a_new_epoch_is_another_film(crossing) -> None:
    results = [Dropping(0.0)(truth) for truth in crossing[:3]]
    empty = results[2].instances[:0]
    results[2] = replace(results[2], frame=replace(results[2].frame, epoch=1), instances=empty, detected=False)
    cover = covers(results, PERSON, live=True)[2].covers[PERSON]
    assert cover.unanswered == "cover"


def test_what_goes_on_is_what_would_without_it(crossing) -> None:
    shield = Shield(PERSON, sure=SURE, ahead=0, shows=lambda found: found.scores >= 0.5)
    result = Dropping(0.0)(crossing[0])
    scores = np.linspace(0.9, 0.3, len(result)).astype(np.float32)
    (given,) = shield(replace(result, instances=replace(result.instances, scores=scores)))
    assert (given.instances.scores >= 0.5).all()
    assert len(given.instances) < len(result)


def test_it_says_which_frames_needed_what(crossing) -> None:
    shield = Shield(PERSON, sure=SURE, ahead=0)
    detector = Dropping(0.4, seed=5)
    for truth in crossing:
        shield(detector(truth))
    told = shield.safeties.to_json()
    assert told["frames"] == 30
    assert told["needed"]["lost"]["frames"] > 5
    assert told["needed"]["lost"]["pixels"] > 1000
    stretch = next(one for one in told["stretches"] if one["why"] == "lost")
    assert 40 <= stretch["first"] <= stretch["last"] < 70
    assert "a lost object in" in told_of(told)


@pytest.mark.long
@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.parametrize(
    "make",
    [
        scenes.crossing,
        scenes.street,
        lambda seed: scenes.crossing(seed=seed, camera=scenes.pan(60), seconds=2.5),
        lambda seed: scenes.street(seed=seed, camera=scenes.shake(6)),
    ],
    ids=["crossing", "street", "pan", "shake"],
)
def test_all_scenes(make, seed, live) -> None:
    truths = list(make(seed=seed))
    detector = Dropping(0.2, seed=seed)
    told = seen(truths, covers(map(detector, truths), PERSON, live=live), PERSON)
    print(f"{told.needless:.2f} needless pixels to one of a person")
    assert told.uncovered == []
