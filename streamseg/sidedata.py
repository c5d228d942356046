"""What libav keeps beside a decoded picture: display matrix, mastering display, captions, ..."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeGuard, cast

import av
from av.sidedata.sidedata import Type

from streamseg.filters import Filter

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData

    from streamseg.types import AnyPicture

__all__ = ["Kept", "copies", "keep", "listed"]

_CORNER = 8
"""Pixels a side: whole chroma samples of every format."""
_KINDS = 16
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
    """The side data of a picture, without those that PyAV has no name for, as the EXIF of a photo; None where there is no way.

    PyAV 18 lists none at all where it cannot name one, and once they were asked for, it keeps the picture until the next garbage
    collection. So a copy of a few of its pixels is asked, from which the unnamed ones are taken off.
    """
    beside = getattr(picture, "opaque", None)
    if isinstance(beside, _Beside):
        return cast("Sequence[SideData]", beside)
    if _plain(picture):
        picture = _corner(picture) or picture
    for _ in range(_KINDS):
        try:
            return tuple(cast("Iterable[SideData]", picture.side_data))
        except ValueError as error:
            unnamed = _UNNAMED.match(str(error))
        rest = Filter(("sidedata", f"mode=delete:type={unnamed[1]}"))(picture) if unnamed and _plain(picture) else None
        if rest is None:
            return None
        picture = rest
    return None


def _plain(picture: AnyPicture) -> TypeGuard[av.VideoFrame]:
    return isinstance(picture, av.VideoFrame) and picture.format.name != "cuda"


def _corner(picture: av.VideoFrame) -> av.VideoFrame | None:
    """A few pixels of it, in memory of their own, with all of its side data; None where it has not as many."""
    if picture.width < _CORNER or picture.height < _CORNER:
        return None
    return Filter(("crop", f"{_CORNER}:{_CORNER}:0:0"), ("copy", ""))(picture)


def copies(picture: AnyPicture) -> tuple[Kept, ...]:
    """The side data of a picture, as far as they can be listed, as plain data."""
    return tuple(Kept(data.type.name, bytes(data)) for data in listed(picture) or ())


def keep(picture: av.VideoFrame, kept: Sequence[Kept]) -> None:
    """Let `listed` find these with a picture that has none of its own: PyAV cannot give it any."""
    picture.opaque = _Beside(kept)
