import av
import numpy as np
import pytest

from streamseg import color
from streamseg.color import Encoding


def tagged(fmt="yuv420p", width=64, height=48, **tags):
    picture = av.VideoFrame(width, height, fmt)
    for name, value in tags.items():
        setattr(picture, name, value)
    return picture


@pytest.mark.parametrize(
    ("rgb", "codes"),
    [((1, 1, 1), (235, 128, 128)), ((0, 0, 0), (16, 128, 128)), ((1, 0, 0), (63, 102, 240)), ((0, 0, 1), (32, 240, 118))],
)
def test_bt709_limited_has_the_well_known_codes(rgb, codes):
    of = Encoding("bt709", False, "sdr", False, "yuv", 8)
    assert np.rint(of.from_rgb(np.array(rgb))).tolist() == list(codes)


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020", "smpte240m", "fcc"])
@pytest.mark.parametrize(("full", "depth"), [(False, 8), (True, 8), (False, 10), (True, 12)])
def test_there_and_back(matrix, full, depth):
    of = Encoding(matrix, full, "sdr", False, "yuv", depth)
    rgb = np.random.default_rng(0).random((50, 3))
    back, offset = of.to_rgb()
    np.testing.assert_allclose(of.from_rgb(rgb) @ back.T + offset, rgb, atol=1e-12)


def test_ten_bit_codes_are_four_times_the_eight_bit_ones():
    rgb = np.array([0.2, 0.7, 0.4])
    eight, ten = (Encoding("bt709", False, "sdr", False, "yuv", depth).from_rgb(rgb) for depth in (8, 10))
    np.testing.assert_allclose(ten, 4 * eight)


@pytest.mark.parametrize(
    ("picture", "matrix", "full"),
    [
        (tagged(), "bt601", False),
        (tagged(height=720, width=1280), "bt709", False),
        (tagged(colorspace=1), "bt709", False),
        (tagged(colorspace=9, color_range=2), "bt2020", True),
        (tagged("yuvj420p"), "bt601", True),
        (tagged("gray"), "bt601", True),
        (tagged("gray", color_range=1), "bt601", False),
        (tagged("rgb24"), "bt601", True),
    ],
)
def test_encoding_follows_the_tags(picture, matrix, full):
    of = color.encoding(picture)
    assert (of.matrix, of.full_range) == (matrix, full)


def test_transfer_curves_have_their_known_points():
    """BT.2408: 203 cd/m2 is 58 % of PQ and 75 % of HLG; 10,000 and 1,000 cd/m2 are their ends."""
    np.testing.assert_allclose(color.delinear(1.0, "pq"), 0.58, atol=0.002)
    np.testing.assert_allclose(color.delinear(1.0, "hlg"), 0.75, atol=0.002)
    np.testing.assert_allclose(color.linear(1.0, "pq") * 203, 10000, rtol=1e-6)
    np.testing.assert_allclose(color.linear(1.0, "hlg") * 203, 1000, rtol=1e-4)
    signal = np.linspace(0, 1, 101)
    for transfer in ("sdr", "pq", "hlg"):
        np.testing.assert_allclose(color.delinear(color.linear(signal, transfer), transfer), signal, atol=1e-4)


@pytest.mark.parametrize("depth", [8, 10])
def test_pure_colours_stay_within_the_codes(depth):
    """Full-range chroma of pure blue rounds to one code too many."""
    of = Encoding("bt709", True, "sdr", False, "yuv", depth)
    assert max(color.drawing_codes((0, 0, 255), of)) <= 2**depth - 1


def test_white_drawn_into_hdr_does_not_glare():
    hdr = color.encoding(tagged("yuv420p10le", colorspace=9, color_range=1, color_primaries=9, color_trc=16))
    luma, u, v = color.drawing_codes((255, 255, 255), hdr)
    assert 64 + 876 * 0.57 < luma < 64 + 876 * 0.59
    assert abs(u - 512) < 1
    assert abs(v - 512) < 1
