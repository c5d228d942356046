import av
import numpy as np
import pytest

from streamseg.composite import Alpha, Compositor, Matte, to_image
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from tests.unit.pictures import codes, ellipse, field, instances, noise, result

BOXES = [[20.0, 30.0, 140.0, 200.0], [90.0, 10.0, 230.0, 120.0]]


def render(effect, picture: av.VideoFrame, found=None) -> av.VideoFrame:
    return Compositor([effect])(result(picture, instances(BOXES) if found is None else found)).picture


def regions(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    fields = [field(ellipse(), box, width, height) for box in BOXES]
    return np.any([f > 225 for f in fields], axis=0), ~np.any([f > 30 for f in fields], axis=0)


@pytest.mark.parametrize("fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "p010le", "gray"])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (321, 239)])
def test_alpha_is_exact_and_luma_is_kept(fmt, width, height):
    picture = noise(fmt, width, height)
    span = 2 if fmt == "yuvj420p" else 1
    picture.color_range = span
    drawn = render(Alpha(decontaminate=False), picture)
    assert drawn.format.name == "yuva444p10le"
    assert (drawn.pts, drawn.time_base, drawn.colorspace, drawn.color_range) == (picture.pts, picture.time_base, 1, span)
    luma, _, _, alpha = codes(drawn)
    covered, clear = regions(width, height)
    assert (alpha[covered] == 1023).all()
    assert (alpha[clear] == 0).all()
    assert 0 < ((alpha > 0) & (alpha < 1023)).sum() < 0.03 * alpha.size, "the edge is antialiased"
    unit = 2 ** (10 - planes.views(picture).layout.depth)
    if fmt == "yuvj420p":
        np.testing.assert_allclose(luma / 1023, codes(picture)[0] / 255, atol=1.5 / 1023)
    else:
        np.testing.assert_array_equal(luma, codes(picture)[0] * unit)


def test_colour_is_straight_and_right():
    """Under transparent pixels the colours are the picture's own, and flat ones come through unchanged."""
    picture = av.VideoFrame(320, 240, "yuv420p")
    picture.colorspace = picture.color_range = 1
    for (array, _), value in zip(planes.views(picture).planes, (120, 90, 170), strict=True):
        array[...] = value
    luma, u, v, _ = codes(render(Alpha(), picture))
    assert (luma == 480).all()
    assert (u == 360).all()
    assert (v == 680).all()


@pytest.mark.parametrize(("fmt", "form", "top"), [("yuv420p", "rgba", 255), ("rgb24", "auto", 255), ("rgb48le", "auto", 65535)])
def test_rgb_with_alpha(fmt, form, top):
    picture = noise(fmt, 320, 240)
    drawn = render(Alpha(format=form, decontaminate=False), picture)
    assert drawn.format.name == ("rgba" if top == 255 else "rgba64le")
    rgba = codes(drawn)[0]
    covered, clear = regions(320, 240)
    assert (rgba[covered, 3] == top).all()
    assert (rgba[clear, 3] == 0).all()
    if fmt != "yuv420p":
        np.testing.assert_array_equal(rgba[..., :3], codes(picture)[0])


def test_a_source_with_alpha_is_not_written_into():
    picture = noise("rgba", 320, 240)
    before = codes(picture)[0]
    render(Alpha(), picture)
    np.testing.assert_array_equal(codes(picture)[0], before)


def test_no_instance_is_transparent():
    alpha = codes(render(Alpha(), noise("yuv420p", 64, 48), instances([])))[3]
    assert not alpha.any()


def test_only_the_chosen_classes_are_opaque():
    alpha = codes(render(Alpha(classes=["car"]), noise("yuv420p", 320, 240)))[3]
    assert alpha[60, 160] == 1023
    assert alpha[150, 60] == 0


def test_feather_widens_the_edge_but_keeps_both_ends():
    soft = [codes(render(Alpha(feather=f), noise("yuv420p", 540, 540)))[3] for f in (0, 20)]
    partial = [((a > 0) & (a < 1023)).sum() for a in soft]
    assert partial[1] > 5 * partial[0]
    assert soft[1].max() == 1023
    assert soft[1].min() == 0


def test_matte_is_white_on_black():
    drawn = render(Matte(), noise("yuv420p10le", 320, 240))
    assert drawn.format.name == "gray"
    covered, clear = regions(320, 240)
    grey = to_image(drawn)
    assert (grey[covered] == 255).all()
    assert (grey[clear] == 0).all()


@pytest.mark.parametrize("form", ["yuv420p", "nonsense", "rgb24"])
def test_formats_without_alpha_are_refused(form):
    with pytest.raises(ConfigError, match=form):
        Alpha(format=form)


def test_to_image_refuses_planes():
    with pytest.raises(ConfigError, match="yuv420p"):
        to_image(noise("yuv420p", 64, 48), "yuv420p")
