import ast
import threading
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.errors import StreamsegError, Unreadable
from streamseg.pixels import planes
from tests.unit.pictures import codes, noise

FORMATS = [
    "yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p16le", "yuva444p10le",
    "nv12", "nv21", "p010le", "gray", "gray10le", "gray16le", "rgb24", "bgr24", "rgba", "bgra", "argb", "rgb48le", "gbrp",
]  # fmt: skip


@pytest.mark.parametrize(
    "fmt", [f for f in FORMATS if f not in ("yuv420p16le", "nv21", "p010le", "yuv422p10le", "yuv444p12le", "yuva444p10le")]
)
def test_views_see_what_pyav_sees(fmt):
    picture = noise(fmt, 64, 48)
    try:
        theirs = picture.to_ndarray()
    except ValueError:
        pytest.skip(f"PyAV has no array for {fmt}")
    view = planes.views(picture)
    components = {
        c: array if array.ndim == 2 else array[..., k] for array, spec in view.planes for k, c in enumerate(spec.components)
    }
    if view.layout.family == "yuv" and fmt != "nv12" and "444" not in fmt:
        ours = np.concatenate([components[c].reshape(-1, 64) for c in range(3)])
    elif fmt == "nv12":
        ours = np.concatenate([view.planes[0].array, view.planes[1].array.reshape(-1, 64)])
    elif fmt.startswith("gray"):
        ours = components[0]
    else:
        order = {
            "yuv444p": (0, 1, 2),
            "yuva444p10le": (0, 1, 2, 3),
            "rgb24": (0, 1, 2),
            "bgr24": (2, 1, 0),
            "rgba": (0, 1, 2, 3),
        }
        order |= {"bgra": (2, 1, 0, 3), "argb": (3, 0, 1, 2), "rgb48le": (0, 1, 2), "gbrp": (0, 1, 2)}
        ours = np.stack([components[c] for c in order[fmt]], -1)
        if theirs.shape != ours.shape:
            ours = ours.transpose(2, 0, 1)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (321, 239), (1, 1)])
@pytest.mark.parametrize("fmt", FORMATS)
def test_copy_is_equal_and_separate(fmt, width, height):
    picture = noise(fmt, width, height)
    before = codes(picture)
    copy = planes.copy_frame(picture)
    for a, b in zip(before, codes(copy), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (copy.pts, copy.time_base, copy.format.name) == (picture.pts, picture.time_base, fmt)
    for tag in ("colorspace", "color_range", "color_primaries", "color_trc"):
        assert getattr(copy, tag) == getattr(picture, tag)
    for array, _ in planes.views(copy).planes:
        array[...] = 0
    for a, b in zip(before, codes(picture), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_view_outlives_its_picture():
    luma = planes.views(noise("yuv420p", 1280, 720)).planes[0].array
    kept = luma.copy()
    for seed in range(3):
        noise("yuv420p", 1280, 720, seed + 1)
    np.testing.assert_array_equal(luma, kept)


@pytest.mark.parametrize(
    ("fmt", "nearest"),
    [
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("yuv420p10be", "yuv420p10le"),
        ("y210le", "yuv422p10le"),
        ("gray10be", "gray10le"),
        ("rgb565le", "rgb24"),
        ("x2rgb10le", "rgb48le"),
        ("pal8", "rgba"),
    ],
)
def test_other_formats_become_the_nearest(fmt, nearest):
    assert planes.supported(av.VideoFrame(64, 48, fmt)).format.name == nearest


def test_conversion_loses_nothing_and_keeps_time_and_tags():
    source = noise("yuv422p", 64, 48)
    source.pts = 7
    packed = source.reformat(format="yuyv422", threads=1)
    back = planes.supported(packed)
    for a, b in zip(codes(source), codes(back), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (back.pts, back.colorspace, back.color_range) == (7, 1, 1)


def test_a_supported_picture_is_not_copied():
    picture = noise("yuv420p", 64, 48)
    assert planes.supported(picture) is picture
    assert planes.convert(picture, "yuv420p") is picture


def test_unknown_formats_are_refused_by_name():
    with pytest.raises(Unreadable, match="yuyv422"):
        planes.views(av.VideoFrame(64, 48, "yuyv422"))
    with pytest.raises(StreamsegError, match="no-such-format"):
        planes.new_frame(64, 48, "no-such-format")


@pytest.mark.parametrize("tagged", [(16, 9, 9, 1), (2, 2, 2, 0)], ids=["PQ", "untagged"])
def test_threads_convert_one_shared_picture_without_harm(tagged):
    """PyAV's conversions write into the picture that they read: two threads on it crash, and its tags come and go.

    Seen of an untagged film: an mp4 whose encoder was opened while a PNG was made of the same picture said BT.709, at times.
    """
    picture = noise("yuv420p10le", 320, 180)
    picture.color_trc, picture.color_primaries, picture.colorspace, picture.color_range = tagged
    tags, failed, done = set(), [], threading.Event()

    def told(of: av.VideoFrame) -> tuple[int, ...]:
        return tuple(map(int, (of.color_trc, of.color_primaries, of.colorspace, of.color_range)))

    def look() -> None:
        while not done.is_set():
            tags.add(told(picture))

    def convert(name: str) -> None:
        made = [told(planes.convert(picture, name))[:2] for _ in range(40)]
        failed.extend(name for each in made if each != tagged[:2])

    threads = [threading.Thread(target=convert, args=(name,)) for name in ("rgb24", "yuva444p10le", "yuv444p10le", "rgb48le")]
    looking = threading.Thread(target=look)
    for thread in (looking, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    looking.join()
    assert failed == []
    assert tags == {tagged}


@pytest.mark.parametrize(
    ("grey", "made", "shift"),
    [("gray", "yuv420p", 0), ("gray9le", "yuv420p10le", 1), ("gray10le", "yuv420p10le", 0), ("gray14le", "yuv420p16le", 2)],
)
def test_grey_with_chroma_keeps_its_codes_and_has_no_colour(grey, made, shift):
    picture = noise(grey, 31, 17)
    result = planes.with_chroma(picture)
    assert result.format.name == made
    luma, u, v = (plane.array for plane in planes.views(result).planes)
    np.testing.assert_array_equal(luma, codes(picture)[0].astype(int) << shift)
    middle = 1 << (planes.views(result).layout.depth - 1)
    assert set(np.unique(u)) == set(np.unique(v)) == {middle}
    assert (result.pts, result.color_range) == (picture.pts, picture.color_range)


def test_limited_grey_is_stretched_as_its_tag_says():
    """swscale takes grey for full range."""
    picture = planes.new_frame(16, 16, "gray")
    planes.views(picture).planes[0].array[...] = 235
    picture.color_range = 1
    white = planes.convert(picture, "rgb24")
    assert planes.views(white).planes[0].array.min() >= 254
    assert white.color_range == 2
    picture.color_range = 2
    assert abs(planes.views(planes.convert(picture, "rgb24")).planes[0].array.astype(int) - 235).max() <= 1
    assert planes.convert(picture, "gray") is picture


def _scalings(text: str) -> list[ast.Call]:
    """Calls of PyAV by which swscale may be set to work; `planes.reformat` has its own rule."""
    found: list[ast.Call] = []
    if not any(word in text for word in (".reformat(", ".to_image(", ".to_ndarray(")):
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) != "planes":
            converts = node.args or {k.arg for k in node.keywords} - {"channel_last"}
            if node.func.attr in ("reformat", "to_image") or (node.func.attr == "to_ndarray" and converts):
                found.append(node)
    return found


def test_swscale_is_told_to_take_one_thread_wherever_it_is_asked():
    """Several write wrong samples into some rows, once in a few hundred times, and PyAV takes as many as there are cores."""
    root = Path(__file__).parents[3]
    paths = [path for room in ("streamseg", "tests", "benchmarks", "samples", "tools") for path in (root / room).rglob("*.py")]
    calls = [(path, call) for path in paths for call in _scalings(path.read_text())]
    assert len(calls) >= 20
    many = [f"{path.relative_to(root)}:{call.lineno}" for path, call in calls if "threads" not in ast.unparse(call)]
    assert not many, "PyAV's conversions need threads=1 here"
