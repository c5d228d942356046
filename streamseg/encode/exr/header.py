"""The attributes of an EXR that say what its pixels are and when they are shown."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from streamseg.core.timecode import Timecode, standard_rate
from streamseg.pixels.light import Curve

if TYPE_CHECKING:
    from streamseg.core.types import Frame
    from streamseg.decode import SourceInfo
    from streamseg.pixels.picture import AnyPicture

__all__ = ["attributes", "chromaticities"]

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
# H.273, table of ColourPrimaries: red, green, blue, white, each x and y.
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
_INTEROP = {1: "lin_rec709_scene", 9: "lin_rec2020_scene", 12: "lin_p3d65_scene"}
"""What the Color Interop Forum calls linear light of these primaries."""
_HD_HEIGHT, _PAL_HEIGHT = 720, 576


def _primaries(picture: AnyPicture) -> int:
    """The number in H.273; of an untagged picture what players take: BT.709 from 720 lines up, below it that of PAL or NTSC."""
    tagged = int(picture.color_primaries)
    if tagged in _PRIMARIES:
        return tagged
    matrix = int(picture.colorspace)
    if picture.height >= _HD_HEIGHT or matrix == 1 or picture.format.is_rgb:
        return 1
    return 5 if matrix == 5 or (matrix != 6 and picture.height == _PAL_HEIGHT) else 6


def chromaticities(picture: AnyPicture) -> tuple[float, ...]:
    """x and y of red, green, blue and white."""
    return tuple(value for point in _PRIMARIES[_primaries(picture)] for value in point)


def attributes(
    frame: Frame, picture: AnyPicture, info: SourceInfo, curve: Curve, first: Frame, *, linear: bool
) -> dict[str, Any]:
    """The header, without channels and compression. `first`: the run's first frame, to which the timecode belongs."""
    primaries = _primaries(picture)
    light = f"linear light, {curve.name} undone, 1.0 is {curve.white}" if linear else "the source's own signal, not linear"
    header: dict[str, Any] = {
        "chromaticities": chromaticities(picture),
        "pixelAspectRatio": float(info.sample_aspect_ratio or 1),
        "imageCounter": frame.index,
        "comments": f"frame {frame.index} of {info.name} at {frame.time:.6f} s; R, G, B: {light}; premultiplied",
        "streamseg/source": info.name,
        "streamseg/light": "linear" if linear else "display",
        "streamseg/time": frame.time,
    }
    if linear and primaries in _INTEROP:
        header["colorInteropID"] = _INTEROP[primaries]
    if info.reel:
        header["reelName"] = info.reel
    if info.rate:
        header["framesPerSecond"] = standard_rate(info.rate)
    if info.timecode is not None:
        header["timeCode"] = _timecode(info.timecode + _pictures_between(first, frame, info))
    return header


def _pictures_between(first: Frame, frame: Frame, info: SourceInfo) -> int:
    seconds = (frame.pts - first.pts) * Fraction(frame.time_base)
    return round(seconds * info.rate) if info.rate else frame.index - first.index


def _timecode(label: Timecode) -> Any:
    """SMPTE ST 12-1 has room for frames up to 39: above 30 a second a label counts pairs, and a flag tells the second of each."""
    import OpenEXR

    text = str(label)
    hours, minutes, seconds = (int(text[at : at + 2]) for at in (0, 3, 6))
    frames, second = int(text[9:]), 0
    if label.rate > 30:
        frames, second = divmod(frames, 2)
    made = OpenEXR.TimeCode()
    made.hours, made.minutes, made.seconds, made.frame = hours, minutes, seconds, frames
    made.dropFrame, made.fieldPhase = int(label.drop), second
    return made
