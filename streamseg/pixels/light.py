"""A picture's R'G'B' signal as floats, and the light that it stands for: what a compositor calculates with.

Light is of the scene, as far as the picture's transfer tells: the inverse of what the camera did to it. 1.0 is white: of SDR the
nominal white (code 235 of 8 bits), of HDR the reference white, 203 cd/m2 in PQ and 75 % of the signal in HLG.

Sources: ITU-T H.273, table of TransferCharacteristics; ITU-R BT.2100-3 (PQ, HLG); ITU-R BT.2408 (reference white); IEC 61966-2-1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamseg.pixels import fields, planes
from streamseg.pixels.color import encoding

if TYPE_CHECKING:
    from streamseg.pixels.picture import AnyPicture

__all__ = ["BT709", "LINEAR", "SRGB", "Curve", "Signal", "curve_of", "signal"]

Floats = npt.NDArray[np.float32]

# H.273, equation of BT.709 with all its digits; BT.709 itself rounds them to 1.099 and 0.018.
_ALPHA, _BETA = 1.09929682680944, 0.018053968510807
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_REFERENCE_WHITE = 203.0  # cd/m2
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_WHITE = (math.exp((0.75 - _C) / _A) + _B) / 12  # scene light of the reference white


class Signal(NamedTuple):
    """A picture as floats."""

    rgb: Floats
    """float32 [height, width, 3] R'G'B', of grey pictures [height, width, 1]; 0 is black, 1 nominal white."""
    alpha: Floats | None
    """float32 [height, width] in 0..1, straight; None: the picture has none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """From signal to light."""

    name: str
    """What was undone, for people."""
    white: str
    """What 1.0 is."""
    to_light: Callable[[Floats], Floats]
    """Signal, float32 of any shape, to linear light. Values beyond 0..1 go on along the curve; PQ ends there."""


def _raised(base: Floats, exponent: float) -> Floats:
    """The power of magnitudes: who calls it puts in what holds below 0."""
    return np.power(np.abs(base), np.float32(exponent))


def _power(gamma: float) -> Callable[[Floats], Floats]:
    def to_light(signal: Floats) -> Floats:
        return np.copysign(_raised(signal, gamma), signal)

    return to_light


def _toe(slope: float, offset: float, gamma: float, end: float) -> Callable[[Floats], Floats]:
    """A straight line through 0 up to the signal `end`, then a power."""

    def to_light(signal: Floats) -> Floats:
        light: Floats = _raised((signal + np.float32(offset)) * np.float32(1 / (1 + offset)), gamma)
        low = signal < end
        np.multiply(signal, np.float32(1 / slope), out=light, where=low)
        return light

    return to_light


def _pq(signal: Floats) -> Floats:
    root = _raised(np.clip(signal, 0, 1), 1 / _M2)
    ratio = np.maximum(root - np.float32(_C1), 0) / (np.float32(_C2) - np.float32(_C3) * root)
    light: Floats = _raised(ratio, 1 / _M1) * np.float32(10000 / _REFERENCE_WHITE)
    return light


def _hlg(signal: Floats) -> Floats:
    signal = np.maximum(signal, 0)
    high = (np.exp((signal - np.float32(_C)) * np.float32(1 / _A)) + np.float32(_B)) * np.float32(1 / 12)
    light: Floats = np.where(signal <= 0.5, signal * signal * np.float32(1 / 3), high) * np.float32(1 / _HLG_WHITE)
    return light


def _log(decades: float) -> Callable[[Floats], Floats]:
    def to_light(signal: Floats) -> Floats:
        light: Floats = np.where(signal <= 0, 0, np.power(np.float32(10), (signal - 1) * np.float32(decades)))
        return light

    return to_light


def _same(signal: Floats) -> Floats:
    return signal


_SDR = "the nominal white of SDR"
BT709 = Curve("the BT.709 camera curve", _SDR, _toe(4.5, _ALPHA - 1, 1 / 0.45, 4.5 * _BETA))
SRGB = Curve("the sRGB curve", _SDR, _toe(12.92, 0.055, 2.4, 0.04045))
LINEAR = Curve("nothing: the source is linear", "the source's highest code", _same)
# H.273 TransferCharacteristics. xvYCC and BT.1361 go on below 0 in ways of their own; what lies there is next to nothing.
_CURVES: dict[int, Curve] = {
    1: BT709,
    4: Curve("a gamma of 2.2", _SDR, _power(2.2)),
    5: Curve("a gamma of 2.8", _SDR, _power(2.8)),
    6: BT709,
    7: Curve("the SMPTE 240M camera curve", _SDR, _toe(4.0, 0.11157219592173, 1 / 0.45, 4.0 * 0.022821585529445)),
    8: LINEAR,
    9: Curve("a logarithm of two decades", _SDR, _log(2)),
    10: Curve("a logarithm of two and a half decades", _SDR, _log(2.5)),
    11: BT709,
    12: BT709,
    13: SRGB,
    14: BT709,
    15: BT709,
    16: Curve("the PQ display curve (ST 2084)", "the reference white of HDR, 203 cd/m2", _pq),
    17: Curve("a gamma of 2.6 (ST 428-1)", "52.37/48 of the projector's white", _power(2.6)),
    18: Curve("the HLG camera curve", "the reference white of HDR, 75 % of the signal", _hlg),
}


def curve_of(picture: AnyPicture, untagged: Curve = BT709) -> Curve:
    """The curve of `picture` by its tag; `untagged` where it has none that is known."""
    return _CURVES.get(int(picture.color_trc), untagged)


def signal(picture: AnyPicture, *, interlaced: bool = False) -> Signal:
    """R'G'B' of a picture, and its alpha.

    Subsampled chroma is enlarged by swscale, of interlaced pictures within each field, and rounded to the picture's own codes; all
    else is the matrix and the range of H.273 in floats. Codes beyond black and white stay beyond 0 and 1.

    Raises Unreadable for a format that cannot be converted.
    """
    host = planes.supported(picture)
    tags = encoding(host)
    if tags.family == "yuv":
        known = planes.views(host).layout
        depth = "" if known.depth == 8 else f"{known.depth}le"
        host = fields.convert(host, f"yuv{'a' if known.alpha else ''}444p{depth}", interlaced=interlaced)
    views = planes.views(host)
    parts = _components(views)
    top = np.float32(2**views.layout.depth - 1)
    alpha = parts[3].astype(np.float32) / top if views.layout.alpha else None
    matrix, offset = tags.to_rgb()
    if tags.family == "gray":
        # Grey has luma's codes, which weigh the same in R, G and B.
        black = 0.0 if tags.full_range else 16.0 * 2.0 ** (tags.depth - 8)
        return Signal(((parts[0].astype(np.float32) - np.float32(black)) * np.float32(matrix[0, 0]))[..., None], alpha)
    codes = cv2.merge([np.ascontiguousarray(parts[i], np.float32) for i in range(3)])
    rgb: Floats = cv2.transform(codes, np.column_stack([matrix, offset]).astype(np.float32))  # type: ignore[assignment]
    return Signal(rgb, alpha)


def _components(views: planes.Planes) -> dict[int, npt.NDArray[Any]]:
    """Component → its samples [h, w], without the zero bits below them."""
    parts = {}
    for array, spec in views.planes:
        for place, component in enumerate(spec.components):
            parts[component] = array if array.ndim == 2 else array[..., place]
    return {key: part >> views.layout.lsb for key, part in parts.items()} if views.layout.lsb else parts
