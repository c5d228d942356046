"""Fields: read, flagged, taken apart and woven without a sample's change; conversions keep them apart."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.pixels import planes
from streamseg.pixels.fields import Marker, OrderReader, convert, full_chroma, split, weave
from tests import interlaced_clips
from tests.unit.pictures import noise


@pytest.mark.parametrize("order", ["tff", "bff", None])
def test_what_is_flagged_is_read(order) -> None:
    picture = noise("yuv420p", 32, 16)
    marked = Marker()(picture, order)
    assert OrderReader()(marked) == order
    assert (marked.pts, marked.time_base, int(marked.colorspace)) == (picture.pts, picture.time_base, 1)
    np.testing.assert_array_equal(marked.to_ndarray(), picture.to_ndarray())
    assert OrderReader()(Marker()(marked, None)) is None


def test_one_reader_takes_pictures_of_all_sizes_in_turn() -> None:
    read, mark = OrderReader(), Marker()
    for order, size in (("bff", (32, 16)), ("tff", (64, 32)), (None, (64, 32)), ("bff", (64, 32)), ("tff", (32, 16))):
        assert read(mark(noise("nv12", *size), order)) == order


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "p010le", "yuv422p10le", "rgb24", "gray"])
@pytest.mark.parametrize("height", [16, 18, 14, 15])
def test_split_and_woven_again_it_is_the_same(name: str, height: int) -> None:
    picture = noise(name, 20, height)
    again = weave(*split(picture))
    assert (again.width, again.height, again.pts) == (20, height, 1234)
    for mine, theirs in zip(planes.views(again).planes, planes.views(picture).planes, strict=True):
        np.testing.assert_array_equal(mine.array, theirs.array)


@pytest.mark.parametrize("name", ["yuva444p10le", "rgb24", "yuv422p"])
def test_a_conversion_does_not_take_chroma_from_the_other_field(name: str) -> None:
    one, other = noise("yuv420p", 32, 32, 1), noise("yuv420p", 32, 32, 1)
    for array, _ in planes.views(other).planes:
        array[1::2] = 255 - array[1::2]
    made = [planes.views(convert(picture, name, interlaced=True)) for picture in (one, other)]
    mixed = [planes.views(convert(picture, name, interlaced=False)) for picture in (one, other)]
    assert all((a.array[::2] == b.array[::2]).all() for a, b in zip(made[0].planes, made[1].planes, strict=True))
    assert not all((a.array[::2] == b.array[::2]).all() for a, b in zip(mixed[0].planes, mixed[1].planes, strict=True))


def test_full_chroma_leaves_what_has_it() -> None:
    whole = noise("yuv422p10le", 32, 32)
    assert full_chroma(whole) is whole
    assert full_chroma(noise("p010le", 32, 32)).format.name == "yuv444p10le"


def test_the_clip_of_these_tests_is_woven_of_two_moments() -> None:
    luma = interlaced_clips.frame(1, "bff").to_ndarray()[: interlaced_clips.HEIGHT]
    assert interlaced_clips.bar(luma[1::2]) == 8 + 2 * interlaced_clips.STEP
    assert interlaced_clips.bar(luma[0::2]) == 8 + 3 * interlaced_clips.STEP
