"""Folders of stills, and moving pictures in the files that stills come in."""

from fractions import Fraction as F

from tests.conformance.clip import Clip
from tests.conformance.row import Row

_KINDS = {
    "png-rgb24": Clip("png/", "png", "rgb24"), "png-rgba": Clip("png/", "png", "rgba"), "png-gray": Clip("png/", "png", "gray"),
    "png-rgb48": Clip("png/", "png", "rgb48be"), "png-gray16": Clip("png/", "png", "gray16be"), "jpg": Clip("jpg/", "jpg", "yuvj420p"),
    "jpg-444": Clip("jpg/", "jpg", "yuvj444p"), "bmp": Clip("bmp/", "bmp", "bgr24"),
    "tif-rgb24": Clip("tif/", "tiff", "rgb24"), "tif-rgb48": Clip("tif/", "tiff", "rgb48le"), "tif-yuv": Clip("tif/", "tiff", "yuv422p"),
    "webp": Clip("webp/", "webp", "bgra"), "tga": Clip("tga/", "targa", "bgr24"), "dpx": Clip("dpx/", "dpx", "rgb24"),
    "dpx-10bit": Clip("dpx/", "dpx", "gbrp10le"), "ppm": Clip("ppm/", "ppm", "rgb24"), "qoi": Clip("qoi/", "qoi", "rgb24"),
}  # fmt: skip
_MOVING = {
    "apng": Clip("apng", "apng", "rgb24"), "apng-rgba": Clip("apng", "apng", "rgba"), "apng-as-png": Clip("apng", "apng", "rgb24", change="png"),
    "apng-slow": Clip("apng", "apng", "rgb24", rate=F(4)), "gif": Clip("gif", "gif", "gray"), "gif-slow": Clip("gif", "gif", "gray", rate=F(4)),
    "gif-vfr": Clip("gif", "gif", "gray", timing="uneven", rate=F(10)), "gif-30": Clip("gif", "gif", "gray", rate=F(30)),
}  # fmt: skip

ROWS = [
    *(
        Row(
            f"{name}-to-mkv",
            clip,
            pixels="same" if "rgb" in clip.pix_fmt or "bgr" in clip.pix_fmt or "gbr" in clip.pix_fmt else "",
        )
        for name, clip in _KINDS.items()
    ),
    *(Row(f"{name}-to-mp4", _KINDS[name], "mp4", "none", "auto") for name in ("png-rgb24", "jpg", "tif-rgb48", "bmp")),
    *(
        Row(f"{name}-to-png", _KINDS[name], "%04d.png", "none", "auto", pixels="same" if name != "jpg" else "")
        for name in ("png-rgb24", "png-rgba", "png-rgb48", "tif-rgb24", "jpg")
    ),
    *(
        Row(f"png-rate{rate}-to-mp4", _KINDS["png-rgb24"], "mp4", "none", "auto", decode={"rate": rate})
        for rate in (5, 10, 24, 60)
    ),
    *(Row(f"{name}-to-mkv", clip, pixels="same", loses=("end",)) for name, clip in _MOVING.items()),
    *(Row(f"{name}-to-mp4", _MOVING[name], "mp4", "none", "auto", loses=("end",)) for name in ("apng", "gif", "gif-vfr")),
]
