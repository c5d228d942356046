"""These tests need an NVIDIA GPU. Without one they are skipped, unless STREAMSEG_REQUIRE_GPU=1: then its absence is a failure."""

from __future__ import annotations

import os

import pytest

from streamseg.device.driver import Gpu, find_gpu, sleep_while_waiting
from streamseg.errors import EngineUnavailable, MissingExtra


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    try:
        found = find_gpu()
    except (EngineUnavailable, MissingExtra) as error:
        if os.environ.get("STREAMSEG_REQUIRE_GPU") == "1":
            pytest.fail(f"STREAMSEG_REQUIRE_GPU=1, but: {error}")
        pytest.skip(str(error))
    sleep_while_waiting()  # before torch makes the context: FFmpeg would refuse it, and NVDEC's test would test nothing
    return found
