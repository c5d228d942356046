"""Mattes grown, shrunk, filled, hard and soft, held against circles whose coverage is known."""

import cv2
import numpy as np
import pytest

from streamseg.composite import Alpha, Compositor, Matte
from streamseg.composite.choose import matte
from streamseg.composite.shape import Shape
from streamseg.errors import ConfigError
from tests.unit.pictures import codes, instances, noise, result

SIDE = 160


def circle(radius: float, dtype: type = np.uint16, centre: tuple[float, float] = (80.3, 79.6)) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    covered = np.clip(0.5 - (np.hypot(x - centre[0], y - centre[1]) - radius), 0, 1)
    return np.rint(covered * np.iinfo(dtype).max).astype(dtype)


def shaped(array: np.ndarray, shape: Shape) -> np.ndarray:
    made = array.copy()
    shape.apply(made)
    return made


def radius_of(array: np.ndarray) -> float:
    return float(np.sqrt(array.sum() / np.iinfo(array.dtype).max / np.pi))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("grow", [0.25, 1, 1.5, 3, 5, 7.75, 12, 20, -0.5, -1, -2.5, -6, -20])
def test_an_outline_moves_by_the_pixels_asked_for_fractions_too(grow, dtype):
    made = shaped(circle(40, dtype), Shape(grow=grow))
    assert radius_of(made) == pytest.approx(40 + grow, abs=0.2)
    wanted = circle(40 + grow, dtype)
    assert np.abs(made / np.iinfo(dtype).max - wanted / np.iinfo(dtype).max).max() < 0.5, "round: nowhere half a pixel off"


def test_an_outline_moves_steadily_with_the_object():
    """A grown edge does not jump by whole pixels where the object moves by fractions of one: that is what flickers."""
    rows = [shaped(circle(40, centre=(70 + step / 8, 80.0)), Shape(grow=3.5))[80] / 65535 for step in range(17)]
    places = [row[:80].sum() for row in rows]
    np.testing.assert_allclose(np.diff(places), -1 / 8, atol=0.02)


def test_shrinking_leaves_what_the_picture_cuts_off():
    array = np.zeros((60, 80), np.uint8)
    array[:, :40] = 255
    made = shaped(array, Shape(grow=-5))
    assert (made[:, :34] == 255).all()
    assert (made[:, 36:] == 0).all()


def test_holes_are_filled_up_to_a_size_with_their_soft_rims():
    small, large = circle(4, centre=(60.0, 80.0)), circle(12, centre=(100.0, 80.0))
    body = cv2.subtract(cv2.subtract(circle(60), small), large)
    made = shaped(body, Shape(holes=12))
    np.testing.assert_array_equal(made, cv2.subtract(circle(60), large))
    np.testing.assert_array_equal(shaped(body, Shape(holes=40)), circle(60))
    np.testing.assert_array_equal(shaped(body, Shape(holes=3)), body)


def test_what_opens_to_the_outside_or_the_border_is_no_hole():
    ring = cv2.subtract(circle(60), circle(20))
    ring[75:85, 80:] = 0
    np.testing.assert_array_equal(shaped(ring, Shape(holes=200)), ring)
    cut = cv2.subtract(np.full((SIDE, SIDE), 65535, np.uint16), circle(20, centre=(80.0, 0.0)))
    np.testing.assert_array_equal(shaped(cut, Shape(holes=200)), cut)


def test_hard_has_no_pixel_between():
    assert set(np.unique(shaped(circle(40), Shape(grow=2.3, hard=True)))) == {0, 65535}


def test_a_ramp_of_sixteen_bits_is_no_stretched_one_of_eight():
    found = instances([[20.0, 20.0, 300.0, 220.0]])
    fine = matte(found, 320, 240, Shape(feather=60), np.uint16)
    coarse = matte(found, 320, 240, Shape(feather=60))
    assert len(np.unique(coarse)) <= 256
    assert len(np.unique(fine)) > 5000
    assert np.abs(fine / 257 - coarse).max() < 2
    assert fine.max() == 65535
    edges = matte(found, 320, 240, dtype=np.uint16)
    assert np.mean(edges[(edges > 0) & (edges < 65535)] % 257 == 0) < 0.1, "antialiased edges too"


@pytest.mark.parametrize(("bits", "form"), [(8, "gray"), (10, "gray10le"), (12, "gray12le"), (16, "gray16le")])
def test_mattes_of_every_depth(bits, form):
    drawn = Compositor([Matte(bits=bits, feather=30)])(
        result(noise("yuv420p", 320, 240), instances([[20.0, 20.0, 300.0, 220.0]]))
    )
    assert drawn.picture.format.name == form
    (grey,) = codes(drawn.picture)
    assert (grey.min(), grey.max()) == (0, 2**bits - 1)
    exact = matte(instances([[20.0, 20.0, 300.0, 220.0]]), 320, 240, Shape(feather=30), np.uint16) / 65535
    assert np.abs(grey / (2**bits - 1) - exact).max() <= (0.51 if bits > 8 else 2) / (2**bits - 1)


def test_feather_counts_pixels_of_the_picture():
    """Whatever its size: 20 pixels are 20 in a film of 320x240 as of 1080p."""
    found = instances([[0.0, 60.0, 200.0, 180.0]], masks=np.full((1, 28, 28), 255, np.uint8))
    (grey,) = codes(Compositor([Matte(feather=20)])(result(noise("yuv420p", 320, 240), found)).picture)
    soft = np.flatnonzero((grey[120] > 0) & (grey[120] < 255))
    assert 17 <= len(soft) <= 21
    assert abs(soft.mean() - 199.5) <= 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grow": 300}, "grow must be from -200 to 200 pixels, got 300"),
        ({"feather": -1}, "feather must be from 0 to 200 pixels, got -1"),
        ({"holes": 1000}, "holes must be from 0 to 200 pixels, got 1000"),
        ({"grow": 2, "shrink": 3}, "grow: 2 and shrink: 3 move the same outline"),
        ({"hard": True, "feather": 4}, "feather: 4 makes the edge soft, and hard: true makes it hard"),
    ],
)
@pytest.mark.parametrize("effect", [Alpha, Matte])
def test_shapes_that_cannot_be_are_refused(effect, options, words):
    with pytest.raises(ConfigError, match=rf"^{effect.name}: {words}"):
        effect(**options)


def test_depths_that_no_format_has_are_refused():
    with pytest.raises(ConfigError, match="matte: bits must be one of 8, 10, 12, 16, got 9"):
        Matte(bits=9)


@pytest.mark.parametrize(
    ("options", "kernel"),
    [({"feather": 8}, True), ({"bits": 10}, False), ({"grow": 1}, False), ({"holes": 4}, False), ({"hard": True}, False)],
)
def test_only_what_a_kernel_can_draw_is_drawn_on_the_device(options, kernel):
    assert (Matte(**options).fitting_kernel() is not None) == kernel
