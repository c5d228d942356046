"""What stands in an area to ignore is not found there; what only reaches into it is."""

from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.detect.ignore import Ignore
from streamseg.errors import ConfigError
from streamseg.events import Area

CLASSES = ("person", "car")
FRAME = Frame(av.VideoFrame(200, 100, "gray"), 0, 0, Fraction(1, 25))
BOXES = [
    (20, 10, 40, 45),  # stands in the area
    (60, 20, 80, 90),  # reaches into it from below: its feet are outside, half of it is not
    (10, 30, 30, 60),  # lies in it for the most part, and stands outside
    (120, 10, 160, 95),  # elsewhere
    (88, 20, 116, 48),  # stands on the edge: more of it is outside, its feet too
]


def result(side: int = 28) -> Result:
    n = len(BOXES)
    masks = np.full((n, side, side), 255, np.uint8)
    return Result(
        FRAME,
        Instances(
            np.array(BOXES, np.float32), np.full(n, 0.9, np.float32), np.array([0, 0, 1, 1, 0], np.int64), masks, CLASSES
        ),
    )


@pytest.mark.parametrize("side", [28, 1, 0])
@pytest.mark.parametrize("points", [((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)), ((0, 0), (100, 0), (100, 50), (0, 50))])
def test_what_stands_or_lies_in_an_area_is_left_out(points, side):
    stage = Ignore([Area(points)])
    left = stage(result(side)).instances
    assert [tuple(box) for box in left.boxes.tolist()] == [BOXES[1], BOXES[3], BOXES[4]]
    assert stage.ignored == 2


def test_only_the_classes_that_are_named():
    area = Area(((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)), classes=("car",))
    assert [tuple(box) for box in Ignore([area])(result()).instances.boxes.tolist()] == [BOXES[i] for i in (0, 1, 3, 4)]


def test_several_areas_and_one_beyond_the_picture():
    areas = [Area(((0, 0), (0.3, 0), (0.3, 1), (0, 1))), Area(((110, -50), (900, -50), (900, 900), (110, 900)))]
    assert [tuple(box) for box in Ignore(areas)(result()).instances.boxes.tolist()] == [BOXES[1], BOXES[4]]


@pytest.mark.parametrize("points", [((0, 0), (1, 1)), ((0, 0), (1, 1), (0.5, 0.5)), ((0, 0), (1.5, 0), (0, 1))])
def test_points_that_make_no_area_are_refused(points):
    with pytest.raises(ConfigError):
        Area(points)
