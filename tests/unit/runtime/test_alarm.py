"""A call at a time that may be changed."""

from __future__ import annotations

import threading
import time

from streamseg.runtime.alarm import Alarm


def test_it_calls_once_at_the_time_that_was_set_last():
    called = []
    rung = threading.Event()

    def act() -> None:
        called.append(time.monotonic())
        rung.set()

    alarm = Alarm(act, "test-alarm")
    alarm.set(None)
    assert "test-alarm" not in {thread.name for thread in threading.enumerate()}, "no thread before there is a time"
    began = time.monotonic()
    alarm.set(began + 60)
    alarm.set(began + 0.03)
    assert rung.wait(10)
    time.sleep(0.03)
    assert len(called) == 1
    assert called[0] >= began + 0.03
    alarm.set(time.monotonic() + 0.02)
    alarm.set(None)
    time.sleep(0.05)
    assert len(called) == 1
    alarm.close()
    assert "test-alarm" not in {thread.name for thread in threading.enumerate()}


def test_what_it_calls_may_set_it_again():
    times = []
    done = threading.Event()

    def act() -> None:
        times.append(time.monotonic())
        if len(times) < 3:
            alarm.set(time.monotonic() + 0.01)
        else:
            done.set()

    alarm = Alarm(act, "test-alarm")
    alarm.set(time.monotonic())
    assert done.wait(10)
    alarm.close()
    assert len(times) == 3
