"""EXR, read back by OpenImageIO: colour by the formulas of H.273 and BT.2100, layers, header, names, compressions."""

import json
import sys
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import OpenEXR
import pytest

from streamseg.composite import Alpha, Compositor, Matte, Rendered
from streamseg.composite.shape import Shape
from streamseg.core import masks
from streamseg.core.exr_options import ExrOptions
from streamseg.core.timecode import Timecode
from streamseg.encode.exr.names import layer_name
from streamseg.errors import MissingExtra, OutputError
from tests.full_disk import file_size_limit
from tests.unit.encode.exr import helpers
from tests.unit.encode.exr.helpers import INFO, flat
from tests.unit.encode.helpers import copy
from tests.unit.pictures import instances, noise

BOXES = [[10.0, 10.0, 60.0, 50.0], [30.0, 20.0, 90.0, 60.0]]
HALF = 2**-10
"""Twice what rounding to half precision may change, as a share."""


def one(tmp_path, picture, found=None, order=None, info=INFO, **options):
    """The channels of one picture's EXR."""
    helpers.write(
        tmp_path / "%d.exr", [helpers.result(picture, instances([]) if found is None else found, order)], info, **options
    )
    return helpers.channels(tmp_path / "0.exr")


def rgb_at(channels, y=20, x=30) -> list[float]:
    return [float(channels[letter][y, x]) for letter in "RGB"]


def bt709(v: float) -> float:
    """ITU-R BT.709-6, 1.2, solved for light; with the digits of H.273."""
    return v / 4.5 if v < 0.08124 else ((v + 0.09929682680944) / 1.09929682680944) ** (1 / 0.45)


def srgb(v: float) -> float:
    """IEC 61966-2-1."""
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


def pq(v: float) -> float:
    """ITU-R BT.2100-3, table 4, in cd/m2."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = v ** (1 / m2)
    return 10000 * (max(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def hlg(v: float) -> float:
    """ITU-R BT.2100-3, table 5, solved for scene light."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return v * v / 3 if v <= 0.5 else (np.exp((v - c) / a) + b) / 12


@pytest.mark.parametrize(
    ("trc", "to_light"),
    [
        (1, bt709),
        (6, bt709),
        (2, bt709),
        (13, srgb),
        (8, lambda v: v),
        (4, lambda v: v**2.2),
        (16, lambda v: pq(v) / 203),
        (18, lambda v: hlg(v) / hlg(0.75)),
    ],
    ids=["709", "601", "untagged", "srgb", "linear", "gamma22", "pq", "hlg"],
)
def test_light_is_what_the_transfer_says(trc, to_light, tmp_path):
    for code in (64, 80, 300, 502, 721, 940):  # luma of 10 bits, limited range: black to white
        read = one(tmp_path / str(code), flat("yuv420p10le", (code, 512, 512), (9, 1, 9, trc)))
        assert rgb_at(read) == pytest.approx([to_light((code - 64) / 876)] * 3, rel=HALF, abs=2e-6)
        assert read["R"].dtype == np.float16


def test_colour_is_by_the_matrix_and_the_range(tmp_path):
    kr, kb, signal = 0.2627, 0.0593, (0.75, 0.25, 0.5)
    y = kr * signal[0] + (1 - kr - kb) * signal[1] + kb * signal[2]
    cb, cr = (signal[2] - y) / (2 * (1 - kb)), (signal[0] - y) / (2 * (1 - kr))
    codes = (round(219 * 256 * y + 16 * 256), round(224 * 256 * cb + 128 * 256), round(224 * 256 * cr + 128 * 256))
    read = one(tmp_path, flat("yuv422p16le", codes, (9, 1, 9, 14)))
    assert rgb_at(read) == pytest.approx([bt709(v) for v in signal], rel=2e-3)


@pytest.mark.parametrize(("code", "light"), [(16, 0.0), (4, -12 / 219 / 4.5), (254, bt709(238 / 219))])
def test_what_is_beyond_black_and_white_stays(code, light, tmp_path):
    assert rgb_at(one(tmp_path, flat("yuv444p", (code, 128, 128)))) == pytest.approx([light] * 3, rel=HALF, abs=1e-6)


def test_the_signal_itself_may_be_asked_for(tmp_path):
    read = one(tmp_path, flat("yuv420p", (126, 128, 128)), exr=ExrOptions(light="display"))
    assert rgb_at(read) == pytest.approx([110 / 219] * 3, rel=HALF)
    assert helpers.attributes(tmp_path / "0.exr")["streamseg/light"] == "display"


def test_pictures_of_stills_and_rgb_are_srgb_where_they_do_not_say(tmp_path):
    assert rgb_at(one(tmp_path / "rgb", flat("rgb24", (188, 64, 0), (2, 0, 2, 2)))) == pytest.approx(
        [srgb(188 / 255), srgb(64 / 255), 0], rel=HALF, abs=1e-6
    )
    still = one(tmp_path / "still", flat("yuvj420p", (188, 128, 128), (5, 2, 2, 2)), info=replace(INFO, kind="images"))
    assert rgb_at(still) == pytest.approx([srgb(188 / 255)] * 3, rel=HALF)


@pytest.mark.parametrize(
    "pix_fmt", ["gray", "gray10le", "gray16le", "p010le", "gbrp10le", "yuva444p10le", "uyvy422", "pal8", "nv12"]
)
@pytest.mark.parametrize("size", [(97, 63), (1, 1)])
def test_any_format_and_size_is_written(pix_fmt, size, tmp_path):

    picture = (
        noise(pix_fmt, *size)
        if pix_fmt not in ("uyvy422", "pal8")
        else noise("yuv422p", 98, 64).reformat(threads=1, format="uyvy422")
    )
    if pix_fmt == "pal8":
        picture = av.VideoFrame(*size, "pal8")
    read = one(tmp_path, picture)
    assert read["R"].shape == read["A"].shape == (picture.height, picture.width)
    assert np.isfinite(read["G"]).all()


def test_alpha_is_associated(tmp_path):
    picture, found = flat("yuv420p", (180, 128, 128), size=(96, 64)), instances(BOXES)
    made = helpers.result(picture, found)
    rendered = Compositor([Alpha()])(made)
    sink = helpers.open_sink(tmp_path / "0.exr", replace(INFO, kind="images", frame_count=1), alpha=True)
    sink.open()
    sink(rendered)
    sink.close()
    read = helpers.channels(tmp_path / "0.exr")
    soft = (read["A"] > 0.1) & (read["A"] < 0.9)
    assert soft.any()
    assert (read["R"][read["A"] == 0] == 0).all()
    np.testing.assert_allclose(read["R"], read["A"].astype(float) * bt709((180 - 16) / 219), rtol=3e-3, atol=1e-6)


def test_a_matte_is_no_light(tmp_path):
    rendered = Compositor([Matte(feather=60)])(
        helpers.result(flat("yuv420p", (180, 128, 128), size=(96, 64)), instances(BOXES))
    )
    sink = helpers.open_sink(tmp_path / "%d.exr", INFO)
    sink.open()
    sink(rendered)
    codes = np.asarray(rendered.picture.to_ndarray(threads=1, format="gray")) / 255
    np.testing.assert_allclose(helpers.channels(tmp_path / "0.exr")["R"], codes, rtol=HALF, atol=1e-6)


def test_each_track_has_a_layer_of_its_whole_matte(tmp_path):
    found = instances(BOXES)
    read = one(tmp_path, flat("yuv420p", (126, 128, 128), size=(96, 64)), found)
    for i, layer in enumerate(("person_1", "car_2")):
        x0, y0, x1, y1 = region = masks.region_of(found.boxes[i], 96, 64)
        whole = np.zeros((64, 96))
        whole[y0:y1, x0:x1] = masks.coverage(found.masks[i], found.boxes[i], region, 96, 64, dtype=np.uint16)
        np.testing.assert_array_equal(read[f"{layer}.A"], (whole / 65535).astype(np.float16))
        assert read[f"{layer}.A"].dtype == np.float16


def test_id_and_order_show_who_is_in_front(tmp_path):
    read = one(tmp_path, flat("yuv420p", (126, 128, 128), size=(96, 64)), instances(BOXES), [1, 0])
    first, second, both = (20, 20), (40, 75), (32, 45)
    assert [read["id.X"][at] for at in (first, second, both, (2, 2))] == [1, 2, 2, 0]
    assert [read["order.Z"][at] for at in (first, second, both, (2, 2))] == [2, 1, 1, 0]


@pytest.mark.parametrize(
    ("layers", "names"), [("class", {"person", "car"}), ("both", {"person_1", "car_2", "person", "car"}), ("none", set())]
)
def test_layers_may_be_classes_or_none(layers, names, tmp_path):
    read = one(tmp_path, flat("yuv420p", (126, 128, 128), size=(96, 64)), instances(BOXES), exr=ExrOptions(layers=layers))
    assert {name.removesuffix(".A") for name in read if name.endswith(".A") and not name.startswith("Crypto")} == names


def test_no_cryptomatte_is_there_where_none_is_asked_for(tmp_path):
    read = one(tmp_path, flat("yuv420p", (126, 128, 128), size=(96, 64)), instances(BOXES), exr=ExrOptions(cryptomatte="none"))
    assert not any(name.startswith("Crypto") for name in read)


def test_a_mask_without_track_is_of_its_class_and_said(tmp_path):
    results = [helpers.result(flat("yuv420p", (126, 128, 128), size=(96, 64)), instances(BOXES, tracked=False))]
    sink = helpers.write(tmp_path / "%d.exr", results)
    assert "2 masks that belong to no track yet" in " ".join(sink.warnings)
    assert set(helpers.mattes(tmp_path / "0.exr")["CryptoClass"]) == {"person", "car"}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("person#3", "person_3"),
        ("Jörg Müller", "Jorg_Muller"),
        ("3", "track_3"),
        ("人", "track"),
        ("rgba", "track_rgba"),
        ("Cryptos", "track_Cryptos"),
        ("potted plant#12", "potted_plant_12"),
        ("x" * 60, "x" * 29),
    ],
)
def test_layers_have_names_that_every_compositor_takes(name, layer):
    assert layer_name(name, ()) == layer


def test_two_names_that_look_alike_have_two_layers():
    assert layer_name("a b", {"a_b"}) == "a_b_2"
    assert layer_name("x" * 60, {"x" * 29}) == "x" * 27 + "_2"


@pytest.mark.parametrize(
    ("rate", "timecode", "index", "expected"),
    [
        (Fraction(30000, 1001), "00:59:59;29", 1, (1, 0, 0, 0, 1, 0)),
        (Fraction(30000, 1001), "01:00:59;29", 1, (1, 1, 0, 2, 1, 0)),
        (Fraction(25), "10:00:00:24", 2, (10, 0, 1, 1, 0, 0)),
        (Fraction(60), "00:00:00:58", 1, (0, 0, 0, 29, 0, 1)),
    ],
)
def test_each_picture_bears_its_timecode_and_rate(rate, timecode, index, expected, tmp_path):
    info = replace(INFO, rate=rate, timecode=Timecode.parse(timecode, rate), time_base=1 / rate, reel="A001")
    picture = flat("yuv420p", (126, 128, 128))
    results = [helpers.result(picture, instances([]), index=n) for n in range(index + 1)]
    results = [replace(each, frame=replace(each.frame, time_base=1 / rate)) for each in results]
    helpers.write(tmp_path / "%d.exr", results, info)
    read = OpenEXR.File(str(tmp_path / f"{index}.exr"), header_only=True).header()
    code = read["timeCode"]
    assert (code.hours, code.minutes, code.seconds, code.frame, code.dropFrame, code.fieldPhase) == expected
    assert read["framesPerSecond"] == rate
    assert read["reelName"] == "A001"
    assert read["imageCounter"] == index


@pytest.mark.parametrize(
    ("tags", "red", "white"),
    [
        ((9, 1, 9, 16), (0.708, 0.292), (0.3127, 0.3290)),
        ((1, 1, 12, 1), (0.680, 0.320), (0.3127, 0.3290)),
        ((6, 1, 6, 6), (0.630, 0.340), (0.3127, 0.3290)),
        ((2, 0, 2, 2), (0.630, 0.340), (0.3127, 0.3290)),
    ],
    ids=["2020", "p3", "170m", "untagged"],
)
def test_the_header_says_primaries_shape_and_source(tags, red, white, tmp_path):
    info = replace(INFO, sample_aspect_ratio=Fraction(16, 15), name="a film.mov")
    one(tmp_path, flat("yuv420p10le", (502, 512, 512), tags), info=info)
    read = OpenEXR.File(str(tmp_path / "0.exr"), header_only=True).header()
    assert read["chromaticities"][:2] == pytest.approx(red)
    assert read["chromaticities"][6:] == pytest.approx(white)
    assert read["pixelAspectRatio"] == pytest.approx(16 / 15)
    assert read["streamseg/source"] == "a film.mov"
    assert "1.0 is" in read["comments"]


@pytest.mark.parametrize("codec", ["auto", "zips", "zip", "piz", "rle", "none"])
def test_compressions_lose_nothing(codec, tmp_path):
    picture, found = noise("yuv420p10le", 96, 64), instances(BOXES)
    read, plain = one(tmp_path / "a", picture, found, codec=codec), one(tmp_path / "b", picture, found, codec="none")
    assert all(np.array_equal(read[name], plain[name]) for name in plain)
    wanted = {"auto": "ZIPS", "none": "NO"}.get(codec, codec.upper())
    assert wanted in str(OpenEXR.File(str(tmp_path / "a" / "0.exr"), header_only=True).header()["compression"])


def test_a_lossy_compression_leaves_masks_whole_and_is_refused_with_cryptomatte(tmp_path):
    picture, found = noise("yuv420p", 96, 64), instances(BOXES)
    with pytest.raises(OutputError, match="dwaa is lossy, which Cryptomatte"):
        one(tmp_path / "a", picture, found, codec="dwaa")
    options = ExrOptions(cryptomatte="none")
    read, plain = (one(tmp_path / codec, picture, found, codec=codec, exr=options) for codec in ("dwaa", "zip"))
    assert not np.array_equal(read["R"], plain["R"])
    assert all(np.array_equal(read[name], plain[name]) for name in ("person_1.A", "car_2.A", "id.X", "order.Z", "A"))


def test_what_is_no_compression_is_refused_and_a_codec_of_videos_said(tmp_path):
    with pytest.raises(OutputError, match="'zup' is no compression of EXR; allowed: auto, zips"):
        one(tmp_path / "a", noise("yuv420p", 96, 64), codec="zup")
    sink = helpers.write(tmp_path / "%d.exr", [helpers.result(noise("yuv420p", 96, 64), instances([]))], codec="hevc")
    assert "hevc is a codec of videos" in sink.warnings[0]


def test_one_photo_gives_the_one_file(tmp_path):
    info = replace(INFO, kind="images", frame_count=1)
    helpers.write(tmp_path / "out.exr", [helpers.result(noise("rgb24", 96, 64), instances(BOXES))], info)
    assert [path.name for path in tmp_path.iterdir()] == ["out.exr"]
    with pytest.raises(OutputError, match=r"%06d"):
        helpers.write(tmp_path / "film.exr", [helpers.result(noise("rgb24", 96, 64), instances(BOXES))])


def test_a_full_disk_leaves_whole_files_alone(tmp_path):
    results = [helpers.result(noise("yuv420p", 320, 200), instances(BOXES))]
    with file_size_limit(20_000), pytest.raises(OutputError, match="writing it failed"):
        helpers.write(tmp_path / "%d.exr", results)
    assert not list(tmp_path.glob("*.exr"))
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("package", ["OpenEXR", "mmh3"])
def test_a_package_that_is_not_there_is_named_with_the_extra(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package} is not installed; run: pip install .*edit"):
        helpers.open_sink(tmp_path / "%d.exr", INFO).open()


def test_mattes_take_the_shape_that_is_asked_for(tmp_path):
    picture, found = flat("yuv420p", (126, 128, 128), size=(96, 64)), instances([[30.0, 20.0, 60.0, 45.0]])
    plain, grown = (one(tmp_path / str(grow), picture, found, shape=Shape(grow=grow)) for grow in (0, 6))
    inside = plain["person_1.A"] > 0.5
    distance = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    assert (grown["person_1.A"][distance < 5] > 0.5).all()
    assert (grown["person_1.A"][distance > 7.5] < 0.5).all()
    np.testing.assert_allclose(
        helpers.mattes(tmp_path / "6" / "0.exr")["CryptoObject"]["person#1"], grown["person_1.A"], atol=HALF
    )


def expecting(tmp_path, tracks, **options):
    """The layers' names of a frame without anybody, where tracks are known beforehand; and the sink."""
    sink = helpers.open_sink(tmp_path / "%d.exr", INFO, **options)
    sink.open()
    sink.expect(tracks)
    picture = flat("yuv420p", (126, 128, 128), size=(96, 64))
    sink(Rendered(helpers.result(picture, instances([])), picture))
    sink.close()
    return sorted(name for name in helpers.channels(tmp_path / "0.exr") if name.count(".") and "Crypto" not in name), sink


def test_who_is_known_to_come_has_a_layer_and_an_id_in_every_frame(tmp_path):
    tracks = {3: ("person#3", "person"), 7: ("Anna", "person")}
    assert expecting(tmp_path / "a", tracks)[0] == ["Anna.A", "id.X", "order.Z", "person_3.A"]
    assert expecting(tmp_path / "b", tracks, exr=ExrOptions(layers="class"))[0] == ["id.X", "order.Z", "person.A"]
    names = helpers.attributes(tmp_path / "a" / "0.exr")
    assert set(json.loads(names["cryptomatte/3ae39a5/manifest"])) == {"person#3", "Anna"}


def test_very_many_tracks_have_layers_where_they_are_seen_alone(tmp_path):
    names, sink = expecting(tmp_path, {i: (f"person#{i}", "person") for i in range(1, 40)})
    assert names == ["id.X", "order.Z"]
    assert "39 tracks would be 39 layers" in sink.warnings[0]


def test_an_exr_as_source_comes_out_as_it_is_up_to_white(tmp_path):
    """Its alpha is associated, and its light linear; what is brighter than 1 the decoder cuts off, and it rounds to 16 bits."""
    alpha = np.linspace(0, 1, 96, dtype=np.float16)[None].repeat(64, 0)
    values = {name: (alpha * part).astype(np.float16) for name, part in (("R", 1), ("G", 0.5), ("B", 0.25))} | {"A": alpha}
    (tmp_path / "in").mkdir()
    for number in range(2):
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, dict(values)).write(str(tmp_path / "in" / f"{number}.exr"))
    copy(tmp_path / "in", tmp_path / "%d.exr")
    read = helpers.channels(tmp_path / "1.exr")
    for name, plane in values.items():
        np.testing.assert_allclose(read[name], plane, atol=1e-4, rtol=2e-3)


class Kept:
    """What an earlier run has finished."""

    length = 1

    def __init__(self):
        self.digests = {}

    def path(self, part):
        raise AssertionError(part)

    def digest(self, part):
        return self.digests.get(part)

    def note(self, part, sha256):
        self.digests[part] = sha256


def test_files_of_an_earlier_run_are_kept_and_the_rest_is_the_same(tmp_path):
    """Manifests and names depend on who was seen before."""
    picture = flat("yuv420p", (126, 128, 128), size=(96, 64))
    all_of_them = [instances(BOXES[:1]), instances(BOXES), replace(instances(BOXES), track_ids=np.array([7, 9])), instances([])]
    results = [helpers.result(picture, found, index=n) for n, found in enumerate(all_of_them)]

    def run(folder, some, keeper):
        sink = helpers.open_sink(folder / "%d.exr", INFO, keeper=keeper, overwrite=True)
        sink.open()
        drawn = []
        for each in some:
            drawn.append(not sink.recalls(each.frame))
            sink(Rendered(each, picture))
        sink.close()
        return drawn

    kept = Kept()
    run(tmp_path / "cut", results[:3], kept)
    (tmp_path / "cut" / "2.exr").write_bytes(b"cut off")
    assert run(tmp_path / "cut", results, kept) == [True, False, True, True]
    run(tmp_path / "whole", results, Kept())
    for number in range(4):
        assert (tmp_path / "cut" / f"{number}.exr").read_bytes() == (tmp_path / "whole" / f"{number}.exr").read_bytes()


def test_ffmpeg_finds_the_picture_in_the_default_layer(tmp_path):
    """ynput/ayon-core#776: of a file whose channels are all in named layers it shows none."""
    picture = noise("gbrp10le", 96, 64)
    read = one(tmp_path, picture, instances(BOXES))
    with av.open(str(tmp_path / "0.exr")) as container:
        decoded = next(container.decode(video=0))
    assert decoded.format.name == "gbrapf16le"
    green = np.ndarray((64, 96), "<f2", memoryview(decoded.planes[0]), 0, (decoded.planes[0].line_size, 2))
    np.testing.assert_array_equal(green, read["G"])


def test_no_channel_is_without_a_layer_but_those_of_the_picture(tmp_path):
    """Zarxrax/Sammie-Roto-2#60 and #68: Nuke gathers such channels in a layer "other", and drops names that are numbers."""
    found = replace(instances(BOXES), track_names={1: "1", 2: "other"})
    names = list(one(tmp_path, noise("yuv420p", 96, 64), found))
    assert {name for name in names if "." not in name} == {"R", "G", "B", "A"}
    assert {"track_1.A", "track_other.A"} <= set(names)


def test_the_manifest_of_very_many_tracks_is_whole(tmp_path):
    """Psyop/Cryptomatte#139: one that was cut off is no JSON."""
    tracks = {i: (f"person#{i} of a very long film", "person") for i in range(1, 5000)}
    expecting(tmp_path, tracks)
    manifest = json.loads(helpers.attributes(tmp_path / "0.exr")["cryptomatte/3ae39a5/manifest"])
    assert len(manifest) == len(tracks)


def test_every_frame_describes_its_cryptomattes_also_an_empty_one(tmp_path):
    """Psyop/Cryptomatte#55, #110, #124: without metadata and manifest nothing can be picked."""
    one(tmp_path, noise("yuv420p", 96, 64))
    told = {name for name in helpers.attributes(tmp_path / "0.exr") if name.startswith("cryptomatte/3ae39a5/")}
    assert told == {f"cryptomatte/3ae39a5/{key}" for key in ("name", "hash", "conversion", "manifest")}
    assert not any(name.startswith("exr/") for name in helpers.attributes(tmp_path / "0.exr"))  # Psyop/Cryptomatte#24
