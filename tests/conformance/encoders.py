"""The encoders that sources are made with, with settings under which they are lossless, or the same on every CPU where they can be.

What a decoder gives for a lossy source may differ between CPUs by what the encoder's SIMD does; rows of such a source compare
with what PyAV decodes from the same file here, and their reference holds means within a bound instead of hashes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.conformance.clip import Clip

__all__ = ["ENCODERS", "Encoder"]


_HDR10 = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:hdr10=1"
    ":repeat-headers=1"
)


def _x264(clip: Clip) -> dict[str, str]:
    params = f"bframes={clip.b}:b-adapt=0:b-pyramid={'normal' if clip.b > 1 else 'none'}:scenecut=0:threads=1"
    if clip.field:
        params += f":{clip.field}=1"
    # Lossless x264 makes no B-frames, and knows 8 bits only.
    quality = {"crf": "8"} if "10" in clip.pix_fmt else {"qp": "1" if clip.b else "0"}
    return {"preset": "ultrafast", "bf": str(clip.b), "x264-params": params, **quality}


def _x265(clip: Clip) -> dict[str, str]:
    params = f"lossless=1:log-level=none:pools=none:frame-threads=1:bframes={clip.b}:b-adapt=0:rc-lookahead={clip.b + 2}"
    if clip.field:
        params += f":interlace={clip.field}:field=1"
    return {"preset": "ultrafast", "x265-params": params + (f":{_HDR10}" if clip.side == "hdr10" else "")}


def _native(clip: Clip) -> dict[str, str]:
    interlaced = "+ilme+ildct" if clip.field else ""
    more = {"bf": str(clip.b)} if clip.b else {}
    return {"flags": f"+bitexact{interlaced}", "dct": "int", "idct": "simple", "qmin": "2", "qmax": "2", **more}


def _fields(clip: Clip) -> dict[str, str]:
    return {"flags": "+ildct"} if clip.field else {}


def _plain(clip: Clip) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Encoder:
    """How PyAV makes it."""

    name: str
    options: Callable[[Clip], dict[str, str]] = _plain
    lossless: bool = False
    fixed: dict[str, str] = field(default_factory=dict)


ENCODERS = {
    "h264": Encoder("libx264", _x264, lossless=True),
    "h264rgb": Encoder("libx264rgb", _x264, lossless=True),
    "hevc": Encoder("libx265", _x265, lossless=True),
    "vp8": Encoder("libvpx", fixed={"deadline": "realtime", "cpu-used": "8", "crf": "4", "b": "4M", "auto-alt-ref": "0"}),
    "vp9": Encoder(
        "libvpx-vp9", lossless=True, fixed={"lossless": "1", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    ),
    "av1": Encoder("libsvtav1", fixed={"preset": "12", "crf": "10", "svtav1-params": "lookahead=0:lp=1"}),
    "mpeg1": Encoder("mpeg1video", _native),
    "mpeg2": Encoder("mpeg2video", _native),
    "mpeg4": Encoder("mpeg4", _native),
    "msmpeg4": Encoder("msmpeg4", _native),
    "wmv2": Encoder("wmv2", _native),
    "h263": Encoder("h263", _native),
    "flv1": Encoder("flv", _native),
    "mjpeg": Encoder("mjpeg", _native),
    "prores": Encoder("prores_ks", _fields, fixed={"profile": "standard"}),
    "prores4444": Encoder("prores_ks", fixed={"profile": "4444", "alpha_bits": "16"}),
    "dnxhd": Encoder("dnxhd", fixed={"profile": "dnxhr_hq"}),
    "cfhd": Encoder("cfhd"),
    "dv": Encoder("dvvideo"),
    "jpeg2000": Encoder("jpeg2000"),
    "vc2": Encoder("vc2"),
    "cinepak": Encoder("cinepak"),
    "rv20": Encoder("rv20", _native),
    "svq1": Encoder("svq1"),
    "snow": Encoder("snow", fixed={"strict": "-2"}),
    "ffv1": Encoder("ffv1", lossless=True, fixed={"level": "3"}),
    "huffyuv": Encoder("huffyuv", lossless=True),
    "ffvhuff": Encoder("ffvhuff", lossless=True),
    "utvideo": Encoder("utvideo", lossless=True),
    "magicyuv": Encoder("magicyuv", lossless=True),
    "rawvideo": Encoder("rawvideo", lossless=True),
    "v210": Encoder("v210", lossless=True),
    "png": Encoder("png", lossless=True),
    "apng": Encoder("apng", lossless=True),
    "gif": Encoder("gif", lossless=True),
    "qtrle": Encoder("qtrle", lossless=True),
    "zmbv": Encoder("zmbv", lossless=True),
    "flashsv": Encoder("flashsv", lossless=True),
    "y4m": Encoder("wrapped_avframe", lossless=True),
    "jpg": Encoder("mjpeg", _native),
    "bmp": Encoder("bmp", lossless=True),
    "tiff": Encoder("tiff", lossless=True),
    "webp": Encoder("libwebp", fixed={"lossless": "1"}),
    "awebp": Encoder("libwebp_anim", fixed={"lossless": "1"}),
    "targa": Encoder("targa", lossless=True),
    "dpx": Encoder("dpx", lossless=True),
    "ppm": Encoder("ppm", lossless=True),
    "qoi": Encoder("qoi", lossless=True),
    "exr": Encoder("exr", lossless=True),
}
"""By the name that a clip gives."""
