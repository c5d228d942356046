"""The kinds of video file: what each can hold, beside the picture too, and how FFmpeg is told to write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from streamseg.errors import OutputError

__all__ = ["CONTAINERS", "NVENC", "Container", "container_of"]


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
    timecode: Literal["stream", "container", "no"] = "stream"
    """Where libav's muxer looks for the start timecode."""
    reel: bool = False
    """Has a place for the name of the reel."""
    attachments: bool = False
    """Holds fonts and the like."""
    refused: tuple[str, ...] = ()
    """Other codecs than the picture's that FFmpeg writes into it, but cannot finish or read back."""
    shapes: bool = False
    """Notes what shape pixels have: Matroska could, but PyAV cannot tell it."""
    opaque: tuple[str, ...] = ()
    """Codecs whose transparency it does not store."""
    only: tuple[str, ...] = ()
    """If not empty: the only ones that can be read back."""

    @property
    def is_mov(self) -> bool:
        """Whether FFmpeg's muxer for QuickTime writes it, as it does mp4."""
        return self.muxer in ("mp4", "mov")


# Fragments reach the disk twice a second while writing; a clean end rewrites them into one ordinary movie. `delay_moov` lets the
# header wait for the first fragment, so that it has the edit list that puts the first frame at its exact time.
_MOV = {"movflags": "+hybrid_fragmented+delay_moov", "frag_duration": "300000"}
_MATROSKA = {"cluster_time_limit": "500"}
NVENC = ("h264_nvenc", "hevc_nvenc")
"""Codecs that need a GPU."""
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
# What else has a tag there is given a rate that libav guesses from the bits a second, wrong for ADPCM, E-AC-3 and their like.
_AVI = (
    "aac",
    "ac3",
    "dts",
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
        "mp4",
        ("h264", "hevc", "av1", "vp9", "h264rgb", *NVENC),
        deep="hevc",
        options=_MOV,
        text="mov_text",
        data=("bin_data",),
        refused=("dvd_subtitle",),
        opaque=("vp9",),
        shapes=True,
    ),
    ".mov": Container(
        "mov",
        ("h264", "hevc", "prores", "png", "qtrle", "h264rgb", *NVENC),
        deep="hevc",
        alpha="prores",
        options=_MOV,
        lossless="pcm",
        reel=True,
        text="mov_text",
        refused=("adpcm_ima_wav", "adpcm_ms", *_WMA),
        shapes=True,
    ),
    ".mkv": Container(
        "matroska",
        ("h264", "hevc", "av1", "vp9", "ffv1", "prores", "h264rgb", *NVENC),
        deep="hevc",
        alpha="ffv1",
        options=_MATROSKA,
        sound="flac",
        lossless="pcm",
        reel=True,
        text="subrip",
        attachments=True,
        refused=("tta",),
    ),
    ".webm": Container(
        "webm", ("vp9", "av1"), deep="av1", alpha="vp9", options=_MATROSKA, sound="libopus", reel=True, text="webvtt"
    ),
    ".avi": Container(
        "avi",
        ("h264", "ffv1", "utvideo"),
        alpha="ffv1",
        reorders=False,
        sound="pcm",
        timed=False,
        timecode="container",
        only=_AVI,
    ),
    ".ts": Container(
        "mpegts", ("h264", "hevc", *NVENC), deep="hevc", negative=False, timecode="no", data=_TS_DATA, only=(*_TS, *_TS_DATA)
    ),
}
"""By suffix."""


def container_of(suffix: str) -> Container:
    """The container for a file suffix; OutputError lists the allowed ones."""
    try:
        return CONTAINERS[suffix.lower()]
    except KeyError:
        raise OutputError(f"unknown video type {suffix!r}; allowed: {', '.join(CONTAINERS)}") from None
