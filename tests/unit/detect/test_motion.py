"""The motion gate: it lets every motion through that a network could see, and little else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.detect.motion import MotionGate
from streamseg.detect.preprocess import Prepared
from streamseg.pixels.letterbox import Letterbox

HEIGHT, WIDTH, RATE, TOP = 160, 288, 10, 8
"""Of the small picture; above and below it TOP rows of padding. A frame pixel is half a small one."""
LETTERBOX = Letterbox(0.5, 0.5, 0, TOP, 2 * WIDTH, 2 * HEIGHT)
HUGE = av.VideoFrame(2 * WIDTH, 2 * HEIGHT, "gray")
Change = Callable[[np.ndarray, float], np.ndarray]
START = 4.0
"""Seconds: by then the gate knows the scene."""


def scene(seed: int = 0) -> np.ndarray:
    """[HEIGHT, WIDTH] float32: surfaces and texture, from 30 to 200."""
    chance = np.random.default_rng(seed)
    coarse = cv2.resize(chance.uniform(40, 180, (5, 9)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + cv2.blur(chance.normal(0, 20, (HEIGHT, WIDTH)).astype(np.float32), (3, 3)), 30, 200)


def prepared(index: int, picture: np.ndarray, epoch: int = 0) -> Prepared:
    image = np.full((HEIGHT + 2 * TOP, WIDTH, 3), 114, np.uint8)
    image[TOP:-TOP] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)[..., None]
    return Prepared(Frame(HUGE, index, index, Fraction(1, RATE), epoch=epoch), image, LETTERBOX)


Found = Callable[[int], Iterable[tuple[float, ...]]]


def looks(seconds: float, change: Change = lambda picture, t: picture, *, gate: MotionGate | None = None, noise: float = 2.0,
          base: np.ndarray | None = None, found: Found | None = None) -> np.ndarray:  # fmt: skip
    """Times at which the network looked. found: boxes, frame pixels, that it finds in a frame."""
    gate, base, chance = gate or MotionGate(), scene() if base is None else base, np.random.default_rng(1)
    grain = [chance.normal(0, noise, base.shape).astype(np.float32) for _ in range(7)]
    times = []
    for i in range(round(seconds * RATE)):
        picture = change(base, i / RATE) + np.roll(grain[i % 7], int(chance.integers(1000)))
        passed = gate(prepared(i, picture))
        if not passed.still:
            times.append(i / RATE)
            boxes = np.array(list(found(i)) if found else [], np.float32).reshape(-1, 4)
            n = len(boxes)
            rows = np.full(n, 0.9, np.float32), np.zeros(n, np.int64), np.full((n, 1, 1), 255, np.uint8)
            gate.answered(Result(passed.frame, Instances(boxes, *rows, ("person",))))
    return np.array(times)


def box(picture: np.ndarray, x: float, y: float, width: float, height: float, step: float) -> np.ndarray:
    """With a box that is darker or lighter by `step`, drawn to parts of a pixel."""
    drawn = picture.copy()
    shape = np.zeros(picture.shape, np.uint8)
    corners = [round(16 * v) for v in (x, y, x + width, y + height)]
    cv2.rectangle(shape, (corners[0], corners[1]), (corners[2], corners[3]), 255, -1, cv2.LINE_AA, 4)
    return drawn + step * (shape / 255).astype(np.float32)


def after(times: np.ndarray, start: float, end: float = np.inf) -> np.ndarray:
    return times[(times >= start) & (times < end)]


def test_a_still_camera_is_looked_at_now_and_then_only():
    times = looks(25)
    assert len(after(times, 0, 3.0)) == 3 * RATE, "at first all frames are"
    assert len(after(times, START)) == 2, "then one in 10 seconds"


@pytest.mark.parametrize("noise", [1.0, 4.0, 8.0])
def test_noise_is_no_motion(noise):
    assert len(after(looks(16, noise=noise), 6)) <= 2


def test_key_frames_that_pump_are_no_motion():
    """Every two seconds all texture jumps, and decays."""
    texture = scene() - cv2.blur(scene(), (9, 9))
    times = looks(14, lambda p, t: p - 0.35 * texture * (t % 2.0) / 2)
    assert len(after(times, START)) <= 2


@pytest.mark.parametrize("step", [30, -30, 16])
def test_a_person_far_away_who_walks_slowly_is_noticed(step):
    """4 x 9 pixels of the network's picture, a pixel in 2 s."""
    times = looks(14, lambda p, t: p if t < 8 else box(p, 100 + (t - 8) / 2, 60, 4, 9, step))
    assert len(after(times, START, 8)) == 0
    assert after(times, 8)[0] <= 8.1, "as soon as it is there"
    seen = after(times, 8)
    assert len(seen) >= (3 * RATE if abs(step) >= 30 else RATE), "and while it walks"


def test_what_moves_by_less_than_can_be_seen_from_frame_to_frame_is_noticed_in_the_end():
    """A box of low contrast that goes by a fortieth of a pixel a frame."""
    times = looks(18, lambda p, t: box(p, 100 + 0.25 * max(0.0, t - 5), 60, 12, 20, 25))
    assert len(after(times, START, 5)) == 0
    assert len(after(times, 5, 13)) > 0


def test_exposure_is_no_motion():
    base = np.clip(scene() * 0.8, 0, 255)
    times = looks(14, lambda p, t: p * (1.0 if t < 6 else 1.25 if t < 9 else 0.85) + (4 if t > 11 else 0), base=base)
    assert len(after(times, START)) <= 3


def test_the_switch_to_infra_red_is_looked_at_until_it_has_settled():
    night = scene(5)
    times = looks(16, lambda p, t: p if t < 6 else night * (0.5 if t < 6.4 else 0.8))
    assert len(after(times, START, 6)) == 0
    assert after(times, 6)[0] == 6.0
    assert len(after(times, 10)) <= 1, "and the new scene is as still as the old"
    walks = looks(16, lambda p, t: p if t < 6 else box(night * 0.8, 90 + t, 60, 5, 12, 25) if t > 12 else night * 0.8)
    assert after(walks, 12)[0] <= 12.2


def test_a_flash_costs_a_second():
    times = looks(14, lambda p, t: p + 120 if 6 <= t < 6.12 else p)
    assert len(after(times, START)) <= 2 + 3 * RATE
    assert len(after(times, 9.5)) <= 1


def clock(p: np.ndarray, t: float) -> np.ndarray:
    shown = p.copy()
    shown[4:14, 8:30] = 200 if int(t) % 2 else 40
    return shown


def test_a_clock_in_the_picture_does_not_keep_the_network_busy():
    times = looks(40, clock)
    assert len(after(times, 25)) <= 9, "one look in two seconds"


def test_who_comes_to_a_restless_place_is_found_within_two_seconds_and_then_followed():
    times = looks(40, lambda p, t: clock(p, t) if t < 30 else box(clock(p, t), 10 + 0.2 * t, 2, 6, 10, 60),
                  found=lambda i: [(20, 0, 60, 40)] if i >= 30 * RATE else [])  # fmt: skip
    assert after(times, 30)[0] <= 32
    assert len(after(times, 33, 40)) >= 6 * RATE


def test_where_something_is_found_motion_counts_for_good():
    times = looks(20, lambda p, t: box(p, 100 + 3 * np.sin(3 * t), 60, 8, 20, 50), found=lambda i: [(180, 110, 230, 170)])
    assert len(after(times, 10)) == 10 * RATE


def test_motion_in_an_area_to_ignore_does_not_count():
    def tree(p: np.ndarray, t: float) -> np.ndarray:
        return box(p, 20 + 6 * np.sin(4 * t), 20, 30, 40, 60)

    area = [(0.0, 0.0), (0.3, 0.0), (0.3, 0.5), (0.0, 0.5)]
    assert len(after(looks(12, tree, found=lambda i: [(0, 0, 200, 200)]), START)) == 8 * RATE
    ignoring = MotionGate(ignored=[area])
    assert len(after(looks(12, tree, gate=ignoring, found=lambda i: [(0, 0, 200, 200)]), START)) <= 2
    pixels = [(x * 2 * WIDTH, y * 2 * HEIGHT) for x, y in area]
    beside = looks(12, lambda p, t: box(tree(p, t), 150 + 5 * t, 60, 5, 12, 30), gate=MotionGate(ignored=[pixels]))
    assert len(after(beside, START)) > 6 * RATE


def test_another_epoch_or_size_begins_anew():
    gate = MotionGate()
    base = scene()
    for i in range(50):
        gate(prepared(i, base))
    assert gate(prepared(100, base)).still
    assert not gate(prepared(101, base, epoch=1)).still
    assert not gate(prepared(102, base, epoch=1)).still


def test_times_are_seconds_whatever_the_rate():
    """A camera at two frames a second."""
    gate, stills = MotionGate(hold=1.0, refresh=5.0), []
    for i in range(60):
        picture = scene() if i < 30 else box(scene(), 100, 60, 5, 12, 40)
        sparse = prepared(i, picture)
        frame = Frame(HUGE, i, i, Fraction(1, 2))
        stills.append(gate(Prepared(frame, sparse.image, LETTERBOX)).still)
    looked = [i for i, still in enumerate(stills) if not still]
    assert 30 in looked
    assert len([i for i in looked if 10 <= i < 30]) <= 3
