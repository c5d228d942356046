"""Cameras as people and calibration tools write them; what is wrong with one is said with its file, line and value."""

import pytest

from streamseg.config import parse_pipeline
from streamseg.config.camera import CameraConfig
from streamseg.core.scene import CameraModel
from streamseg.errors import ConfigError
from streamseg.pipeline.configure import configure
from streamseg.pipeline.options import in_shell

ROS = """\
image_width: 960
image_height: 540
camera_name: dash
camera_matrix:
  rows: 3
  cols: 3
  data: [870, 0, 470, 0, 860, 265, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.1, 0.01, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
"""
OPENCV = """\
%YAML:1.0
---
calibration_time: "Mon 30 Nov"
image_width: 960
image_height: 540
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 8.7e+02, 0., 470., 0., 860., 265., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 5
   cols: 1
   dt: d
   data: [ -1.0e-01, 0.01, 0., 0., 0. ]
avg_reprojection_error: 0.3
"""
MESSAGE = """\
header: {stamp: 0, frame_id: dash}
height: 540
width: 960
distortion_model: plumb_bob
D: [-0.1, 0.01, 0, 0, 0]
K: [870, 0, 470, 0, 860, 265, 0, 0, 1]
R: [1, 0, 0, 0, 1, 0, 0, 0, 1]
"""


@pytest.mark.parametrize("text", [ROS, OPENCV, MESSAGE], ids=["ros", "opencv", "message"])
def test_a_calibration_is_read_as_its_tool_wrote_it(text, tmp_path):
    path = tmp_path / "dash.yaml"
    path.write_text(text)
    scene = configure({"camera": path, "camera_height": "130cm"}).scene
    camera = scene.camera.lens(1, 1)
    assert (camera.width, camera.height) == (960, 540)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (870, 860, 470, 265)
    assert camera.distortion == (-0.1, 0.01, 0, 0, 0)
    assert scene.camera_height == pytest.approx(1.3)
    assert scene.watch  # who says what the camera is wants the scene


def test_the_short_form_is_the_same_as_text_as_a_dict_and_in_a_pipeline_file():
    text = configure({"camera": "fov: 78, height: 1.3, pitch: -2"}).scene.camera
    assert text == configure({"camera": {"fov": 78, "height": 1.3, "pitch": -2}}).scene.camera
    assert text == parse_pipeline("scene:\n  camera: {fov: 78, height: 1.3m, pitch: -2}", "mine.yaml").scene.camera


def test_the_focal_length_follows_from_what_was_said():
    assert CameraConfig(fov=90).lens(1280, 720).fx == pytest.approx(640)
    assert CameraConfig(focal=900).lens(1280, 720).fy == 900
    # a lens of 35 mm equivalent sees 63.4 degrees along the diagonal of 36 x 24 mm (CIPA DCG-001)
    assert CameraConfig(focal_35mm=35).lens(1280, 720).fx == pytest.approx(35 / 43.267 * 1468.6, rel=1e-3)
    assert CameraConfig(fov=90).lens(720, 576, aspect=1.5).fy == pytest.approx(540)  # pixels that are wider than high


def test_a_camera_of_python_is_taken_as_it_is():
    camera = CameraModel(1280, 720, 900, 910, 630, 350, (0.1, 0, 0, 0), mounted=1.2, focal_std=0.02, pitch=0.05)
    read = configure({"camera": camera}).scene.camera
    assert read.lens(1, 1).fx == 900
    assert (read.height, read.focal_std) == (1.2, 0.02)
    assert read.pitch == pytest.approx(2.865, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_width: 960\nimage_height: 540\nfovv: 70", r"dash.yaml:3: fovv: unknown key; did you mean 'fov'"),
        ("fov: 190", r"dash.yaml:1: fov: 190 is not allowed; expected less than or equal to 170"),
        ("fov: 70\nheight: 130", r"dash.yaml:2: height: 130 m is no height .*allowed: 0.1 to 10 m \(or 130cm\)"),
        (ROS.replace("data: [870, 0,", "data: [870,"), r"dash.yaml:4: camera_matrix: 9 numbers are needed, row by row"),
        (ROS.replace("[870", "[-870"), r"dash.yaml:4: camera_matrix: the focal lengths are -870 and 860"),
        (ROS.replace("[-0.1, 0.01, 0, 0, 0]", "[1, 2, 3]"), r"dash.yaml:9: distortion_coefficients: 4, 5 or 8 numbers"),
        (ROS.replace("plumb_bob", "equidistant"), r"dash.yaml: the lens is described as a fisheye"),
        ("fov: 70\nfocal: 900", r"fov and focal say the same"),
        ("", r"dash.yaml: there is nothing in it; it needs fov, focal or camera_matrix, and height"),
        ("camera: {fov: 70}", r"dash.yaml:1: camera: what belongs to the camera stands at the outermost level"),
        ("- fov: 70", r"dash.yaml:1: expected sections"),
        ("fov: [", r"dash.yaml:\d+: not valid YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(text, words, tmp_path):
    path = tmp_path / "dash.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        configure({"camera": str(path)}, in_shell)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"camera": "fov 78"}, "--camera: 'fov 78' is no camera; write the name of a .yaml file, or text as"),
        ({"camera": "dash.yaml"}, "--camera: cannot read the camera file dash.yaml: No such file"),
        ({"camera": "da\0sh.yaml"}, r"--camera: 'da.*sh.yaml' is no name of a camera file"),
        ({"camera": "fov: wide"}, "--camera: fov: 'wide' is not allowed; expected a number"),
        ({"camera": "tilt: 3"}, "--camera: tilt: unknown key"),
        ({"camera": {"fov": True}}, "--camera: fov: True is not allowed; a number is needed"),
        ({"camera": "crop: [0, 0, 9, 9], fov: 60"}, "--camera: crop is x, y, width, height within a picture"),
        ({"camera_height": "130"}, r"--camera-height: 130 m is no height .* \(or 130cm\)"),
        ({"camera_height": "high"}, "--camera-height: 'high' is not a length"),
        ({"camera_height": True}, "--camera-height: True is no length"),
        ({"camera_height": float("nan")}, "--camera-height: nan m is no height"),
    ],
)
def test_what_is_wrong_with_an_option_is_said_with_its_name(given, words):
    with pytest.raises(ConfigError, match=words):
        configure(given, in_shell)
