"""Bit depths, chroma and colour tags: what the decoder gives comes out as it is, or as what loses least."""

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_YUV = [
    "yuv420p",
    "yuv422p",
    "yuv444p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p10le",
    "yuv420p12le",
    "yuv422p12le",
    "yuv444p12le",
    "yuv420p16le",
    "yuv444p16le",
    "yuv410p",
    "yuv411p",
    "yuv440p",
]
_RGB = ["bgr0", "gbrp10le", "gbrp12le", "gbrp16le", "rgb48le"]
_ALPHA = ["yuva420p", "yuva422p", "yuva444p", "yuva444p10le", "bgra", "gbrap10le", "rgba64le"]
_709, _601_FULL, _PQ, _HLG = (1, 1, 1, 1), (6, 2, 6, 6), (9, 1, 9, 16), (9, 1, 9, 18)
_COLOURS = {"bt709": _709, "bt601-full": _601_FULL, "bt2020-pq": _PQ, "bt2020-hlg": _HLG, "smpte170m": (6, 1, 6, 6)}


def _ffv1(coded: str, effect: str, **more: object) -> Row:
    return Row(f"{coded}-{effect}", Clip("mkv", "ffv1", coded), "mkv", effect, **more)  # type: ignore[arg-type]


def _raw(pix_fmt: str, suffix: str = "nut", **more: object) -> Row:
    return Row(f"{pix_fmt}-{suffix}-raw", Clip(suffix, "rawvideo", pix_fmt), "mkv", **more)  # type: ignore[arg-type]


ROWS = [
    *(_ffv1(pix_fmt, "overlay") for pix_fmt in _YUV),
    *(_ffv1(pix_fmt, "none") for pix_fmt in ("yuv420p", "yuv422p10le", "yuv444p16le")),
    *(
        _ffv1(pix_fmt, effect, pix_fmt=pix_fmt)
        for pix_fmt in ("yuv420p", "yuv422p10le", "yuv444p")
        for effect in ("blur", "pixelate")
    ),
    *(_ffv1(pix_fmt, effect) for pix_fmt in ("gray", "gray10le", "gray12le", "gray16le") for effect in ("none", "overlay")),
    *(_ffv1(pix_fmt, "overlay", pixels="same") for pix_fmt in _RGB),
    *(_ffv1(pix_fmt, effect, pixels="same") for pix_fmt in _ALPHA for effect in ("none", "overlay")),
    # packed and semi-planar layouts of raw video
    *(_raw(pix_fmt) for pix_fmt in ("nv12", "nv21", "yuyv422", "uyvy422", "yuvj420p", "yuvj444p")),
    *(_raw(pix_fmt, pixels="same") for pix_fmt in ("rgb24", "bgr24", "rgba", "argb", "rgb48be", "ya8")),
    *(_raw(pix_fmt, "avi") for pix_fmt in ("yuv420p", "uyvy422")),
    # other lossless codecs that hold RGB
    Row("qtrle-rgb24", Clip("mov", "qtrle", "rgb24"), pixels="same"),
    Row("qtrle-argb", Clip("mov", "qtrle", "argb"), pixels="same"),
    Row("png-rgb24", Clip("mov", "png", "rgb24"), pixels="same"),
    Row("png-rgba", Clip("mov", "png", "rgba"), pixels="same"),
    Row("png-gray", Clip("mov", "png", "gray")),
    Row("png-rgb48", Clip("mov", "png", "rgb48be"), pixels="same"),
    Row("huffyuv-bgra", Clip("avi", "huffyuv", "bgra"), pixels="same"),
    Row("huffyuv-rgb24", Clip("avi", "huffyuv", "rgb24"), pixels="same"),
    Row("utvideo-gbrp", Clip("avi", "utvideo", "gbrp"), pixels="same"),
    Row("magicyuv-gbrp", Clip("avi", "magicyuv", "gbrp"), pixels="same"),
    Row("zmbv-bgr0", Clip("avi", "zmbv", "bgr0"), pixels="same"),
    Row("flashsv-bgr24", Clip("flv", "flashsv", "bgr24"), pixels="same"),
    Row("h264rgb-rgb24", Clip("mkv", "h264rgb", "rgb24"), pixels="same"),
    Row("vp9-gbrp", Clip("mkv", "vp9", "gbrp"), pixels="same"),
    # lossy codecs at their depths
    Row("h264-10bit", Clip("mp4", "h264", "yuv420p10le")),
    Row("h264-422-10bit", Clip("mp4", "h264", "yuv422p10le")),
    Row("h264-444", Clip("mp4", "h264", "yuv444p")),
    Row("h264-gray", Clip("mp4", "h264", "gray")),
    Row("hevc-10bit", Clip("mp4", "hevc", "yuv420p10le")),
    Row("hevc-12bit", Clip("mp4", "hevc", "yuv420p12le")),
    Row("hevc-422-10bit", Clip("mp4", "hevc", "yuv422p10le")),
    Row("hevc-444", Clip("mp4", "hevc", "yuv444p")),
    Row("hevc-gray", Clip("mp4", "hevc", "gray")),
    Row("vp9-422", Clip("webm", "vp9", "yuv422p")),
    Row("vp9-444", Clip("webm", "vp9", "yuv444p")),
    Row("vp9-alpha", Clip("webm", "vp9", "yuva420p"), pixels="same"),
    Row("vp8-alpha", Clip("webm", "vp8", "yuva420p"), pixels="same"),
    Row("av1-10bit", Clip("mkv", "av1", "yuv420p10le")),
    Row("prores-444-alpha", Clip("mov", "prores4444", "yuva444p10le"), pixels="same"),
    # the default codecs of the outputs, which are lossy
    *(Row(f"10bit-to-{out}", Clip("mkv", "ffv1", "yuv420p10le"), out, codec="auto") for out in ("mp4", "mov", "ts", "webm")),
    *(Row(f"422-to-{out}", Clip("mkv", "ffv1", "yuv422p"), out, codec="auto") for out in ("mp4", "mov", "ts", "webm")),
    *(Row(f"444-to-{out}", Clip("mkv", "ffv1", "yuv444p"), out, codec="auto") for out in ("mp4", "mov", "webm")),
    *(Row(f"rgb-to-{out}", Clip("mov", "qtrle", "rgb24"), out, codec="auto") for out in ("mp4", "webm", "ts")),
    *(Row(f"gray-to-{out}", Clip("mkv", "ffv1", "gray"), out, codec="auto", pixels="rgb") for out in ("mp4", "webm")),
    *(
        Row(f"alpha-to-{out}", Clip("mkv", "ffv1", "yuva420p"), out, codec="auto", says="ransparency" if out == "mp4" else "")
        for out in ("mov", "webm", "mp4")
    ),
    # colour tags
    *(
        Row(
            f"{name}-{codec}-to-{out}",
            Clip("mkv", codec, "yuv420p10le" if "2020" in name else "yuv420p", colour=tags),
            out,
            codec=c,
        )
        for name, tags in _COLOURS.items()
        for codec, out, c in (("ffv1", "mkv", "lossless"), ("hevc", "mp4", "auto"), ("hevc", "mov", "auto"))
    ),
    Row("bt709-h264-to-avi", Clip("mp4", "h264", colour=_709), "avi", codec="h264", crf=0),
    Row("bt2020-pq-hevc-to-webm", Clip("mp4", "hevc", "yuv420p10le", colour=_PQ), "webm", codec="auto"),
]
