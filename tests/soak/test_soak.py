"""A short soak with and without a leak; `make soak` is the long one."""

from __future__ import annotations

import pytest

from tests.soak.soak import Report, soak


def test_a_slope_is_told_from_a_peak() -> None:
    still = [(minute / 10, 200.0 + (50.0 if minute == 70 else 0.0), 20, 10) for minute in range(100)]
    assert Report(samples=still).judged() == []
    leaking = [(at, megabytes + 9.0 * at, files, threads) for at, megabytes, files, threads in still]
    assert Report(samples=leaking).judged() == ["memory grows by 9.0 MB a minute"]
    files = [(at, megabytes, 20 + round(3 * at), threads) for at, megabytes, _, threads in still]
    assert "files grows by" in Report(samples=files).judged()[0]


@pytest.mark.long
def test_nothing_breaks_in_a_minute() -> None:
    report = soak(1.0, seed=1)
    assert report.faults == []
    assert report.private > 0
    assert report.frames > 100


@pytest.mark.long
def test_a_stage_that_leaks_is_found() -> None:
    report = soak(1.5, seed=1, leak=True)
    assert any(fault.startswith("memory grows by") for fault in report.judged())
