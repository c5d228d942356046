from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.detect.preprocess import Preprocess
from streamseg.pixels import color, fields, planes
from streamseg.pixels.letterbox import PADDING, Fitter, tone_map
from tests import interlaced_clips
from tests.unit.pictures import noise

COLORS = np.array([[r, g, b] for r in (0, 64, 128, 255) for g in (0, 100, 255) for b in (0, 180, 255)])


def frame(picture: av.VideoFrame) -> Frame:
    return Frame(picture, 0, 0, Fraction(1, 25))


def flat_patches(fmt: str, matrix: int, span: int, side: int = 32) -> tuple[av.VideoFrame, np.ndarray]:
    """A picture of flat squares whose codes are the rounded ones of COLORS, and the exact R'G'B' of those codes, 0..255."""
    picture = av.VideoFrame(side * 6, side * 6, fmt)
    picture.colorspace, picture.color_range = matrix, span
    view, of = planes.views(picture), color.encoding(picture)
    codes = np.clip(np.rint(of.from_rgb(COLORS / 255)), 0, 2**of.depth - 1)
    for array, spec in view.planes:
        for i, code in enumerate(codes):
            y, x = divmod(i, 6)
            rows = slice(y * side >> spec.shift_y, (y + 1) * side >> spec.shift_y)
            columns = slice(x * side >> spec.shift_x, (x + 1) * side >> spec.shift_x)
            values = [int(code[c]) << view.layout.lsb for c in spec.components]
            array[rows, columns] = values if len(values) > 1 else values[0]
    back, offset = of.to_rgb()
    return picture, np.clip((codes @ back.T + offset) * 255, 0, 255)


@pytest.mark.parametrize(
    "fmt", ["yuv420p", "nv12", "yuv444p", "yuv420p10le", "p010le", "yuv422p12le", "rgb24", "bgr24", "gbrp"]
)
@pytest.mark.parametrize(("matrix", "span"), [(5, 1), (1, 1), (9, 1), (1, 2), (5, 2)])
def test_colours_are_right_for_every_matrix_range_and_depth(fmt, matrix, span):
    picture, expected = flat_patches(fmt, matrix, span)
    image = Preprocess(96, 96)(frame(picture)).image
    seen = np.array([image[y * 16 + 8, x * 16 + 8] for y, x in (divmod(i, 6) for i in range(len(COLORS)))])
    assert np.abs(seen - expected).max() <= 2
    assert np.abs(seen - COLORS).max() <= 4, "codes are rounded, but not by more than this"


@pytest.mark.parametrize(("matrix", "span"), [(5, 1), (1, 1), (1, 2)])
def test_colours_agree_with_swscale(matrix, span):
    picture, _ = flat_patches("yuv420p", matrix, span)
    theirs = picture.reformat(
        96, 96, "rgb24", src_colorspace=matrix, dst_colorspace=matrix, src_color_range=span, dst_color_range=2, threads=1
    ).to_ndarray()
    ours = Preprocess(96, 96)(frame(picture)).image
    centres = np.ix_(range(8, 96, 16), range(8, 96, 16))
    assert np.abs(ours[centres].astype(int) - theirs[centres]).max() <= 3


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (321, 239), (200, 400), (96, 54), (64, 36), (1, 700)])
def test_a_picture_is_resized_as_a_whole(width, height):
    """A ramp in x and y comes out as the same ramp: nothing is shifted, cropped or stretched, and the rest is padding."""
    picture = av.VideoFrame(width, height, "yuv444p")
    picture.color_range = 2
    x, y = (np.arange(n) + 0.5 for n in (width, height))
    luma, u, v = planes.views(picture).planes
    luma.array[...] = np.rint(20 + 100 * x / width + 100 * y[:, None] / height)
    u.array[...] = v.array[...] = 128
    prepared = Preprocess(96, 160)(frame(picture))
    box = prepared.letterbox
    rows, columns = np.arange(96) + 0.5, np.arange(160) + 0.5
    at_x, at_y = (columns - box.left) / box.scale_x, (rows - box.top) / box.scale_y
    inside = ((at_y > 0) & (at_y < height))[:, None] & ((at_x > 0) & (at_x < width))
    expected = 20 + 100 * at_x / width + 100 * at_y[:, None] / height
    half_a_sample = 100 * (0.5 / max(1, width) + 0.5 / max(1, height))
    assert np.abs(prepared.image[..., 0] - expected)[inside].max() <= 2 + half_a_sample
    assert (prepared.image[~inside] == PADDING).all()
    assert inside.any()


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (1920, 1080), (321, 239), (200, 400), (64, 36), (719, 405), (4615, 2597)]
)
def test_a_box_goes_there_and_back(width, height):
    """The edges of a white rectangle, found in the model's picture, lie where the transform says."""
    picture = av.VideoFrame(width, height, "yuv420p")
    picture.color_range = 2
    known = np.array([0.25 * width, 0.5 * height, 0.75 * width, 0.875 * height], np.float32).round()
    luma, u, v = planes.views(picture).planes
    luma.array[...], u.array[...], v.array[...] = 0, 128, 128
    x0, y0, x1, y1 = known.astype(int)
    luma.array[y0:y1, x0:x1] = 255
    prepared = Preprocess(320, 576)(frame(picture))
    box = prepared.letterbox
    seen = prepared.image[..., 1].astype(float) / 255
    blank = Preprocess(320, 576)(frame(_black(width, height))).image
    seen[(blank == PADDING).all(-1)] = 0
    columns, rows = seen.max(0), seen.max(1)
    # An edge inside a pixel shows as that pixel's brightness.
    left, top = np.argmax(columns > 0.99) - columns[: np.argmax(columns > 0.99)].sum(), np.argmax(rows > 0.99)
    top = top - rows[:top].sum()
    found = np.array([[left, top, left + columns.sum(), top + rows.sum()]], np.float32)
    assert np.abs(box.to_frame(found)[0] - known).max() <= 0.35 / min(box.scale_x, box.scale_y) + 0.05


def _black(width: int, height: int) -> av.VideoFrame:
    picture = av.VideoFrame(width, height, "yuv420p")
    picture.color_range = 2
    for (array, _), value in zip(planes.views(picture).planes, (0, 128, 128), strict=True):
        array[...] = value
    return picture


def test_shrinking_does_not_alias():
    """Single-pixel stripes become grey, not stripes of another width."""
    picture = _black(1920, 1080)
    planes.views(picture).planes[0].array[:, ::2] = 255
    image = Preprocess(320, 576)(frame(picture)).image[:, 10:-10]
    assert np.abs(image.astype(int)[4:-4] - 128).max() <= 2


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.58), (18, 0.75)])
def test_hdr_looks_like_sdr(transfer, white):
    """Mid grey stays mid grey and reference white bright, though they are dark codes in HDR; what is brighter is not clipped."""
    picture = av.VideoFrame(96, 32, "yuv420p10le")
    picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc = 9, 1, 9, transfer
    kind = color.encoding(picture).transfer
    levels = [float(color.delinear(0.18, kind)), white, float(color.delinear(3.0, kind))]
    luma, u, v = planes.views(picture).planes
    u.array[...] = v.array[...] = 512
    for i, level in enumerate(levels):
        luma.array[:, 32 * i : 32 * i + 32] = round(64 + 876 * level)
    grey, bright, highlight = Preprocess(32, 96)(frame(picture)).image[16, [16, 48, 80], 1].astype(int)
    assert abs(grey - 118) <= 4
    assert 225 <= bright < highlight <= 255


def test_a_strange_format_is_converted():
    picture = noise("yuv422p", 64, 48).reformat(format="yuyv422", threads=1)
    picture.colorspace = picture.color_range = 1
    same = Preprocess(48, 64)(frame(noise("yuv422p", 64, 48))).image
    np.testing.assert_array_equal(Preprocess(48, 64)(frame(picture)).image, same)


def test_pictures_are_independent_of_each_other():
    prepare = Preprocess(48, 64)
    first = prepare(frame(noise("yuv420p", 64, 32))).image
    kept = first.copy()
    prepare(frame(noise("yuv420p", 64, 32, seed=1)))
    np.testing.assert_array_equal(first, kept)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous


def test_bad_size():
    with pytest.raises(ValueError, match="height 0"):
        Preprocess(0, 64)


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("height", [64, 66, 67])
def test_of_an_interlaced_frame_the_first_field_is_seen(order, height):
    """Whatever lies in the lines of the other one; and boxes come back to where they are in the frame."""
    one = noise("yuv420p", 96, height)
    other = planes.copy_frame(one)
    for array, _ in planes.views(other).planes:
        array[1 if order == "tff" else 0 :: 2] = 255
    seen = [Preprocess(32, 48)(Frame(picture, 0, 0, Fraction(1, 25), field_order=order)) for picture in (one, other)]
    np.testing.assert_array_equal(seen[0].image, seen[1].image)
    assert (Preprocess(32, 48)(Frame(other, 0, 0, Fraction(1, 25))).image != seen[0].image).any()
    whole = np.array([[0, 0, 48, 32]], np.float32)
    assert seen[0].letterbox.to_frame(whole)[0] == pytest.approx([0, 0, 96, height], abs=4)


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_flow_and_outlines_see_one_moment(order):
    frame = Frame(interlaced_clips.frame(2, order), 0, 0, Fraction(1, 25), field_order=order)
    seen = fields.one_moment(frame.picture, frame.field_order)
    assert interlaced_clips.bar(seen.planes[0].array) == 8 + 4 * interlaced_clips.STEP
    for mine, its in zip(seen.planes, planes.views(frame.picture).planes, strict=True):
        assert mine.array.shape == its.array.shape
        assert (mine.array[0::2] == mine.array[1::2]).all()


@pytest.mark.parametrize(
    ("width", "height", "fitted", "at"),
    [
        (1280, 720, (160, 90), (0, 3)), (160, 96, (160, 96), (0, 0)), (200, 400, (48, 96), (56, 0)), (96, 54, (160, 90), (0,
        3)),
        (100, 100, (96, 96), (32, 0)), (1, 700, (1, 96), (79, 0)), (4000, 1, (160, 1), (0, 47)), (161, 96, (160, 95), (0, 0)),
        (40, 24, (160, 96), (0, 0)),
    ],
)  # fmt: skip
def test_the_shape_of_a_frame_is_kept_and_it_lies_in_the_middle(width, height, fitted, at):
    fit = Fitter(96, 160).fit(width, height)
    assert (fit.width, fit.height) == fitted
    assert (fit.letterbox.left, fit.letterbox.top) == at
    assert (fit.letterbox.frame_width, fit.letterbox.frame_height) == (width, height)


@pytest.mark.parametrize("mode", ["letterbox-top-left", "stretch"])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (321, 239), (200, 400), (96, 54), (64, 36), (1, 700), (700, 3)])
def test_a_frame_lies_in_the_corner_or_is_stretched(width, height, mode):
    """A ramp in x and y comes out where the letterbox says; what is left is padding of the code asked for."""
    picture = av.VideoFrame(width, height, "yuv444p")
    picture.color_range = 2
    x, y = (np.arange(n) + 0.5 for n in (width, height))
    luma, u, v = planes.views(picture).planes
    luma.array[...] = np.rint(20 + 100 * x / width + 100 * y[:, None] / height)
    u.array[...] = v.array[...] = 128
    prepared = Preprocess(96, 160, mode, 7)(frame(picture))
    box = prepared.letterbox
    rows, columns = np.arange(96) + 0.5, np.arange(160) + 0.5
    assert (box.left, box.top) == (0, 0)
    at_x, at_y = columns / box.scale_x, rows / box.scale_y
    inside = (at_y < height)[:, None] & (at_x < width)
    expected = 20 + 100 * at_x / width + 100 * at_y[:, None] / height
    half_a_sample = 100 * (0.5 / width + 0.5 / height)
    assert np.abs(prepared.image[..., 0] - expected)[inside].max() <= 2 + half_a_sample
    assert (prepared.image[~inside] == 7).all()
    assert inside.all() == (mode == "stretch")
    corner = np.array([[0, 0, inside.any(0).sum(), inside.any(1).sum()]], np.float32)
    assert (np.abs(box.to_frame(corner)[0, 2:] - (width, height)) <= (1 / box.scale_x, 1 / box.scale_y)).all()


@pytest.mark.parametrize(
    ("height", "width", "size", "left", "top"),
    [
        (720, 1280, (640, 640), 0, 140), (719, 1280, (640, 640), 0, 140), (717, 1280, (640, 640), 0, 141),
        (480, 639, (640, 640), 0, 79), (1280, 717, (640, 640), 141, 0), (335, 640, (384, 640), 0, 24),
        (333, 640, (384, 640), 0, 25),
    ],
)  # fmt: skip
def test_padding_of_odd_sizes_has_the_smaller_half_in_front(height, width, size, left, top):
    """As Ultralytics rounds it: of a remainder r, round(r / 2 - 0.1) lies above or left, the rest below or right."""
    box = Fitter(*size).fit(width, height).letterbox
    assert (box.left, box.top) == (left, top)
    scale = min(size[0] / height, size[1] / width)
    rest = size[1] - round(width * scale), size[0] - round(height * scale)
    assert (left, top) == tuple(round(r / 2 - 0.1) for r in rest)


@pytest.mark.parametrize(
    ("width", "height", "halvings"),
    [(160, 96, (0, 0)), (319, 191, (0, 0)), (320, 192, (1, 1)), (639, 383, (1, 1)), (640, 384, (2, 2)), (10, 10, (0, 0)), (1,
    768, (0, 3)), (2, 768, (1, 3)), (1280, 2, (3, 1))],
)  # fmt: skip
def test_a_frame_is_halved_while_more_than_twice_what_is_wanted_is_left(width, height, halvings):
    """And never to less than a pixel."""
    fit = Fitter(96, 160).fit(width, height)
    assert fit.halvings == halvings
    assert fit.seen == (width >> halvings[0] << halvings[0], height >> halvings[1] << halvings[1])


def test_a_sample_is_every_nth_pixel():
    prepared = Preprocess(48, 64)(frame(noise("yuv420p", 64, 48)))
    np.testing.assert_array_equal(prepared.sample(3), prepared.image[::3, ::3])


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_tones_below_the_knee_are_kept_and_highlights_roll_off_to_white(transfer):
    """Light relative to reference white: itself up to 0.75, then 0.75 + 0.25 (1 - exp(-(x - 0.75) / 0.25)), without a step."""
    table = tone_map(transfer)
    light = color.linear(np.arange(256) / 255, transfer)
    shown = color.linear(table / 255, "sdr")
    below = light < 0.74
    assert below.sum() > 100
    assert np.abs(shown - light)[below].max() < 0.006
    above = ~below
    assert np.abs(shown - (1 - 0.25 * np.exp(-(np.maximum(light, 0.75) - 0.75) / 0.25)))[above].max() < 0.012
    assert (np.diff(table.astype(int)) >= 0).all()
    assert (table[0], table[-1]) == (0, 255)


@pytest.mark.parametrize(
    ("fmt", "span", "codes"),
    [
        ("gray", 2, (0, 51, 255)),
        ("gray", 1, (16, 60, 235)),
        ("gray10le", 1, (64, 240, 940)),
        ("gray16le", 2, (0, 13107, 65535)),
    ],
)
def test_grey_is_grey_in_every_range_and_depth(fmt, span, codes):
    picture = av.VideoFrame(96, 32, fmt)
    picture.color_range = span
    for i, code in enumerate(codes):
        planes.views(picture).planes[0].array[:, 32 * i : 32 * i + 32] = code
    image = Preprocess(32, 96)(frame(picture)).image[16, [16, 48, 80]].astype(int)
    assert np.abs(image - np.array([[0], [51], [255]])).max() <= 1


def test_saturated_colours_of_full_chroma_are_not_wrapped():
    """The chroma part of green takes two steps, which must hold every colour, those outside of RGB too."""
    for fmt, peak in (("yuv444p", 255), ("yuv444p10le", 1023)):
        for u, v in ((0, 0), (1, 1), (0, 1), (1, 0)):
            picture = av.VideoFrame(16, 16, fmt)
            picture.colorspace, picture.color_range = 1, 2
            codes = [round(value * peak) for value in (0.5, u, v)]
            for (array, _), code in zip(planes.views(picture).planes, codes, strict=True):
                array[...] = code
            back, offset = color.encoding(picture).to_rgb()
            expected = np.clip(255 * (back @ codes + offset), 0, 255)
            assert np.abs(Preprocess(16, 16)(frame(picture)).image[8, 8] - expected).max() <= 1


def test_shrinking_one_axis_alone_does_not_alias_either():
    picture = av.VideoFrame(480, 1, "gray")
    planes.views(picture).planes[0].array[:, ::2] = 255
    planes.views(picture).planes[0].array[:, 1::2] = 0
    image = Preprocess(96, 160)(frame(picture)).image[47, 4:-4].astype(int)
    assert np.abs(image - 128).max() <= 2
