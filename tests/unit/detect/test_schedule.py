"""How often the network runs where it cannot run on every frame, and what is said of it."""

import time
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.detect.infer import NO_TURN, Infer
from streamseg.detect.preprocess import Prepared
from streamseg.detect.schedule import DetectionSchedule
from streamseg.engine.outputs import Outputs
from streamseg.pixels.letterbox import Letterbox
from streamseg.runtime import Skip

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def prepared(index: int, epoch: int = 0, rate: int = 25) -> Prepared:
    frame = Frame(av.VideoFrame(64, 48, "gray"), index, index, Fraction(1, rate), epoch=epoch)
    return Prepared(frame, PICTURE, Letterbox(1, 1, 0, 0, 64, 48))


def test_each_lasting_change_is_said_once_and_taken_back():
    said = []
    schedule = DetectionSchedule("auto", say=said.append)
    for i in range(250):
        schedule.served(0.11)  # of 40 ms between frames: every 3rd
        schedule(prepared(i))
    assert schedule.every == 3
    assert said == ["load: the network looks at every 3rd frame, to keep up; masks are carried to the others"]
    for i in range(250, 700):
        schedule.served(0.01)
        schedule(prepared(i))
    assert schedule.every == 1
    assert said[1:] == ["load: there is time again: the network looks at every frame"]


def test_frames_that_are_lost_all_the_same_are_told():
    said = []
    schedule = DetectionSchedule("auto", say=said.append)
    for i in range(0, 900, 2):
        schedule.served(1.0)
        schedule(prepared(i))
    assert schedule.every == 8
    assert any("frames are left out all the same" in text for text in said)
    assert len(said) <= 2


def test_frames_left_out_for_a_lower_rate_are_not_lost():
    """25 frames a second of which 10 are let through: the network, which takes 30 ms, has time for each."""
    schedule = DetectionSchedule("auto", max_rate=10)
    for i in range(0, 500, 5):
        for index in (i, i + 3):
            schedule.served(0.03)
            schedule(prepared(index))
    assert schedule.every == 1
    slow = DetectionSchedule("auto", max_rate=10)
    for i in range(0, 500, 5):
        slow.served(0.25)
        slow(prepared(i))
    assert slow.every >= 2


class Busy:
    """An engine that answers when it is told to."""

    together, in_flight, spec = 1, 1, None

    def __init__(self) -> None:
        self.asked: list[Future[Outputs]] = []

    def submit(self, images):
        self.asked.append(Future())
        return self.asked[-1]


def test_where_the_network_is_busy_nothing_waits_for_it():
    engine = Busy()
    infer = Infer(engine, schedule=DetectionSchedule("auto"))
    given = [infer.take(prepared(i)) for i in range(5)]
    assert [pending.future is not None for pending in given] == [True, False, False, False, False]
    engine.asked[0].set_result(Outputs({"n": np.zeros((1, 1), np.float32)}))
    assert infer.take(prepared(5)).future is not None, "as soon as it has time, it looks again"
    cut = replace(prepared(6, epoch=1))
    assert infer.take(cut).future is not None, "a new scene is not left to the flow"
    later = [infer.take(prepared(7 + i, epoch=1)).future is not None for i in range(9)]
    assert any(later), "nor is anything for more than eight frames"
    assert not all(later[:5])


@pytest.mark.parametrize("every", [1, 3])
def test_a_fixed_interval_is_kept_whatever_the_load(every):
    engine = Busy()
    infer = Infer(engine, schedule=DetectionSchedule(every))
    looked = [infer.take(prepared(i)).future is not None for i in range(9)]
    assert looked == [i % every == 0 for i in range(9)]


def test_after_a_rest_the_first_frame_that_moves_is_looked_at():
    infer = Infer(SimpleNamespace(together=1, in_flight=4, submit=lambda images: Future()), schedule=DetectionSchedule(5))
    assert infer.take(prepared(0)).future is not None
    still = infer.take(replace(prepared(1), still=True))
    assert (still.future, still.still) == (None, True)
    assert infer.take(prepared(2)).future is not None


class Shared(Busy):
    """One that others use, too: it says whose turn it is."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = True

    def turn(self) -> bool:
        return self.mine


def test_a_frame_without_its_turn_is_carried_on_and_after_many_left_out():
    engine = Shared()
    infer = Infer(engine, schedule=DetectionSchedule("auto"))
    assert infer(now(0)).future is not None
    engine.mine = False
    given = [infer(now(i)) for i in range(1, 12)]
    assert [getattr(each, "future", each) for each in given] == [None] * 7 + [Skip(NO_TURN)] * 4
    engine.mine = True
    assert infer(now(12)).future is not None


def test_what_cannot_be_carried_on_is_left_out_until_its_turn():
    engine = Shared()
    infer = Infer(engine, schedule=DetectionSchedule("auto"))
    assert infer(now(0)).future is not None
    engine.mine = False
    assert [infer(now(i, epoch=1)) for i in (1, 2)] == [Skip(NO_TURN)] * 2, "of another epoch, which nothing is known of"
    engine.mine = True
    assert infer(now(3, epoch=1)).future is not None


def now(index: int, epoch: int = 0) -> Prepared:
    given = prepared(index, epoch)
    return replace(given, frame=replace(given.frame, arrived=time.monotonic()))
