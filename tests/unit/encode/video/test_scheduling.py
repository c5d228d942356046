"""A run makes nothing on the machine wait for it."""

import os
import threading
from dataclasses import replace

import pytest

from streamseg.encode import open_sink
from streamseg.system.scheduling import real_time_threads, usual_scheduling
from tests.unit.encode.helpers import INFO, frames, rendered
from tests.unit.encode.video.test_codecs import still

LINUX_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0 and hasattr(os, "sched_setscheduler")


@pytest.mark.skipif(not LINUX_ROOT, reason="SVT-AV1 asks for it where root runs on Linux")
def test_av1_makes_no_real_time_threads(tmp_path):
    """All that was started later inherited it, and OpenVINO's threads, which wait by yielding, stood still for an hour."""
    sink = open_sink(tmp_path / "a.mkv", replace(INFO, width=96, height=64), codec="av1")
    sink.open()
    try:
        for frame in frames([still(index, 96, 64, "yuv420p") for index in range(3)], range(3)):
            sink(rendered(frame))
            assert real_time_threads() == set()
    finally:
        sink.close()


@pytest.mark.skipif(not LINUX_ROOT, reason="needs the right to real-time scheduling")
def test_what_was_real_time_before_stays_so():
    ready, go_on, found = threading.Event(), threading.Event(), []

    def own() -> None:
        with_it = os.sched_param(1)
        os.sched_setscheduler(0, os.SCHED_FIFO, with_it)
        ready.set()
        go_on.wait(10)
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=own)
    thread.start()
    ready.wait(10)
    with usual_scheduling():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    assert real_time_threads() == {thread.native_id}
    go_on.set()
    thread.join()
    assert found == [os.SCHED_FIFO]
