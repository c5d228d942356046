"""Side data of a source's pictures that an output can or cannot hold: HDR10's static metadata, captions, ICC profiles, ...

Televisions map brightness by HDR10's static metadata (SMPTE ST 2086 mastering display, CTA-861.3 light levels). libav keeps them
with the picture, but encoders do not look there when used through PyAV; they get them as options. Captions and ICC profiles stay
with the picture. All else is left out; the user is told so once, by name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from fractions import Fraction

from streamseg.pixels.sidedata import CAPTIONS, ICC, LIGHT, MASTERING, Kept, kinds

__all__ = ["left_out", "static_options"]

_STATIC = frozenset({MASTERING, LIGHT})
_TOLD = {"h264": "x264-params", "hevc": "x265-params", "av1": "svtav1-params"}
"""The option by which each encoder is told the static metadata."""
_WITH_THE_PICTURE = {
    "h264": frozenset({CAPTIONS}),
    "hevc": frozenset({CAPTIONS}),
    "png": frozenset({ICC}),
    ".png": frozenset({ICC}),
}
"""What each encoder, or kind of image, takes from the picture."""


def static_options(codec: str, options: dict[str, str], beside: Iterable[Kept]) -> dict[str, str]:
    """`options` of a codec (a key of `codecs.CODECS`), with HDR10's static metadata among them where it can be told."""
    key = _TOLD.get(codec)
    found = {data.name: data.data for data in beside}
    if key is None:
        return options
    parts = [options[key]] if key in options else []
    if MASTERING in found and (text := _mastering(found[MASTERING], codec)):
        parts.append(text)
    if LIGHT in found:
        most, average = struct.unpack_from("=II", found[LIGHT])
        name = {"h264": "cll", "hevc": "max-cll", "av1": "content-light"}[codec]
        parts.append(f"{name}={most},{average}")
    return options | ({key: ":".join(parts)} if parts else {})


def left_out(codec: str, beside: Iterable[Kept], given: Iterable[Kept]) -> str:
    """What of the side data of a source an output of `codec` (or, of images, suffix) will not have, in words; empty: nothing.

    given: the side data of the first picture as the encoder gets it.
    """
    there = {data.name for data in given}
    kept = (_STATIC if codec in _TOLD else frozenset()) | (_WITH_THE_PICTURE.get(codec, frozenset()) & there)
    return ", ".join(words for name, words in kinds(beside).items() if name not in kept)


def _mastering(data: bytes, codec: str) -> str:
    # AVMasteringDisplayMetadata: primaries R, G, B as (x, y), white point, least and most light, each an AVRational; two flags.
    values = [Fraction(n, d) if d else Fraction(0) for n, d in struct.iter_unpack("=ii", data[:80])]
    has_primaries, has_luminance = struct.unpack_from("=ii", data, 80)
    if not (has_primaries and has_luminance):
        return ""
    order = {"G": 1, "B": 2, "R": 0, "WP": 3}

    def say(value: Fraction, unit: int) -> str:
        # x264 and x265 count in 0.00002, and light in 0.0001 cd/m2.
        return f"{float(value):.6f}" if codec == "av1" else str(round(value * unit))

    points = "".join(f"{name}({say(values[2 * i], 50000)},{say(values[2 * i + 1], 50000)})" for name, i in order.items())
    name = "master-display" if codec == "hevc" else "mastering-display"
    return f"{name}={points}L({say(values[9], 10000)},{say(values[8], 10000)})"
