"""Every frame that a source gave got a result, was left out for a reason that is told, or is under way; at every moment."""

import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from streamseg.pipeline.account import take_account
from streamseg.pipeline.pace import Paced
from streamseg.runtime import Branch, Runtime, Skip


class Source:
    """Frames as fast as they are taken; `left_out` of others grows meanwhile."""

    def __init__(self, count):
        self.count, self.left_out, self.stopped = count, 0, threading.Event()

    def frames(self):
        for i in range(self.count):
            if self.stopped.is_set():
                return
            if i % 7 == 3:
                self.left_out += 2
            yield SimpleNamespace(index=i, time=i / 100)

    def stop(self):
        self.stopped.set()

    def close(self):
        pass


class Counting:
    """As `Tally`."""

    def __init__(self):
        self.frames = self.detected = self.gated = 0

    def __call__(self, frame):
        self.frames += 1
        self.detected += frame.index % 2
        return frame


def odd_ones(frame):
    time.sleep(0.0002)
    return Skip("odd") if frame.index % 3 == 1 else frame


def check(account):
    assert account.captured == account.processed + account.under_way + sum(account.skipped.values())
    assert account.under_way >= 0
    return account


def test_the_sum_is_right_whenever_it_is_asked_for():
    source, tally = Source(3000), Counting()
    paced = Paced(source, 50.0)
    trunk = [("first", lambda frame: frame), ("second", odd_ones), ("tally", tally)]
    seen = []
    runtime = Runtime(paced, trunk, [Branch("a", [("sink", seen.append)])], capacity=1, policy="drop_oldest")
    runtime.start()
    most, last = 0, 0
    deadline = time.monotonic() + 20
    while not runtime.wait(0.0003):
        account = check(take_account(source, paced, runtime, tally, ended=runtime.ended))
        most, before, last = max(most, account.under_way), last, account.captured
        assert before <= last
        assert time.monotonic() < deadline
    account = check(take_account(source, paced, runtime, tally, ended=runtime.ended))
    assert most <= 8, "one in each channel and each thread"
    assert account.under_way == 0
    assert account.captured == 3000 + source.left_out
    assert account.processed == len(seen) == tally.frames
    assert account.skipped["decode: late"] == source.left_out
    assert account.skipped["decode: above max_rate"] == 1500
    assert account.skipped["second: odd"] > 0
    missing = 3000 - 1500 - len(seen) - account.skipped["second: odd"]
    assert account.skipped.get("first: busy", 0) == missing, "drops told are drops seen"
    assert account.dropped == account.captured - account.processed - 1500


def test_what_a_run_that_is_cut_short_had_under_way_is_told():
    source, tally = Source(3000), Counting()
    paced, gate = Paced(source), threading.Event()
    trunk = [("first", lambda frame: frame), ("second", lambda frame: (gate.wait(10), frame)[1]), ("tally", tally)]
    runtime = Runtime(paced, trunk, [Branch("a", [("sink", lambda frame: None)])], capacity=2)
    runtime.start()
    while runtime.counters["decode"].given < 5:
        time.sleep(0.001)
    runtime.abort()
    gate.set()
    assert runtime.wait(10)
    account = check(take_account(source, paced, runtime, tally, ended=runtime.ended))
    assert account.under_way == 0
    assert account.skipped["end: unfinished"] == account.captured - account.processed - source.left_out > 0


@pytest.mark.parametrize(("rate", "source", "kept"), [(10, 25, 20), (25, 25, 50), (12.5, 25, 25), (30, 25, 50), (1, 25, 2)])
def test_frames_beyond_a_rate_are_left_out_evenly(rate, source, kept):
    jitter = [0.0, 0.003, -0.004, 0.002, -0.001]
    times = [i / source + jitter[i % 5] for i in range(2 * source)]
    decoder = SimpleNamespace(frames=lambda: iter(SimpleNamespace(time=time) for time in times))
    paced = Paced(decoder, rate)
    taken = [frame.time for frame in paced.frames()]
    assert len(taken) == kept
    assert paced.skipped == 2 * source - kept
    gaps = [b - a for a, b in itertools.pairwise(taken)]
    assert max(gaps, default=0) - min(gaps, default=0) <= 1 / source + 0.015


def test_after_a_gap_frames_are_not_taken_faster_to_make_up_for_it():
    times = [i / 25 for i in range(25)] + [60 + i / 25 for i in range(25)]
    paced = Paced(SimpleNamespace(frames=lambda: iter(SimpleNamespace(time=time) for time in times)), 5)
    taken = [frame.time for frame in paced.frames()]
    assert [time for time in taken if time >= 60] == pytest.approx([60, 60.2, 60.4, 60.6, 60.8])
