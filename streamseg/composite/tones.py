"""Tables from code to code: brighter and darker by stops, and the colours of a tint. All are for one encoding, of any depth."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.composite.colors import RGB
from streamseg.pixels.color import Encoding, delinear, drawing_codes, linear

__all__ = ["exposed", "tinted"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

_GAMMA = 2.4  # ITU-R BT.1886: what a display of SDR makes of the signal
_REACH = 0.05
"""Of the signal's range: over twice that the slope of a curve is taken. Colour fades to white within it where light is clipped."""


@lru_cache(maxsize=64)
def exposed(stops: float, of: Encoding) -> tuple[Array, Floats]:
    """For each code of luma (or of R, G, B) the code of 2**stops times its light; and by what chroma beside it is multiplied.

    Colour differences follow the slope of the curve: in SDR, a power, that keeps hue and saturation exactly; in PQ and HLG nearly.
    Black stays, and what would be brighter than white becomes white. Codes beyond white are scaled like white when it gets
    darker, and stay when it gets brighter.
    """
    signal = _signal(of)
    curve = _curve(signal, stops, of)
    black, white = _ends(of)
    table = np.clip(np.rint(black + curve * (white - black)), 0, 2**of.depth - 1).astype(_dtype(of))
    slope = (_curve(signal + _REACH, stops, of) - _curve(signal - _REACH, stops, of)) / (2 * _REACH)
    return table, slope


def _curve(signal: Floats, stops: float, of: Encoding) -> Floats:
    """The signal (0 black, 1 white) of 2**stops times the light of `signal`; below black mirrored, as slopes look there."""
    inside, gain = np.minimum(np.abs(signal), 1), 2.0**stops
    if of.transfer == "sdr":
        moved = np.minimum(inside * gain ** (1 / _GAMMA), 1)
    else:
        moved = delinear(linear(inside, of.transfer) * gain, of.transfer)
    beyond = np.abs(signal) * (moved if stops <= 0 else 1)
    return np.asarray(np.sign(signal) * np.where(np.abs(signal) > 1, beyond, moved))


@lru_cache(maxsize=64)
def tinted(rgb: RGB, of: Encoding) -> tuple[Array, Array, Array]:
    """For each code of luma the three codes of a pixel of that luma in the hue of an sRGB colour.

    At the colour's own luma it is the colour itself; towards black and white it fades, so that no code is out of gamut.
    """
    matrix, offset = of.to_rgb()
    color = np.clip(matrix @ drawing_codes(rgb, of) + offset, 0, 1)
    weights = np.array((0.2627, 0.6780, 0.0593) if of.family == "rgb" and of.wide else (0.2126, 0.7152, 0.0722))
    if of.family != "rgb":
        black, white = _ends(of)
        own = float((of.from_rgb(color)[0] - black) / (white - black))
    else:
        own = float(color @ weights)
    luma = np.clip(_signal(of), 0, 1)
    own = min(max(own, 1e-6), 1 - 1e-6)
    share = np.minimum(luma / own, (1 - luma) / (1 - own))
    shown = np.clip(luma[:, None] + (color - own) * share[:, None], 0, 1)
    codes = np.clip(np.rint(of.from_rgb(shown)), 0, 2**of.depth - 1).astype(_dtype(of))
    return codes[:, 0], codes[:, 1], codes[:, 2]


def _signal(of: Encoding) -> Floats:
    """Of each code of luma: 0 is black, 1 white."""
    black, white = _ends(of)
    return np.asarray((np.arange(2**of.depth) - black) / (white - black))


def _ends(of: Encoding) -> tuple[float, float]:
    """The codes of black and white in luma."""
    black, white = of.from_rgb(np.array([[0.0, 0, 0], [1.0, 1, 1]]))[:, 0]
    return float(black), float(white)


def _dtype(of: Encoding) -> npt.DTypeLike:
    return np.uint8 if of.depth <= 8 else np.dtype("<u2")
