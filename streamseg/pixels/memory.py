"""How much memory pictures take."""

from __future__ import annotations

import av

from streamseg.pixels.picture import AnyPicture

__all__ = ["format_bytes", "picture_bytes"]


def format_bytes(pixel_format: str, width: int, height: int) -> int:
    """Bytes of a picture's planes, without the padding of rows; as of 4:2:0 with 8 bits for a format that libav does not know."""
    try:
        bits = av.VideoFormat(pixel_format, width, height).padded_bits_per_pixel
    except ValueError:
        bits = 12
    return width * height * bits // 8


def picture_bytes(picture: AnyPicture | None) -> int:
    """Bytes of a picture; twice that of its planes on a GPU, where a copy in host memory may join them; 0 where there is none."""
    if picture is None:
        return 0
    copies = 1 if isinstance(picture, av.VideoFrame) else 2
    return copies * format_bytes(picture.format.name, picture.width, picture.height)
