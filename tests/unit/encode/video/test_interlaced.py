"""Interlaced pictures in files: flagged as they were, fields apart through padding, scaling and conversion, or a word of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.decode import open_source
from streamseg.encode import open_sink
from streamseg.encode.video.convert import PictureConverter
from streamseg.pixels import planes
from streamseg.pixels.fields import convert
from tests import clips, interlaced_clips
from tests.unit.encode.helpers import INFO, copy, rendered
from tests.unit.pictures import noise


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b.mp4", {}),
        ("b.mov", {}),
        ("b.mkv", {}),
        ("b.ts", {}),
        ("b.avi", {}),
        ("b.mov", {"codec": "prores"}),
        ("b.mkv", {"codec": "ffv1"}),
    ],
)
def test_each_picture_says_what_it_was(name, options, order, tmp_path) -> None:
    sink = copy(interlaced_clips.write(tmp_path / "a.mp4", order=order), tmp_path / name, **options)
    assert interlaced_clips.orders(tmp_path / name) == [order] * 6
    assert sink.warnings == []
    for number, picture in enumerate(clips.decoded(tmp_path / name)):
        luma = planes.views(picture).planes[0].array >> (2 if "prores" in str(options) else 0)
        first = 0 if order == "tff" else 1
        assert interlaced_clips.bar(luma[first::2]) == pytest.approx(8 + 2 * number * interlaced_clips.STEP, abs=0.5)
        assert interlaced_clips.bar(luma[1 - first :: 2]) == pytest.approx(
            8 + (2 * number + 1) * interlaced_clips.STEP, abs=0.5
        )


def test_a_lossless_copy_is_the_same(tmp_path) -> None:
    source = interlaced_clips.write(tmp_path / "a.mkv", "ffv1", "bff", progressive=(2,))
    copy(source, tmp_path / "b.mkv", codec="ffv1")
    assert (
        interlaced_clips.orders(tmp_path / "b.mkv")
        == interlaced_clips.orders(source)
        == ["bff", "bff", None, "bff", "bff", "bff"]
    )
    for mine, theirs in zip(clips.decoded(tmp_path / "b.mkv"), clips.decoded(source), strict=True):
        np.testing.assert_array_equal(mine.to_ndarray(), theirs.to_ndarray())


def test_rgb_keeps_its_fields_too(tmp_path) -> None:
    with open_source(interlaced_clips.write(tmp_path / "a.mkv", "ffv1", "bff")) as decoder:
        sink = open_sink(tmp_path / "b.mkv", replace(decoder.info, pix_fmt="rgb24"), codec="h264rgb")
        sink.open()
        for frame in decoder.frames():
            sink(rendered(frame, convert(frame.picture, "rgb24", interlaced=True)))
        sink.close()
    assert interlaced_clips.orders(tmp_path / "b.mkv") == ["bff"] * 6


def test_ten_bits_go_to_a_codec_that_marks_fields(tmp_path) -> None:
    copy(interlaced_clips.write(tmp_path / "a.mov", "prores_ks", pix_fmt="yuv422p10le"), tmp_path / "b.mp4")
    assert interlaced_clips.orders(tmp_path / "b.mp4") == ["tff"] * 6
    with av.open(str(tmp_path / "b.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv422p10le")


@pytest.mark.parametrize(("name", "options"), [("b.webm", {}), ("b.mp4", {"codec": "hevc"})])
def test_where_fields_cannot_be_marked_it_is_said(name, options, tmp_path) -> None:
    sink = copy(interlaced_clips.write(tmp_path / "a.mp4"), tmp_path / name, **options)
    (said,) = sink.warnings
    assert "cannot mark fields" in said
    assert "--deinterlace frame" in said
    assert len(clips.decoded(tmp_path / name)) == 6


def test_what_becomes_interlaced_later_is_said(tmp_path) -> None:
    sink = copy(interlaced_clips.write(tmp_path / "a.mkv", "ffv1", progressive=(0, 1)), tmp_path / "b.mp4")
    (said,) = sink.warnings
    assert "from 0.08 s on" in said
    assert "the film began progressive" in said


def test_deinterlaced_it_is_progressive(tmp_path) -> None:
    with open_source(interlaced_clips.write(tmp_path / "a.ts", "mpeg2video"), deinterlace="field") as decoder:
        sink = open_sink(tmp_path / "b.mp4", decoder.info)
        sink.open()
        for frame in decoder.frames():
            sink(rendered(frame))
        sink.close()
    assert interlaced_clips.orders(tmp_path / "b.mp4") == [None] * 12
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.streams.video[0].average_rate == 50
    assert sink.warnings == []


def test_a_height_that_is_no_multiple_of_four_is_padded_by_field(tmp_path) -> None:
    picture = interlaced_clips.frame(3, "bff", height=54)
    frame = replace(_frame(picture), field_order="bff")
    sink = open_sink(tmp_path / "b.mp4", replace(INFO, height=54, field_order="bff"))
    sink.open()
    sink(rendered(frame))
    sink.close()
    (made,) = clips.decoded(tmp_path / "b.mp4")
    assert (made.height, interlaced_clips.orders(tmp_path / "b.mp4")) == (56, ["bff"])
    luma = planes.views(made).planes[0].array
    for parity in (0, 1):
        assert interlaced_clips.bar(luma[54 + parity : 55 + parity]) == pytest.approx(
            interlaced_clips.bar(luma[parity:54:2]), abs=0.5
        )
    assert "padded to 96x56" in sink.warnings[0]


def _frame(picture):
    from tests.unit.encode.helpers import frames

    return frames([picture], time_base=Fraction(1, 25))[0]


@pytest.mark.parametrize("size", [(96, 64), (48, 48), (130, 90)], ids=["same size", "smaller", "larger"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_fitting_does_not_mix_the_fields(size, pix_fmt) -> None:
    """Two pictures that differ in the bottom field alone have one top field, whatever becomes of their size and format."""
    fit = PictureConverter(noise("yuv420p", 96, 64), (96, 64), pix_fmt, matrix="bt709", full_range=False)
    one, other = noise("yuv420p", *size, seed=1), noise("yuv420p", *size, seed=1)
    for array, _ in planes.views(other).planes:
        array[1::2] = 255 - array[1::2]
    made = [planes.views(fit(picture, interlaced=True)).planes for picture in (one, other)]
    for mine, theirs in zip(*made, strict=True):
        np.testing.assert_array_equal(mine.array[::2], theirs.array[::2])
        assert (mine.array[1::2] != theirs.array[1::2]).any()


def test_images_of_interlaced_pictures_come_with_a_word(tmp_path) -> None:
    sink = copy(interlaced_clips.write(tmp_path / "a.mp4", frames=2), tmp_path / "images")
    (said,) = sink.warnings
    assert "two moments" in said
    assert "--deinterlace frame" in said
    assert len(list((tmp_path / "images").iterdir())) == 2
