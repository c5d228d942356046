"""HDR10's static metadata (SMPTE ST 2086 mastering display, CTA-861.3 light levels), from a decoded picture to x265.

A television maps its brightness by them. Libav keeps them with the picture, and encoders through PyAV do not look there.
"""

from __future__ import annotations

import struct
from fractions import Fraction

from av.sidedata.sidedata import Type

from streamseg import sidedata
from streamseg.types import AnyPicture

__all__ = ["x265_params"]


def x265_params(picture: AnyPicture) -> str:
    """Parameters for `x265-params`, each with a colon before it; empty for a picture without such metadata."""
    text = ""
    for data in sidedata.listed(picture) or ():
        if data.type == Type.MASTERING_DISPLAY_METADATA:
            text += _mastering(bytes(data))
        elif data.type == Type.CONTENT_LIGHT_LEVEL:
            most, average = struct.unpack_from("=II", bytes(data))
            text += f":max-cll={most},{average}"
    return text


def _mastering(data: bytes) -> str:
    # AVMasteringDisplayMetadata: primaries R, G, B as (x, y), white point, least and most light, each an AVRational; two flags.
    values = [Fraction(n, d) if d else Fraction(0) for n, d in struct.iter_unpack("=ii", data[:80])]
    has_primaries, has_luminance = struct.unpack_from("=ii", data, 80)
    if not (has_primaries and has_luminance):
        return ""
    x265_order = {"G": 1, "B": 2, "R": 0, "WP": 3}  # in 0.00002; light in 0.0001 cd/m2
    points = "".join(
        f"{name}({round(values[2 * i] * 50000)},{round(values[2 * i + 1] * 50000)})" for name, i in x265_order.items()
    )
    return f":master-display={points}L({round(values[9] * 10000)},{round(values[8] * 10000)})"
