"""Frames are begun only if those before them get through in time."""

from __future__ import annotations

import time
from fractions import Fraction

import av
import pytest

from streamseg.core.types import Frame
from streamseg.pipeline import admission
from streamseg.pipeline.admission import BEHIND, Admission
from streamseg.runtime import Branch, Runtime


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(admission.time, "monotonic", lambda: now[0])
    return now


def arriving(index: int, now: float) -> Frame:
    return Frame(av.VideoFrame(8, 6, "gray"), index, index, Fraction(1, 25), arrived=now)


def through(clock: list[float], frames: int, took: float, network: float) -> tuple[int, float]:
    """How many of so many frames, 40 ms apart, come through a pipeline that works on one for `took` seconds after the other; and
    the greatest latency."""
    gate, waiting, free, done, worst = Admission(lambda frame: frame, lambda: network), list[Frame](), 0.0, 0, 0.0
    for index in range(frames):
        clock[0] = 100 + 0.04 * index
        while waiting and free <= clock[0]:
            first = waiting.pop(0)
            gate.through(first)
            done, worst = done + 1, max(worst, free - first.arrived)
            free = max(free, first.arrived) + took if not waiting else free + took
        now = arriving(index, clock[0])
        if gate.admits(now):
            free = clock[0] + took if not waiting else free
            waiting.append(now)
    return done, worst


def test_a_pipeline_that_keeps_up_loses_nothing(clock):
    done, worst = through(clock, 100, took=0.03, network=0.0)
    assert done >= 99
    assert worst <= 0.08


def test_one_that_does_not_is_late_by_little_and_works_all_the_time(clock):
    done, worst = through(clock, 250, took=0.1, network=0.0)
    assert worst <= 0.04 + 2 * 0.1, "one interval until the next is held back, and two that are worked on"
    assert done >= 0.9 * 250 * 0.04 / 0.1


def test_frames_that_never_come_out_are_not_waited_for_for_good(clock):
    gate = Admission(lambda frame: frame, lambda: 0.0)
    assert gate.admits(arriving(0, clock[0]))
    clock[0] += 0.5
    assert not gate.admits(arriving(12, clock[0]))
    clock[0] += 0.6
    assert gate.admits(arriving(27, clock[0]))


def test_what_waits_for_the_network_is_not_held_against_it(clock):
    gate = Admission(lambda frame: frame, lambda: 0.3)
    assert gate.admits(arriving(0, clock[0]))
    for index in range(1, 8):
        clock[0] += 0.04
        assert gate.admits(arriving(index, clock[0])), index
    clock[0] += 0.1
    assert not gate.admits(arriving(10, clock[0]))


def test_frames_that_are_left_out_on_the_way_hold_nothing_back(clock):
    gate = Admission(lambda frame: frame, lambda: 0.0)
    for index in range(10):
        now = arriving(index, clock[0])
        assert gate(now) is now
        gate.through(now)
        clock[0] += 0.2


def test_what_is_not_begun_is_counted():
    """In a whole pipeline: a sink that takes 60 ms a frame, and a camera of 25 a second."""

    class Source:
        def frames(self):
            for index in range(25):
                time.sleep(0.04)
                yield arriving(index, time.monotonic())

        def stop(self):
            """It ends by itself."""

        def close(self):
            """Nothing to close."""

    gate = Admission(lambda frame: frame, lambda: 0.0)
    took = []

    def sink(frame):
        time.sleep(0.06)
        took.append(time.monotonic() - frame.arrived)

    runtime = Runtime(
        Source(),
        [("preprocess", gate)],
        [Branch("show", [("show", sink)], 8)],
        policy="drop_oldest",
        capacity=8,
        through=gate.through,
    )
    runtime.run()
    trunk = runtime.trunk()[0]
    assert trunk.skipped[BEHIND] + len(took) + runtime.dropped == 25
    assert trunk.skipped[BEHIND] >= 3
