from fractions import Fraction

import numpy as np
import pytest

from streamseg.composite import Alpha, Blur, Compositor, Overlay, Pixelate, to_image
from tests.unit.pictures import codes, instances, noise, result

FOUND = [[10.0, 10.0, 60.0, 60.0], [30.0, 20.0, 110.0, 90.0]]


def test_without_effects_the_picture_is_the_decoders():
    picture = noise("yuv420p", 64, 48)
    rendered = Compositor([])(result(picture, instances(FOUND)))
    assert rendered.picture is picture


@pytest.mark.parametrize("effects", [[Overlay()], [Overlay(), Pixelate()], [Overlay(classes=["dog"])]])
def test_nothing_to_draw_no_copy(effects):
    picture = noise("yuv420p", 64, 48)
    found = instances([]) if len(effects) > 1 or effects[0].classes is None else instances(FOUND)
    assert Compositor(effects)(result(picture, found)).picture is picture


def test_two_outputs_draw_on_one_frame_without_seeing_each_other():
    picture = noise("yuv420p", 128, 96)
    shared = result(picture, instances(FOUND))
    alone = codes(Compositor([Overlay()])(shared).picture)
    Compositor([Blur(), Overlay(fill=1.0)])(shared)
    again = codes(Compositor([Overlay()])(shared).picture)
    for a, b in zip(alone, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_effects_are_applied_in_order():
    picture = noise("yuv420p", 128, 96)
    shared = result(picture, instances(FOUND))
    first = Compositor([Overlay(fill=1.0, label="", contour=0), Blur("background")])(shared).picture
    last = Compositor([Blur("background"), Overlay(fill=1.0, label="", contour=0)])(shared).picture
    assert any((a != b).any() for a, b in zip(codes(first), codes(last), strict=True))


@pytest.mark.parametrize("effects", [[Overlay()], [Blur()], [Pixelate()], [Alpha()], [Blur(), Overlay(), Alpha()]])
@pytest.mark.parametrize("fmt", ["yuv420p", "p010le"])
def test_time_and_colour_tags_are_kept(effects, fmt):
    picture = noise(fmt, 128, 96)
    picture.color_trc, picture.color_primaries, picture.colorspace = 16, 9, 9
    shared = result(picture, instances(FOUND))
    rendered = Compositor(effects)(shared)
    made = rendered.picture
    assert rendered.result is shared
    assert made is not picture
    assert (made.pts, made.time_base) == (1234, Fraction(1, 90000))
    assert (made.colorspace, made.color_range, made.color_primaries, made.color_trc) == (9, 1, 9, 16)
    assert (made.width, made.height) == (128, 96)


def test_a_format_that_cannot_be_drawn_on_is_converted():
    picture = noise("yuv422p", 128, 96).reformat(format="yuyv422", threads=1)
    picture.colorspace = picture.color_range = 1
    drawn = Compositor([Overlay()])(result(picture, instances(FOUND))).picture
    direct = Compositor([Overlay()])(result(noise("yuv422p", 128, 96), instances(FOUND))).picture
    assert drawn.format.name == "yuv422p"
    for a, b in zip(codes(drawn), codes(direct), strict=True):
        np.testing.assert_array_equal(a, b)


def test_plot_is_the_overlay_in_rgb():
    shared = result(noise("yuv420p", 128, 96), instances(FOUND))
    expected = to_image(Compositor([Overlay()])(shared).picture)
    np.testing.assert_array_equal(shared.plot(), expected)
    np.testing.assert_array_equal(shared.plot("bgr24"), expected[..., ::-1])
