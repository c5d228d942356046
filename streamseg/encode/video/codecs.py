"""Which encoder, pixel format and settings a container gets.

The choices are made for a pipeline in which inference wants the cores. One core's milliseconds per 1280x720 picture, Mbit/s at 25
pictures a second and PSNR of luma, on an animation with fine grass, PyAV 18.1:

    libx264 veryfast, crf 20                 11.9    2.28    43.4     keeps back 11 pictures
    libx264 superfast, crf 20                 7.0    3.21    43.6
    the same, mbtree, lookahead 5, crf 18     7.8    2.83    43.5     keeps back 6: the default
    libx265 10 bit ultrafast, crf 20         26      1.95    42.4     (superfast takes more than twice as long)
    libx265 the same, live                   35      3.95    44.6
    libvpx-vp9 realtime, speed 8, crf 30      9.0    2.25    43.8     (good, speed 5 takes five times as long)
    libsvtav1 preset 12, crf 32               9.6    1.98    41.8
    prores_ks 4444, fixed quantiser 2        20      134     59.6     (with its rate search six times as long)
    ffv1 4:4:4 10 bit with alpha             44      136     lossless

What each encoder is told beside that is in `settings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.video.format import VideoFormat

from streamseg.encode.video.containers import CONTAINERS, NVENC, Container, container_of
from streamseg.encode.video.named_codecs import unknown_codec
from streamseg.encode.video.nvenc import why_not_nvenc
from streamseg.encode.video.pixel_formats import has_alpha, is_deep, nearest_format, padded_size
from streamseg.encode.video.settings import encoder_options, holds_none
from streamseg.errors import OutputError

__all__ = ["CODECS", "Choice", "Codec", "choose_codec", "has_alpha", "named_codec"]


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoder and what it can hold."""

    encoder: str
    crf: int | None
    """Default quality; None for lossless."""
    crf_range: tuple[int, int] = (0, 51)
    alpha: bool = False
    intra: bool = False
    """Every picture is coded alone."""
    even: bool = False
    """4:2:0 pictures need an even width and height."""
    fields: bool = False
    """Codes the two fields of an interlaced picture, and tells players which one comes first."""
    shapes: bool = False
    """Notes in its own headers what shape pixels have."""
    ranged: bool = True
    """Says whether codes are of full range; where it cannot, what reads it takes them for limited."""
    exact: bool = False
    """Lossless: RGB stays RGB, and grey stays grey, where it has such a format."""
    smallest: tuple[int, int] = (1, 1)
    """Least width and height."""
    largest: tuple[int, int] = (65535, 65535)
    """Greatest width and height."""
    never: tuple[str, ...] = ()
    """Pixel formats that FFmpeg lists and the encoder refuses, or that it takes only as an experiment."""


_NOT_VP9 = ("yuva422p", "yuva444p", "gbrp", "gbrap")
_NOT_HEVC = ("yuva420p", "yuva420p10le")
_ALWAYS_FULL = ("gray", "gray16be", "ya8", "ya16be")  # these two codecs cannot say that grey is of limited range

# x265 4.1 writes beyond its memory where pictures are up to 48 wide, SVT-AV1 4.1 waits for ever where one side is below 32 and the
# other is not; the other limits are the encoders' own.
CODECS = {
    "h264": Codec("libx264", 18, even=True, fields=True, shapes=True, largest=(16384, 16384)),
    "hevc": Codec("libx265", 20, even=True, shapes=True, smallest=(64, 16), largest=(16384, 16384), never=_NOT_HEVC),
    "vp9": Codec("libvpx-vp9", 30, (0, 63), alpha=True, never=_NOT_VP9),
    "av1": Codec("libsvtav1", 32, (0, 63), even=True, smallest=(32, 32), largest=(16384, 8704)),
    "prores": Codec("prores_ks", 2, (1, 31), alpha=True, intra=True, fields=True, ranged=False),
    "ffv1": Codec("ffv1", None, alpha=True, intra=True, fields=True, exact=True),
    "utvideo": Codec("utvideo", None, alpha=True, intra=True, even=True, exact=True),
    "png": Codec("png", None, alpha=True, intra=True, exact=True, never=_ALWAYS_FULL),
    "qtrle": Codec("qtrle", None, alpha=True, exact=True, never=(*_ALWAYS_FULL, "rgb555be")),
    "h264rgb": Codec("libx264rgb", 0, shapes=True, fields=True, largest=(16384, 16384), exact=True),
    "h264_nvenc": Codec("h264_nvenc", 21, (1, 51), even=True, shapes=True),
    "hevc_nvenc": Codec("hevc_nvenc", 23, (1, 51), even=True, shapes=True),
}
"""By the name a user gives to --codec; the encoder's own name works too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an output is encoded with."""

    name: str
    codec: Codec
    pix_fmt: str
    options: dict[str, str]
    tag: str | None = None
    """FourCC that players of the container expect."""
    reorders: bool = True
    """Its packets may come in another order than their pictures are shown in."""
    ends_with_key: bool = False
    """The last picture has to be a key frame, so that it is also the last in decoding order; with B-frames it is not otherwise,
    and the last packet's duration, with which a movie ends, is another picture's."""


def named_codec(suffix: str, codec: str) -> str:
    """The key in CODECS for what a user typed; OutputError says why it cannot be had and lists what this container can hold."""
    allowed = container_of(suffix).codecs
    for name in allowed:
        if codec.lower() in (name, CODECS[name].encoder):
            return name
    elsewhere = [s for s, c in CONTAINERS.items() if any(codec.lower() in (n, CODECS[n].encoder) for n in c.codecs)]
    raise OutputError(
        f"codec {codec!r} cannot be used in a {suffix} file{unknown_codec(codec.lower(), elsewhere)}; "
        f"allowed: auto, {', '.join(allowed)}"
    )


def choose_codec(
    suffix: str,
    picture: VideoFormat,
    *,
    codec: str = "auto",
    crf: float | None = None,
    alpha: bool = False,
    live: bool = False,
    rate: Fraction | None = None,
    gpu: bool = False,
    interlaced: bool = False,
) -> Choice:
    """Encoder, pixel format and settings for pictures of one format and size in one container.

    `interlaced`: of its own accord take a codec that marks fields, where the container has one: x265 and NVENC do not.
    `gpu`: of its own accord take NVENC for H.264 of 8 bits 4:2:0, where it can be opened for pictures of this size.

    With `alpha` the output must hold transparency; without, a source's is kept where the container can hold it and left out
    otherwise. Raises OutputError when the container or codec cannot hold them or their size, NVENC is asked for and cannot be
    had, or `crf` is out of its range.
    """
    container = container_of(suffix)
    carried = has_alpha(picture)
    name = named_codec(suffix, codec) if codec != "auto" else _automatic(suffix, picture, alpha, interlaced, gpu)
    chosen, clear = CODECS[name], _clear(container)
    if alpha and name not in clear:
        able = [n for n in CODECS if n in clear]
        hint = f"use {' or '.join(able)}" if able else "use .mov, .mkv or .webm"
        raise OutputError(f"codec {name!r} cannot hold transparency; {hint}")
    low, high = chosen.crf_range
    if crf is not None and not low <= crf <= high:
        raise OutputError(f"crf {crf:g} is out of range for {name}; allowed: {low} (best) to {high}")
    pix_fmt = nearest_format(
        picture, chosen.encoder, alpha or (carried and name in clear), exact=chosen.exact, never=chosen.never
    )
    size = (picture.width, picture.height)
    size = padded_size(*size, pix_fmt, interlaced=interlaced) if chosen.even else size
    if codec != "auto" and (reason := _why_not(name, size)) is not None:
        able = [n for n in container.codecs if n not in NVENC and _why_not(n, size) is None and (not alpha or n in clear)]
        raise OutputError(f"codec {name!r} cannot be used here: {reason}; use {' or '.join(able[:3]) or 'another size'}")
    quality = chosen.crf if crf is None else crf
    options = encoder_options(name, quality, pix_fmt, size, live=live, reorders=container.reorders, rate=rate)
    # hev1 does not open in QuickTime.
    tag = "hvc1" if name in ("hevc", "hevc_nvenc") and container.is_mov else None
    h26x = name in ("h264", "hevc", "h264rgb", *NVENC)
    reorders = h26x and not holds_none(live, rate)
    ends = reorders and name not in NVENC and container.is_mov
    return Choice(name, chosen, pix_fmt, options | ({"forced-idr": "1"} if ends else {}), tag, reorders, ends)


def _automatic(suffix: str, picture: VideoFormat, alpha: bool, interlaced: bool, gpu: bool) -> str:
    """The codec of a container for pictures of one format and size. OutputError where it has none."""
    container, size = container_of(suffix), (picture.width, picture.height)
    if alpha or (has_alpha(picture) and container.alpha):
        if container.alpha:
            return container.alpha
        able = [s for s, c in CONTAINERS.items() if c.alpha]
        raise OutputError(
            f"a {suffix} file cannot hold transparency; use one of {', '.join(able)}, or PNG images, as cut/%06d.png"
        )
    deep = [container.deep] if container.deep and is_deep(picture) else []
    usual = [name for name in container.codecs if name not in NVENC]
    marks = [name for name in usual if CODECS[name].fields] if interlaced else []
    name = next((n for n in (*marks, *deep, *usual) if _why_not(n, size) is None), None)
    if name is None:
        raise OutputError(
            f"no codec of a {suffix} file takes pictures of {size[0]}x{size[1]}; use .mkv, or PNG images, as cut/%06d.png"
        )
    plain = not interlaced and container.reorders and _is_plain(picture)
    if gpu and plain and name == "h264" and why_not_nvenc("h264_nvenc", size) is None:
        return "h264_nvenc"
    return name


def _clear(container: Container) -> tuple[str, ...]:
    """The codecs whose transparency a container stores."""
    return tuple(name for name in container.codecs if CODECS[name].alpha and name not in container.opaque)


def _why_not(name: str, size: tuple[int, int]) -> str | None:
    """Why a codec does not take pictures of `size` (width, height); None if it does."""
    if name in NVENC:
        return why_not_nvenc(CODECS[name].encoder, size)
    least, most = CODECS[name].smallest, CODECS[name].largest
    size = (size[0] + size[0] % 2, size[1] + size[1] % 2) if CODECS[name].even else size
    if size[0] >= least[0] and size[1] >= least[1] and size[0] <= most[0] and size[1] <= most[1]:
        return None
    return f"it takes pictures from {least[0]}x{least[1]} to {most[0]}x{most[1]}, these are {size[0]}x{size[1]}"


def _is_plain(picture: VideoFormat) -> bool:
    """Whether it is 4:2:0 of 8 bits."""
    bits = max(component.bits for component in picture.components)
    return bits == 8 and not picture.is_rgb and (picture.chroma_width(100), picture.chroma_height(100)) == (50, 50)
