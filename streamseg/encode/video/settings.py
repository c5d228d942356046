"""What each encoder is told, for every rate and size that it takes.

Little is held back inside an encoder, because that is lost when the process is killed, and late for a viewer: some pictures,
none when live, nor below ten a second, where a few are seconds of a film.
"""

from __future__ import annotations

import os
from fractions import Fraction
from functools import lru_cache

import av

from streamseg.encode.video import nvenc
from streamseg.errors import OutputError

__all__ = ["encoder_options", "encoder_rate", "holds_none"]

_FASTEST = 240
_SPARSE = 10
"""Pictures a second below which an encoder holds none back."""
_B_FRAMES = 2
_LARGE = 3840 * 2160
"""Pixels from which libx265 holds fewer pictures: of 10 bits it takes 1.0 GB in place of 1.4, and its files are 3 % larger."""
_LEAST_FOR_TREE = 256
"""Pixels of width. In narrower pictures x264's macroblock tree reads memory that nobody has written: the same film was encoded in a
dozen ways in a hundred runs (at 160x120 and 192x108; in one way from 208x120 to 854x480)."""
_FFV1 = {"level": "3", "slicecrc": "1"}


def encoder_rate(rate: Fraction | None, time_base: Fraction) -> Fraction:
    """The frames a second that an encoder is told. It is a hint, for times are those of the pictures.

    Never above one picture a tick, where libvpx would find that pictures last no time, nor above the 240 that SVT-AV1 allows.
    """
    return min(Fraction(rate or 25), 1 / time_base, Fraction(_FASTEST))


def holds_none(live: bool, rate: Fraction | None) -> bool:
    """Whether an encoder is to give each picture back at once."""
    return live or float(rate or 25) < _SPARSE


def encoder_options(
    name: str,
    quality: float | None,
    pix_fmt: str,
    size: tuple[int, int],
    *,
    live: bool,
    reorders: bool,
    rate: Fraction | None,
) -> dict[str, str]:
    """FFmpeg's options of the codec `name` (a key of `codecs.CODECS`) for pictures of `size` (width, height)."""
    crf = f"{quality:g}" if quality is not None else ""
    none = holds_none(live, rate)
    b_frames = 0 if none or not reorders else _B_FRAMES
    # x265 refuses a lookahead that is no longer than a run of B-frames.
    lookahead = max(b_frames + 1, min(8, round(float(rate or 25) * 0.2)))
    if name == "hevc" and size[0] * size[1] >= _LARGE:
        b_frames, lookahead = min(b_frames, 1), 2
    if name in ("h264", "h264rgb"):
        base = {"preset": "superfast", "crf": crf, "bf": str(b_frames)}
        tree = int(size[0] >= _LEAST_FOR_TREE)
        return base | ({"tune": "zerolatency"} if none else {"rc-lookahead": str(lookahead), "x264-params": f"mbtree={tree}"})
    if name in ("h264_nvenc", "hevc_nvenc"):
        # Its default for H.264 is the main profile, without 8x8 transforms.
        high = {"profile": "high"} if name == "h264_nvenc" and pix_fmt in ("nv12", "yuv420p") else {}
        return nvenc.options(crf, live=none) | high
    if name == "hevc":
        params = f"log-level=none:frame-threads=1:bframes={b_frames}" + ("" if none else f":rc-lookahead={lookahead}")
        # Captions come with the pictures; unlike libx264, libx265 has to be asked to write them.
        return {"preset": "ultrafast", "crf": crf, "x265-params": params, "a53cc": "1"} | (
            {"tune": "zerolatency"} if none else {}
        )
    if name == "vp9":
        # libvpx codes alpha as a second stream, which cannot have alternate reference frames.
        base = {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": crf, "b": "0"}
        return base | {"lag-in-frames": "0", "auto-alt-ref": "0"}
    if name == "av1":
        # SVT-AV1 writes what it is and does to standard error, past FFmpeg's log; what fails is an error of ours.
        os.environ.setdefault("SVT_LOG", "0")
        return {"preset": "12", "crf": crf, "svtav1-params": "pred-struct=1:lookahead=0"}
    if name == "prores":
        profile = "4444" if "444" in pix_fmt else "hq"
        # FF_QP2LAMBDA is 118; a fixed quantiser avoids the six-fold cost of the rate search.
        return {"profile": profile, "global_quality": str(round(118 * (quality or 2))), "flags": "+qscale", "vendor": "apl0"}
    if name == "png":
        return {"pred": "up", "compression_level": "1"}
    return dict(_ffv1(pix_fmt, size)) if name == "ffv1" else {}


@lru_cache(maxsize=64)
def _ffv1(pix_fmt: str, size: tuple[int, int]) -> tuple[tuple[str, str], ...]:
    """The first settings of FFV1 with which it opens: its slices, which level 3 needs, do not fit into every size."""
    for options in (_FFV1, _FFV1 | {"slices": "1"}, {"level": "1"}):
        context = av.VideoCodecContext.create("ffv1", "w")
        context.width, context.height = size
        context.pix_fmt, context.time_base, context.options = pix_fmt, Fraction(1, 25), dict(options)
        try:
            context.open()
        except (av.FFmpegError, OSError):
            continue
        return tuple(options.items())
    raise OutputError(f"ffv1 cannot take pictures of {size[0]}x{size[1]} in {pix_fmt}; use png or utvideo")
