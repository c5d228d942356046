"""What the codes of a picture mean: matrix, range, depth, transfer and primaries.

Sources: ITU-T H.273 (codes of limited and full range, luma weights); ITU-R BT.2100-3 (PQ, HLG); ITU-R BT.2408 (203 cd/m2 as the
reference white of HDR); IEC 61966-2-1 (sRGB); ITU-R BT.2087 (BT.709 to BT.2020 primaries).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from streamseg.pixels.picture import AnyPicture

__all__ = [
    "SWS_COLORSPACE",
    "Encoding",
    "Matrix",
    "Transfer",
    "delinear",
    "drawing_codes",
    "encoding",
    "linear",
    "to_primaries",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Family = Literal["yuv", "rgb", "gray"]
Matrix = Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc"]
Transfer = Literal["sdr", "pq", "hlg"]

# Luma weights Kr, Kb: H.273, table of MatrixCoefficients.
_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
# H.273 MatrixCoefficients. Constant luminance (10) and ICtCp (14) are read with the plain BT.2020 weights: close, not exact.
_MATRICES: dict[int, Matrix] = {
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
    14: "bt2020",
}
SWS_COLORSPACE: dict[Matrix, int] = {"bt601": 5, "bt709": 1, "bt2020": 9, "smpte240m": 7, "fcc": 4}
"""What swscale (PyAV's `reformat`) calls each matrix."""
_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
_BT2020_PRIMARIES = 9
_FULL_RANGE = 2
_LIMITED_RANGE = 1
_HD_HEIGHT = 720


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the codes of a picture mean."""

    matrix: Matrix
    full_range: bool
    transfer: Transfer
    wide: bool
    """BT.2020 primaries."""
    family: Literal["yuv", "rgb", "gray"]
    depth: int

    def from_rgb(self, rgb: Array) -> Floats:
        """R'G'B' [..., 3] in 0..1, in this picture's transfer and primaries, to its codes [..., 3], float64, not rounded."""
        forward, offset = _codes(self)
        return np.asarray(rgb, np.float64) @ forward.T + offset

    def to_rgb(self) -> tuple[Floats, Floats]:
        """M [3, 3] and b [3] of R'G'B' (0..1) = M @ codes + b."""
        return _inverse(self)


@lru_cache(maxsize=256)
def _codes(of: Encoding) -> tuple[Floats, Floats]:
    """M [3, 3] and b [3] of codes = M @ R'G'B' + b. H.273 equations 20 to 31, 38 to 40."""
    top = float(2**of.depth - 1)
    if of.family == "rgb":
        return np.eye(3) * top, np.zeros(3)
    kr, kb = _WEIGHTS[of.matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    matrix = np.stack([luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * kb), (np.array([1, 0, 0]) - luma) / (2 - 2 * kr)])
    unit = 2.0 ** (of.depth - 8)
    gain = np.array([top, top, top]) if of.full_range else np.array([219.0, 224.0, 224.0]) * unit
    offset = np.array([0.0 if of.full_range else 16.0, 128.0, 128.0]) * unit
    return matrix * gain[:, None], offset


@lru_cache(maxsize=256)
def _inverse(of: Encoding) -> tuple[Floats, Floats]:
    forward, offset = _codes(of)
    inverse: Floats = np.linalg.inv(forward).astype(np.float64)
    return inverse, -inverse @ offset


def encoding(picture: AnyPicture) -> Encoding:
    """The encoding of `picture`, from its tags.

    Untagged matrix: BT.709 from 720 lines up, BT.601 below, as players do. Untagged range: limited for YUV, full for yuvj, grey
    (as swscale has it) and RGB.
    """
    name = picture.format.name
    family, depth = _family(name)
    fallback: Matrix = "bt709" if picture.height >= _HD_HEIGHT else "bt601"
    matrix = _MATRICES.get(int(picture.colorspace), fallback)
    tagged = int(picture.color_range)
    full = (
        family == "rgb" or name.startswith("yuvj") or tagged == _FULL_RANGE or (family == "gray" and tagged != _LIMITED_RANGE)
    )
    transfer = _TRANSFERS.get(int(picture.color_trc), "sdr")
    return Encoding(matrix, full, transfer, int(picture.color_primaries) == _BT2020_PRIMARIES, family, depth)


@lru_cache(maxsize=256)
def _family(name: str) -> tuple[Family, int]:
    """Family and depth of a pixel format."""
    form = av.VideoFormat(name)
    if form.is_rgb or form.is_bayer or form.has_palette:
        family: Family = "rgb"
    else:
        # PyAV's is_chroma is only true of subsampled chroma: in 4:4:4 there is none.
        family = "yuv" if sum(not part.is_alpha for part in form.components) >= 3 else "gray"
    return family, max(8, *(part.bits for part in form.components))


# Rec. ITU-R BT.2087-0, M2: linear BT.709 to BT.2020.
_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_REFERENCE_WHITE = 203.0  # cd/m2
_HLG_PEAK = 1000.0  # cd/m2 of the display for which the system gamma is 1.2
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073


def to_primaries(*, wide: bool) -> Floats:
    """[3, 3] that makes linear light R, G, B of BT.2020's primaries (`wide`) of that of BT.709's; or the other way round."""
    return _TO_BT2020 if wide else np.linalg.inv(_TO_BT2020)


def linear(signal: npt.ArrayLike, transfer: Transfer) -> Floats:
    """Signal in 0..1 to display light, 1 = reference white (of HDR 203 cd/m2), float64. HLG's system gamma acts per channel."""
    e = np.clip(np.asarray(signal, np.float64), 0, 1)
    if transfer == "pq":
        root = e ** (1 / _M2)
        return np.asarray((np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1) * (10000 / _REFERENCE_WHITE))
    if transfer == "hlg":
        scene = np.where(e <= 0.5, e * e / 3, (np.exp((e - _C) / _A) + _B) / 12)
        return np.asarray(scene**1.2 * (_HLG_PEAK / _REFERENCE_WHITE))
    return np.where(e <= 0.04045, e / 12.92, ((e + 0.055) / 1.055) ** 2.4)


def delinear(light: npt.ArrayLike, transfer: Transfer) -> Floats:
    """The inverse of `linear`; light below 0 or above what the transfer can carry is clipped."""
    y = np.maximum(np.asarray(light, np.float64), 0)
    if transfer == "pq":
        power = np.minimum(y * (_REFERENCE_WHITE / 10000), 1) ** _M1
        return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)
    if transfer == "hlg":
        scene = np.minimum(y * (_REFERENCE_WHITE / _HLG_PEAK), 1) ** (1 / 1.2)
        return np.where(scene <= 1 / 12, np.sqrt(3 * scene), _A * np.log(np.maximum(12 * scene - _B, 1e-9)) + _C)
    y = np.minimum(y, 1)
    return np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)


@lru_cache(maxsize=4096)
def drawing_codes(rgb: tuple[int, int, int], into: Encoding) -> tuple[float, float, float]:
    """Codes that show the sRGB colour `rgb` (0..255) in a picture encoded as `into`, float, not rounded, within its range.

    In HDR pictures its white is the reference white, not the peak, so that drawings do not glare.
    """
    signal = np.array(rgb, np.float64) / 255
    if into.wide or into.transfer != "sdr":
        light = linear(signal, "sdr")
        signal = delinear(_TO_BT2020 @ light if into.wide else light, into.transfer)
    # Full-range chroma of a pure colour would be half a code above the highest (H.273 clips it).
    c0, c1, c2 = np.clip(into.from_rgb(signal), 0, 2**into.depth - 1)
    return float(c0), float(c1), float(c2)
