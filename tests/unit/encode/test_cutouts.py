"""Cut-outs, read back by OpenCV and OpenImageIO and laid onto the frame again."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import OpenImageIO
import pytest

from streamseg.composite import Rendered, to_image
from streamseg.composite.shape import Shape
from streamseg.core import masks
from streamseg.encode import open_sink
from streamseg.errors import OutputError, OutputExists
from streamseg.pixels.planes import views
from tests.unit.encode.exr.helpers import flat, result
from tests.unit.encode.helpers import INFO
from tests.unit.pictures import instances, noise

BOXES = [[10.4, 10.0, 60.0, 50.7], [30.0, 20.0, 90.0, 60.0]]


def write(path, results, **options):
    first = results[0].frame.picture
    info = replace(INFO, pix_fmt=first.format.name, width=first.width, height=first.height, bit_depth=options.pop("depth", 8))
    sink = open_sink(path, info, **options)
    sink.open()
    for each in results:
        sink(Rendered(each, each.frame.picture))
    sink.close()
    return sink


def straight(path) -> np.ndarray:
    """[h, w, 4] as stored: OpenImageIO, and OpenCV of TIFF, would multiply by alpha."""
    asked = OpenImageIO.ImageSpec()
    asked.attribute("oiio:UnassociatedAlpha", 1)
    file = OpenImageIO.ImageInput.open(str(path), asked)
    pixels = file.read_image(0, 0, 0, 4, file.spec().format)
    file.close()
    return pixels


def table(path) -> list[dict[str, str]]:
    with (path / "cutouts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def cover(found, i: int) -> np.ndarray:
    """0..1 [64, 96]: the matte of an instance, whatever is in front of it."""
    whole = np.zeros((64, 96))
    x0, y0, x1, y1 = region = masks.region_of(found.boxes[i], 96, 64)
    whole[y0:y1, x0:x1] = masks.coverage(found.masks[i], found.boxes[i], region, 96, 64, dtype=np.uint16) / 65535
    return whole


@pytest.mark.parametrize("codec", ["auto", "tif"])
@pytest.mark.parametrize(("pix_fmt", "top"), [("yuv420p", 255), ("yuv422p10le", 65535)])
def test_each_lies_where_the_table_says_with_the_frames_own_colours(codec, pix_fmt, top, tmp_path):
    made = result(noise(pix_fmt, 96, 64), instances(BOXES), index=7)
    write(tmp_path / "a.cutouts", [made], codec=codec, depth=8 if top == 255 else 10)
    rows = table(tmp_path / "a.cutouts")
    assert [(row["file"].split(".")[0], row["track"], row["class"]) for row in rows] == [
        ("person#1/000007", "1", "person"),
        ("car#2/000007", "2", "car"),
    ]
    frame = to_image(made.frame.picture, "rgb24" if top == 255 else "rgb48le").astype(float) / top
    for i, row in enumerate(rows):
        read = straight(tmp_path / "a.cutouts" / row["file"])
        x, y, w, h = (int(row[key]) for key in ("x", "y", "width", "height"))
        assert read.shape == (h, w, 4)
        assert read.max() <= top
        alpha = np.zeros((64, 96))
        alpha[y : y + h, x : x + w] = read[..., 3] / top
        np.testing.assert_allclose(alpha, cover(made.instances, i), atol=1.5 / 255)
        inside = cv2.erode((read[..., 3] == top).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert inside.sum() > 300
        np.testing.assert_allclose(read[inside][:, :3] / top, frame[y : y + h, x : x + w][inside], atol=0.005)
        assert all((read[edge][..., 3] > 0).any() for edge in (0, -1, np.s_[:, 0], np.s_[:, -1]))  # no empty row or column


def test_a_png_says_where_it_belongs(tmp_path):
    write(tmp_path / "a.cutouts", [result(noise("yuv420p", 96, 64), instances(BOXES))])
    for row in table(tmp_path / "a.cutouts"):
        data = (tmp_path / "a.cutouts" / row["file"]).read_bytes()
        at = data.index(b"oFFs")
        assert [int.from_bytes(data[at + 4 + 4 * n : at + 8 + 4 * n], "big") for n in (0, 1)] == [int(row["x"]), int(row["y"])]
        assert data.index(b"IHDR") < at < data.index(b"IDAT")


def test_an_exr_lies_in_the_frame_by_its_data_window(tmp_path):
    found = instances(BOXES)
    write(tmp_path / "a.cutouts", [result(flat("yuv420p", (180, 128, 128), size=(96, 64)), found)], codec="exr")
    for i, row in enumerate(table(tmp_path / "a.cutouts")):
        image = OpenImageIO.ImageBuf(str(tmp_path / "a.cutouts" / row["file"]))
        assert (image.spec().x, image.spec().y, image.spec().full_width, image.spec().full_height) == (
            int(row["x"]),
            int(row["y"]),
            96,
            64,
        )
        whole = OpenImageIO.ImageBufAlgo.crop(image, OpenImageIO.ROI(0, 96, 0, 64)).get_pixels()
        np.testing.assert_allclose(whole[..., 3], cover(found, i), atol=1e-3)
        light = ((164 / 219 + 0.0993) / 1.0993) ** (1 / 0.45)
        np.testing.assert_allclose(whole[..., 0], cover(found, i) * light, atol=2e-3)


def test_the_shape_of_the_matte_is_that_of_the_output(tmp_path):
    made = result(noise("yuv420p", 96, 64), instances([[30.0, 20.0, 60.0, 45.0]]))
    for grow in (0, 5):
        write(tmp_path / f"{grow}.cutouts", [made], shape=Shape(grow=grow))
    (small,), (large,) = (table(tmp_path / f"{grow}.cutouts") for grow in (0, 5))
    assert int(large["width"]) - int(small["width"]) in (9, 10, 11)
    assert int(small["x"]) - int(large["x"]) in (4, 5, 6)


def test_what_is_transparent_in_the_source_is_in_its_cut_outs(tmp_path):
    picture = flat("rgba", (200, 100, 50, 128), (0, 2, 1, 13), size=(96, 64))
    write(tmp_path / "a.cutouts", [result(picture, instances(BOXES[:1]))])
    read = cv2.imread(str(tmp_path / "a.cutouts" / table(tmp_path / "a.cutouts")[0]["file"]), cv2.IMREAD_UNCHANGED)
    assert read[..., 3].max() == 128
    assert read[20, 20, :3].tolist() == [50, 100, 200]


def test_tracks_without_identity_and_pixels_are_left_out(tmp_path):
    found = instances([*BOXES, [200.0, 10.0, 220.0, 30.0]])
    found = replace(found, track_ids=np.array([0, 2, 3]))
    sink = write(tmp_path / "a.cutouts", [result(noise("gray", 96, 64), found)])
    assert [row["file"] for row in table(tmp_path / "a.cutouts")] == ["car#2/000000.png"]
    assert "1 masks that belong to no track yet" in sink.warnings[0]


def test_a_track_keeps_its_folder_and_a_persons_name(tmp_path):
    found = replace(instances(BOXES), track_names={2: "Anna / red"})
    turned = replace(found, labels=found.labels[::-1].copy())  # the classes of the two change
    write(tmp_path / "a.cutouts", [result(noise("yuv420p", 96, 64), each, index=n) for n, each in enumerate((found, turned))])
    assert sorted(path.name for path in (tmp_path / "a.cutouts").iterdir() if path.is_dir()) == ["Anna _ red", "person#1"]


def test_a_folder_of_cut_outs_is_not_written_over_unless_asked(tmp_path):
    made = [result(noise("yuv420p", 96, 64), instances(BOXES))]
    write(tmp_path / "a.cutouts", made)
    with pytest.raises(OutputExists, match="cut-outs are there already"):
        write(tmp_path / "a.cutouts", made)
    write(tmp_path / "a.cutouts", made, overwrite=True)
    assert len(table(tmp_path / "a.cutouts")) == 2


def test_what_is_no_kind_of_file_is_refused_and_a_codec_of_videos_said(tmp_path):
    with pytest.raises(OutputError, match="'gif' is no kind of cut-out; allowed: auto, png, tif"):
        open_sink(tmp_path / "a.cutouts", INFO, codec="gif")
    assert "hevc is a codec of videos" in open_sink(tmp_path / "a.cutouts", INFO, codec="hevc").warnings[0]


@pytest.mark.parametrize("codec", ["png", "exr"])
def test_edges_have_the_colours_of_the_object_and_none_of_what_is_behind(codec, tmp_path):
    found = instances([[20.0, 8.0, 80.0, 56.0]])
    picture = flat("rgb24", (0, 0, 0), (0, 2, 1, 13), size=(96, 64))
    share = cv2.GaussianBlur(cover(found, 0), (0, 0), 1.0)[..., None]  # as a lens does it
    views(picture).planes[0].array[...] = np.rint(share * (200, 40, 40) + (1 - share) * (0, 0, 255))
    write(tmp_path / "a.cutouts", [result(picture, found)], codec=codec)
    (row,) = table(tmp_path / "a.cutouts")
    read = straight(tmp_path / "a.cutouts" / row["file"]).astype(float)
    shown = read[read[..., 3] > 0.1 * read[..., 3].max()]
    if codec == "exr":
        light = shown[:, :3] / shown[:, 3:]
        shown = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(shown[:, :3] - (200, 40, 40)).max() < 12
