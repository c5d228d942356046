"""Which of an encoder's pixel formats a picture goes into, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import av
from av.video.format import VideoFormat

from streamseg.errors import OutputError

__all__ = ["has_alpha", "is_deep", "losses", "nearest_format", "padded_size"]


def has_alpha(picture: VideoFormat) -> bool:
    """Whether a pixel format carries transparency."""
    return picture.has_palette or any(component.is_alpha for component in picture.components)


def is_deep(picture: VideoFormat) -> bool:
    """Whether it has more than 8 bits a sample."""
    return _bits(picture) > 8


def padded_size(width: int, height: int, pix_fmt: str, *, interlaced: bool = False) -> tuple[int, int]:
    """The (width, height) that holds a picture, or each of its fields, in whole chroma samples."""
    form = VideoFormat(pix_fmt, 2, 2)
    across, down = 2 // form.chroma_width(2), 2 // form.chroma_height(2) << interlaced
    return -(-width // across) * across, -(-height // down) * down


def nearest_format(picture: VideoFormat, encoder: str, alpha: bool, *, exact: bool = False, never: tuple[str, ...] = ()) -> str:
    """The encoder's pixel format that loses least: the picture's own, or one with no fewer bits and no less chroma.

    exact: RGB stays RGB, and grey stays grey, where the encoder has that. Elsewhere grey becomes 4:2:0 with neutral chroma, and RGB
    4:2:0, which is what players expect, or 4:4:4 in masters. never: formats not to be taken. Raises OutputError: there is none.
    """
    allowed = [name for name in _formats_of(encoder) if name not in never]
    rgb, gray = _is_rgb(picture), _is_gray(picture)
    if picture.name in allowed and has_alpha(picture) == alpha and (exact or not (rgb or gray)):
        return picture.name
    if exact:
        forms = [VideoFormat(name, 16, 16) for name in allowed]
        kinds = {"rgb": [f for f in forms if _is_rgb(f)], "gray": [f for f in forms if _is_gray(f)]}
        alike = kinds["gray"] if gray and not alpha else kinds["rgb"] if rgb else []
        if found := _least(alike, _bits(picture), alpha):
            return found
    if found := _planar(allowed, _chroma(picture, encoder), _bits(picture), alpha):
        return found
    # An encoder of RGB alone.
    if found := _least(
        [VideoFormat(name, 16, 16) for name in allowed if _is_rgb(VideoFormat(name, 16, 16))], _bits(picture), alpha
    ):
        return found
    raise OutputError(f"{encoder} cannot take pictures in {picture.name}")


def losses(picture: VideoFormat, into: VideoFormat, depth: int) -> Iterator[str]:
    """In words, what a picture loses in another format; `depth`: bits of the source, which an effect may have made more of.

    That RGB becomes YUV is not among them: it is what a video is, and the documentation says where it is not so.
    """
    if has_alpha(picture) and not has_alpha(into):
        yield "transparency is left out"
    bits = min(depth, _bits(picture))
    if bits > _bits(into):
        yield f"{bits} bits a sample become {_bits(into)}"
    if not (_is_rgb(picture) or _is_gray(picture) or _is_rgb(into)):
        before, after = _sampling(picture), _sampling(into)
        if before > after:
            yield f"chroma is reduced from {_colons(before)} to {_colons(after)}"


def _planar(allowed: list[str], chroma: str, bits: int, alpha: bool) -> str | None:
    """The YUV format of at least this chroma and depth, of less only where there is no other."""
    if bits > 8 and chroma == "420" and "p010le" in allowed:
        return "p010le"  # the encoders that take it know no planar 4:2:0 of more than 8 bits
    depths = sorted((8, 10, 12, 16), key=lambda b: (b < bits, abs(b - bits)))
    samplings = sorted(("420", "422", "444"), key=lambda s: (s < chroma, s)) if chroma != "444" else ["444", "422", "420"]
    for sampling in samplings:
        for depth in depths:
            name = f"yuv{'a' if alpha else ''}{sampling}p{'' if depth == 8 else f'{depth}le'}"
            if name in allowed:
                return name
    return None


def _chroma(picture: VideoFormat, encoder: str) -> str:
    if _is_rgb(picture):
        return "444" if encoder in ("prores_ks", "ffv1", "utvideo") else "420"
    return "420" if _is_gray(picture) else _sampling(picture)


def _least(forms: list[VideoFormat], bits: int, alpha: bool) -> str | None:
    """The format of no fewer bits, and with alpha if it has to, that has least beside; else the deepest."""
    able = [f for f in forms if has_alpha(f) or not alpha]
    deep = [f for f in able if _bits(f) >= bits]
    if deep:
        return min(deep, key=lambda f: (_bits(f), has_alpha(f) != alpha)).name
    return max(able, key=_bits).name if able else None


def _sampling(form: VideoFormat) -> str:
    return {(100, 100): "444", (50, 100): "422"}.get((form.chroma_width(100), form.chroma_height(100)), "420")


def _colons(sampling: str) -> str:
    return ":".join(sampling)


def _bits(form: VideoFormat) -> int:
    return max((component.bits for component in form.components), default=8)


def _is_rgb(form: VideoFormat) -> bool:
    return bool(form.is_rgb or form.has_palette)


def _is_gray(form: VideoFormat) -> bool:
    return sum(not c.is_alpha for c in form.components) == 1 and not form.has_palette


@lru_cache(maxsize=32)
def _formats_of(encoder: str) -> tuple[str, ...]:
    """The names of the pixel formats of 8 to 16 bits that FFmpeg lists for an encoder, without palettes and floats."""
    found = av.codec.Codec(encoder, "w").video_formats or ()
    return tuple(f.name for f in found if not f.has_palette and 8 <= _bits(f) <= 16 and "f16" not in f.name)
