"""A picture as the channels of an EXR, and the file itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamseg.encode.sink import RenderedPicture
from streamseg.errors import MissingExtra
from streamseg.pixels import light
from streamseg.pixels.color import encoding
from streamseg.system.output_files import part_of

if TYPE_CHECKING:
    from streamseg.decode import SourceInfo
    from streamseg.pixels.picture import AnyPicture

__all__ = ["colour", "curve_of", "need", "write"]

_BRIGHTEST = 65504.0
"""The largest half float."""


def need(*packages: str) -> None:
    """Raise MissingExtra where one of these is not installed."""
    for package in packages:
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtra(package, "edit") from error


def curve_of(rendered: RenderedPicture, info: SourceInfo, *, linear: bool) -> light.Curve:
    """How the picture's signal becomes what the file holds. A matte is no light, and stays as it is."""
    tags = encoding(rendered.picture)
    matte = tags.family == "gray" and encoding(rendered.result.frame.picture).family != "gray"
    if matte or not linear:
        return light.LINEAR
    return light.curve_of(rendered.picture, light.SRGB if info.kind == "images" or tags.family == "rgb" else light.BT709)


def colour(
    picture: AnyPicture, curve: light.Curve, *, interlaced: bool = False, associated: bool = False
) -> dict[str, npt.NDArray[np.float16]]:
    """R, G, B, A: float16 [height, width], premultiplied. associated: the picture is so already, as one that was an EXR is."""
    signal, alpha = light.signal(picture, interlaced=interlaced)
    shown = curve.to_light(signal)
    if alpha is not None and not associated:
        shown = shown * alpha[..., None]
    half = np.clip(shown, -_BRIGHTEST, _BRIGHTEST).astype(np.float16)
    planes = [np.ascontiguousarray(half[..., i]) for i in range(half.shape[2])]
    opaque = np.ones(half.shape[:2], np.float16) if alpha is None else alpha.astype(np.float16)
    return dict(zip("RGB", planes if len(planes) == 3 else planes * 3, strict=True)) | {"A": opaque}


def write(path: Path, attributes: Mapping[str, Any], channels: Mapping[str, npt.NDArray[Any]], threads: int) -> int:
    """Write a file whole, or nothing; its size in bytes. `attributes` say the compression. Raises OSError."""
    import OpenEXR

    part = part_of(path)
    try:
        try:
            OpenEXR.File({**attributes, "type": OpenEXR.scanlineimage}, dict(channels), num_threads=threads).write(str(part))
        except RuntimeError as error:  # how OpenEXR tells of all that it cannot do
            raise OSError(str(error).removeprefix(str(part)).lstrip(": ")) from error
        size = part.stat().st_size
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    return size
