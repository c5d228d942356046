"""What libav keeps beside a decoded picture: display matrix, mastering display, captions, ..."""

from __future__ import annotations

import ctypes
import gc
import re
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeGuard, cast

import av
from av.dictionary import Dictionary
from av.sidedata.sidedata import Type

from streamseg.pixels.filters import Filter

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData

    from streamseg.pixels.picture import AnyPicture

__all__ = ["CAPTIONS", "ICC", "LIGHT", "MASTERING", "Kept", "copies", "keep", "kinds", "listed"]

MASTERING, LIGHT, CAPTIONS, ICC = "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "A53_CC", "ICC_PROFILE"
_DOLBY = "DOVI_METADATA"
_NAMES = {
    MASTERING: "HDR10 mastering display",
    LIGHT: "HDR10 content light level",
    "DYNAMIC_HDR_PLUS": "HDR10+ dynamic metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid dynamic metadata",
    "AMBIENT_VIEWING_ENVIRONMENT": "ambient viewing environment",
    CAPTIONS: "closed captions (EIA-608/708)",
    "STEREO3D": "stereoscopic 3D",
    "SPHERICAL": "spherical projection (360 degrees)",
    ICC: "ICC profile",
    "AFD": "active format description",
    "FILM_GRAIN_PARAMS": "film grain",
}
"""What people call the side data that change what is seen; the others are applied (a display matrix) or tell how it was coded."""

_CORNER = 8
"""Pixels a side: whole chroma samples of every format."""
_MOST = 16
"""How many unnamed ones a picture may have."""
_UNNAMED = re.compile(r"(\d+) is not a valid Type")


class Kept(NamedTuple):
    """A copy of one of a picture's side data, of a kind that PyAV has a name for."""

    name: str
    """Of its type."""
    data: bytes

    @property
    def type(self) -> Type:
        """As PyAV's side data say it."""
        return Type[self.name]

    def __bytes__(self) -> bytes:
        return self.data


class _Beside(tuple[Kept, ...]):
    """What `keep` has laid beside a picture."""

    __slots__ = ()


def listed(picture: AnyPicture) -> Sequence[SideData] | None:
    """The side data of a picture, without kinds that PyAV has no name for, such as EXIF; None where they cannot be listed.

    PyAV 18 lists none at all where it cannot name one, and once they were asked for, it keeps the picture until the next garbage
    collection. So a copy of a few of its pixels is asked, from which the unnamed ones are taken off.
    """
    beside = getattr(picture, "opaque", None)
    if isinstance(beside, _Beside):
        return cast("Sequence[SideData]", beside)
    if _plain(picture):
        picture = _corner(picture) or picture
    for _ in range(_MOST):
        try:
            found = tuple(cast("Iterable[SideData]", picture.side_data))
        except ValueError as error:
            unnamed = _UNNAMED.match(str(error))
        else:
            for data in found:
                _leave_names(data)
            return found
        rest = Filter(("sidedata", f"mode=delete:type={unnamed[1]}"))(picture) if unnamed and _plain(picture) else None
        if rest is None:
            return None
        picture = rest
    return None


def _plain(picture: AnyPicture) -> TypeGuard[av.VideoFrame]:
    return isinstance(picture, av.VideoFrame) and picture.format.name != "cuda"


def _corner(picture: av.VideoFrame) -> av.VideoFrame | None:
    """A copy of a few pixels of the picture, with all of its side data; None if the picture is smaller."""
    if picture.width < _CORNER or picture.height < _CORNER:
        return None
    return Filter(("crop", f"{_CORNER}:{_CORNER}:0:0"), ("copy", ""))(picture)


def _leave_names(data: object) -> None:
    """Never let PyAV free the names and values that are noted with side data, as the name of an ICC profile.

    PyAV 18 frees them with its own object, and libav again with the picture: the process crashes. So that object, of some hundred
    bytes, is never let go.
    """
    for part in gc.get_referents(data):
        if isinstance(part, Dictionary) and len(part):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(part))


def kinds(found: Iterable[Kept]) -> dict[str, str]:
    """Of side data that people would miss: what they are called, by the name of their type; Dolby Vision with its profile."""
    named = {}
    for data in found:
        if data.name == _DOLBY:
            named[_DOLBY] = _dolby_vision(data.data)
        elif data.name in _NAMES:
            named[data.name] = _NAMES[data.name]
    return named


def _dolby_vision(data: bytes) -> str:
    """The profile, from AVDOVIMetadata and its AVDOVIRpuDataHeader (libavutil/dovi_meta.h), as ETSI GS CCM 001 tells them apart."""
    begin = struct.unpack_from("=Q", data)[0] if len(data) >= 8 else 0
    header = data[begin : begin + 17]
    if not begin or len(header) < 17:
        return "Dolby Vision"
    profile, full_range, depth, enhanced, base_alone = header[4], header[10], header[13], header[15], header[16]
    if profile == 0 and full_range:
        return "Dolby Vision profile 5 (without it, colours are wrong: the picture is IPT, and no player can tell)"
    if profile == 1:
        layered = enhanced and not base_alone
        return f"Dolby Vision profile {(7 if depth == 12 else 4) if layered else 8}"
    return "Dolby Vision"


def copies(picture: AnyPicture) -> tuple[Kept, ...]:
    """The side data of a picture, as far as they can be listed, as plain data."""
    return tuple(Kept(data.type.name, bytes(data)) for data in listed(picture) or ())


def keep(picture: av.VideoFrame, kept: Sequence[Kept]) -> None:
    """Let `listed` find these with a picture that has none of its own: PyAV cannot give it any."""
    picture.opaque = _Beside(kept)
