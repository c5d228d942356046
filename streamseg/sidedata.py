"""What libav keeps beside a decoded picture: display matrix, mastering display, captions, ..."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData

    from streamseg.types import AnyPicture

__all__ = ["listed"]


def listed(picture: AnyPicture) -> tuple[SideData, ...] | None:
    """The side data of a picture; None where they cannot be listed.

    PyAV 18 lists none at all where one is of a kind that it has no name for, as the EXIF of a photo. What is needed of such a
    picture must come from elsewhere (`VideoFrame.rotation`), or is lost; it is no reason to lose the picture.
    """
    try:
        return tuple(cast("Iterable[SideData]", picture.side_data))
    except ValueError:
        return None
