"""What libav keeps beside a decoded picture: display matrix, mastering display, captions, ..."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from av.sidedata.sidedata import Type

if TYPE_CHECKING:
    import av
    from av.sidedata.sidedata import SideData

    from streamseg.types import AnyPicture

__all__ = ["Kept", "copies", "keep", "listed"]


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
    """The side data of a picture; None where they cannot be listed.

    PyAV 18 lists none at all where one is of a kind that it has no name for, as the EXIF of a photo. What is needed of such a
    picture must come from elsewhere (`VideoFrame.rotation`), or is lost; it is no reason to lose the picture.
    """
    beside = getattr(picture, "opaque", None)
    if isinstance(beside, _Beside):
        return cast("Sequence[SideData]", beside)
    try:
        return tuple(cast("Iterable[SideData]", picture.side_data))
    except ValueError:
        return None


def copies(picture: AnyPicture) -> tuple[Kept, ...]:
    """The side data of a picture, as far as they can be listed, as plain data."""
    return tuple(Kept(data.type.name, bytes(data)) for data in listed(picture) or ())


def keep(picture: av.VideoFrame, kept: Sequence[Kept]) -> None:
    """Let `listed` find these with a picture that has none of its own: PyAV cannot give it any."""
    picture.opaque = _Beside(kept)
