"""The colours of a cut-out at its edge, held against an object and a background that are known."""

import av
import cv2
import numpy as np
import pytest

from streamseg.composite import Alpha, Compositor
from streamseg.composite.choose import matte
from streamseg.composite.shape import Shape
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.pixels import planes
from tests.unit.pictures import codes, ellipse, instances, noise, result

OBJECT, BEHIND = (200, 90, 60), (30, 180, 40)
BOX = [40.0, 30.0, 280.0, 210.0]


def scene(form: str = "rgb24", grow: float = 0.0) -> av.VideoFrame:
    """An object of one colour before another, with the edge of three pixels that a camera gives; `grow`: larger than its mask."""
    outline = matte(instances([BOX]), 320, 240, Shape(grow=grow), np.uint16)
    share = cv2.blur(outline, (3, 3))[..., None] / 65535
    made = planes.new_frame(320, 240, form)
    top = 65535 if form.startswith("rgb48") else 255
    planes.views(made).planes[0].array[...] = np.rint((share * OBJECT + (1 - share) * BEHIND) * (top / 255))
    return made


def over(drawn: av.VideoFrame, colour: tuple[int, int, int], premultiplied: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What the cut-out looks like before `colour`, 0..255, and its alpha, 0..1."""
    (array,) = codes(drawn)
    top = 65535 if "64" in drawn.format.name else 255
    alpha = array[..., 3:] / top
    own = array[..., :3] * (255 / top)
    return (own if premultiplied else own * alpha) + np.array(colour) * (1 - alpha), alpha


def rim(picture: av.VideoFrame, colour=(255, 0, 255), **options) -> tuple[float, float]:
    """Mean and worst difference at the edge from the object itself before `colour`, of 255."""
    found = instances([BOX])
    shown, alpha = over(
        Compositor([Alpha(**options)])(result(picture, found)).picture, colour, options.get("premultiplied", False)
    )
    wanted = alpha * OBJECT + (1 - alpha) * np.array(colour)
    off = np.abs(shown - wanted).max(axis=2)[(alpha[..., 0] > 0)]
    return float(off.mean()), float(off.max())


@pytest.mark.parametrize(
    "options", [{}, {"feather": 12}, {"grow": 3}, {"grow": 2, "feather": 6}, {"hard": True}, {"premultiplied": True}]
)
@pytest.mark.parametrize("form", ["rgb24", "rgb48le"])
def test_the_background_leaves_no_rim(form, options):
    """With the old colours an edge is up to 140 of 255 off; the object is of one colour, so that nothing need be left."""
    before, after = rim(scene(form), decontaminate=False, **options), rim(scene(form), **options)
    assert before[1] > 20
    assert after[1] <= 2


def test_a_mask_that_is_a_little_too_large_shows_no_background():
    assert rim(scene(grow=-0.6), decontaminate=False)[1] > 100
    assert rim(scene(grow=-0.6))[1] <= 3


@pytest.mark.parametrize("form", ["yuv420p", "yuv422p10le", "nv12", "yuvj420p"])
def test_in_planes_of_their_own(form):
    """But for what chroma of half the size mixes in from farther away."""
    source = scene()
    picture = source.reformat(threads=1, format=form, dst_colorspace=1, dst_color_range=2 if form == "yuvj420p" else 1)
    picture.colorspace, picture.color_range = 1, 2 if form == "yuvj420p" else 1
    found = instances([BOX])
    off = []
    for clean in (False, True):
        *colours, alpha = codes(Compositor([Alpha(feather=8, decontaminate=clean)])(result(picture, found)).picture)
        off.append(max(int(np.abs(plane[alpha > 0] - plane[120, 160]).max()) for plane in colours))
    assert off[0] > 250, "of 1023"
    assert off[1] <= 26


@pytest.mark.parametrize("where", ["instances", "background"])
def test_the_inside_keeps_its_pixels(where):
    picture = noise("yuv444p", 320, 240)
    drawn = Compositor([Alpha(where=where)])(result(picture, instances([BOX]))).picture
    opaque = codes(drawn)[3] == 1023
    inside = opaque & np.roll(opaque, 4, 0) & np.roll(opaque, -4, 0) & np.roll(opaque, 4, 1) & np.roll(opaque, -4, 1)
    changed = [(made != source * 4) for made, source in zip(codes(drawn)[:3], codes(picture), strict=True)]
    assert not any(plane[inside].any() for plane in changed)
    assert all(plane[opaque & ~inside].any() for plane in changed)


@pytest.mark.parametrize("strip", [2, 7])
def test_what_does_not_look_like_the_background_keeps_its_colour(strip):
    """Seen: skin smeared into hair of some pixels, so that a man was bald."""
    picture = planes.new_frame(320, 240, "rgb24")
    array = planes.views(picture).planes[0].array
    array[...], array[:, 57 : 57 + strip], array[:, 57 + strip :] = (120, 180, 230), (10, 10, 10), (220, 170, 140)
    found = instances([[57.0, 0.0, 320.0, 240.0]], masks=np.full((1, 28, 28), 255, np.uint8))
    (made,) = codes(Compositor([Alpha(feather=4)])(result(picture, found)).picture)
    assert made[100:140, 57 : 57 + strip, :3].max() <= 60
    assert np.abs(made[100:140, 53:57, :3] - (120, 180, 230)).max(axis=2).min() > 30, "and the background is gone"


def test_fields_keep_their_own_colours():
    picture = planes.new_frame(320, 240, "rgb24")
    array = planes.views(picture).planes[0].array
    array[0::2], array[1::2] = (200, 0, 0), (0, 0, 200)
    outside = (np.mgrid[0:240, 0:320][1] < 60) | (np.mgrid[0:240, 0:320][1] > 260)
    array[outside] = (0, 255, 0)
    frame = Frame(picture, 0, 0, result(noise("gray", 2, 2), instances([])).frame.time_base, field_order="tff")
    found = instances([[50.0, 0.0, 270.0, 240.0]], masks=np.full((1, 28, 28), 255, np.uint8))
    (made,) = codes(Compositor([Alpha(shrink=12, feather=8)])(Result(frame, found)).picture)
    kept = made[..., 3] > 0
    assert not made[..., 1][kept].any()
    assert not made[0::2, :, 2][kept[0::2]].any()
    assert not made[1::2, :, 0][kept[1::2]].any()


@pytest.mark.parametrize("form", ["yuv420p", "yuv420p10le", "rgb24"])
def test_no_code_is_beyond_the_depth(form):
    """Seen: 1100 of 1023 in planes of 16 bits, of which FFV1 made a picture without alpha."""
    drawn = Compositor([Alpha(feather=4)])(result(noise(form, 320, 240), instances([BOX]))).picture
    top = 2 ** planes.views(drawn).layout.depth - 1
    assert all(plane.max() <= top for plane in codes(drawn))


def test_what_is_too_thin_to_have_an_inside_stays_as_it_is():
    picture = noise("rgb24", 320, 240)
    found = instances([[40.0, 40.0, 43.0, 200.0]], masks=np.full((1, 28, 28), 255, np.uint8))
    (made,) = codes(Compositor([Alpha()])(result(picture, found)).picture)
    np.testing.assert_array_equal(made[..., :3], codes(picture)[0])


@pytest.mark.parametrize("form", ["yuv420p", "yuv420p10le", "gray", "rgb24", "rgb48le"])
def test_premultiplied_is_straight_times_alpha(form):
    """Over black, in codes: black of limited range is 64 of 1023."""
    picture, found = noise(form, 321, 239), instances([[20.0, 30.0, 240.0, 200.0]], masks=np.repeat(ellipse()[None], 1, 0))
    straight, multiplied = (
        codes(Compositor([Alpha(feather=20, premultiplied=pre)])(result(picture, found)).picture) for pre in (False, True)
    )
    if form.startswith("rgb"):
        straight, multiplied = ([planes_[0][..., i] for i in range(4)] for planes_ in (straight, multiplied))
    black = (0, 0, 0) if form.startswith("rgb") else (64, 512, 512)
    top = {"rgb24": 255, "rgb48le": 65535}.get(form, 1023)
    np.testing.assert_array_equal(straight[3], multiplied[3])
    for i in range(3):
        wanted = (straight[i] - black[i]) * (straight[3] / top) + black[i]
        assert np.abs(multiplied[i] - wanted).max() <= 0.51
    assert (multiplied[0][multiplied[3] == 0] == black[0]).all()


@pytest.mark.parametrize("form", ["yuva420p", "yuva422p10le"])
def test_formats_with_less_chroma_than_alpha(form):
    drawn = Compositor([Alpha(format=form, feather=20, premultiplied=True)])(
        result(noise("yuv420p", 321, 239), instances([BOX]))
    )
    *_, u, v, alpha = codes(drawn.picture)
    middle = 128 if form == "yuva420p" else 512
    assert (u[:10] == middle).all()
    assert (v[:10] == middle).all()
    assert alpha[120, 160] == (255 if form == "yuva420p" else 1023)
