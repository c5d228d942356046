import av
import numpy as np
import pytest

from streamseg.pixels import color
from streamseg.pixels.color import Encoding


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


def test_full_range_uses_every_code():
    assert Encoding("bt709", True, "sdr", False, "yuv", 8).from_rgb(np.ones(3)).tolist() == pytest.approx([255, 128, 128])
    assert Encoding("bt709", True, "sdr", False, "yuv", 10).from_rgb(np.ones(3)).tolist() == pytest.approx([1023, 512, 512])
    assert Encoding("bt601", True, "sdr", False, "rgb", 8).from_rgb(np.array([0, 0.2, 1])).tolist() == pytest.approx(
        [0, 51, 255]
    )
    assert Encoding("bt601", True, "sdr", False, "rgb", 16).from_rgb(np.ones(3)).tolist() == pytest.approx([65535] * 3)


@pytest.mark.parametrize(
    ("matrix", "kr", "kb"),
    [
        ("bt601", 0.299, 0.114),
        ("bt709", 0.2126, 0.0722),
        ("bt2020", 0.2627, 0.0593),
        ("smpte240m", 0.212, 0.087),
        ("fcc", 0.3, 0.11),
    ],
)
def test_luma_weights_are_those_of_the_standard(matrix, kr, kb):
    """H.273: luma of pure red, green, blue; chroma of pure blue and red is half the range above the middle."""
    of = Encoding(matrix, False, "sdr", False, "yuv", 8)
    red, green, blue = of.from_rgb(np.eye(3))
    assert [red[0], green[0], blue[0]] == pytest.approx([16 + 219 * k for k in (kr, 1 - kr - kb, kb)])
    assert (blue[1], red[2]) == pytest.approx((240, 240))
    assert (red[1], blue[2]) == pytest.approx((128 - 112 * kr / (1 - kb), 128 - 112 * kb / (1 - kr)))


def test_codes_of_h273_name_their_matrices():
    names = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020", 14: "bt2020", 2: "bt601"}
    assert {code: color.encoding(tagged(colorspace=code)).matrix for code in names} == names
    assert [color.encoding(tagged(color_trc=code)).transfer for code in (16, 18, 1, 13, 14)] == [
        "pq",
        "hlg",
        "sdr",
        "sdr",
        "sdr",
    ]
    assert [color.encoding(tagged(color_primaries=code)).wide for code in (9, 1, 8, 10, 2)] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert color.encoding(tagged(height=719, width=1280)).matrix == "bt601"


@pytest.mark.parametrize(
    ("fmt", "family", "depth"),
    [
        ("yuv420p", "yuv", 8), ("yuv444p12le", "yuv", 12), ("yuva444p10le", "yuv", 10), ("nv12", "yuv", 8), ("p010le", "yuv",
        10),
        ("gray", "gray", 8), ("ya8", "gray", 8), ("gray12le", "gray", 12), ("rgb24", "rgb", 8), ("gbrap16le", "rgb", 16),
        ("pal8", "rgb", 8),
        ("bayer_rggb8", "rgb", 8), ("rgb565le", "rgb", 8),
    ],
)  # fmt: skip
def test_family_and_depth_of_a_format(fmt, family, depth):
    of = color.encoding(tagged(fmt))
    assert (of.family, of.depth) == (family, depth)


SIGNAL = np.linspace(0, 1, 201)


def test_pq_is_st2084_s():
    """SMPTE ST 2084, with the constants as it prints them."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = SIGNAL ** (1 / m2)
    light = 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    np.testing.assert_allclose(203 * color.linear(SIGNAL, "pq"), light, rtol=1e-9)
    nits = np.array([0.005, 0.1, 1, 10, 100, 203, 1000, 4000, 10000])
    power = (nits / 10000) ** m1
    expected = ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    np.testing.assert_allclose(color.delinear(nits / 203, "pq"), expected, rtol=1e-9)
    assert expected[4] == pytest.approx(0.5081, abs=1e-4)
    np.testing.assert_allclose(color.delinear([-1, 60], "pq"), color.delinear([0, 10000 / 203], "pq"))


def test_hlg_is_bt2100_s():
    """ITU-R BT.2100-3, tables 5: inverse OETF and the system gamma of a 1,000 cd/m2 display."""
    a, b, c = 0.17883277, 1 - 4 * 0.17883277, 0.5 - 0.17883277 * np.log(4 * 0.17883277)
    scene = np.where(SIGNAL <= 0.5, SIGNAL**2 / 3, (np.exp((SIGNAL - c) / a) + b) / 12)
    np.testing.assert_allclose(203 * color.linear(SIGNAL, "hlg"), 1000 * scene**1.2, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(color.delinear(1000 * scene**1.2 / 203, "hlg"), SIGNAL, atol=1e-6)
    np.testing.assert_allclose(color.delinear([-1, 50], "hlg"), [0, 1], atol=1e-6)


def test_sdr_is_srgb_s():
    """IEC 61966-2-1."""
    light = np.where(SIGNAL <= 0.04045, SIGNAL / 12.92, ((SIGNAL + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(color.linear(SIGNAL, "sdr"), light, rtol=1e-12)
    linear = np.linspace(0, 1, 2001)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(color.delinear(linear, "sdr"), expected, rtol=1e-12)
    assert color.linear([-0.5, 1.5], "sdr").tolist() == [0, 1]
    assert color.delinear([-0.5, 1.5], "sdr") == pytest.approx([0, 1])


def test_a_colour_in_a_wide_gamut_is_the_same_colour():
    """BT.2087, M2: the columns are pure BT.709 red, green and blue."""
    wide = Encoding("bt2020", True, "sdr", True, "rgb", 8)
    red, green, blue = (
        color.linear(np.array(color.drawing_codes(rgb, wide)) / 255, "sdr") for rgb in ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    )
    np.testing.assert_allclose(red, [0.6274, 0.0691, 0.0164], atol=1e-4)
    np.testing.assert_allclose(green, [0.3293, 0.9195, 0.0880], atol=1e-4)
    np.testing.assert_allclose(blue, [0.0433, 0.0114, 0.8956], atol=1e-4)
    assert color.drawing_codes((51, 102, 255), Encoding("bt601", True, "sdr", False, "rgb", 8)) == pytest.approx((51, 102, 255))
    assert color.drawing_codes((0, 0, 0), Encoding("bt709", False, "sdr", False, "yuv", 8)) == pytest.approx((16, 128, 128))


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_white_is_the_reference_white_in_hdr(transfer):
    into = Encoding("bt2020", True, transfer, False, "rgb", 10)
    codes = color.drawing_codes((255, 255, 255), into)
    np.testing.assert_allclose(203 * color.linear(np.array(codes) / 1023, transfer), 203, rtol=1e-4)
