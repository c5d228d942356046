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

The lookahead is short because frames inside an encoder are lost when the process is killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.video.format import VideoFormat

from streamseg.encode import nvenc
from streamseg.encode.nvenc import why_not_nvenc
from streamseg.errors import OutputError

__all__ = ["CODECS", "CONTAINERS", "Choice", "Codec", "Container", "choose", "container_of", "has_alpha"]


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


CODECS = {
    "h264": Codec("libx264", 18, even=True, fields=True),
    "hevc": Codec("libx265", 20, even=True),
    "vp9": Codec("libvpx-vp9", 30, (0, 63), alpha=True),
    "av1": Codec("libsvtav1", 32, (0, 63), even=True),
    "prores": Codec("prores_ks", 2, (1, 31), alpha=True, intra=True, fields=True),
    "ffv1": Codec("ffv1", None, alpha=True, intra=True, fields=True),
    "h264_nvenc": Codec("h264_nvenc", 21, (1, 51), even=True),
    "hevc_nvenc": Codec("hevc_nvenc", 23, (1, 51), even=True),
}
"""By the name a user gives to --codec; the encoder's own name works too."""


@dataclass(frozen=True, slots=True)
class Container:
    """One file type: FFmpeg's muxer, its codecs and its settings."""

    muxer: str
    codecs: tuple[str, ...]
    """Allowed; the first is the default for 8 bit."""
    deep: str | None = None
    """Default for more than 8 bits."""
    alpha: str | None = None
    """Default for pictures with alpha."""
    options: dict[str, str] = field(default_factory=dict)
    reorders: bool = True
    """Has a presentation time beside the decoding time, as B-frames need."""
    sound: str = "aac"
    """What sound that it cannot hold is converted to: an encoder, or `pcm`, of as many bits as are decoded."""
    lossless: str = ""
    """The same for lossless sound."""
    text: str = ""
    """The encoder of the text that it holds."""
    negative: bool = True
    """Places what comes before zero."""
    timed: bool = True
    """Can say that sound begins later than the picture, or stops for a while."""
    data: tuple[str, ...] = ()
    """Streams of data that can be read back as what they are."""
    attachments: bool = False
    """Holds fonts and the like."""
    refused: tuple[str, ...] = ()
    """Other codecs than the picture's that FFmpeg writes into it, but cannot finish or read back."""
    only: tuple[str, ...] = ()
    """If not empty: the only ones that can be read back."""


# Fragments reach the disk twice a second while writing; a clean end rewrites them into one ordinary movie. `delay_moov` lets the
# header wait for the first fragment, so that it has the edit list that puts the first frame at its exact time.
_MOV = {"movflags": "+hybrid_fragmented+delay_moov", "frag_duration": "300000"}
_MATROSKA = {"cluster_time_limit": "500"}
_NVENC = ("h264_nvenc", "hevc_nvenc")
_WMA = ("wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice")
_TS = (
    "aac",
    "aac_latm",
    "mp1",
    "mp2",
    "mp3",
    "ac3",
    "eac3",
    "dts",
    "opus",
    "s302m",
    "dvb_subtitle",
    "dvb_teletext",
)

_TS_DATA = ("klv", "timed_id3", "smpte_2038")
# What else has a tag there is given a rate that libav guesses from the bits a second, wrong for ADPCM and its like.
_AVI = (
    "aac",
    "ac3",
    "dts",
    "eac3",
    "flac",
    "mp2",
    "mp3",
    "pcm_alaw",
    "pcm_f32le",
    "pcm_f64le",
    "pcm_mulaw",
    "pcm_s16le",
    "pcm_s24le",
    "pcm_s32le",
    "pcm_u8",
)

CONTAINERS = {
    ".mp4": Container(
        "mp4", ("h264", "hevc", "av1", "vp9", *_NVENC), deep="hevc", options=_MOV, text="mov_text", refused=("dvd_subtitle",)
    ),
    ".mov": Container(
        "mov",
        ("h264", "hevc", "prores", *_NVENC),
        deep="hevc",
        alpha="prores",
        options=_MOV,
        lossless="pcm",
        text="mov_text",
        refused=("adpcm_ima_wav", "adpcm_ms", *_WMA),
    ),
    ".mkv": Container(
        "matroska",
        ("h264", "hevc", "av1", "vp9", "ffv1", "prores", *_NVENC),
        deep="hevc",
        alpha="ffv1",
        options=_MATROSKA,
        sound="flac",
        lossless="pcm",
        text="subrip",
        attachments=True,
        refused=("tta",),
    ),
    ".webm": Container("webm", ("vp9", "av1"), alpha="vp9", options=_MATROSKA, sound="libopus", text="webvtt"),
    ".avi": Container("avi", ("h264", "ffv1"), alpha="ffv1", reorders=False, sound="pcm", timed=False, only=_AVI),
    ".ts": Container("mpegts", ("h264", "hevc", *_NVENC), deep="hevc", negative=False, data=_TS_DATA, only=(*_TS, *_TS_DATA)),
}
"""By suffix."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an output is encoded with."""

    name: str
    codec: Codec
    pix_fmt: str
    options: dict[str, str]
    tag: str | None = None
    """FourCC that players of the container expect."""
    ends_with_key: bool = False
    """The last picture has to be a key frame, so that it is also the last in decoding order; with B-frames it is not otherwise,
    and the last packet's duration, with which a movie ends, is another picture's."""


def has_alpha(format: VideoFormat) -> bool:
    """Whether a pixel format carries transparency."""
    return any(component.is_alpha for component in format.components)


def container_of(suffix: str) -> Container:
    """The container for a file suffix; OutputError lists the allowed ones."""
    try:
        return CONTAINERS[suffix.lower()]
    except KeyError:
        raise OutputError(f"unknown video type {suffix!r}; allowed: {', '.join(CONTAINERS)}") from None


def named_codec(suffix: str, codec: str) -> str:
    """The key in CODECS for what a user typed; OutputError lists what this container can hold."""
    allowed = container_of(suffix).codecs
    for name in allowed:
        if codec.lower() in (name, CODECS[name].encoder):
            return name
    raise OutputError(f"codec {codec!r} cannot be used in a {suffix} file; allowed: auto, {', '.join(allowed)}")


def choose(
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
    """Encoder, pixel format and settings for pictures of one format in one container.

    `interlaced`: of its own accord take a codec that marks fields, where the container has one: x265 and NVENC do not.
    `gpu`: of its own accord take NVENC for H.264 of 8 bits 4:2:0, where it can be opened for pictures of this size.

    With `alpha` the output must hold transparency; without, a source's is kept where the container can hold it and left out
    otherwise. Raises OutputError when the container or codec cannot hold them or `crf` is out of its range.
    """
    container = container_of(suffix)
    carried = has_alpha(picture)
    deep = max(component.bits for component in picture.components) > 8
    if codec != "auto":
        name = named_codec(suffix, codec)
    elif alpha or (carried and container.alpha):
        name = container.alpha or ""
        if not name:
            able = [s for s, c in CONTAINERS.items() if c.alpha]
            raise OutputError(
                f"a {suffix} file cannot hold transparency; use one of {', '.join(able)}, or PNG images, as cut/%06d.png"
            )
    else:
        name = (container.deep if deep and not interlaced else None) or container.codecs[0]
        size = (picture.width, picture.height)
        plain = not interlaced and container.reorders and _is_plain(picture)
        if gpu and plain and name == "h264" and why_not_nvenc("h264_nvenc", size) is None:
            name = "h264_nvenc"
    chosen = CODECS[name]
    if alpha and not chosen.alpha:
        able = [n for n in CODECS if CODECS[n].alpha and n in container.codecs]
        hint = f"use {' or '.join(able)}" if able else "use .mov, .mkv or .webm"
        raise OutputError(f"codec {name!r} cannot hold transparency; {hint}")
    low, high = chosen.crf_range
    if crf is not None and not low <= crf <= high:
        raise OutputError(f"crf {crf:g} is out of range for {name}; allowed: {low} (best) to {high}")
    pix_fmt = _nearest(picture, chosen.encoder, alpha or (carried and chosen.alpha))
    quality = chosen.crf if crf is None else crf
    options = _options(name, quality, pix_fmt, live=live, reorders=container.reorders, rate=rate)
    # hev1 does not open in QuickTime.
    tag = "hvc1" if name in ("hevc", "hevc_nvenc") and container.muxer in ("mp4", "mov") else None
    ends = name in ("h264", "hevc") and not live and container.muxer in ("mp4", "mov")
    return Choice(name, chosen, pix_fmt, options | ({"forced-idr": "1"} if ends else {}), tag, ends)


def _is_plain(picture: VideoFormat) -> bool:
    """Whether it is 4:2:0 of 8 bits."""
    bits = max(component.bits for component in picture.components)
    return bits == 8 and not picture.is_rgb and (picture.chroma_width(100), picture.chroma_height(100)) == (50, 50)


def _nearest(picture: VideoFormat, encoder: str, alpha: bool) -> str:
    """The encoder's pixel format that loses least: the picture's own, or planar YUV with no fewer bits and no less chroma.

    gray becomes 4:2:0 with neutral chroma and RGB becomes 4:2:0 where players expect nothing else, 4:4:4 in masters.
    """
    allowed = {format.name for format in av.codec.Codec(encoder, "w").video_formats or ()}
    rgb = picture.is_rgb or picture.has_palette
    gray = sum(not c.is_alpha for c in picture.components) == 1
    if picture.name in allowed and not rgb and not gray and has_alpha(picture) == alpha:
        return picture.name
    if rgb:
        chroma = "444" if encoder in ("prores_ks", "ffv1") else "420"
    elif gray:
        chroma = "420"
    else:
        chroma = {(100, 100): "444", (50, 100): "422"}.get((picture.chroma_width(100), picture.chroma_height(100)), "420")
    bits = max(component.bits for component in picture.components)
    if bits > 8 and chroma == "420" and "p010le" in allowed:
        return "p010le"  # the encoders that take it know no planar 4:2:0 of more than 8 bits
    depths = sorted((8, 10, 12, 16), key=lambda b: (b < bits, abs(b - bits)))
    samplings = sorted(("420", "422", "444"), key=lambda s: (s < chroma, s)) if chroma != "444" else ["444", "422", "420"]
    for sampling in samplings:
        for depth in depths:
            name = f"yuv{'a' if alpha else ''}{sampling}p{'' if depth == 8 else f'{depth}le'}"
            if name in allowed:
                return name
    raise OutputError(f"{encoder} cannot take pictures in {picture.name}")  # every encoder above takes 4:2:0 or 4:4:4


def _options(
    name: str, quality: float | None, pix_fmt: str, *, live: bool, reorders: bool, rate: Fraction | None
) -> dict[str, str]:
    # Frames held inside an encoder are lost by kill -9 and late for a viewer: at most about 0.2 s of them, none when live.
    lookahead, crf = max(2, min(8, round(float(rate or 25) * 0.2))), f"{quality:g}" if quality is not None else ""
    b_frames = 0 if live or not reorders else 2
    if name == "h264":
        base = {"preset": "superfast", "crf": crf, "bf": str(b_frames)}
        return base | ({"tune": "zerolatency"} if live else {"rc-lookahead": str(lookahead), "x264-params": "mbtree=1"})
    if name in _NVENC:
        # Its default for H.264 is the main profile, without 8x8 transforms.
        high = {"profile": "high"} if name == "h264_nvenc" and pix_fmt in ("nv12", "yuv420p") else {}
        return nvenc.options(crf, live=live) | high
    if name == "hevc":
        params = f"log-level=none:frame-threads=1:bframes={b_frames}" + ("" if live else f":rc-lookahead={lookahead}")
        return {"preset": "ultrafast", "crf": crf, "x265-params": params} | ({"tune": "zerolatency"} if live else {})
    if name == "vp9":
        # libvpx codes alpha as a second stream, which cannot have alternate reference frames.
        base = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": crf, "b": "0"}
        return base | {"lag-in-frames": "0", "auto-alt-ref": "0"}
    if name == "av1":
        return {"preset": "12", "crf": crf, "svtav1-params": "pred-struct=1:lookahead=0"}
    if name == "prores":
        profile = "4444" if "444" in pix_fmt else "hq"
        # FF_QP2LAMBDA is 118; a fixed quantiser avoids the six-fold cost of the rate search.
        return {"profile": profile, "global_quality": str(round(118 * (quality or 2))), "flags": "+qscale", "vendor": "apl0"}
    return {"level": "3", "slices": "4", "slicecrc": "1"}
