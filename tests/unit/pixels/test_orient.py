"""Pictures turned upright: exactly, in every layout of planes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.decode import Decoder
from streamseg.pixels.orient import UPRIGHT, Orientation, turn
from streamseg.pixels.planes import supported
from tests import clips
from tests.clips import Video, fill_plane, picture, plane_array

QUARTER = Orientation(transpose=True, flip_y=True)


def noise(width: int, height: int, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pix_fmt)
    rng = np.random.default_rng(7)
    for number, plane in enumerate(frame.planes):
        shape = plane_array(frame, number).shape
        peak = (1 << frame.format.components[0].bits) - 1
        fill_plane(frame, number, rng.integers(0, peak, shape, endpoint=True).astype(np.uint16 if peak > 255 else np.uint8))
        assert plane.height == shape[0]
    frame.pts, frame.time_base = 42, Fraction(1, 90000)
    frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 9, 1, 9, 16
    return frame


FORMATS = (
    "yuv420p",
    "yuv444p",
    "yuv420p10le",
    "yuv444p12le",
    "nv12",
    "p010le",
    "gray",
    "gray16le",
    "rgb24",
    "gbrp",
    "yuva420p",
)
TURNS = {90: 1, 180: 2, 270: 3}


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("degrees", TURNS)
@pytest.mark.parametrize("size", [(32, 24), (31, 23)])
def test_every_sample_moves_to_its_place(pix_fmt: str, degrees: int, size: tuple[int, int]) -> None:
    orientation = {90: QUARTER, 180: Orientation(False, True, True), 270: Orientation(True, True, False)}[degrees]
    assert orientation.degrees == degrees
    assert not orientation.mirrored
    before = noise(*size, pix_fmt)
    after = turn(before, orientation)
    assert after.format.name == pix_fmt
    assert (after.width, after.height) == (size if degrees == 180 else size[::-1])
    for number in range(len(before.planes)):
        assert np.array_equal(plane_array(after, number), np.rot90(plane_array(before, number), TURNS[degrees]))
    assert (after.pts, after.time_base) == (42, Fraction(1, 90000))
    assert (after.colorspace, after.color_range, after.color_primaries, after.color_trc) == (9, 1, 9, 16)


@pytest.mark.parametrize(("pix_fmt", "turned"), [("yuv422p", "yuv444p"), ("yuv422p10le", "yuv444p10le"), ("nv16", "nv24")])
@pytest.mark.parametrize("size", [(32, 24), (31, 23)])
def test_a_quarter_turn_of_422_repeats_chroma(pix_fmt: str, turned: str, size: tuple[int, int]) -> None:
    before = noise(*size, pix_fmt)
    after = turn(before, QUARTER)
    assert after.format.name == turned
    assert np.array_equal(plane_array(after, 0), np.rot90(plane_array(before, 0)))
    for number in range(1, len(before.planes)):
        chroma = np.repeat(plane_array(before, number), 2, axis=1)[:, : size[0]]
        assert np.array_equal(plane_array(after, number), np.rot90(chroma))


def test_440_becomes_422_without_loss() -> None:
    before = noise(32, 24, "yuv440p")
    after = turn(before, QUARTER)
    assert after.format.name == "yuv422p"
    assert np.array_equal(plane_array(after, 1), np.rot90(plane_array(before, 1)))


@pytest.mark.parametrize("pix_fmt", ["yuyv422", "uyvy422"])
def test_packed_camera_formats_are_made_planar(pix_fmt: str) -> None:
    planar = noise(32, 24, "yuv422p")
    after = turn(supported(planar.reformat(format=pix_fmt, threads=1)), Orientation(False, True, True))
    assert after.format.name == "yuv422p"
    assert np.array_equal(plane_array(after, 0), np.rot90(plane_array(planar, 0), 2))
    assert np.array_equal(plane_array(after, 2), np.rot90(plane_array(planar, 2), 2))


def test_upright_is_the_very_same_picture() -> None:
    frame = picture(1)
    assert turn(frame, UPRIGHT) is frame


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_tagged_file_is_shown_upright(tmp_path: Path, degrees: int, pix_fmt: str) -> None:
    path = clips.rotated(tmp_path / "phone.mp4", degrees, pix_fmt=pix_fmt)
    coded = clips.decoded(path)
    with Decoder(path) as decoder:
        frames = list(decoder.frames())
    info = decoder.info
    assert info.rotation == degrees
    assert (info.width, info.height) == ((64, 96) if degrees != 180 else (96, 64)) == (frames[0].width, frames[0].height)
    for frame, raw in zip(frames, coded, strict=True):
        assert raw.rotation % 360 == degrees
        for number in range(3):
            assert np.array_equal(plane_array(frame.picture, number), np.rot90(plane_array(raw, number), TURNS[degrees]))
        assert frame.pts == raw.pts


@pytest.mark.parametrize(("degrees", "hflip", "vflip"), [(d, h, v) for d in (0, 90) for h, v in ((True, False), (False, True))])
def test_mirrored_tags_are_undone(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    """All eight orientations; the truth is written the way a player shows it: turn counter-clockwise, then mirror."""
    path = tmp_path / "mirror.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
        stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        frame = picture(77, pix_fmt="yuv444p")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    truth = np.rot90(plane_array(picture(77, pix_fmt="yuv444p")), degrees // 90)
    truth = truth[:, ::-1] if hflip else truth[::-1]
    with Decoder(path) as decoder:
        shown = plane_array(next(decoder.frames()).picture)
        assert decoder.info.mirrored
    assert np.array_equal(shown, truth)


def test_a_slanted_tag_is_left_and_said(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "slanted.mp4", 3, video=Video(rotation=30))
    with Decoder(path) as decoder:
        frames = list(decoder.frames())
    assert (frames[0].width, frames[0].height) == (96, 64)
    assert len([w for w in decoder.warnings if "multiple of 90 degrees" in w]) == 1


def test_pixel_aspect_turns_with_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "sar.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 96, 64
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(90)
        frame = picture(0)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Decoder(path) as decoder:
        assert decoder.info.sample_aspect_ratio == Fraction(3, 4)
