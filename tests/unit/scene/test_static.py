"""What is fixed to the camera is told from what it sees, and what is detected in it is left out."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.scene import Turn
from streamseg.core.types import Frame, Instances
from streamseg.scene.grey import Greys
from streamseg.scene.static import FOCAL, Static

WIDTH, HEIGHT, LOOKS = 320, 192, 60
SOFT = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (600, 900), np.uint8), (0, 0), 3).astype(np.float32)
WORLD = np.clip((SOFT - 128) * 2 + 150, 0, 255)
EDGE = 150
"""Row at which the bonnet begins."""


def picture(number: int, side: int, bonnet: bool, car: bool = False) -> np.ndarray:
    """A world that passes below, turned `side` pixels to the side; over it a text, a fly on the glass and a bonnet that mirrors; or
    a car ahead."""
    ahead = (7 * number) % 300
    seen = WORLD[ahead : ahead + HEIGHT, 300 + side : 300 + side + WIDTH].astype(np.uint8)
    if car:
        seen[90:138, 122:218] = WORLD[90:138, 122:218]
    if bonnet:
        seen[EDGE:] = 20 + seen[EDGE - (HEIGHT - EDGE) : EDGE][::-1] // 5
        seen[88:104, 200:216] = 10
        cv2.putText(seen, "17.05.2024", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 2)
    return seen


def learned(bonnet: bool = True, sway: float = 30, found: Instances | None = None, light: bool = False) -> Static:
    """After a minute of driving, with a look each second."""
    static, before = Static(Greys()), 0
    for number in range(LOOKS):
        side = round(sway * np.sin(number / 3))
        seen = picture(number, side, bonnet, car=found is not None)
        if light and number % 2:
            seen = (seen * 0.4).astype(np.uint8)
        frame = grey_frame(seen, number)
        turn = Turn(0.0, (side - before) / (FOCAL * WIDTH), 0.0, 1e-4, None, 1.0)
        static.learn(Result(frame, Instances.empty(("car",)) if found is None else found), turn)
        before = side
    return static


def grey_frame(seen: np.ndarray, number: int) -> Frame:
    image = av.VideoFrame.from_ndarray(seen, "gray")
    return Frame(image, number, number, Fraction(1), 1, 0, 0.0)


def boxes(*xyxy: tuple[float, float, float, float]) -> Instances:
    n, masks = len(xyxy), np.full((len(xyxy), 28, 28), 255, np.uint8)
    return Instances(np.array(xyxy, np.float32), np.full(n, 0.9, np.float32), np.zeros(n, np.int64), masks, ("car",))


@pytest.mark.parametrize("light", [False, True])
def test_the_bonnet_the_text_and_the_fly_are_found_and_nothing_else(light: bool) -> None:
    grid = learned(light=light).grid
    assert grid[EDGE // 8 + 1 :].all()
    assert grid[0:3, 1:12].mean() > 0.6
    assert grid[11:13, 25:27].mean() > 0.7
    elsewhere = grid[: EDGE // 8 - 1].copy()
    elsewhere[0:4, 0:14] = elsewhere[10:14, 24:28] = False
    assert elsewhere.mean() < 0.02


def test_nothing_is_told_of_a_clean_picture_or_before_the_camera_has_turned() -> None:
    assert learned(bonnet=False).grid.mean() < 0.02
    assert not learned(sway=0).grid.any()


def test_what_lies_wholly_in_it_is_left_out_and_nothing_else() -> None:
    static = learned()
    found = boxes((40, 155, 280, 191), (100, 60, 180, 140), (100, 100, 180, 160), (201, 89, 215, 103))
    result = Result(grey_frame(picture(0, 0, True), 99), found)
    kept = static.without(result)
    assert kept.boxes.tolist() == found.boxes[1:3].tolist()
    assert Static(Greys()).without(result) is result


def test_a_car_ahead_at_a_constant_distance_is_not_learned() -> None:
    """It stays in its place for a minute, as the bonnet does: places where road users are seen are not looked at."""
    ahead = boxes((120, 88, 220, 140))
    assert not learned(found=ahead).grid[11:17, 15:24].any()
    assert learned(found=boxes((0, 0, 5, 5))).grid[12:17, 16:26].mean() > 0.5, "it would be, if nobody had seen it"
