"""Cut-outs in every kind of file that holds them, read back by other libraries; and what says how their colours are stored."""

import json

import av
import cv2
import numpy as np
import OpenImageIO
import pytest

from streamseg.composite import Alpha, Compositor, Matte
from streamseg.core.result import Result
from streamseg.encode.alpha_note import AlphaNote
from streamseg.errors import OutputError
from streamseg.pixels import planes
from tests.unit.encode.helpers import INFO, frames, write
from tests.unit.pictures import codes, instances

BOX = [24.0, 12.0, 72.0, 52.0]
VIDEOS = {
    "prores": (".mov", 6), "ffv1": (".mkv", 0.6), "vp9": (".webm", 16),
    "qtrle": (".mov", 1.1), "png": (".mov", 1.1), "utvideo": (".avi", 1.1),
}  # fmt: skip
"""Codec → a file that holds it, and by how much of 255 alpha may differ: not at all where it is lossless, but for 10 bits in 8."""


def source(form="yuv420p", width=96, height=64):
    """Smooth colours, which 4:2:0 and lossy codecs keep."""
    y, x = np.mgrid[0:height, 0:width]
    picture = planes.new_frame(width, height, "rgb24")
    planes.views(picture).planes[0].array[...] = np.stack([60 + x, 200 - x, 80 + 2 * y], axis=2)
    made = picture if form == "rgb24" else picture.reformat(threads=1, format=form, dst_colorspace=1, dst_color_range=1)
    if form != "rgb24":
        made.colorspace, made.color_range = 1, 1
    return made


def drawn(effect, form="yuv420p"):
    (frame,) = frames([source(form)])
    return Compositor([effect])(Result(frame, instances([BOX]))).picture


def read(path):
    """uint8 or uint16 RGBA of the first picture, by PyAV; of VP9 with libvpx, since FFmpeg's own decoder leaves alpha out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9", "r") if path.suffix == ".webm" else stream.codec_context
        packets = [packet for packet in container.demux(stream) if packet.size]
        picture = next(iter([*decoder.decode(packets[0]), *decoder.decode(None)]))
        tags, inside = dict(container.metadata), dict(stream.metadata)
    deep = any(c.bits > 8 for c in picture.format.components)
    array = picture.reformat(threads=1, format="rgba64le" if deep else "rgba").to_ndarray()
    return array / (65535 if deep else 255) * 255, tags | inside


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("codec", VIDEOS)
def test_alpha_videos(codec, premultiplied, tmp_path):
    suffix, room = VIDEOS[codec]
    form = "rgb24" if codec in ("qtrle", "png", "utvideo") else "yuv420p"
    picture = drawn(Alpha(feather=8, premultiplied=premultiplied), form)
    path = tmp_path / f"cut{suffix}"
    note = AlphaNote(premultiplied, decontaminated=True)
    if premultiplied and codec in ("png", "vp9"):
        with pytest.raises(OutputError, match="is defined to hold straight alpha: what reads it would darken the edges"):
            write(path, [picture], codec=codec, alpha=True, note=note)
        return
    write(path, [picture], codec=codec, alpha=True, note=note)
    got, tags = read(path)
    alpha = codes(picture)[-1] if form == "yuv420p" else codes(picture)[0][..., 3]
    wanted = alpha / alpha.max() * 255
    assert np.abs(got[..., 3] - wanted).max() <= room
    before = source("rgb24").to_ndarray().astype(float)
    inside = wanted == 255
    inside &= np.roll(inside, 6, 0) & np.roll(inside, -6, 0) & np.roll(inside, 6, 1) & np.roll(inside, -6, 1)
    assert inside.sum() > 200
    assert np.abs(got[..., :3] - before)[inside].mean() <= 4
    outside = got[wanted == 0][:, :3]
    assert outside.mean() <= 3 if premultiplied else outside.mean() > 60
    word = "premultiplied" if premultiplied else "straight"
    assert word in (tags.get("ALPHA") or tags.get("alpha") or tags.get("comment", ""))
    beside = json.loads((tmp_path / f"cut{suffix}.json").read_text())
    assert (beside["schema"], beside["file"], beside["alpha"]) == ("streamseg.alpha/1", f"cut{suffix}", word)


def test_a_comment_of_the_source_stays_and_the_file_beside_says_it(tmp_path):
    from dataclasses import replace

    info = replace(INFO, metadata={"comment": "take 3"})
    write(tmp_path / "cut.mov", [drawn(Alpha())], info, alpha=True, note=AlphaNote(True))
    assert read(tmp_path / "cut.mov")[1]["comment"] == "take 3"
    assert json.loads((tmp_path / "cut.mov.json").read_text())["alpha"] == "premultiplied"


def test_without_alpha_nothing_is_beside(tmp_path):
    write(tmp_path / "film.mov", [source()])
    assert [path.name for path in tmp_path.iterdir()] == ["film.mov"]


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize(("form", "bits"), [("yuv420p", 8), ("rgb24", 8), ("yuv420p10le", 16)])
def test_tiff_says_which_alpha_it_holds(form, bits, premultiplied, tmp_path):
    from dataclasses import replace

    info = replace(INFO, bit_depth=10 if "10" in form else 8)
    picture = drawn(Alpha(feather=8, premultiplied=premultiplied), form)
    write(tmp_path / "%d.tif", [picture], info, alpha=True, note=AlphaNote(premultiplied))
    asked = OpenImageIO.ImageSpec()
    asked.attribute("oiio:UnassociatedAlpha", 1)
    spec = OpenImageIO.ImageInput.open(str(tmp_path / "0.tif"), asked).spec()
    assert bool(spec.get_int_attribute("oiio:UnassociatedAlpha")) != premultiplied
    assert (spec.nchannels, spec.format.basetype) == (4, OpenImageIO.UINT8 if bits == 8 else OpenImageIO.UINT16)
    buffer = OpenImageIO.ImageBuf(str(tmp_path / "0.tif"))  # it gives associated alpha in either case
    pixels = buffer.get_pixels(OpenImageIO.FLOAT)
    alpha = codes(picture)[-1] if form.startswith("yuv") else codes(picture)[0][..., 3]
    assert np.abs(pixels[..., 3] - alpha / alpha.max()).max() <= 0.51 / 255
    assert np.abs(pixels[..., :3] * 255 - source("rgb24").to_ndarray() * pixels[..., 3:])[22:42, 40:56].max() <= 4
    assert pixels[..., :3][pixels[..., 3] == 0].max() <= 1 / 255
    assert [path.name for path in tmp_path.iterdir()] == ["0.tif"], "images say it themselves"


@pytest.mark.parametrize(("form", "depth", "dtype"), [("yuv420p", 0, np.uint8), ("yuv420p", 16, np.uint16)])
def test_png_has_the_bits_of_the_source_or_those_asked_for(form, depth, dtype, tmp_path):
    effect = Alpha(feather=8, format="yuva444p16le" if depth else "auto")
    assert effect.asked_bits == depth
    picture = drawn(effect, form)
    write(tmp_path / "%d.png", [picture], alpha=True, depth=depth)
    image = cv2.imread(str(tmp_path / "0.png"), cv2.IMREAD_UNCHANGED)
    assert (image.dtype, image.shape) == (dtype, (64, 96, 4))
    exact = codes(picture)[3] / codes(picture)[3].max()
    assert np.abs(image[..., 3] / np.iinfo(dtype).max - exact).max() <= 0.51 / np.iinfo(dtype).max


@pytest.mark.parametrize("name", ["%d.png", "%d.webp", "%d.exr"])
def test_images_that_cannot_be_premultiplied_are_refused(name, tmp_path):
    with pytest.raises(OutputError, match="leave"):
        write(tmp_path / name, [drawn(Alpha(premultiplied=True))], alpha=True, note=AlphaNote(True))


@pytest.mark.parametrize(
    ("name", "codec", "bits", "kept", "room"),
    [
        ("m.mkv", "ffv1", 8, 8, 0), ("m.mkv", "ffv1", 10, 10, 0), ("m.mkv", "ffv1", 12, 12, 0), ("m.mkv", "ffv1", 16, 16, 0),
        ("m.mov", "prores", 10, 10, 0.01), ("m.mov", "prores", 16, 10, 0.01), ("m.mp4", "h264", 8, 8, 0.06),
        ("m.mov", "hevc", 10, 10, 0.04), ("m.webm", "auto", 10, 10, 0.05), ("m.webm", "vp9", 10, 8, 0.05),
        ("m.avi", "ffv1", 16, 16, 0),
    ],
)  # fmt: skip
def test_mattes_of_each_depth_in_each_codec(name, codec, bits, kept, room, tmp_path):
    """What cannot be held is said: the source has 8 bits, but 16 were asked for."""
    picture = drawn(Matte(bits=bits, feather=20))
    sink = write(tmp_path / name, [picture], codec=codec, depth=bits if bits > 8 else 0)
    with av.open(str(tmp_path / name)) as container:
        got = next(container.decode(video=0))
    luma, depth = codes(got)[0], planes.views(got).layout.depth
    full = got.color_range == 2 or got.format.name.startswith("gray")
    low, high = (0, 2**depth - 1) if full else (16 << depth - 8, 235 << depth - 8)
    exact = codes(picture)[0] / (2**bits - 1)
    assert np.abs((luma - low) / (high - low) - exact).max() <= (room or 1e-9)
    assert depth >= kept
    said = [words for words in sink.warnings if f"{bits} bits a sample become {kept}" in words]
    assert bool(said) == (bits > kept)


def test_full_range_becomes_limited_in_prores(tmp_path):
    """Seen: ProRes has no place for the range, and what reads it takes codes for limited: dark and bright parts were cut off."""
    picture = source("rgb24").reformat(threads=1, format="yuvj420p", dst_colorspace=1, dst_color_range=2)
    picture.colorspace, picture.color_range = 1, 2
    (frame,) = frames([picture])
    made = Compositor([Alpha()])(Result(frame, instances([BOX]))).picture
    write(tmp_path / "cut.mov", [made], alpha=True)
    got, _ = read(tmp_path / "cut.mov")
    before = source("rgb24").to_ndarray().astype(float)
    assert np.abs(got[..., :3] - before)[22:42, 40:56].mean() <= 3
    assert got[32, 48, 3] > 254.5
    assert got[2, 2, 3] == 0
