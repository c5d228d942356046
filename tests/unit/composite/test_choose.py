"""`where` of an effect: the objects that it means, or what is around them."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.composite import Alpha, Blur, Compositor, Matte, Overlay, Pixelate
from streamseg.errors import ConfigError
from streamseg.select import Selection
from tests.unit.pictures import codes, instances, noise, result

TWO = [[20.0, 30.0, 120.0, 200.0], [180.0, 30.0, 300.0, 200.0]]
"""#1 is a person on the left, #2 a car on the right."""


def luma(effect) -> np.ndarray:
    return codes(Compositor([effect])(result(noise("yuv420p", 320, 240), instances(TWO))).picture)[0]


def left_right(changed: np.ndarray) -> tuple[float, float, float]:
    """How much is changed of the middle of the left one, of the right one, and of what is between them."""
    return changed[80:150, 50:90].mean(), changed[80:150, 220:260].mean(), changed[80:150, 130:170].mean()


@pytest.mark.parametrize("make", [lambda where: Blur(where, strength=1), lambda where: Pixelate(where, 64)])
@pytest.mark.parametrize(
    ("where", "left", "right", "between"),
    [
        ("instances", True, True, False),
        ("background", False, False, True),
        ("#1", True, False, False),
        ("person", True, False, False),
        ("not person", False, True, False),
        ("background of #1", False, True, True),
        (Selection.of_class("car"), False, True, False),
        ("none", False, False, False),
        ("background of none", True, True, True),
    ],
)
def test_blur_and_pixelate_are_where_they_are_asked_for(make, where, left, right, between):
    before = codes(noise("yuv420p", 320, 240))[0]
    shares = left_right(luma(make(where)) != before)
    for share, asked in zip(shares, (left, right, between), strict=True):
        assert (share > 0.9) if asked else (share == 0), (where, shares)


@pytest.mark.parametrize(
    ("where", "white"),
    [
        ("#2", (0, 1, 0)),
        ("background of #2", (1, 0, 1)),
        ("background", (0, 0, 1)),
        ("instances", (1, 1, 0)),
        ("#9", (0, 0, 0)),
    ],
)
def test_matte_and_alpha_keep_what_is_meant(where, white):
    assert left_right(luma(Matte(where=where)) / 255) == white
    drawn = Compositor([Alpha(where=where)])(result(noise("yuv420p", 320, 240), instances(TWO))).picture
    assert left_right(codes(drawn)[3] / 1023) == white


def test_overlay_draws_what_is_meant():
    left, right, _ = left_right(luma(Overlay(where="car", fill=1)) != codes(noise("yuv420p", 320, 240))[0])
    assert (left, right > 0.9) == (0, True)


def test_classes_and_where_both_hold():
    assert left_right(luma(Matte(classes=["car"], where="#1"))) == (0, 0, 0)


def test_an_effect_says_the_classes_that_it_names_in_where():
    assert list(Blur("background of person#3, largest dog", classes=["car"]).class_names()) == ["car", "person", "dog"]
    with pytest.raises(ConfigError, match="blur: where is background, instances or a selection"):
        Blur(3)
    with pytest.raises(ConfigError, match="sky is neither a class nor a name"):
        luma(Blur("sky"))
