"""Which camera a film was made with: as it was given, else as the film says, else guessed, and said so."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from streamseg.config.camera import FILM_DIAGONAL, CameraConfig
from streamseg.config.schema import PipelineConfig
from streamseg.core.scene import CameraModel
from streamseg.decode import SourceInfo
from streamseg.errors import ConfigError
from streamseg.scene.camera import guessed_camera
from streamseg.system.callbacks import Message

__all__ = ["camera_of", "camera_report", "focal_in_metadata"]

ALIKE = 0.01
"""Share by which the shapes of two pictures may differ and be the same."""
EXIF_STD, FILM_STD = 0.03, 0.1
"""Shares: how exact a focal length in EXIF is, and in a film, of which cameras cut off a part to steady it."""
_FOCAL_KEYS = re.compile(
    r"(?:^|[./])(FocalLengthIn35mmFilm(?:Film)?|focal_length\.35mm_equivalent|focallength35efl|FocalLengthIn35mmFormat)$", re.I
)
_PLANE = {"FocalLength", "FocalPlaneXResolution", "FocalPlaneResolutionUnit", "PixelXDimension", "ExifImageWidth"}
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0}
"""Of EXIF's FocalPlaneResolutionUnit: inch, cm, mm."""


@dataclass(frozen=True, slots=True)
class _Lens:
    """A focal length as the source tells it."""

    mm35: float | None
    widths: float | None
    """In widths of the picture."""


def camera_of(config: PipelineConfig, info: SourceInfo, say: Message | None) -> CameraModel | None:
    """The camera of a source; None: nobody asks for it. `say` hears what is assumed, where metres are wanted: who has given neither
    a camera nor its height may well watch a film in which nobody drives.

    Raises ConfigError where a calibration is of pictures of another shape.
    """
    scene = config.scene
    if not scene.watch:
        return None
    given = CameraConfig() if scene.camera is None else scene.camera
    height = given.height if scene.camera_height is None else scene.camera_height
    shrink, aspect = config.decode.shrink, float(info.sample_aspect_ratio or 1)
    if given.tells_focal:
        camera = _fitted(given, info, given.lens(info.width * shrink, info.height * shrink, aspect))
    else:
        camera = _told(info, aspect) or replace(guessed_camera(info.width, info.height), mounted=None)
        if camera.source == "guessed" and aspect != 1:
            camera = replace(camera, fy=camera.fx * aspect)
    camera = replace(
        camera,
        mounted=height,
        mounted_std=given.height_std,
        focal_std=camera.focal_std if given.focal_std is None else given.focal_std,
        pitch=_radians(given.pitch),
        roll=_radians(given.roll),
        yaw=_radians(given.yaw),
    )
    if say is not None and (scene.camera is not None or scene.camera_height is not None):
        for line in _assumed(camera):
            say(line)
    return camera


def camera_report(camera: CameraModel | None) -> dict[str, Any]:
    """What a run's report says of it: `source`, `fov` (degrees), `focal_std`, `height` (metres or None); {}: there is none."""
    if camera is None:
        return {}
    return {
        "source": camera.source,
        "fov": round(_field(camera), 1),
        "focal_std": camera.focal_std,
        "height": camera.mounted,
    }


def _field(camera: CameraModel) -> float:
    """Degrees across."""
    return 2 * math.degrees(math.atan(camera.width / 2 / camera.fx))


def _radians(degrees: float | None) -> float | None:
    return None if degrees is None else math.radians(degrees)


def _fitted(given: CameraConfig, info: SourceInfo, camera: CameraModel) -> CameraModel:
    """A calibration for the pictures of the film: cut, turned upright, and scaled as these are."""
    if given.crop is not None:
        x, y, width, height = given.crop
        if x + width > camera.width or y + height > camera.height:
            raise ConfigError(
                f"camera: crop {[*given.crop]} reaches beyond its picture of {camera.width}x{camera.height} pixels"
            )
        camera = replace(camera, width=round(width), height=round(height), cx=camera.cx - x, cy=camera.cy - y)
    if _alike(camera.width / camera.height, info.width / info.height):
        return camera.resized(info.width, info.height)
    if info.rotation in (90, 270) and _alike(camera.height / camera.width, info.width / info.height):
        return _turned(camera, info.rotation, info.mirrored).resized(info.width, info.height)
    raise ConfigError(
        f"camera: it is calibrated for pictures of {camera.width}x{camera.height} pixels, and the film's are of another shape, "
        f"{info.width}x{info.height}; crop: [x, y, width, height] says which part of a calibrated picture the film shows"
    )


def _alike(one: float, other: float) -> bool:
    return abs(one / other - 1) < ALIKE


def _turned(camera: CameraModel, degrees: int, mirrored: bool) -> CameraModel:
    """The camera of pictures that are turned counter-clockwise by 90 or 270 degrees to be upright."""
    cx, cy = (camera.width - camera.cx if mirrored else camera.cx), camera.cy
    x, y = (cy, camera.width - cx) if degrees == 90 else (camera.height - cy, cx)
    if len(camera.distortion) >= 4:  # the tangential part turns with the picture
        k1, k2, p1, p2, *rest = camera.distortion
        p1, p2 = (-p2, p1) if degrees == 90 else (p2, -p1)
        camera = replace(camera, distortion=(k1, k2, p1, p2, *rest))
    return replace(camera, width=camera.height, height=camera.width, fx=camera.fy, fy=camera.fx, cx=x, cy=y)


def _told(info: SourceInfo, aspect: float) -> CameraModel | None:
    """The camera as the film's metadata, or a photo's EXIF, have it; None: they say nothing."""
    photo = focal_in_metadata(info.picture_metadata)
    lens = photo or focal_in_metadata(info.metadata)
    if lens is None:
        return None
    width, height = info.width, info.height
    if lens.mm35 is not None:
        fx = lens.mm35 / FILM_DIAGONAL * math.hypot(width, height / aspect)
    else:
        assert lens.widths is not None
        fx = lens.widths * max(width, height)
    std = EXIF_STD if photo is not None else FILM_STD
    return CameraModel(
        width, height, fx, fx * aspect, width / 2, height / 2, focal_std=std, source="exif" if photo is not None else "film"
    )


def focal_in_metadata(metadata: Mapping[str, str]) -> _Lens | None:
    """The focal length that tags tell: EXIF's of a picture, as libav names them, or those of a film; None: none, or nonsense."""
    for key, value in metadata.items():
        if _FOCAL_KEYS.search(key) and (mm := _number(value)) is not None and 5 <= mm <= 1000:
            return _Lens(mm, None)
    plain = {name: _number(value) for key, value in metadata.items() if (name := key.rpartition("/")[2]) in _PLANE}
    mm, per_unit, across = plain.get("FocalLength"), plain.get("FocalPlaneXResolution"), plain.get("PixelXDimension")
    unit = _UNIT_MM.get(int(plain.get("FocalPlaneResolutionUnit") or 2))
    if mm and per_unit and across and unit:
        widths = mm * per_unit / unit / across
        if 0.1 < widths < 30:
            return _Lens(None, widths)
    return None


def _number(text: str) -> float | None:
    """`28`, `435:100`, `435/100`, as libav writes them; None: it is none."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)(?:\s*[:/]\s*(\d+))?(?:\s*mm)?\s*", str(text))
    if match is None or (match[2] is not None and int(match[2]) == 0):
        return None
    return float(match[1]) / float(match[2] or 1)


def _assumed(camera: CameraModel) -> list[str]:
    """What is not known, in words."""
    field = _field(camera)
    said = []
    if camera.source == "guessed":
        said.append(
            f"assumed: a field of view of {field:.0f} degrees; nothing tells it, so that distances are unsure by "
            f"{100 * camera.focal_std:.0f} % (--camera 'fov: {field:.0f}' would say it)"
        )
    elif camera.source != "given":
        where = "the pictures' EXIF" if camera.source == "exif" else "the film's metadata"
        said.append(f"camera: a field of view of {field:.0f} degrees, from {where}")
    if camera.mounted is None:
        said.append("camera: its height above the road is not known, so there are no metres (--camera-height 1.3 says it)")
    return said
