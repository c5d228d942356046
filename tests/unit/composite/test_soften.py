import av
import cv2
import numpy as np
import pytest

from streamseg.composite import Blur, Compositor, Matte, Overlay, Pixelate, canvas
from streamseg.composite.choose import matte
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from tests.unit.pictures import codes, ellipse, field, instances, noise, result

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "p010le", "gray", "rgb24"]
BOX = [80.5, 40.0, 240.0, 200.5]


def apply(effect, picture: av.VideoFrame, found: Instances) -> av.VideoFrame:
    return Compositor([effect])(result(picture, found)).picture


def grow(mask: np.ndarray, pixels: int) -> np.ndarray:
    from scipy import ndimage

    return ndimage.binary_dilation(mask, iterations=pixels) if pixels else mask


@pytest.mark.parametrize(
    "effect", [Blur("background", feather=12), Blur("instances", feather=12), Pixelate("background"), Pixelate()]
)
@pytest.mark.parametrize("fmt", FORMATS)
def test_what_is_not_softened_is_bit_identical(fmt, effect):
    width, height = 321, 239
    picture = noise(fmt, width, height)
    source = codes(picture)
    drawn = apply(effect, picture, instances([BOX]))
    inside = field(ellipse(), BOX, width, height) > 127.5
    sharp = ~grow(~inside, 8) if effect.where == "background" else ~grow(inside, 8)
    soft = ~grow(inside, 8) if effect.where == "background" else ~grow(~inside, 8)
    for (_, spec), before, after in zip(planes.views(drawn).planes, source, codes(drawn), strict=True):
        step_x, step_y = 1 << spec.shift_x, 1 << spec.shift_y
        # The chroma sample at a subsampled position belongs to pixels at most one away from its first one.
        here = np.s_[::step_y, ::step_x]
        np.testing.assert_array_equal(after[sharp[here]], before[sharp[here]])
        assert after[soft[here]].std() < 0.7 * before[soft[here]].std(), "nothing was softened"
        assert abs(after[soft[here]].mean() - before[soft[here]].mean()) < 0.05 * before.max(), "the brightness moved"
    for a, b in zip(source, codes(picture), strict=True):
        np.testing.assert_array_equal(a, b, "the shared picture was written into")


def test_a_blurred_background_takes_no_colour_from_what_is_sharp():
    """A white object on black must not glow."""
    picture = av.VideoFrame(320, 240, "gray")
    inside = field(ellipse(), BOX, 320, 240) > 127.5
    luma = planes.views(picture).planes[0].array
    luma[...] = np.where(grow(inside, 1), 255, 0)
    after = codes(apply(Blur("background", strength=1.0, feather=0), picture, instances([BOX])))[0]
    assert after[~grow(inside, 4)].max() <= 60
    assert after[~grow(inside, 20)].max() <= 40


@pytest.mark.parametrize("size", [(97, 72), (640, 301)])
@pytest.mark.parametrize("fmt", ["yuv420p", "p010le", "rgb24"])
@pytest.mark.parametrize("effect", [Blur(strength=0.9, feather=20), Blur("instances"), Pixelate("background")])
def test_drawing_in_bands_changes_nothing(fmt, size, effect, monkeypatch):
    found = instances([[10.0, 20.0, 60.0, 65.0]])
    made = []
    for band in (1, 5000, 1 << 30):
        monkeypatch.setattr(canvas, "_BAND", band)
        made.append(codes(apply(effect, noise(fmt, *size), found)))
    for planes_ in zip(*made, strict=True):
        for other in planes_[1:]:
            np.testing.assert_array_equal(planes_[0], other)


def test_strength_blurs_more():
    picture = noise("gray", 320, 240)
    none = instances([])
    spread = [codes(apply(Blur(strength=s), picture, none))[0].std() for s in (0.1, 0.5, 1.0)]
    assert spread[0] > spread[1] > spread[2]


def test_feather_softens_the_edge():
    picture = av.VideoFrame(640, 480, "gray")
    planes.views(picture).planes[0].array[...] = np.indices((480, 640)).sum(0) % 2 * 255
    box = [160.0, 0.0, 640.0, 480.0]
    mask = np.full((1, 28, 28), 255, np.uint8)

    def ramp(feather: float) -> int:
        row = codes(apply(Blur("background", strength=1.0, feather=feather), picture, instances([box], masks=mask)))[0][240]
        contrast = np.abs(np.diff(row))
        return int(((contrast > 10) & (contrast < 245)).sum())

    assert ramp(0) <= 4
    assert 14 <= ramp(54) <= 40


@pytest.mark.parametrize("feather", [0, 1, 2, 3, 6, 9, 12, 40])
def test_blur_reaches_half_its_feather_into_what_an_alpha_says_is_opaque(feather):
    """Seen: 2 pixels of 320x240, where half of the feather is 0.7: boxes are at least 3 wide, and there were two."""
    picture = noise("yuv420p", 1080, 1080)
    one = instances([[60.0, 300.0, 260.0, 900.0]])
    before, after = codes(picture), codes(apply(Blur("background", feather=feather), picture, one))
    opaque = (matte(one, 1080, 1080) == 255).astype(np.uint8)
    reach = round(feather / 2)
    inside = cv2.erode(opaque, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)).astype(bool)
    np.testing.assert_array_equal(after[0][inside], before[0][inside])
    if reach:
        nearer = cv2.erode(opaque, np.ones((2 * reach - 1, 2 * reach - 1), np.uint8)).astype(bool)
        assert (after[0][nearer] != before[0][nearer]).any()


def test_blocks_are_flat_means_and_stand_still():
    picture = noise("yuv444p", 540, 540)
    before = codes(picture)[0]
    whole = np.full((1, 28, 28), 255, np.uint8)
    for x in (0.0, 3.0):
        found = instances([[100.0 + x, 100.0, 400.0 + x, 400.0]], masks=whole)
        after = codes(apply(Pixelate(block=40), picture, found))[0]
        # 40 pixels of a 1080p picture are 20 here.
        block = after[200:220, 200:220]
        assert block.min() == block.max()
        assert abs(block[0, 0] - before[200:220, 200:220].mean()) <= 1


@pytest.mark.parametrize("effect", [Blur("instances"), Pixelate("instances")])
def test_no_instance_no_copy(effect):
    picture = noise("yuv420p", 64, 48)
    assert apply(effect, picture, instances([])) is picture


@pytest.mark.parametrize("effect", [Blur("background"), Pixelate("background")])
def test_no_instance_is_all_background(effect):
    picture = noise("yuv420p", 64, 48)
    assert codes(apply(effect, picture, instances([])))[0].std() < 0.8 * codes(picture)[0].std()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (7, 100)])
@pytest.mark.parametrize("effect", [Blur(), Blur("instances"), Pixelate(), Pixelate("background")])
def test_tiny_frames_are_survived(effect, size):
    assert apply(effect, noise("yuv420p", *size), instances([[0, 0, *size]])).width == size[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blur("sky,,"), "blur: where: selection, character 5"),
        (lambda: Overlay(where="background"), "overlay: where: 'background' is no object"),
        (lambda: Matte(feather=-1), "matte: feather.*-1"),
        (lambda: Blur(strength=0), "strength.*0"),
        (lambda: Blur(feather=-1), "feather.*-1"),
        (lambda: Pixelate(block=1), "block.*1"),
    ],
)
def test_bad_options_name_the_value(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
