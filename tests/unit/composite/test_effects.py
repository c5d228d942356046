"""The effects that change a part of the picture by mask: what they make of it, and that all else stays bit-identical."""

from __future__ import annotations

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from streamseg.composite import (
    Background,
    Blur,
    Chain,
    Compositor,
    DepthOfField,
    Desaturate,
    Exposure,
    GreenScreen,
    Matte,
    Outline,
    Overlay,
    Pixelate,
    Solid,
    Spotlight,
    Tint,
    to_image,
)
from streamseg.composite.choose import matte
from streamseg.composite.shape import Shape
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from streamseg.pixels.color import drawing_codes, encoding, linear
from tests.unit.pictures import codes, instances, noise, result

FORMATS = [
    "yuv420p",
    "yuvj420p",
    "yuv422p10le",
    "yuv444p12le",
    "nv12",
    "p010le",
    "yuva420p",
    "yuva444p10le",
    "gray",
    "gray10le",
    "rgb24",
    "bgra",
    "gbrp10le",
    "rgba64le",
]
BOX = [41.5, 22.0, 121.0, 103.5]
EFFECTS = {
    "solid": Solid(color="red", feather=30),
    "solid background": Solid("background", color=[10, 20, 30], grow=20),
    "desaturate": Desaturate(),
    "tint": Tint(color="teal", strength=0.7),
    "exposure": Exposure(stops=1.5, grow=-20),
    "spotlight": Spotlight(falloff=300),
    "outline": Outline(width=30, color="#ff0", feather=20),
    "greenscreen": GreenScreen(feather=30),
    "background": Background(color="blue", feather=20),
    "depth of field": DepthOfField(falloff="edge", reach=200),
    "ground": DepthOfField(strength=1),
    "grown blur": Blur(grow=40),
    "feathered blocks": Pixelate(feather=30, block=90),
}


def draw(effect, picture: av.VideoFrame, boxes=(BOX,), **frame) -> av.VideoFrame:
    seen = result(picture, instances([list(box) for box in boxes]))
    return Compositor(effect, keep_grey=True)(replace(seen, frame=replace(seen.frame, **frame))).picture


def flat(fmt: str, rgb: tuple[float, float, float], size=(160, 120), trc: int = 1, full: bool = False) -> av.VideoFrame:
    picture = noise(fmt, *size)
    picture.color_trc, picture.color_range = trc, 2 if full else 1
    shown = [*np.rint(encoding(picture).from_rgb(np.array(rgb))), 2 ** encoding(picture).depth - 1]
    for array, spec in planes.views(picture).planes:
        array[...] = np.array([shown[c] for c in spec.components])[: 1 if array.ndim == 2 else None]
    return picture


def rgb_at(picture: av.VideoFrame, x: int, y: int) -> np.ndarray:
    """R'G'B' of a pixel in 0..1, from its codes."""
    of, view = encoding(picture), planes.views(picture)
    found = np.zeros(3)
    for array, spec in view.planes:
        sample = np.atleast_1d(array[y >> spec.shift_y, x >> spec.shift_x] >> view.layout.lsb)
        for value, component in zip(sample, spec.components, strict=True):
            if component < 3:
                found[component] = value
    if of.family == "gray":
        found[1:] = 1 << (of.depth - 1)
        of = replace(of, family="yuv")
    matrix, offset = of.to_rgb()
    return matrix @ found + offset


CENTRE, CORNER = (80, 62), (3, 3)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", EFFECTS)
def test_what_is_outside_stays_bit_identical(fmt, name) -> None:
    effect, (width, height) = EFFECTS[name], (161, 119)
    picture = noise(fmt, width, height)
    before, after = codes(picture), codes(draw(effect, picture))
    unit = height / 1080
    reach = 30 * unit if name == "outline" else 0.0
    objects = matte(
        instances([BOX]), width, height, Shape(grow=max(effect.grow * unit, -100) + reach, feather=effect.feather * unit)
    )
    if name == "outline":
        objects[matte(instances([BOX]), width, height, Shape(grow=-3)) == 255] = 0
        untouched = objects == 0
    else:
        untouched = objects == 255 if effect.around else objects == 0
    if name in ("greenscreen", "background"):  # the edge takes the colours of what lies 2 pixels behind it
        untouched = cv2.erode(untouched.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    assert untouched.sum() > 500
    changed = False
    for (_, spec), old, new in zip(planes.views(picture).planes, before, after, strict=True):
        step_x, step_y = 1 << spec.shift_x, 1 << spec.shift_y
        more = np.pad(untouched, ((0, -height % step_y), (0, -width % step_x)), mode="edge")
        whole = more.reshape(more.shape[0] // step_y, step_y, more.shape[1] // step_x, step_x).all((1, 3))
        assert (old == new)[whole].all()
        changed |= bool((old != new).any())
    assert changed or (fmt.startswith("gray") and name in ("desaturate", "tint"))
    for a, b in zip(before, codes(picture), strict=True):
        np.testing.assert_array_equal(a, b, "the shared picture was written into")


@pytest.mark.parametrize("fmt", ["rgba64le", "yuva420p", "bgra", "yuva444p10le"])
@pytest.mark.parametrize("effect", [Desaturate(), Tint(), Exposure(), Spotlight()])
def test_effects_on_colour_leave_alpha_alone(fmt, effect) -> None:
    picture = noise(fmt, 161, 119)
    drawn = draw(effect, picture)
    for (array, spec), (new, _) in zip(planes.views(picture).planes, planes.views(drawn).planes, strict=True):
        if 3 in spec.components:
            at = ... if array.ndim == 2 else (..., spec.components.index(3))
            np.testing.assert_array_equal(array[at], new[at])


@pytest.mark.parametrize("trc", [1, 16, 18])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p10le", "rgb24", "gray10le"])
def test_solid_is_its_colour_exactly(fmt, trc) -> None:
    picture = flat(fmt, (0.4, 0.5, 0.6), trc=trc)
    drawn = draw(Solid(color="#336699"), picture)
    expected = [round(c) for c in drawing_codes((0x33, 0x66, 0x99), encoding(picture))]
    for (array, spec), (old, _) in zip(planes.views(drawn).planes, planes.views(picture).planes, strict=True):
        at = CENTRE[1] >> spec.shift_y, CENTRE[0] >> spec.shift_x
        assert list(np.atleast_1d(array[at])) == [expected[c] for c in spec.components]
        assert (array[0] == old[0]).all()


def test_desaturated_pixels_are_grey_at_their_own_luma() -> None:
    picture = noise("yuv420p", 160, 120)
    luma, u, v = codes(draw(Desaturate("instances"), picture))
    np.testing.assert_array_equal(luma, codes(picture)[0])
    assert u[31, 40] == v[31, 40] == 128
    red, green, blue = to_image(draw(Desaturate("instances"), flat("rgb24", (0.8, 0.4, 0.2))))[CENTRE[1], CENTRE[0]]
    assert red == green == blue == round(255 * (0.2126 * 204 + 0.7152 * 102 + 0.0722 * 51) / 255)
    half = draw(Desaturate("instances", strength=0.5), flat("yuv444p", (0.8, 0.4, 0.2)))
    whole = flat("yuv444p", (0.8, 0.4, 0.2))
    distance = [abs(int(planes.views(p).planes[2].array[CENTRE[1], CENTRE[0]]) - 128) for p in (half, whole)]
    assert distance[0] == pytest.approx(distance[1] / 2, abs=1)


@pytest.mark.parametrize(("trc", "transfer", "power"), [(1, "sdr", 2.4), (16, "pq", None), (18, "hlg", None)])
@pytest.mark.parametrize("stops", [-2, -1, 0.5])
@pytest.mark.parametrize("fmt", ["yuv444p10le", "yuv420p12le", "rgb48le", "gray10le"])
def test_a_stop_doubles_light(fmt, stops, trc, transfer, power) -> None:
    grey = 0.45
    picture = flat(fmt, (grey,) * 3, trc=trc)
    made = rgb_at(draw(Exposure(stops=stops), picture), *CENTRE)[1]
    light = [value**power if power else float(linear(value, transfer)) for value in (grey, made)]
    assert light[1] / light[0] == pytest.approx(2**stops, rel=0.04)
    assert rgb_at(draw(Exposure(stops=stops), picture), *CORNER)[1] == pytest.approx(grey, abs=2e-3)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv444p10le"])
def test_exposure_keeps_hue_and_saturation(fmt, full) -> None:
    color = np.array([0.5, 0.3, 0.15])
    made = rgb_at(draw(Exposure(stops=-1), flat(fmt, tuple(color), full=full)), *CENTRE)
    np.testing.assert_allclose(made / made.sum(), color / color.sum(), atol=0.02)


def test_what_is_too_bright_becomes_white_not_a_colour() -> None:
    made = rgb_at(draw(Exposure(stops=5), flat("yuv444p10le", (0.9, 0.6, 0.5))), *CENTRE)
    np.testing.assert_allclose(made, 1, atol=0.02)


def test_no_stops_change_nothing() -> None:
    picture = noise("yuv420p10le", 160, 120)
    for old, new in zip(codes(picture), codes(draw(Exposure(stops=0), picture)), strict=True):
        assert np.abs(old - new).max() <= 1


@pytest.mark.parametrize("fmt", ["yuv420p", "yuv444p10le", "rgb24"])
def test_a_tint_keeps_luma_and_is_the_colour_at_its_own(fmt) -> None:
    color = np.array([0x20, 0x90, 0xC0]) / 255
    own = float(color @ [0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(rgb_at(draw(Tint(color="#2090c0"), flat(fmt, (own,) * 3)), *CENTRE), color, atol=0.012)
    for grey in (0.0, 0.2, 0.7, 1.0):
        made = rgb_at(draw(Tint(color="#2090c0"), flat(fmt, (grey,) * 3)), *CENTRE)
        assert float(made @ [0.2126, 0.7152, 0.0722]) == pytest.approx(grey, abs=0.01)
        assert -0.01 <= made.min() <= made.max() <= 1.01


def test_a_spotlight_darkens_with_the_distance_and_leaves_no_dark_rim() -> None:
    picture = flat("gray10le", (0.6,) * 3, size=(480, 270))
    box = [[200.0, 90.0, 280.0, 180.0]]
    row = codes(draw(Spotlight(stops=2, falloff=200), picture, box))[0][135].astype(int)
    inside = codes(picture)[0][0, 0]
    assert (row[210:270] == inside).all()
    right = row[278:]
    assert (np.diff(right) <= 0).all(), "it grows brighter somewhere"
    assert right[0] > 0.97 * inside
    dark = codes(draw(Exposure("background", stops=-2), picture, box))[0][0, 0]
    assert right[-1] == dark
    reached = int(np.argmax(right <= dark + 1))
    assert 40 <= reached <= 60, "200 pixels of 1080 are 50 here"


@pytest.mark.parametrize(("position", "out", "inside"), [("outside", 12, 0), ("center", 6, 6), ("inside", 0, 12)])
def test_an_outline_is_as_wide_as_asked_and_lies_where_asked(position, out, inside) -> None:
    picture = flat("gray", (0.0,) * 3, size=(480, 270), full=True)
    box = [[100.0, 60.0, 380.0, 210.0]]
    row = codes(draw(Outline(width=48, position=position), picture, box))[0][135] / 255
    edge = (matte(instances(box), 480, 270)[135] / 255)[:240]
    border = 240 - edge.sum()
    assert row[:240].sum() == pytest.approx(12, abs=0.7)
    covered = np.flatnonzero(row[:240] > 0.5)
    assert covered[0] == pytest.approx(border - out, abs=1)
    assert covered[-1] + 1 == pytest.approx(border + inside, abs=1)


def test_two_objects_that_touch_have_one_outline() -> None:
    picture = flat("gray", (0.0,) * 3, size=(480, 270), full=True)
    whole = np.full((2, 28, 28), 255, np.uint8)
    seen = result(picture, instances([[60.0, 60.0, 240.0, 200.0], [230.0, 60.0, 400.0, 200.0]], masks=whole))
    row = codes(Compositor(Outline(width=16), keep_grey=True)(seen).picture)[0][130]
    assert row[70:390].max() == 0
    assert row[56:60].min() == 255


def test_an_object_that_the_border_cuts_has_no_outline_there() -> None:
    picture = flat("gray", (0.0,) * 3, size=(480, 270), full=True)
    whole = np.full((1, 28, 28), 255, np.uint8)
    for position in ("inside", "center"):
        seen = result(picture, instances([[0.0, 0.0, 200.0, 270.0]], masks=whole))
        drawn = codes(Compositor(Outline(width=16, position=position), keep_grey=True)(seen).picture)[0]
        assert drawn[:, :150].max() == 0


@pytest.mark.parametrize("fmt", ["yuv444p", "rgb24", "yuv420p10le"])
def test_a_hard_green_screen_has_two_kinds_of_pixels(fmt) -> None:
    picture = flat(fmt, (0.6, 0.3, 0.3))
    drawn = planes.views(draw(GreenScreen(hard=True), picture)).planes[0].array
    assert len(np.unique(drawn.reshape(-1, drawn.shape[2] if drawn.ndim == 3 else 1), axis=0)) == 2


def test_the_edge_takes_no_colour_of_the_old_background() -> None:
    """A dark object on white, put before black: where the matte is soft, white shone through."""
    picture = noise("gray", 320, 240)
    box = [[80.0, 40.0, 240.0, 200.0]]
    cover = matte(instances(box), 320, 240, Shape(feather=12)) / 255
    planes.views(picture).planes[0].array[...] = np.rint(cover * 40 + (1 - cover) * 255)
    picture.color_range = 2
    rim = (cover > 0.1) & (cover < 0.9)
    dirty, clean = (codes(draw(Background(feather=54, decontaminate=d), picture, box))[0][rim].max() for d in (False, True))
    assert dirty > 70
    assert clean <= 55


@pytest.mark.parametrize("fmt", ["bgra", "rgba64le", "yuva444p10le", "yuva420p"])
@pytest.mark.parametrize("effect", [Blur(strength=1), Pixelate("background", block=200), DepthOfField(strength=1)])
def test_transparent_black_does_not_darken_what_is_blurred(fmt, effect) -> None:
    """White beside nothing, as a logo is: the colour under alpha 0 is black, and nobody is to see it."""
    picture = flat(fmt, (1.0, 1.0, 1.0))
    black = planes.views(flat(fmt, (0.0, 0.0, 0.0))).planes
    for (array, spec), (other, _) in zip(planes.views(picture).planes, black, strict=True):
        top = 2 ** encoding(picture).depth - 1
        if spec.components == (3,):
            array[...] = top
            array[:, 80:] = 0
        else:
            array[:, 80 >> spec.shift_x :] = other[:, 80 >> spec.shift_x :]
        if array.ndim == 3:
            array[:, :, spec.components.index(3)] = np.where(np.arange(160) < 80, top, 0)
    drawn = draw(effect, picture, [])
    for x in (60, 75, 79):
        assert rgb_at(drawn, x, 60).min() > 0.97, x


@pytest.mark.parametrize("effect", [DepthOfField(strength=1, falloff="edge", feather=0), DepthOfField(strength=1, feather=0)])
def test_what_is_out_of_focus_takes_no_colour_from_the_object(effect) -> None:
    picture = noise("gray", 320, 240)
    box = [[80.5, 40.0, 240.0, 200.5]]
    inside = cv2.dilate(matte(instances(box), 320, 240), np.ones((3, 3), np.uint8)) > 0
    planes.views(picture).planes[0].array[...] = np.where(inside, 255, 0)
    after = codes(draw(effect, picture, box))[0]
    assert after[~cv2.dilate(inside.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)].max() <= 60


def test_the_ground_is_sharp_where_objects_stand_and_softer_above() -> None:
    picture = noise("yuv420p", 480, 270)
    drawn = codes(draw(DepthOfField(strength=1, reach=400), picture, [[200.0, 60.0, 280.0, 180.0]]))[0]
    spread = [drawn[row - 2 : row + 2, :180].std() for row in (180, 150, 120, 60, 5)]
    assert spread[:4] == sorted(spread[:4], reverse=True)
    assert spread[0] == pytest.approx(codes(picture)[0][178:182, :180].std(), rel=0.02)
    cut_off = codes(draw(DepthOfField(strength=1, reach=400), picture, [[200.0, 60.0, 280.0, 270.0]]))[0]
    assert cut_off[260:, :180].std() < 0.3 * spread[0], "a person whose feet nobody sees stands in no focus"


def test_the_ground_does_not_jump_when_feet_do() -> None:
    """A box that is 20 pixels shorter for one frame must not let the focus step."""
    compositor, rows = Compositor(DepthOfField(strength=1, reach=400)), []
    picture = noise("gray", 480, 270)
    for n in range(8):
        foot = 180.0 if n != 4 else 160.0
        seen = result(picture, instances([[200.0, 60.0, 280.0, foot]]))
        frame = replace(seen.frame, pts=n * 3600)
        rows.append(codes(compositor(replace(seen, frame=frame)).picture)[0][120, :180].std())
    steps = np.abs(np.diff(rows))
    alone = codes(draw(DepthOfField(strength=1, reach=400), picture, [[200.0, 60.0, 280.0, 160.0]]))[0][120, :180].std()
    assert steps.max() < 0.4 * abs(alone - rows[0])


def test_effects_are_chained_in_order() -> None:
    chain = Blur() >> Outline() >> [Solid(), Overlay()]
    assert isinstance(chain, Chain)
    assert [effect.name for effect in chain] == ["blur", "outline", "solid", "overlay"]
    assert [effect.name for effect in Blur() >> (Solid() >> Tint())] == ["blur", "solid", "tint"]
    picture = noise("yuv420p", 160, 120)
    one, other = draw(Solid() >> Tint(color="red"), picture), draw(Tint(color="red") >> Solid(), picture)
    assert rgb_at(other, *CENTRE).max() < 0.01
    assert (codes(one)[0] == codes(other)[0]).all(), "a tint keeps black black"
    twice = draw(Exposure(stops=-1) >> Exposure(stops=-1), flat("yuv444p12le", (0.5,) * 3))
    once = draw(Exposure(stops=-2), flat("yuv444p12le", (0.5,) * 3))
    np.testing.assert_allclose(rgb_at(twice, *CENTRE), rgb_at(once, *CENTRE), atol=1e-3)
    assert draw(Blur() >> Matte(), picture).format.name == "gray"


@pytest.mark.parametrize("effect", [Solid(color="red"), Tint(), Outline(color="lime"), GreenScreen(), Background(color="red")])
def test_colour_on_a_grey_film_is_seen(effect) -> None:
    seen = result(noise("gray", 160, 120), instances([BOX]))
    assert Compositor(effect)(seen).picture.format.name == "yuv420p"


@pytest.mark.parametrize("effect", [Solid(), Exposure(), Outline(), Spotlight(), Desaturate(), Background(color="grey")])
def test_effects_without_colour_keep_a_grey_film_grey(effect) -> None:
    seen = result(noise("gray", 160, 120), instances([BOX]))
    assert Compositor(effect)(seen).picture.format.name == "gray"


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (7, 100)])
@pytest.mark.parametrize("name", EFFECTS)
def test_tiny_frames_are_survived(name, size) -> None:
    assert draw(EFFECTS[name], noise("yuv420p", *size), [[0, 0, *size]]).width == size[0]


@pytest.mark.parametrize("name", EFFECTS)
def test_without_objects_all_is_background(name) -> None:
    picture = noise("yuv420p", 64, 48)
    drawn = draw(EFFECTS[name], picture, [])
    assert (drawn is picture) == (not EFFECTS[name].around)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Solid("sky and"), "where"),
        (lambda: Solid(color="rad"), "'rad' is no colour.*red"),
        (lambda: Solid(color=0), "write it in quotes"),
        (lambda: Solid(color=None), "# begins a comment"),
        (lambda: Solid(color=[1, 2, 300]), "0 to 255"),
        (lambda: Solid(strength=1.5), "strength.*1.5"),
        (lambda: Solid(grow=500), "grow.*500"),
        (lambda: Exposure(stops=11), "stops.*-10 to 10.*11"),
        (lambda: Spotlight(falloff=-1), "falloff.*-1"),
        (lambda: Outline(width=0), "width.*0"),
        (lambda: Outline(position="above"), "outside, center, inside.*'above'"),  # type: ignore[arg-type]
        (lambda: GreenScreen(hard=True, feather=3), "feather: 3.*hard"),
        (lambda: Background(fit="fill"), "cover, contain, stretch.*'fill'"),  # type: ignore[arg-type]
        (lambda: DepthOfField(strength=0), "strength.*0"),
        (lambda: DepthOfField("instances"), "not around objects"),
        (lambda: DepthOfField(falloff="sky"), "ground, edge.*'sky'"),  # type: ignore[arg-type]
    ],
)
def test_bad_options_name_the_value(make, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("text", ["red", "#f00", "#FF0000", "0xff0000", [255, 0, 0]])
def test_colours_are_written_in_many_ways(text) -> None:
    assert Solid(color=text).color == "#ff0000"
