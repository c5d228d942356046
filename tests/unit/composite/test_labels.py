import itertools

import numpy as np
import pytest

from streamseg.composite import Compositor, Overlay, to_image
from streamseg.composite.labels import font_size, label_text, place, plate
from streamseg.core.palette import PALETTE, color_of, contrast, text_color
from streamseg.pixels.text import render
from tests.unit.pictures import codes, instances, noise, result


def test_label_text():
    found = instances([[0, 0, 10, 10], [5, 5, 20, 20]])
    assert label_text("{name} {id} {score:.0%}", found, 0) == "person 1 90%"
    assert label_text("{name} {id} {score:.0%}", instances([[0, 0, 9, 9]], tracked=False), 0) == "person 90%"
    assert label_text("{name} #{id:03d}", found, 1) == "car #002"
    assert label_text("{id:03d} {name}", instances([[0, 0, 9, 9]], tracked=False), 0) == "person"


def test_words_look_different_and_the_font_grows():
    assert render("person 1", 20).shape[0] == render("gÄp", 20).shape[0]
    assert not np.array_equal(render("car 11", 20), render("car 17", 20))
    assert render("person", 40).shape[1] > 1.6 * render("person", 20).shape[1]
    assert render("person", 20).max() == 255
    assert render("", 20).shape[0] == render("x", 20).shape[0]


def test_text_without_opencv_5(monkeypatch):
    """OpenCV 4 has no TrueType fonts."""
    import cv2

    from streamseg.pixels import text

    monkeypatch.delattr(cv2, "FontFace", raising=False)
    text.render.cache_clear()
    text._word.cache_clear()
    try:
        line = text.render("person 12", 20)
        assert line.max() == 255
        assert 60 < line.shape[1] < 200
        assert (line[0] == 0).all()
        assert (line[-1] == 0).all()
    finally:
        text.render.cache_clear()
        text._word.cache_clear()


@pytest.mark.parametrize(("unit", "pixels"), [(240 / 1080, 11), (1.0, 20), (2.0, 40)])
def test_font_size_follows_the_frame(unit, pixels):
    assert font_size(unit) == pixels


@pytest.mark.parametrize("seed", range(5))
def test_plates_stay_inside_and_apart(seed):
    rng = np.random.default_rng(seed)
    taken = []
    for _ in range(12):
        x, y = rng.uniform(-20, 600), rng.uniform(-20, 340)
        spot = place([x, y, x + rng.uniform(10, 200), y + rng.uniform(10, 200)], (90, 16), (640, 360), taken, 2)
        x0, y0, x1, y1 = spot
        assert 0 <= x0 < x1 <= 640
        assert 0 <= y0 < y1 <= 360
        assert x0 % 2 == y0 % 2 == 0
        taken.append(spot)
    overlaps = sum(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for a, b in itertools.combinations(taken, 2))
    assert overlaps == 0


def test_places():
    assert place([100, 100, 200, 200], (60, 16), (640, 360), [], 2) == (100, 84, 160, 100)
    assert place([100, 4, 200, 200], (60, 16), (640, 360), [], 2) == (100, 4, 160, 20), (
        "inside the top when there is no room above"
    )
    assert place([620, 100, 640, 200], (60, 16), (640, 360), [], 2) == (580, 84, 640, 100), "pushed in from the right"
    assert place([0, 0, 10, 10], (60, 16), (50, 50), [], 2) is None, "no room at all"


@pytest.mark.parametrize("fmt", ["yuv420p", "yuv420p10le", "nv12", "p010le", "yuv422p", "rgb24"])
def test_a_label_shows_its_text_on_a_plate_of_its_colour(fmt):
    picture = noise(fmt, 640, 360)
    found = instances([[100.0, 100.0, 300.0, 300.0]])
    drawn = Compositor([Overlay(fill=0, contour=0)])(result(picture, found)).picture
    glyphs = plate("person 1 90%", font_size(360 / 1080), 1 if fmt == "rgb24" else 2)
    h, w = glyphs.shape
    image = to_image(drawn)[100 - h : 100, 100 : 100 + w].astype(int)
    rgb = color_of(1, 0)
    flat = np.zeros_like(glyphs, bool)
    flat[2:-2, 2:-2] = [[not glyphs[y - 2 : y + 3, x - 2 : x + 3].any() for x in range(2, w - 2)] for y in range(2, h - 2)]
    assert np.abs(image[flat] - rgb).max() <= 10
    assert np.abs(image[glyphs == 255].mean() - np.mean(text_color(rgb))) < 25
    before, after = codes(picture)[0], codes(drawn)[0]
    outside = np.ones(before.shape[:2], bool)
    outside[100 - h : 100, 100 : 100 + w] = False
    np.testing.assert_array_equal(after[outside], before[outside])


def test_labels_do_not_jump_when_scores_change_places():
    boxes = [[100.0, 100.0, 180.0, 220.0], [110.0, 100.0, 190.0, 220.0]]
    one = instances(boxes)
    two = one[np.array([1, 0])]
    pictures = [
        Compositor([Overlay(fill=0, contour=0, label="{name} {id}")])(result(noise("yuv420p", 320, 240), found)).picture
        for found in (one, two)
    ]
    np.testing.assert_array_equal(codes(pictures[0])[0], codes(pictures[1])[0])


def test_text_is_legible_on_every_colour():
    assert min(contrast(text_color(rgb), rgb) for rgb in PALETTE) >= 4.5
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


def test_colours_stay_with_the_track():
    assert color_of(3, 0) == color_of(3, 2)
    assert color_of(0, 1) == PALETTE[1]
    assert len(set(PALETTE)) == len(PALETTE)


# Viénot, Brettel and Mollon 1999: linear RGB as a protanope and a deuteranope see it.
VISION = {
    "usual": np.eye(3),
    "protanopia": np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]]),
    "deuteranopia": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
}


@pytest.mark.parametrize("vision", VISION)
def test_the_first_colours_are_told_apart_by_every_eye(vision):
    import cv2

    from streamseg.pixels.color import delinear, linear

    seen = delinear(linear(np.array(PALETTE[:7]) / 255, "sdr") @ VISION[vision].T, "sdr")
    lab = cv2.cvtColor(seen.astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0]
    distance = min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))
    assert distance > 12, "CIE76; 2.3 is just noticeable side by side"
