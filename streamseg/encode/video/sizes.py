"""How large a film becomes, roughly: bits a pixel of each encoder, for what is asked before a long run, whether the disk has room.

Measured on four films of people and streets, of which one came from a good camera (bits a pixel): H.264 0.07 to 0.18, HEVC 0.02
to 0.15, AV1 0.01 to 0.18, ProRes 2.7 to 10; lossless, as a share of the uncompressed picture: FFV1 0.14 to 0.54, UT Video 0.22 to
0.62, PNG 0.19 to 0.85. So a guess is within four times of what comes out.
"""

from __future__ import annotations

from av.video.format import VideoFormat

from streamseg.encode.video.codecs import CODECS, Choice

__all__ = ["bytes_a_picture"]

_BITS = {"h264": 0.13, "hevc": 0.06, "vp9": 0.08, "av1": 0.05, "h264_nvenc": 0.13, "hevc_nvenc": 0.06, "prores": 5.0}
_WITH_ALPHA = 1.8
"""ProRes 4444 with alpha takes so many times the bits of 422 HQ."""
_SHARES = {"ffv1": 0.3, "utvideo": 0.4, "png": 0.45, "qtrle": 0.9, "h264rgb": 0.5}
_HALVES = 6.0
"""By so many steps of crf more, H.264 and HEVC take half the bits."""


def bytes_a_picture(choice: Choice, crf: float | None, width: int, height: int) -> float:
    """Bytes that a picture of width x height pixels takes, on average."""
    form = VideoFormat(choice.pix_fmt, 16, 16)
    if choice.name in _SHARES:
        bits = _SHARES[choice.name] * form.padded_bits_per_pixel
    else:
        usual = CODECS[choice.name].crf
        bits = _BITS.get(choice.name, _BITS["h264"])
        if choice.name == "prores":
            bits *= (_WITH_ALPHA if "a" in choice.pix_fmt.removeprefix("yuv")[:1] else 1.0) * (usual or 2) / (crf or usual or 2)
        elif crf is not None and usual is not None:
            bits *= 2.0 ** ((usual - crf) / _HALVES)
    return bits * width * height / 8
