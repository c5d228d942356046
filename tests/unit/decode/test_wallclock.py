"""When pictures of a camera were captured, by the clock on the wall."""

from __future__ import annotations

import itertools
import time

import pytest

from streamseg.core.utc import as_iso
from streamseg.decode.reconnect import Heard
from streamseg.decode.wallclock import WallClock

NOW = 1_796_058_480.0
"""2026-11-30T17:08:00Z."""


class Wall:
    """A wall clock that is `NOW` when it is made, and can be set."""

    def __init__(self) -> None:
        self.begin, self.ahead = time.monotonic(), 0.0

    def __call__(self) -> float:
        return NOW + self.ahead + time.monotonic() - self.begin


def _utcs(wall: Wall, rows: list[tuple[float, float, float | None, int]], said: list[str] | None = None) -> list[float]:
    """Of pictures of (time, seconds until it arrived, what the camera says, epoch)."""
    clock = WallClock((said if said is not None else []).append, wall)
    return [clock.utc(time_, wall.begin + came, told, epoch) - NOW for time_, came, told, epoch in rows]


def test_without_a_word_of_the_camera_it_is_when_it_came() -> None:
    assert _utcs(Wall(), [(100.0, 0.2, None, 0), (100.1, 0.3, None, 0)]) == pytest.approx([0.2, 0.3], abs=1e-3)


def test_the_networks_jitter_is_none_of_the_times() -> None:
    delays = [0.05, 0.4, 0.1, 0.05, 0.9, 0.05]
    utcs = _utcs(Wall(), [(i * 0.1, i * 0.1 + delay, None, 0) for i, delay in enumerate(delays)])
    steps = [b - a for a, b in itertools.pairwise(utcs)]
    assert steps == pytest.approx([0.1] * 5, abs=1e-3)


def test_the_camera_says_it() -> None:
    rows = [(i * 0.1, i * 0.1 + 0.8, NOW + i * 0.1, 0) for i in range(4)]
    assert _utcs(Wall(), rows) == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=1e-3)


def test_it_says_it_from_the_third_picture_on_and_time_still_goes_forward() -> None:
    rows = [(i * 0.1, i * 0.1 + 0.8, NOW + i * 0.1 if i >= 2 else None, 0) for i in range(100)]
    utcs = _utcs(Wall(), rows)
    assert all(b > a for a, b in itertools.pairwise(utcs))
    assert utcs[1] == pytest.approx(0.9, abs=1e-3)
    assert utcs[99] == pytest.approx(9.9, abs=1e-3), "it has come to what the camera says"


def test_a_camera_that_counts_more_pictures_than_it_sends() -> None:
    """Its pictures are 0.04 s apart by their times, and come each 0.05 s: after a minute these are 12 s apart, and utc is not."""
    utcs = _utcs(Wall(), [(i * 0.04, i * 0.05, None, 0) for i in range(1200)])
    assert utcs[-1] == pytest.approx(1199 * 0.05, abs=1.1)
    assert all(b > a for a, b in itertools.pairwise(utcs))


@pytest.mark.parametrize(
    ("off", "words"), [(-1_796_000_000.0, "behind"), (3600.0, "60.0 min ahead of"), (-45.0, "45.0 s behind")]
)
def test_a_camera_whose_clock_is_wrong_is_not_believed(off: float, words: str) -> None:
    said: list[str] = []
    rows = [(i * 0.1, i * 0.1, NOW + off + i * 0.1, 0) for i in range(3)]
    assert _utcs(Wall(), rows, said) == pytest.approx([0.0, 0.1, 0.2], abs=1e-3)
    assert len(said) == 1
    assert words in said[0]


def test_this_machines_clock_is_set_back() -> None:
    """Within an epoch time goes forward nevertheless; the next one begins with what the clock says."""
    wall = Wall()
    clock = WallClock(lambda text: None, wall)
    first = clock.utc(0.0, wall.begin, None, 0)
    wall.ahead = -3600.0
    second = clock.utc(1.0, wall.begin + 1.0, None, 0)
    third = clock.utc(2.0, wall.begin + 2.0, None, 1)
    assert 0.4 < second - first < 1.1
    assert third - first == pytest.approx(-3598.0, abs=0.1)


def test_how_a_moment_is_written() -> None:
    assert as_iso(NOW + 0.1239) == "2026-11-30T17:08:00.123Z"
    assert as_iso(NOW, digits=0) == "2026-11-30T17:08:00Z"
    assert as_iso(0.0) == "1970-01-01T00:00:00.000Z"


def test_what_libav_gives_when_it_gives_up_is_no_sign_of_life() -> None:
    """Pictures each 0.04 s up to 1 s; two more come at 3 s, when its time-out of two seconds is over."""
    heard = Heard(2.0)
    for i in range(26):
        heard.note(100.0 + 0.04 * i, 0.04 * i)
    assert heard.last(1.04) == pytest.approx(101.0)
    heard.note(103.0, 1.04)
    heard.note(103.0, 1.08)
    assert heard.last(1.12) == pytest.approx(101.08)


def test_a_source_that_goes_on_after_a_silence_is_heard_of() -> None:
    heard = Heard(2.0)
    for i in range(20):
        heard.note(100.0 + 0.04 * i + (1.9 if i > 5 else 0.0), 0.04 * i)
    heard.note(103.2, 0.84)
    assert heard.last(0.88) == pytest.approx(103.2)
