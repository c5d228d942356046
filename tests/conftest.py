"""For all tests."""

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator

import pytest

from streamseg.system.imports import import_openvino
from streamseg.system.scheduling import usual_scheduling

# MKL keeps buffers by thread and has been seen to spin for ever where one thread ends while torch multiplies in another.
os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")

# Here and in the processes that tests start, also where a test imports a runtime itself: no report to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import_openvino()

# What someone has tuned on this machine is not what is tested.
os.environ["STREAMSEG_CONFIG"] = tempfile.mkdtemp(prefix="streamseg-tests-")


@pytest.fixture(autouse=True)
def _usual_scheduling() -> Iterator[None]:
    """Tests encode AV1 by themselves, too, which makes real-time threads of root's, and of what they start."""
    with usual_scheduling():
        yield


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which is not there where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_report_collectionfinish(items: list[pytest.Item]) -> list[str]:
    """Says which long tests a run takes."""
    long = Counter(item.location[0] for item in items if item.get_closest_marker("long"))
    return [f"with {sum(long.values())} long tests: " + ", ".join(f"{n} of {file}" for file, n in long.items())] if long else []
