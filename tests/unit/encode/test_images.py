"""Image sequences, read back by OpenCV and PyAV: levels, depth, alpha, numbers."""

from dataclasses import replace

import av
import cv2
import numpy as np
import pytest

from streamseg.composite import Alpha, Compositor
from streamseg.composite.choose import matte
from streamseg.composite.shape import Shape
from streamseg.core.result import Result
from streamseg.encode import open_sink
from streamseg.errors import OutputError, OutputExists, OutputIsInput
from streamseg.pixels.planes import views
from tests import clips
from tests.unit.encode.helpers import INFO, frames, rendered, write
from tests.unit.pictures import instances


def read(path) -> np.ndarray:
    """As stored: [h, w] or [h, w, channels], RGB order."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image if image.ndim == 2 else image[..., [2, 1, 0, *range(3, image.shape[2])]]


def flat(pix_fmt: str, values: tuple[int, ...], space: int = 1, span: int = 1) -> av.VideoFrame:
    """One colour: the code of each component."""
    made = av.VideoFrame(64, 48, pix_fmt)
    for plane in views(made).planes:
        plane.array[...] = np.array([values[c] for c in plane.spec.components]).reshape(plane.array.shape[2:])
    made.colorspace, made.color_range = space, span
    return made


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("pix_fmt", ["rgb24", "gray"])
def test_what_a_still_can_hold_is_not_changed(pix_fmt, suffix, tmp_path):
    made = clips.picture(3, pix_fmt=pix_fmt)
    write(tmp_path / f"%04d.{suffix}", [made])
    assert np.array_equal(read(tmp_path / f"0000.{suffix}"), clips.plane_array(made))


def test_alpha_is_kept(tmp_path):
    made = av.VideoFrame(64, 48, "rgba")
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 4), np.uint8)
    views(made).planes[0].array[...] = pixels
    write(tmp_path / "rgba", [made], alpha=True)
    assert np.array_equal(read(tmp_path / "rgba" / "000000.png"), pixels)
    yuva = flat("yuva420p", (126, 128, 128, 77))
    write(tmp_path / "yuva", [yuva], alpha=True)
    assert np.all(read(tmp_path / "yuva" / "000000.png")[..., 3] == 77)


def codes(space: int, span: int, depth: int = 8) -> tuple[int, int, int]:
    """Y'CbCr codes of (0.75, 0.25, 0.5). ITU-T H.273, equations 31 to 40."""
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[space]
    r, g, b = 0.75, 0.25, 0.5
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    unit = 1 << (depth - 8)
    if span == 2:
        top = (1 << depth) - 1
        return round(top * y), round(top * cb + 128 * unit), round(top * cr + 128 * unit)
    return round((219 * y + 16) * unit), round((224 * cb + 128) * unit), round((224 * cr + 128) * unit)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize(("space", "span"), [(1, 1), (6, 1), (6, 2), (9, 1)])
def test_matrix_and_range_are_honoured(space, span, suffix, tmp_path):
    write(tmp_path / f"%d.{suffix}", [flat("yuv420p", codes(space, span), space, span)])
    rgb = read(tmp_path / f"0.{suffix}")[24, 32].astype(int)
    assert np.abs(rgb - (191, 64, 128)).max() <= (3 if suffix == "jpg" else 2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("space", "span"), [(9, 1), (1, 2)])
def test_ten_bits_give_sixteen(space, span, suffix, tmp_path):
    white = (940 if span == 1 else 1023, 512, 512)
    write(tmp_path / f"%d.{suffix}", [flat("yuv420p10le", c, space, span) for c in (codes(space, span, 10), white)])
    image = read(tmp_path / f"0.{suffix}")
    assert image.dtype == np.uint16
    assert np.abs(image[24, 32] / 65535 - (0.75, 0.25, 0.5)).max() < 1.5 / 1023
    assert np.all(read(tmp_path / f"1.{suffix}") == 65535)


def test_alpha_of_ten_bits_spans_all_of_sixteen(tmp_path):
    """What the alpha effect makes of a source of ten bits; opaque must be wholly opaque."""
    cut = [flat("yuva444p10le", (940, 512, 512, alpha)) for alpha in (0, 512, 1023)]
    write(tmp_path, cut, replace(INFO, bit_depth=10), alpha=True)
    values = [read(tmp_path / f"00000{i}.png")[0, 0] for i in range(3)]
    assert [v[3] for v in values] == [0, 32800, 65535]
    assert all(np.all(v[:3] == 65535) for v in values)


@pytest.mark.parametrize(
    ("pix_fmt", "code", "span", "expected"),
    [
        ("gray", 200, 2, 200),
        ("gray", 235, 1, 255),
        ("gray10le", 1023, 2, 65535),
        ("gray10le", 64, 1, 0),
    ],
)
def test_grey_stays_grey(pix_fmt, code, span, expected, tmp_path):
    write(tmp_path, [flat(pix_fmt, (code,), 2, span)])
    image = read(tmp_path / "000000.png")
    assert image.ndim == 2
    assert np.all(image == expected)


def test_black_and_white_of_limited_range_are_black_and_white(tmp_path):
    write(tmp_path / "%d.png", [flat("yuv420p", (y, 128, 128)) for y in (16, 235)])
    assert np.all(read(tmp_path / "0.png") == 0)
    assert np.all(read(tmp_path / "1.png") == 255)


def test_files_are_numbered_by_the_frame_in_the_source(tmp_path):
    sink = open_sink(tmp_path / "take-%03d-graded.png", INFO)
    sink.open()
    for frame in frames([clips.picture(i) for i in range(6)])[2::3]:
        sink(rendered(frame))
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["take-002-graded.png", "take-005-graded.png"]
    assert clips.read_index(read(tmp_path / "take-005-graded.png")[..., 1]) == 5
    assert sink.counters.frames == 2
    assert sink.counters.bytes == sum(p.stat().st_size for p in tmp_path.iterdir())


def test_folder_gets_six_digits(tmp_path):
    write(f"{tmp_path}/new/", [clips.picture(0)])
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["000000.png"]


def test_size_may_change_from_picture_to_picture(tmp_path):
    write(tmp_path, [clips.picture(0), clips.picture(1, 48, 32), clips.picture(2)])
    assert [read(tmp_path / f"00000{i}.png").shape for i in range(3)] == [(64, 96, 3), (32, 48, 3), (64, 96, 3)]


def test_no_reader_sees_half_a_file(tmp_path, monkeypatch):
    """A file appears under its name by renaming, when it is complete."""
    from pathlib import Path

    seen = []
    rename = Path.replace

    def spy(self, target):
        seen.append((self.stat().st_size, Path(target).exists()))
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    write(tmp_path, [clips.picture(0)])
    assert seen == [((tmp_path / "000000.png").stat().st_size, False)]


STILL = replace(INFO, kind="images", container="images", frame_count=1)


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "jpg", "jpeg", "webp"])
def test_one_still_gives_the_one_file_that_was_named(suffix, tmp_path):
    made = clips.picture(3, pix_fmt="rgb24")
    write(tmp_path / "new" / f"photo.{suffix}", [made], STILL)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"photo.{suffix}"]
    away = np.abs(read(tmp_path / "new" / f"photo.{suffix}").astype(int) - clips.plane_array(made).astype(int))
    assert away.mean() <= (0 if suffix in ("png", "tif", "tiff") else 3)


def test_one_still_into_a_pattern_is_numbered(tmp_path):
    write(tmp_path / "%03d.png", [clips.picture(3)], STILL)
    assert [path.name for path in tmp_path.iterdir()] == ["000.png"]


@pytest.mark.parametrize("info", [INFO, replace(STILL, frame_count=2), replace(INFO, frame_count=1)])
def test_one_file_holds_no_film_and_says_how_to_name_images(info, tmp_path):
    with pytest.raises(
        OutputError, match=r"one file cannot hold a video; name images by a pattern .* such as frames/%06d\.png"
    ):
        open_sink(tmp_path / "one.png", info)


def test_one_file_never_replaces_what_is_there_or_what_is_read(tmp_path):
    there = tmp_path / "a.png"
    write(there, [clips.picture(1)], STILL)
    with pytest.raises(OutputExists):
        write(there, [clips.picture(2)], STILL)
    with pytest.raises(OutputIsInput):
        write(there, [clips.picture(2)], STILL, overwrite=True, source=there)
    write(there, [clips.picture(2)], STILL, overwrite=True)
    assert clips.read_index(read(there)[..., 0]) == 2


def test_webp_keeps_alpha_and_takes_no_side_above_16383(tmp_path):
    made = av.VideoFrame(64, 48, "rgba")
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[..., :3], pixels[12:36, 16:48, 3] = (200, 40, 90), 255
    views(made).planes[0].array[...] = pixels
    write(tmp_path / "%d.webp", [made], alpha=True)
    got = read(tmp_path / "0.webp")
    assert np.array_equal(got[..., 3], pixels[..., 3])
    assert np.abs(got[16:32, 20:44, :3].astype(int) - (200, 40, 90)).max() <= 4
    with pytest.raises(OutputError, match=r"pictures of 16400x2 do not fit into \.webp"):
        write(tmp_path / "long.webp", [av.VideoFrame(16400, 2, "rgb24")], STILL)


@pytest.mark.parametrize(("space", "span"), [(1, 1), (6, 2), (9, 1)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_what_is_cut_out_of_eight_bits_has_eight(suffix, space, span, tmp_path):
    """The alpha is drawn into YUV of ten bits, which ProRes takes."""
    source = flat("yuv420p", codes(space, span), space, span)
    (frame,) = frames([source])
    drawn = Compositor([Alpha(feather=9)])(Result(frame, instances([[0.0, 0.0, 40.0, 48.0]]))).picture
    assert drawn.format.name == "yuva444p10le"
    write(tmp_path / f"%d.{suffix}", [drawn], alpha=True)
    image = read(tmp_path / f"0.{suffix}")
    assert image.dtype == np.uint8
    assert np.abs(image[24, 32, :3].astype(int) - (191, 64, 128)).max() <= 2
    exact = matte(instances([[0.0, 0.0, 40.0, 48.0]]), 64, 48, Shape(feather=9), np.uint16) / 65535
    wanted = np.rint(np.rint(exact * 1023) / 1023 * 255)
    assert np.array_equal(image[..., 3], wanted)
    assert len(np.unique(wanted)) > 20
    for deep, info in (("rgba64le", INFO), ("auto", replace(INFO, bit_depth=10))):
        drawn = Compositor([Alpha(format=deep)])(Result(frame, instances([[0.0, 0.0, 40.0, 48.0]]))).picture
        write(tmp_path / deep / f"%d.{suffix}", [drawn], info, alpha=True)
        assert read(tmp_path / deep / f"0.{suffix}").dtype == np.uint16
