from dataclasses import replace

import av
import numpy as np
import pytest

from streamseg.composite import Compositor, Overlay, to_image
from streamseg.composite.labels import label_text
from streamseg.composite.overlay import around, sampling, scaled
from streamseg.core.palette import color_of
from streamseg.core.types import Instances
from streamseg.errors import ConfigError
from streamseg.pixels import color, planes
from streamseg.pixels.layouts import PlaneSpec
from tests.unit.pictures import codes, ellipse, field, instances, noise, result

FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "nv12", "p010le", "gray", "rgb24", "gbrp"]
BOXES = [[20.3, 30.6, 140.9, 200.2], [90.0, 10.0, 230.0, 120.0], [250.5, 150.5, 321.0, 239.0]]


def draw(picture: av.VideoFrame, found: Instances, **options: object) -> av.VideoFrame:
    return Compositor([Overlay(**options)], keep_grey=True)(result(picture, found)).picture  # type: ignore[arg-type]


def under(mask: np.ndarray, spec: PlaneSpec, every: bool) -> np.ndarray:
    """Which samples of a plane have all (or any) of their pixels in `mask`."""
    sx, sy = 1 << spec.shift_x, 1 << spec.shift_y
    h, w = mask.shape
    blocks = np.pad(mask, ((0, -h % sy), (0, -w % sx)), mode="edge").reshape(-(-h // sy), sy, -(-w // sx), sx)
    return blocks.all((1, 3)) if every else blocks.any((1, 3))


@pytest.mark.parametrize("fill", [0.45, 1.0])
@pytest.mark.parametrize(("width", "height"), [(321, 239), (320, 240)])
@pytest.mark.parametrize("fmt", FORMATS)
def test_painted_pixels_are_the_expected_ones_and_no_others(fmt, width, height, fill):
    """Against masks sampled by scipy and blended in float64: inside, the blend; outside, the source's very codes."""
    picture = noise(fmt, width, height)
    source = codes(picture)
    found = instances(BOXES)
    drawn = draw(picture, found, fill=fill, contour=0, label="")
    for a, b in zip(source, codes(picture), strict=True):
        np.testing.assert_array_equal(a, b, "the shared picture was written into")
    fields = [field(ellipse(), box, width, height) for box in found.boxes.tolist()]
    of, view = color.encoding(picture), planes.views(drawn)
    # Masks of 0 and 255 leave one half within a cell, and a pixel's coverage is whole a pixel away from the outline.
    untouched = ~np.any([f > 30 for f in fields], axis=0)
    for i in range(3):
        shown = (fields[i] > 225) & ~np.any([f > 30 for f in fields[:i]], axis=0)
        assert shown.sum() > 1000
        rgb = np.array(color_of(i + 1, 0)) / 255
        paint = np.clip(of.from_rgb(rgb), 0, 2**of.depth - 1)
        alpha = round(255 * fill) / 255
        for (_, spec), before, after in zip(view.planes, source, codes(drawn), strict=True):
            where = under(shown, spec, every=True)
            expected = before[where] * (1 - alpha) + alpha * np.rint(paint[list(spec.components)]).reshape(before.shape[2:])
            assert np.abs(after[where] - expected).max() <= (0 if fill == 1 else 1)
    for (_, spec), before, after in zip(view.planes, source, codes(drawn), strict=True):
        where = under(untouched, spec, every=True)
        np.testing.assert_array_equal(after[where], before[where])
        assert (after != before)[under(~untouched, spec, every=True)].mean() > 0.9


@pytest.mark.parametrize("fmt", FORMATS)
def test_everything_drawn_leaves_the_rest_alone(fmt):
    """Contour, box and label too: far from the boxes every code is the source's."""
    picture = noise(fmt, 321, 239)
    drawn = draw(picture, instances([[60.0, 60.0, 160.0, 140.0]]), box=True)
    far = np.ones((239, 321), bool)
    far[30:150, 50:200] = False
    for (_, spec), before, after in zip(planes.views(drawn).planes, codes(picture), codes(drawn), strict=True):
        where = under(far, spec, every=True)
        np.testing.assert_array_equal(after[where], before[where])


@pytest.mark.parametrize("fmt", FORMATS)
def test_odd_frames_are_painted_up_to_their_last_sample(fmt):
    """The last chroma column and row of an odd frame lie under one luma column and row."""
    picture = noise(fmt, 321, 239)
    whole = instances([[0.0, 0.0, 321.0, 239.0]], masks=np.full((1, 28, 28), 255, np.uint8))
    for plane in codes(draw(picture, whole, fill=1.0, contour=0, label="")):
        assert (plane == plane[0, 0]).all()


@pytest.mark.parametrize(("width", "height"), [(321, 239), (1922, 1081), (3840, 2160)])
def test_large_frames_are_drawn_alike(width, height):
    """Above 1080p masks are sampled at every second pixel; the picture must not show it."""
    picture = av.VideoFrame(width, height, "yuv420p")
    for (array, _), value in zip(planes.views(picture).planes, (100, 128, 128), strict=True):
        array[...] = value
    box = [0.2 * width, 0.3 * height, 0.7 * width, 0.9 * height]
    after = codes(draw(picture, instances([box]), contour=0, label="", fill=1.0))[0]
    expected = field(ellipse(), box, width, height) > 127.5
    assert ((after != 100) ^ expected).mean() < 0.004


def test_a_crowd_is_drawn_alike():
    """Boxes that cover the frame many times over are sampled more coarsely; the top one is still where it belongs."""
    found = instances([[0.0 + i, 0.0, 639.0, 359.0] for i in range(30)])
    picture = noise("yuv420p", 640, 360)
    after = codes(draw(picture, found, contour=0, label="", fill=1.0))[0]
    expected = field(ellipse(), [0.0, 0.0, 639.0, 359.0], 640, 360) > 127.5
    of = color.encoding(picture)
    top = round(color.drawing_codes(color_of(1, 0), of)[0])
    assert ((after == top) ^ expected).mean() < 0.03


def test_the_higher_score_lies_on_top():
    picture = noise("yuv444p", 320, 240)
    drawn = draw(picture, instances([[40.0, 40.0, 200.0, 200.0], [100.0, 60.0, 300.0, 220.0]]), fill=1.0, contour=0, label="")
    image = to_image(drawn)
    assert np.abs(image[120, 150].astype(int) - color_of(1, 0)).max() <= 3
    assert np.abs(image[140, 270].astype(int) - color_of(2, 0)).max() <= 3


@pytest.mark.parametrize("fmt", ["yuv420p", "yuvj420p", "yuv420p10le", "nv12", "p010le", "rgb24"])
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_colours_on_screen_are_those_of_the_palette(fmt, matrix):
    """Seen through swscale, whatever the matrix, range and depth."""
    picture = noise(fmt, 320, 240)
    picture.colorspace = matrix
    span = 2 if fmt in ("yuvj420p", "rgb24") else 1
    picture.color_range = span
    drawn = draw(picture, instances([[20.0, 20.0, 300.0, 220.0]]), fill=1.0, contour=0, label="")
    image = drawn.reformat(
        format="rgb24", src_colorspace=matrix, dst_colorspace=matrix, src_color_range=span, dst_color_range=2, threads=1
    )
    assert np.abs(image.to_ndarray()[120, 160].astype(int) - color_of(1, 0)).max() <= 4


def contour_width(height: int, line: float) -> int:
    """Pixels of strong colour along a row that crosses the left outline, from its outside to the faint fill."""
    width = height * 16 // 9
    picture = av.VideoFrame(width, height, "yuv444p")
    for array, _ in planes.views(picture).planes:
        array[...] = 128
    mask = np.full((1, 28, 28), 255, np.uint8)
    found = instances([[0.25 * width, 0.1 * height, 0.75 * width, 0.9 * height]], masks=mask)
    drawn = draw(picture, found, fill=0.0, contour=line, label="")
    row = codes(drawn)[1][height // 2, : width // 2]
    paint = color.drawing_codes(color_of(1, 0), color.encoding(picture))[1]
    return int((np.abs(row - 128) > 0.7 * abs(paint - 128)).sum())


@pytest.mark.parametrize(
    ("height", "line", "expected"), [(240, 2.0, 1), (720, 2.0, 2), (1080, 2.0, 2), (1080, 6.0, 6), (2160, 2.0, 4)]
)
def test_contours_scale_with_the_picture(height, line, expected):
    assert abs(contour_width(height, line) - expected) <= 1
    assert contour_width(height, line) >= 1


def test_no_contour_along_the_border_of_the_frame():
    """Where the frame cuts an object off there is no outline to draw."""
    picture = noise("yuv444p", 320, 240)
    found = instances([[0.0, 0.0, 200.0, 240.0]], masks=np.full((1, 28, 28), 255, np.uint8))
    before, after = codes(picture)[0], codes(draw(picture, found, fill=0.0, label=""))[0]
    np.testing.assert_array_equal(after[:, :180], before[:, :180])
    assert (after[:, 199] == round(color.drawing_codes(color_of(1, 0), color.encoding(picture))[0])).all()


def test_the_box_is_drawn_on_request():
    picture = noise("yuv444p", 320, 240)
    found = instances([[50.0, 60.0, 250.0, 200.0]])
    before, after = codes(picture)[0], codes(draw(picture, found, fill=0.0, contour=0, label="", box=True))[0]
    expected = np.zeros(before.shape, bool)
    expected[60:200, 50:250] = True
    expected[61:199, 51:249] = False
    luma = round(color.drawing_codes(color_of(1, 0), color.encoding(picture))[0])
    assert (after[expected] == luma).all()
    np.testing.assert_array_equal(after[~expected], before[~expected])


def test_only_the_chosen_classes_are_drawn():
    picture = noise("yuv420p", 320, 240)
    found = instances([[10.0, 60.0, 100.0, 200.0], [200.0, 60.0, 300.0, 200.0]])
    before, after = codes(picture)[0], codes(draw(picture, found, classes=["car"]))[0]
    np.testing.assert_array_equal(after[:, :150], before[:, :150])
    assert (after[100:150, 230:270] != before[100:150, 230:270]).mean() > 0.9
    with pytest.raises(ConfigError, match=r"'cow'.*person, car, dog"):
        draw(picture, found, classes=["cow"])


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [50, 50, 50, 90], [319.9, 0, 320, 240], [-50, -50, 400, 300], [1, 1, 1.2, 1.2]])
def test_extreme_boxes_are_survived(box):
    picture = noise("yuv420p", 320, 240)
    assert draw(picture, instances([box]), box=True).width == 320


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 4), (5, 300)])
@pytest.mark.parametrize("fmt", ["yuv420p", "nv12", "yuv420p10le"])
def test_tiny_frames_are_survived(fmt, size):
    picture = noise(fmt, *size)
    assert draw(picture, instances([[0, 0, size[0], size[1]]]), box=True).height == size[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fill": 1.5}, "fill.*1.5"), ({"contour": -1}, "contour.*-1"), ({"label": "{nam}"}, "nam"), ({"label": "{"}, "label")],
)
def test_bad_options_name_the_value(options, message):
    with pytest.raises(ConfigError, match=message):
        Overlay(**options)


def test_doubtful_instances_are_drawn_fainter_and_thinner():
    """Half the fill inside, half the width of the line along the outline; sure ones beside them stay as they are."""
    black = av.VideoFrame.from_ndarray(np.zeros((1080, 1920, 3), np.uint8), "rgb24")
    boxes = [[100.0, 100.0, 700.0, 900.0], [1000.0, 100.0, 1600.0, 900.0]]
    found = instances(boxes, masks=np.full((2, 28, 28), 255, np.uint8))
    found = replace(found, doubtful=np.array([False, True]), track_ids=np.array([1, 1]))
    drawn = to_image(draw(black, found, fill=0.4, contour=8, label="")).astype(float)
    colour = np.array(color_of(1, 0), float)
    assert np.abs(drawn[500, 400] - 0.4 * colour).max() < 2
    assert np.abs(drawn[500, 1300] - 0.2 * colour).max() < 2
    wide, thin = (strong_in(drawn[500, x0 : x0 + 700], colour) for x0 in (50, 950))
    assert wide == pytest.approx(2 * thin, abs=4)
    assert thin >= 6


def strong_in(row: np.ndarray, colour: np.ndarray) -> int:
    return int((row.max(1) > 0.7 * colour.max()).sum())


def test_labels_show_the_mean_score_of_the_track():
    found = replace(instances(BOXES[:1]), track_scores=np.array([0.61], np.float32))
    assert label_text("{name} {score:.0%}", found, 0) == f"{found.names[0]} 61%"


@pytest.mark.parametrize(
    ("boxes", "size", "scale"),
    [
        (1, (1920, 1080), 1), (1, (2880, 1619), 1), (1, (2880, 1620), 2), (1, (1620, 2880), 2), (0, (3840, 2160), 2),
        (4, (100, 80), 1), (5, (100, 80), 2), (8, (100, 80), 2), (9, (100, 80), 4), (4, (3000, 2000), 2), (9, (3000, 2000), 4),
    ],
)  # fmt: skip
def test_masks_are_sampled_as_finely_as_time_allows(boxes, size, scale):
    """Every second pixel from 1620 lines on, or where boxes cover the frame more than four times; then every fourth."""
    assert sampling([(0, 0, *size)] * boxes, *size) == scale


def test_regions_have_a_margin_and_whole_chroma_samples():
    assert around([10.5, 20.5, 30.5, 40.5], 3, 100, 80, 4) == (4, 16, 36, 44)
    assert around([1, 1, 98, 79], 3, 99, 79, 4) == (0, 0, 99, 79)
    assert around([10, 10, 10, 20], 3, 100, 80, 4) == around([10, 20, 20, 20], 3, 100, 80, 4) == (0, 0, 0, 0)
    assert scaled((4, 8, 15, 21), 2) == (2, 4, 8, 11)
    assert scaled((4, 8, 15, 21), 1) == (4, 8, 15, 21)


def test_the_line_lies_inside_of_the_outline_and_is_as_wide_as_asked_for():
    """A full box of 80 x 60: the contour is a frame of that width within it, whatever the fill."""
    picture = noise("yuv444p", 240, 600)
    black, full = planes.new_frame(1080, 1080, "gray"), np.full((1, 28, 28), 255, np.uint8)
    planes.views(black).planes[0].array[...] = 0
    found = replace(instances([[80.0, 500.0, 160.0, 560.0]]), masks=full)
    for contour, line in ((2.0, 2), (4.0, 4), (9.0, 9)):
        drawn = codes(draw(black, found, fill=0, contour=contour, label=""))[0]
        rows, columns = np.nonzero(drawn > 40)
        assert abs(rows.min() - 500) <= 1
        assert abs(rows.max() - 559) <= 1
        assert abs(columns.min() - 80) <= 1
        assert abs(columns.max() - 159) <= 1
        middle = drawn[530] > 40
        assert abs(middle[:120].sum() - line) <= 1
        assert abs(middle[120:].sum() - line) <= 1
        assert not middle[100:140].any(), "no fill"
    assert (codes(draw(picture, found, fill=0, contour=0, label=""))[0] == codes(picture)[0]).all()


def test_the_box_is_a_line_of_two_pixels_of_1080_inside_its_edges():
    black = planes.new_frame(1080, 1080, "gray")
    planes.views(black).planes[0].array[...] = 0
    found = replace(instances([[80.0, 500.0, 160.0, 560.0]]), masks=np.zeros((1, 28, 28), np.uint8))
    drawn = codes(draw(black, found, fill=0, contour=0, box=True, label=""))[0] > 40
    expected = np.zeros_like(drawn)
    expected[500:560, 80:160] = True
    expected[502:558, 82:158] = False
    np.testing.assert_array_equal(drawn, expected)


def test_options_at_their_limits_are_allowed():
    for options in ({"fill": 0}, {"fill": 1}, {"contour": 0}, {"contour": 50}, {"label": ""}):
        Overlay(**options)
    for options in ({"fill": -0.01}, {"fill": 1.01}, {"contour": -0.1}, {"contour": 50.1}):
        with pytest.raises(ConfigError):
            Overlay(**options)


@pytest.mark.parametrize("label", ["{score[0]}", "{id[0]}", "{name:>99999}", "{score:.99999999999f}", "{0}", "{name.upper.x}"])
def test_a_label_that_cannot_be_filled_in_is_answered(label):
    """TypeError; or a string of megabytes for every instance."""
    with pytest.raises(ConfigError, match="cannot be filled in"):
        Overlay(label=label)
