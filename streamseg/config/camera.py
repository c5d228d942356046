"""camera: what is known of the camera that looks ahead from a vehicle, in a short form of our own or as calibration tools write it.

A file may be what ROS writes (`camera_info`, also as a message with K and D), what OpenCV's FileStorage writes, or the short form;
the short form may also be given as text, `fov: 78, height: 1.3`, or stand in a pipeline file.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from streamseg.config.problems import Location
from streamseg.config.reading import parse_yaml, read_yaml, validate
from streamseg.config.section import Section
from streamseg.core.scene import CameraModel
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief

__all__ = ["CameraConfig", "Metres", "parse_camera"]

_UNITS = {"": 1.0, "m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
_LENGTH = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(m|cm|mm|ft|in)?")
LOWEST, HIGHEST = 0.1, 10.0
"""Metres that a camera on a vehicle is above the road."""
_MESSAGE = {"K": "camera_matrix", "D": "distortion", "k": "camera_matrix", "d": "distortion"}
_SIZES = {"width": "image_width", "height": "image_height", "image_Width": "image_width", "image_Height": "image_height"}
_SAME = {"distortion_coefficients": "distortion", "Camera_Matrix": "camera_matrix", "Distortion_Coefficients": "distortion"}
_SAID_BESIDE = {
    *(
        "camera_name",
        "rectification_matrix",
        "projection_matrix",
        "R",
        "P",
        "r",
        "p",
        "header",
        "binning_x",
        "binning_y",
        "roi",
    ),
    *(
        "calibration_time",
        "calibration_Time",
        "board_width",
        "board_height",
        "square_size",
        "aspectRatio",
        "aspect_ratio",
        "flags",
    ),
    *("fix_aspect_ratio", "fix_principal_point", "nframes", "nrOfFrames", "avg_reprojection_error", "Avg_Reprojection_Error"),
    *("extrinsic_parameters", "image_points", "per_view_reprojection_errors", "fisheye_model", "flagValue", "grid_points"),
}
"""What calibration tools write that says nothing here."""


def parse_metres(value: Any) -> Any:
    """`1.3`, `1.3m`, `130cm`, `4ft` as metres. ValueError for what is no length."""
    if isinstance(value, bool):
        raise ValueError(f"{value} is no length; write metres, as 1.3")  # noqa: TRY004 - for pydantic
    if isinstance(value, str):
        match = _LENGTH.fullmatch(value.strip().lower())
        if match is None:
            raise ValueError(f"{brief(value)} is not a length; write metres, as 1.3, or 130cm")
        value = float(match[1]) * _UNITS[match[2] or ""]
    if isinstance(value, int | float) and not LOWEST <= value <= HIGHEST:
        raise ValueError(f"{value:g} m is no height of a camera on a vehicle; allowed: {LOWEST:g} to {HIGHEST:g} m (or 130cm)")
    return value


Metres = Annotated[float, BeforeValidator(parse_metres), Field(allow_inf_nan=False)]


def _numbers(value: Any) -> Any:
    """A matrix as OpenCV and ROS write it (rows, cols, data), or rows of rows, as one list."""
    if isinstance(value, Mapping):
        if not isinstance(value.get("data"), list | tuple):
            raise ValueError("a matrix needs rows, cols and data, which is a list of numbers")  # noqa: TRY004 - for pydantic
        value = value["data"]
    if isinstance(value, list | tuple):
        return [number for row in value for number in (row if isinstance(row, list | tuple) else [row])]
    return value


def _nine(value: tuple[float, ...]) -> tuple[float, ...]:
    if len(value) != 9 or not all(map(math.isfinite, value)):
        raise ValueError(f"9 numbers are needed, row by row, not {brief(list(value))}")
    if value[0] <= 0 or value[4] <= 0:
        raise ValueError(f"the focal lengths are {value[0]:g} and {value[4]:g} pixels; allowed: more than 0")
    return value


def _coefficients(value: tuple[float, ...]) -> tuple[float, ...]:
    if len(value) not in (0, 4, 5, 8) or not all(map(math.isfinite, value)):
        raise ValueError(f"4, 5 or 8 numbers are needed (k1, k2, p1, p2, k3, ...), not {brief(list(value))}")
    return value if any(value) else ()


Matrix = Annotated[tuple[float, ...], BeforeValidator(_numbers), AfterValidator(_nine)]
Coefficients = Annotated[tuple[float, ...], BeforeValidator(_numbers), AfterValidator(_coefficients)]
Angle = Annotated[float, Field(gt=-45, lt=45, allow_inf_nan=False)]


class CameraConfig(Section):
    """camera: its field of view or focal length, its height above the road, and, where known, how it is turned."""

    fov: Annotated[float, Field(ge=5, le=170)] | None = None
    """Degrees across the picture, from its left to its right edge."""
    focal: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Focal length, pixels."""
    focal_35mm: Annotated[float, Field(ge=5, le=1000)] | None = None
    """Focal length, mm, of a lens that sees as much on 35 mm film (as cameras and telephones say it)."""
    camera_matrix: Matrix | None = None
    """Nine numbers, row by row: [fx, 0, cx, 0, fy, cy, 0, 0, 1], pixels."""
    center: tuple[float, float] | None = None
    """Principal point, pixels; None: the middle."""
    image_width: Annotated[int, Field(ge=16)] | None = None
    image_height: Annotated[int, Field(ge=16)] | None = None
    """Pixels of the pictures that `focal`, `center`, `camera_matrix` and `crop` speak of; None: the film's own."""
    distortion: Coefficients = ()
    """OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]]."""
    distortion_model: Literal["plumb_bob", "rational_polynomial", "none", ""] = ""
    height: Metres | None = None
    """Metres of the lens above the road; also 130cm, 4ft."""
    height_std: Annotated[float, Field(ge=0.001, le=1)] = 0.05
    """Metres: how exactly that was measured (standard deviation)."""
    focal_std: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """How exactly the focal length is known, a share; None: 1 % of a calibration, 3 % of what else is given."""
    pitch: Angle | None = None
    """Degrees by which it looks up from the road (down: negative); None: found from the film."""
    roll: Angle | None = None
    """Degrees, positive where its right side is lower; None: found from the film."""
    yaw: Angle | None = None
    """Degrees by which it looks to the right of where the vehicle goes; None: found from the film."""
    crop: tuple[float, float, float, float] | None = None
    """x, y, width, height, pixels: the part of a calibrated picture that the film shows."""

    @model_validator(mode="after")
    def _sound(self) -> CameraConfig:
        said = [name for name in ("fov", "focal", "focal_35mm", "camera_matrix") if getattr(self, name) is not None]
        if len(said) > 1:
            raise ValueError(f"{' and '.join(said)} say the same; give one of them")
        if (self.image_width is None) != (self.image_height is None):
            raise ValueError("image_width and image_height belong together")
        if self.distortion and not self.tells_focal:
            raise ValueError("distortion says nothing without a focal length; add focal, fov or camera_matrix")
        if self.crop is not None and (self.image_width is None or min(self.crop[2:]) <= 0 or min(self.crop[:2]) < 0):
            raise ValueError(
                "crop is x, y, width, height within a picture of image_width x image_height pixels, which it needs"
            )
        return self

    @property
    def tells_focal(self) -> bool:
        """Whether the lens is known; else only how the camera is mounted is."""
        return not (self.fov is None and self.focal is None and self.focal_35mm is None and self.camera_matrix is None)

    def lens(self, width: int, height: int, aspect: float = 1.0) -> CameraModel:
        """The pinhole, for pictures of `width` x `height` pixels where it names no size; `aspect`: a pixel's width over its height.

        It must tell a focal length.
        """
        if self.image_width is not None and self.image_height is not None:
            width, height = self.image_width, self.image_height
        std = self.focal_std
        if (m := self.camera_matrix) is not None:
            fx, fy, cx, cy = m[0], m[4], m[2], m[5]
        else:
            cx, cy = (width / 2, height / 2) if self.center is None else self.center
            if self.fov is not None:
                fx = width / 2 / math.tan(math.radians(self.fov / 2))
            elif self.focal_35mm is not None:
                fx = self.focal_35mm / FILM_DIAGONAL * math.hypot(width, height / aspect)
            else:
                assert self.focal is not None
                fx = self.focal
            fy = fx * aspect
        if std is None:
            std = 0.01 if self.camera_matrix is not None or self.distortion else 0.03
        return CameraModel(width, height, fx, fy, cx, cy, tuple(self.distortion), focal_std=std, source="given")


FILM_DIAGONAL = math.hypot(36, 24)
"""mm: CIPA DCG-001 defines the 35 mm equivalent by the angle along the picture's diagonal."""


def parse_camera(value: Any) -> Any:
    """A camera as it was given: the path of a file, text in the short form, a dict, a `CameraModel`. Raises ConfigError."""
    if isinstance(value, CameraModel):
        return _of_model(value)
    if not isinstance(value, str | os.PathLike):
        return value
    text = os.fspath(value)
    if isinstance(value, str) and Path(text).suffix.lower() not in (".yaml", ".yml", ".json") and not os.path.isfile(text):
        return _of_text(text)
    if "\0" in text:
        raise ConfigError(f"{brief(text)} is no name of a camera file")
    return _of_file(Path(text).expanduser())


def _of_text(text: str) -> dict[str, Any]:
    try:
        read = yaml.safe_load(f"{{{text.strip().strip('{}')}}}")
    except yaml.YAMLError:
        read = None
    if not isinstance(read, dict) or not read or None in read.values():
        raise ConfigError(f"{brief(text)} is no camera; write the name of a .yaml file, or text as 'fov: 78, height: 1.3'")
    return read


def _of_file(path: Path) -> CameraConfig:
    text = read_yaml(path, "camera file")
    text = re.sub(r"\A%YAML:1\.0\r?", "", text)  # OpenCV's own first line is no YAML
    text = text.replace("!!opencv-matrix", "")
    data, tree = parse_yaml(text, str(path), CameraConfig)
    if not data:
        raise ConfigError(f"{path}: there is nothing in it; it needs fov, focal or camera_matrix, and height")
    if isinstance(data.get("camera"), dict) and len(data) == 1:
        raise ConfigError(f"{path}:1: camera: what belongs to the camera stands at the outermost level of a camera file")
    names = dict(_SAME)
    if any(key in data for key in _MESSAGE):
        names |= _MESSAGE | _SIZES
    elif "camera_matrix" in data or "Camera_Matrix" in data:
        names |= {key: name for key, name in _SIZES.items() if key.startswith("image")}
    if str(data.get("distortion_model", "")) in ("equidistant", "fisheye", "kannala_brandt") or data.get("fisheye_model"):
        raise ConfigError(
            f"{path}: the lens is described as a fisheye (equidistant), which is not supported; "
            "give the film undistorted, or calibrate it as plumb_bob"
        )
    if isinstance(tree, yaml.MappingNode):
        for key, _ in tree.value:
            key.value = names.get(key.value, key.value)
    called: dict[Location, str] = {(names[key],): key for key in data if key in names}
    kept = {names.get(key, key): value for key, value in data.items() if key not in _SAID_BESIDE}
    return validate(CameraConfig, kept, str(path), tree, called)


def _of_model(model: CameraModel) -> CameraConfig:
    def degrees(angle: float | None) -> float | None:
        return None if angle is None else math.degrees(angle)

    return CameraConfig(
        camera_matrix=(model.fx, 0, model.cx, 0, model.fy, model.cy, 0, 0, 1),
        image_width=model.width,
        image_height=model.height,
        distortion=model.distortion,
        height=model.mounted,
        height_std=model.mounted_std,
        focal_std=model.focal_std,
        pitch=degrees(model.pitch),
        roll=degrees(model.roll),
        yaw=degrees(model.yaw),
    )
