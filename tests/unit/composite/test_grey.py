"""Grey pictures that are drawn on in colour: two identities differ, and the luma that nothing was drawn on is the source's."""

from __future__ import annotations

import av
import numpy as np
import pytest

from streamseg.composite import Blur, Compositor, Counts, Matte, Overlay, to_image
from streamseg.core.palette import color_of
from streamseg.pixels import planes
from tests.unit.pictures import instances, noise, result

BOXES = [[20.0, 30.0, 120.0, 200.0], [180.0, 30.0, 280.0, 200.0]]
FORMATS = ["gray", "gray10le", "gray12le", "gray16le"]
INSIDE = (slice(80, 150), slice(50, 90)), (slice(80, 150), slice(210, 250))


def seen(name: str, limited: bool = False):
    picture = noise(name, 320, 240)
    picture.color_range = 1 if limited else 2
    return result(picture, instances(BOXES))


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_identities_have_their_colours_and_the_rest_its_luma(name, limited):
    before = seen(name, limited)
    drawn = Compositor([Overlay(fill=1, contour=0, label="")])(before).picture
    assert drawn.color_range == before.frame.picture.color_range
    for identity, place in enumerate(INSIDE, 1):
        shown = to_image(drawn)[place].reshape(-1, 3)
        assert np.abs(shown - np.array(color_of(identity, 0))).max() <= 6
    old, new = planes.views(before.frame.picture).planes[0].array, planes.views(drawn)
    shift = new.layout.depth - planes.views(before.frame.picture).layout.depth
    assert np.array_equal(new.planes[0].array[:, 130:170], old[:, 130:170] << shift)
    neutral = 1 << (new.layout.depth - 1)
    assert all((plane.array[:, 65:85] == neutral).all() for plane in new.planes[1:])


def test_every_picture_of_a_film_is_of_one_kind():
    """An encoder is set up by the first picture, which may show nobody: the others would be turned to grey."""
    nobody = result(noise("gray", 320, 240), instances([]))
    assert Compositor([Overlay()])(nobody).picture.format.name == "yuv420p"


@pytest.mark.parametrize("effects", [[], [Blur()], [Matte()]])
def test_effects_without_colour_leave_grey_grey(effects):
    assert Compositor(effects)(seen("gray10le" if not effects else "gray")).picture.format.name.startswith("gray")


def test_grey_is_kept_when_asked_for():
    for effects in ([Overlay()], [Counts()], [Overlay(), Blur()]):
        assert Compositor(effects, keep_grey=True)(seen("gray")).picture.format.name == "gray"


def test_a_plotted_result_is_in_colour():
    image = seen("gray").plot()
    assert (image.max(axis=2).astype(int) - image.min(axis=2)).max() > 60


def test_grey_with_alpha_is_drawn_in_colour():
    picture = av.VideoFrame(320, 240, "ya8")
    for plane in picture.planes:
        plane.update(bytes([90, 255]) * (plane.buffer_size // 2))
    drawn = Compositor([Overlay(fill=1, contour=0, label="")])(result(picture, instances(BOXES))).picture
    for identity, place in enumerate(INSIDE, 1):
        assert np.abs(to_image(drawn)[place].reshape(-1, 3) - np.array(color_of(identity, 0))).max() <= 6
    assert np.abs(to_image(drawn)[:, 130:170].astype(int) - 90).max() <= 1
