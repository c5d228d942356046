"""Interlaced sources: the pictures say what they are; fields that are coded apart are woven; what is asked for is deinterlaced."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.decode import open_source
from streamseg.pipeline.probe import probe
from streamseg.pixels import planes
from tests import clips, interlaced_clips
from tests.side_data import png_of

CODECS = {
    "H.264": ("a.mp4", "libx264", "yuv420p"),
    "H.264 in Matroska": ("a.mkv", "libx264", "yuv420p"),
    "MPEG-2": ("a.ts", "mpeg2video", "yuv420p"),
    "MPEG-2 in a program stream": ("a.mpg", "mpeg2video", "yuv422p"),
    "ProRes": ("a.mov", "prores_ks", "yuv422p10le"),
    "FFV1": ("a.mkv", "ffv1", "yuv420p"),
    "MPEG-4": ("a.avi", "mpeg4", "yuv420p"),
}


def frames(path, **options):
    with open_source(path, **options) as decoder:
        found = list(decoder.frames())
        return decoder, found


def luma(frame) -> np.ndarray:
    return planes.views(frame.picture).planes[0].array


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_the_order_is_what_the_pictures_say(codec, order, tmp_path) -> None:
    name, encoder, pix_fmt = codec
    decoder, found = frames(interlaced_clips.write(tmp_path / name, encoder, order, pix_fmt=pix_fmt, frames=4))
    assert decoder.info.field_order == order
    assert [frame.field_order for frame in found] == [order] * 4
    assert decoder.warnings == []


def test_dv_is_interlaced(tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.dv", "dvvideo", "bff", 2, size=(720, 576))
    assert {frame.field_order for frame in frames(path)[1]} == {"bff"}
    assert probe(path)["video"]["scan"] == "interlaced, bottom field first"


def test_progressive_sources_are_progressive(tmp_path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 4)
    assert {frame.field_order for frame in frames(path)[1]} == {None}
    assert probe(path)["video"]["scan"] == "progressive"


def test_probe_says_what_is_done_and_what_can_be(tmp_path) -> None:
    told = probe(interlaced_clips.write(tmp_path / "a.mp4"))
    assert told["video"]["scan"] == "interlaced, top field first"
    assert any("interlaced, top field first: fields and their order kept" in s and "--deinterlace" in s for s in told["plan"])


def test_probe_counts_in_a_film_that_is_both(tmp_path) -> None:
    told = probe(interlaced_clips.write(tmp_path / "a.mkv", "ffv1", "bff", frames=6, progressive=(0, 1, 2, 5)))
    assert told["video"]["scan"] == "interlaced, bottom field first (2 of the first 6 pictures, the others progressive)"


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_coded_apart_are_woven(order, tmp_path) -> None:
    path = interlaced_clips.write_fields(tmp_path / "a.mkv", order, 4)
    assert [p.height for p in clips.decoded(path)] == [interlaced_clips.HEIGHT // 2] * 8
    decoder, found = frames(path)
    assert [(f.width, f.height, f.field_order) for f in found] == [(interlaced_clips.WIDTH, interlaced_clips.HEIGHT, order)] * 4
    assert [f.time for f in found] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert (decoder.info.rate, decoder.info.height, decoder.info.frame_count) == (25, interlaced_clips.HEIGHT, 4)
    for number, frame in enumerate(found):
        first, second = (0, 1) if order == "tff" else (1, 0)
        assert interlaced_clips.bar(luma(frame)[first::2]) == 8 + 2 * number * interlaced_clips.STEP
        assert interlaced_clips.bar(luma(frame)[second::2]) == 8 + (2 * number + 1) * interlaced_clips.STEP


def test_a_field_without_its_other_one_is_shown_as_a_frame(tmp_path) -> None:
    whole = interlaced_clips.write_fields(tmp_path / "a.mkv", "tff", 3)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [p for p in source.demux() if p.size]
        for packet in packets[:-1]:
            packet.stream = stream
            target.mux(packet)
    _, found = frames(tmp_path / "b.mkv")
    shown = sum(2 if f.field_order else 1 for f in found)
    assert shown == len(clips.decoded(tmp_path / "b.mkv"))
    assert {f.height for f in found} == {interlaced_clips.HEIGHT}


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_deinterlaced_each_frame_shows_its_first_moment(order, tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.mkv", "ffv1", order)
    _, kept = frames(path)
    decoder, made = frames(path, deinterlace="frame")
    assert [f.pts for f in made] == [f.pts for f in kept]
    assert (decoder.info.field_order, decoder.info.rate) == (None, 25)
    for number, frame in enumerate(made):
        assert (frame.field_order, frame.picture.interlaced_frame) == (None, False)
        assert interlaced_clips.bar(luma(frame)) == pytest.approx(8 + 2 * number * interlaced_clips.STEP, abs=0.6)


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_deinterlaced_by_field_there_are_both_moments(order, tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.mkv", "ffv1", order)
    decoder, made = frames(path, deinterlace="field")
    assert (decoder.info.rate, decoder.info.frame_count, len(made)) == (50, 12, 12)
    assert [f.pts * f.time_base for f in made] == [Fraction(n, 50) for n in range(12)]
    assert [f.duration * f.time_base for f in made] == [Fraction(1, 50)] * 12
    for number, frame in enumerate(made):
        assert interlaced_clips.bar(luma(frame)) == pytest.approx(8 + number * interlaced_clips.STEP, abs=0.6)


def test_the_second_field_does_not_wait_for_the_end_of_a_pause(tmp_path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = interlaced_clips.WIDTH, interlaced_clips.HEIGHT, "yuv420p"
        for number, at in enumerate((0, 1, 51, 52)):
            picture = interlaced_clips.frame(number)
            picture.pts, picture.time_base = at, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    times = [f.time for f in frames(path, deinterlace="field")[1]]
    assert times == pytest.approx([0, 0.02, 0.04, 0.06, 2.04, 2.06, 2.08, 2.1])


def test_progressive_pictures_pass_bwdif_untouched(tmp_path) -> None:
    path = clips.vfr(tmp_path / "a.mkv", video=clips.Video(codec="ffv1"))
    _, plain = frames(path)
    for mode in ("frame", "field"):
        decoder, passed = frames(path, deinterlace=mode)
        assert [f.time for f in passed] == [f.time for f in plain]
        assert decoder.info.rate == Fraction(50)
        for before, after in zip(plain, passed, strict=True):
            for mine, theirs in zip(planes.views(before.picture).planes, planes.views(after.picture).planes, strict=True):
                np.testing.assert_array_equal(mine.array, theirs.array)


@pytest.mark.parametrize("pix_fmt", ["nv12", "p010le", "uyvy422", "yuva444p10le"])
def test_deinterlacing_keeps_the_format_and_what_stands_still(pix_fmt, tmp_path) -> None:
    path = tmp_path / "a.nut"
    codec = "rawvideo" if pix_fmt != "yuva444p10le" else "ffv1"
    still = clips.picture(3) if pix_fmt == "uyvy422" else None
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = clips.WIDTH, clips.HEIGHT, pix_fmt
        for number in range(4):
            picture = clips.picture(3, pix_fmt=pix_fmt) if still is None else still.reformat(format=pix_fmt, threads=1)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    _, plain = frames(path)
    _, made = frames(path, fields="tff", deinterlace="frame")
    assert [f.picture.format.name for f in made] == [f.picture.format.name for f in plain]
    kept = planes.views(plain[1].picture).planes[0].array[::2]
    np.testing.assert_array_equal(planes.views(made[1].picture).planes[0].array[::2], kept)


def test_the_user_knows_better(tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.mp4")
    assert {f.field_order for f in frames(path, fields="progressive")[1]} == {None}
    assert {f.field_order for f in frames(path, fields="bff")[1]} == {"bff"}
    plain = clips.cfr(tmp_path / "b.mp4", 4)
    assert {f.field_order for f in frames(plain, fields="tff")[1]} == {"tff"}


def test_upside_down_the_other_field_is_on_top(tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.mov", rotation=180)
    _, found = frames(path)
    assert {f.field_order for f in found} == {"bff"}
    assert interlaced_clips.bar(luma(found[1])[1::2, ::-1]) < interlaced_clips.bar(luma(found[1])[0::2, ::-1])


def test_turned_by_a_quarter_there_are_no_fields_and_it_is_said(tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.mov", rotation=90)
    decoder, found = frames(path)
    assert {f.field_order for f in found} == {None}
    assert [w for w in decoder.warnings if "--deinterlace frame" in w and "quarter" in w] == decoder.warnings
    decoder, found = frames(path, deinterlace="frame")
    assert decoder.warnings == []
    assert (found[0].width, found[0].height) == (interlaced_clips.HEIGHT, interlaced_clips.WIDTH)


def test_a_film_that_becomes_interlaced_is_said_once(tmp_path) -> None:
    path = interlaced_clips.write(tmp_path / "a.mkv", "ffv1", frames=6, progressive=(0, 1, 4))
    decoder, found = frames(path)
    assert [f.field_order for f in found] == [None, None, "tff", "tff", None, "tff"]
    said = [w for w in decoder.warnings if "progressive at first, interlaced from 0.08 s on" in w]
    assert said == decoder.warnings
    assert len(said) == 1
    assert [f.field_order for f in frames(path, deinterlace="frame")[1]] == [None] * 6


def test_a_change_of_order_in_mid_stream_is_followed(tmp_path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = interlaced_clips.WIDTH, interlaced_clips.HEIGHT, "yuv420p"
        for number in range(6):
            picture = interlaced_clips.frame(number, "tff" if number < 3 else "bff")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    decoder, kept = frames(path)
    assert [f.field_order for f in kept] == ["tff"] * 3 + ["bff"] * 3
    assert decoder.warnings == []
    for number, frame in enumerate(frames(path, deinterlace="field")[1]):
        assert interlaced_clips.bar(luma(frame)) == pytest.approx(8 + number * interlaced_clips.STEP, abs=1.1)


def test_an_interlaced_png_has_no_fields(tmp_path) -> None:
    path = tmp_path / "a.png"
    _adam7(path)
    assert clips.decoded(path)[0].interlaced_frame
    assert {f.field_order for f in frames(path)[1]} == {None}


def _adam7(path) -> None:
    """A grey PNG of 8x8 in seven passes (PNG specification, 8.2), written by hand: few libraries still write it."""
    import struct
    import zlib

    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(b"\0" + bytes(range(len(range(x, 8, dx)))) for x, y, dx, dy in passes for _ in range(y, 8, dy))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    path.write_bytes(png_of((b"IHDR", header), (b"IDAT", zlib.compress(rows))))
