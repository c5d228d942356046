import av
import numpy as np
import pytest

from streamseg.pixels import planes
from streamseg.pixels.layouts import layout, layouts

YUV, RGB, GREY = (60, 100, 180, 255), (20, 120, 220, 255), (90, 0, 0, 255)
"""What every sample is, of 255."""


@pytest.mark.parametrize("name", sorted({each.name for each in layouts()} & set(av.video.format.names)))
def test_every_layout_says_where_its_samples_are(name):
    """swscale fills the planes, from a picture of one colour: each view finds the codes of its own component, and no others."""
    known = layout(name)
    assert known is not None
    form = av.VideoFormat(name, 37, 23)
    assert known.alpha == any(c.is_alpha for c in form.components)
    assert known.depth == max(c.bits for c in form.components)
    value = {"yuv": YUV, "rgb": RGB, "gray": GREY}[known.family]
    base = planes.new_frame(37, 23, {"yuv": "yuva444p", "rgb": "rgba", "gray": "gray"}[known.family])
    for plane in planes.views(base).planes:
        plane.array[...] = (
            np.array([value[c] for c in plane.spec.components]) if plane.array.ndim == 3 else value[plane.spec.components[0]]
        )
    # One thread: swscale's several write wrong samples into some rows, once in a few hundred times.
    picture = base if base.format.name == name else base.reformat(format=name, src_color_range=2, dst_color_range=2, threads=1)
    view = planes.views(picture)
    assert (view.width, view.height) == (37, 23)
    assert len(view.planes) == len(picture.planes)
    seen = set()
    for (array, spec), plane in zip(view.planes, picture.planes, strict=True):
        assert array.shape[:2] == (plane.height, plane.width), "chroma is as large as libav has it"
        assert array.dtype == (np.uint8 if known.depth == 8 else np.dtype("<u2"))
        for k, component in enumerate(spec.components):
            samples = array[..., k] if array.ndim == 3 else array
            seen.add(component)
            if component < 3 or known.alpha:
                expected = value[component] * (2**known.depth - 1) / 255
                assert abs((samples >> known.lsb).astype(int) - expected).max() <= 2 + 2 ** (known.depth - 8)
                assert not (samples & ((1 << known.lsb) - 1)).any(), "nothing below the lowest bit"
    assert seen >= ({0} if known.family == "gray" else {0, 1, 2})


@pytest.mark.parametrize(
    ("odd", "plain"),
    [
        ("yuyv422", "yuv422p"), ("uyyvyy411", "yuv444p"), ("y210le", "yuv422p10le"), ("pal8", "rgba"), ("rgb565le", "rgb24"),
        ("ya8", "yuva444p"),
        ("bgr48be", "rgb48le"), ("rgba64be", "rgba64le"), ("gray16be", "gray16le"), ("grayf32le", "gray16le"), ("yuv420p10be",
        "yuv420p10le"),
        ("bayer_rggb8", "rgb24"), ("yuv440p10be", "yuv444p10le"), ("yuva420p16be", "yuva420p16le"),
    ],
)  # fmt: skip
def test_what_numpy_cannot_view_becomes_the_nearest_that_it_can(odd, plain):
    picture = av.VideoFrame(32, 16, odd)
    assert layout(odd) is None
    made = planes.supported(picture)
    assert made.format.name == plain
    assert (made.width, made.height) == (32, 16)
    planes.views(made)
