from __future__ import annotations

import pytest

from streamseg.engine.tensorrt import opener
from streamseg.engine.tensorrt.library import Library
from tests.unit.engine.tensorrt import fake

RTX = Library("tensorrt-rtx", fake.__name__, "rtx", ahead_of_time=True)
TENSORRT = Library("tensorrt", fake.__name__, "gpu", ahead_of_time=False)


@pytest.fixture
def world(monkeypatch) -> fake.World:
    """A machine with a GPU, as far as the driver is concerned."""
    made = fake.World()
    monkeypatch.setattr(fake, "world", made)
    monkeypatch.setattr(opener, "Driver", fake.FakeDriver)
    monkeypatch.setattr(opener, "find_gpu", lambda: fake.GPU)
    monkeypatch.setattr(opener, "no_driver", lambda: None)
    return made
