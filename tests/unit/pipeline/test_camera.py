"""The camera of a film: as given, fitted to its pictures; else as the film says; else guessed, and said so."""

import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.scene import CameraModel
from streamseg.decode import Decoder
from streamseg.errors import ConfigError
from streamseg.pipeline.camera import camera_of, camera_report
from streamseg.pipeline.configure import configure


def jpeg(exif: bytes = b"", width: int = 64, height: int = 48) -> bytes:
    picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), 128, np.uint8), "rgb24").reformat(
        format="yuvj420p", threads=1
    )
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuvj420p", Fraction(1, 25)
    picture.pts = 0
    data = b"".join(map(bytes, [*encoder.encode(picture), *encoder.encode(None)]))
    segment = b"Exif\0\0" + exif
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:] if exif else data


def exif_of(*entries: tuple[int, int, bytes]) -> bytes:
    """TIFF with an Exif directory of such (tag, type, value): 3 for SHORT, 5 for RATIONAL."""
    outer = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    directory, rest = struct.pack("<H", len(entries)), b""
    at = 26 + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        directory += struct.pack("<HHI", tag, kind, 1)
        if kind == 3:
            directory += value.ljust(4, b"\0")
        else:
            directory += struct.pack("<I", at + len(rest))
            rest += value
    return b"II*\0" + struct.pack("<I", 8) + outer + directory + struct.pack("<I", 0) + rest


@pytest.fixture
def info_of(tmp_path):
    def make(data: bytes):
        path = tmp_path / "photo.jpg"
        path.write_bytes(data)
        with Decoder(str(path)) as decoder:
            return decoder.open()

    return make


@pytest.fixture
def info(info_of):
    return replace(info_of(jpeg()), width=1280, height=720)


def found(info, **given) -> tuple[CameraModel, list[str]]:
    said: list[str] = []
    camera = camera_of(configure({"pipeline": {"scene": {"watch": True}}, **given}), info, said.append)
    assert camera is not None
    return camera, said


def test_a_photo_says_its_focal_length(info_of):
    """FocalLengthIn35mmFilm 28: 28 / 43.27 of the diagonal, which is 80 pixels here."""
    camera, said = found(info_of(jpeg(exif_of((0xA405, 3, struct.pack("<H", 28))))), camera_height=1.3)
    assert camera.fx == pytest.approx(28 / 43.267 * 80, rel=1e-3)
    assert camera.source == "exif"
    assert camera.focal_std <= 0.05
    assert any("from the pictures' EXIF" in line for line in said)


def test_a_photo_without_that_says_it_by_its_sensor(info_of):
    """8 mm, 1000 pixels a cm (2000 across: a sensor 20 mm wide): 0.4 widths."""
    tags = exif_of(
        (0x920A, 5, struct.pack("<II", 80, 10)),
        (0xA002, 3, struct.pack("<H", 2000)),
        (0xA20E, 5, struct.pack("<II", 1000, 1)),
        (0xA210, 3, struct.pack("<H", 3)),
    )
    assert found(info_of(jpeg(tags)))[0].fx == pytest.approx(0.4 * 64)


@pytest.mark.parametrize("value", ["0", "", "28:0", "abc", "99999", "-28"])
def test_nonsense_in_metadata_is_no_focal_length(info, value):
    camera, _ = found(replace(info, metadata={"com.apple.quicktime.camera.focal_length.35mm_equivalent": value}))
    assert camera.source == "guessed"


def test_a_telephones_film_says_its_focal_length(info):
    camera, _ = found(replace(info, metadata={"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"}))
    assert camera.source == "film"
    assert camera.fx == pytest.approx(26 / 43.267 * 1468.6, rel=1e-3)
    assert 0.05 <= camera.focal_std < 0.2  # films are cut to be steadied


def test_what_is_guessed_is_said_and_in_the_report(info):
    camera, said = found(info, camera_height=1.3)
    assert any(line.startswith("assumed: a field of view of 70 degrees") for line in said)
    assert camera_report(camera) == {"source": "guessed", "fov": 70.0, "focal_std": 0.25, "height": 1.3}
    _, said = found(info, camera="fov: 70")
    assert any("no metres (--camera-height 1.3 says it)" in line for line in said)
    assert found(info)[1] == [], "nobody has spoken of a camera: nobody may be driving"


def test_a_calibration_is_scaled_to_the_films_size(info):
    camera, said = found(info, camera="focal: 2000, image_width: 2560, image_height: 1440, height: 1.2")
    assert (camera.width, camera.height, camera.fx, camera.cx) == (1280, 720, 1000, 640)
    assert said == []


def test_a_calibration_of_another_shape_needs_to_be_told_which_part_the_film_shows(info):
    square = "focal: 2000, image_width: 4000, image_height: 3000"
    with pytest.raises(
        ConfigError, match=r"calibrated for pictures of 4000x3000 pixels.*1280x720; crop: \[x, y, width, height\]"
    ):
        found(info, camera=square)
    camera, _ = found(info, camera=f"{square}, crop: [0, 375, 4000, 2250]")
    assert (camera.fx, camera.cx, camera.cy) == (640, 640, 360)
    with pytest.raises(ConfigError, match=r"crop .* reaches beyond its picture of 4000x3000"):
        found(info, camera=f"{square}, crop: [0, 1000, 4000, 2250]")


@pytest.mark.parametrize(("rotation", "center"), [(90, (300.0, 680.0)), (270, (420.0, 600.0))])
def test_a_calibration_turns_with_a_film_that_is_turned_upright(info, rotation, center):
    """Counter-clockwise by 90 degrees: what was at (600, 300) of 1280x720 is at (300, 680) of 720x1280."""
    turned = replace(info, width=720, height=1280, rotation=rotation)
    camera, _ = found(turned, camera="focal: 1000, center: [600, 300], image_width: 1280, image_height: 720")
    assert (camera.width, camera.height, (camera.cx, camera.cy)) == (720, 1280, center)


def test_a_preview_has_the_cameras_focal_length_in_its_own_pixels(info):
    """Read at half the width and height, a focal length of the film's 1000 pixels is one of 500."""
    small = replace(info, width=640, height=360)
    assert found(small, camera="focal: 1000", pipeline={"decode": {"shrink": 2}})[0].fx == 500


def test_where_the_scene_is_not_looked_at_there_is_no_camera(info):
    assert camera_of(configure({}), info, None) is None
