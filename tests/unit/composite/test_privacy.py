"""What is hidden is gone from the picture, in every format, and what is not hidden is as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamseg.composite import Compositor, Overlay, Privacy
from streamseg.composite.privacy import BLOCKS
from streamseg.core.cover import Cover
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from tests.unit.pictures import codes, instances, noise, result

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "p010le", "gray10le", "rgb24", "yuva444p10le"]
WIDTH, HEIGHT, STEP = 161, 99, 2


def cover(step: int = STEP, **more: object) -> Cover:
    cells = np.zeros((-(-HEIGHT // step), -(-WIDTH // step)), np.uint8)
    cells[9:31, 7:40] = 255
    cells[0, 0] = cells[-1, -1] = 255
    return Cover(step, cells, largest=60.0, **more)


def hidden(picture, effect: Privacy, how: Cover | None, *, field_order=None):
    found = result(picture, instances([]))
    found = replace(found, frame=replace(found.frame, field_order=field_order), covers={} if how is None else {effect: how})
    return Compositor([effect])(found).picture


@pytest.mark.parametrize("step", [2, 3, 4])
@pytest.mark.parametrize("field_order", [None, "tff"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_nothing_is_left_under_paint_and_all_beside_it(fmt, field_order, step) -> None:
    first, second = noise(fmt, WIDTH, HEIGHT, seed=1), noise(fmt, WIDTH, HEIGHT, seed=2)
    how, effect = cover(step), Privacy(color="red")
    one, other = (hidden(picture, effect, how, field_order=field_order) for picture in (first, second))
    wanted = np.repeat(np.repeat(how.cells > 0, step, 0), step, 1)[:HEIGHT, :WIDTH]
    for (_, spec), a, b, before in zip(planes.views(one).planes, codes(one), codes(other), codes(first), strict=True):
        high, wide = 1 << spec.shift_y, 1 << spec.shift_x
        rows, columns = np.nonzero(wanted)
        if field_order is not None and high == 2:  # a line of chroma is of its own field's lines
            places = (rows // 4 * 2 + rows % 2, columns // wide)
        else:
            places = (rows // high, columns // wide)
        places = (np.minimum(places[0], a.shape[0] - 1), places[1])
        assert (a[places] == b[places]).all(), "two pictures of noise look alike where they are hidden"
        away = np.s_[40 * step // high : -8]  # below the block, above the last cell
        assert (a[away] == before[away]).all(), "what is not hidden is bit-identical"


@pytest.mark.parametrize("fill", ["pixelate", "blur"])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p10le", "rgb24"])
def test_a_blur_holds_no_more_than_a_few_means(fmt, fill) -> None:
    """Whatever a block shows within, as long as its mean is the same: what is written is the same to the bit."""
    effect, how = Privacy(fill=fill), cover()
    block = 8
    assert how.largest / block <= BLOCKS
    picture = noise(fmt, 160, 96, seed=3)
    how = replace(how, cells=how.cells[:48, :80])
    shuffled = planes.copy_frame(picture)
    rng = np.random.default_rng(0)
    for array, spec in planes.views(shuffled).planes:
        high, wide = block >> spec.shift_y, block >> spec.shift_x
        for y in range(16 >> spec.shift_y, 64 >> spec.shift_y, high):
            for x in range(0, array.shape[1], wide):
                part = array[y : y + high, x : x + wide]
                flat = part.reshape(high * wide, -1).copy()
                part[...] = flat[rng.permutation(len(flat))].reshape(part.shape)
    alpha = how.alpha(160, 96, (2, 2)) > 0
    alpha[:18], alpha[62:] = False, False
    one, other = hidden_in(picture, effect, how), hidden_in(shuffled, effect, how)
    for (_, spec), a, b, before in zip(planes.views(one).planes, codes(one), codes(other), codes(picture), strict=True):
        inside = alpha[:: 1 << spec.shift_y, :: 1 << spec.shift_x]
        if fill == "blur":  # between blocks it reaches the next one's mean
            inside[: 24 >> spec.shift_y] = inside[56 >> spec.shift_y :] = False
        assert inside.any()
        assert (a[inside] == b[inside]).all()
        assert (a[inside] != before[inside]).mean() > 0.9


def hidden_in(picture, effect: Privacy, how: Cover):
    return Compositor([effect])(replace(result(picture, instances([])), covers={effect: how})).picture


def test_without_a_cover_the_whole_is_hidden() -> None:
    picture = noise("yuv420p", WIDTH, HEIGHT)
    for plane in codes(hidden(picture, Privacy(), None)):
        assert len(np.unique(plane)) == 1


def test_what_is_shown_as_such_an_object_is_hidden_wherever_a_later_stage_puts_it() -> None:
    picture, effect = noise("gray", 160, 96), Privacy(("person",))
    nothing = Cover(2, np.zeros((48, 80), np.uint8))
    found = replace(result(picture, instances([[40.0, 20.0, 80.0, 70.0]])), covers={effect: nothing})
    drawn = codes(Compositor([effect])(found).picture)[0]
    assert len(np.unique(drawn[30:60, 50:70])) == 1


def test_a_frame_that_was_not_answered_shows_the_picture_before_without_what_was_drawn_on_it() -> None:
    effect = Privacy(("person",))
    compositor = Compositor([effect, Overlay()])
    shown = [noise("yuv420p", 160, 96, seed) for seed in (1, 2)]
    covered = Cover(2, np.pad(np.full((10, 10), 255, np.uint8), ((5, 33), (5, 65))))
    first = replace(result(shown[0], instances([[40.0, 20.0, 80.0, 70.0]])), covers={effect: covered})
    compositor(first)
    second = replace(result(shown[1], instances([])), covers={effect: replace(covered, unanswered="hold")}, detected=False)
    held = codes(compositor(second).picture)
    alone = codes(Compositor([effect])(first).picture)
    for a, b in zip(held, alone, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_still_block_does_not_shrink_at_once() -> None:
    from streamseg.composite.canvas import Canvas
    from streamseg.composite.privacy import Hider

    hider = Hider(Privacy(fill="pixelate"))
    large, small = replace(cover(), largest=300.0), replace(cover(), largest=60.0)
    told = ((0, large), (0.5, small), (1.6, small))
    sizes = [hider._block_of(Canvas(noise("gray", 64, 64), time=time), how) for time, how in told]
    assert sizes == [64, 64, 8]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fill": "smear"}, "fill must be one of paint, pixelate, blur"),
        ({"margin": "4 pixels"}, "margin is '4 pixels'"),
        ({"margin": "900px"}, "too much"),
        ({"score": 1.5}, "score must be auto, or from 0 to below 1"),
        ({"hold": "90s"}, "hold must be from 0 to 60 seconds"),
        ({"delay": 9}, "delay must be from 0 to 5 seconds"),
        ({"unanswered": "show"}, "unanswered must be one of hold, cover, carry"),
        ({"classes": ()}, "classes names none"),
        ({"color": "grean"}, "no colour"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said) -> None:
    with pytest.raises(ConfigError, match=said):
        Privacy(**options)
