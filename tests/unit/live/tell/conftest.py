"""For the tests of what others are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def ended() -> Iterator[list[Any]]:
    """What is in it is closed or stopped, the last first, whatever happens."""
    things: list[Any] = []
    yield things
    for thing in reversed(things):
        thing.close() if hasattr(thing, "close") else thing.stop(2.0)
