"""What lies beside a source's pictures comes through, picture by picture, or is said to be left out, once and by name."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.composite import Compositor, Overlay, Rendered
from streamseg.core.result import Result
from streamseg.decode import Decoder
from streamseg.decode.images import decode_image
from streamseg.encode import open_sink
from streamseg.encode.video.hdr import left_out
from streamseg.pipeline.probe import probe
from streamseg.pixels import sidedata
from tests import clips, side_data
from tests.unit.encode.helpers import copy
from tests.unit.pictures import instances


def listed(path: Path, *names: str) -> list[sidedata.Kept]:
    """The side data of those kinds, of all pictures of a film in order."""
    return [data for frame in clips.decoded(path) for data in sidedata.copies(frame) if data.name in names]


def draw(source: Path, target: Path, **options):
    """Copy a film with an instance drawn on every other picture; the closed sink."""
    with Decoder(source) as decoder:
        sink = open_sink(target, decoder.info, source=source, **options)
        sink.open()
        compositor = Compositor([Overlay()])
        for frame in decoder.frames():
            found = instances([[10.0, 10.0, 60.0, 50.0]] if frame.index % 2 else [])
            sink(compositor(Result(frame, found)))
    sink.close()
    return sink


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "h264"), (".mkv", "hevc"), (".mov", "hevc"), (".webm", "av1"), (".ts", "hevc")]
)
def test_hdr10_metadata_come_through(suffix, codec, tmp_path):
    """AV1 and H.264 lost them without a word."""
    source, target = side_data.hdr10(tmp_path / "in.mp4"), tmp_path / f"out{suffix}"
    sink = copy(source, target, codec=codec)
    assert not sink.warnings
    before, after = (listed(path, sidedata.MASTERING, sidedata.LIGHT)[:2] for path in (source, target))
    assert [data.name for data in after] == [data.name for data in before]
    for old, new in zip(before, after, strict=True):
        if old.name == sidedata.LIGHT:
            assert new.data[:8] == old.data[:8]
            continue
        wanted = [n / d for n, d in struct.iter_unpack("=ii", old.data[:80])]
        values = [n / d for n, d in struct.iter_unpack("=ii", new.data[:80])]
        assert values == pytest.approx(wanted, rel=1e-3)  # AV1 has fractions of its own


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "vp9"), (".mkv", "ffv1"), (".mov", "prores")])
def test_hdr10_metadata_that_a_codec_is_not_given_are_named_once(suffix, codec, tmp_path):
    sink = copy(side_data.hdr10(tmp_path / "in.mp4"), tmp_path / f"out{suffix}", codec=codec)
    said = [warning for warning in sink.warnings if "left out" in warning]
    assert len(said) == 1
    assert f"with {codec}: HDR10 mastering display, HDR10 content light level" in said[0]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_captions_come_through_also_where_something_is_drawn(codec, tmp_path):
    """What was drawn on lost its captions, what was not kept them: half of the text."""
    source = side_data.with_sei(tmp_path / "in.mp4", side_data.captions)
    sink = draw(source, tmp_path / "out.mp4", codec=codec)
    assert not sink.warnings
    assert listed(tmp_path / "out.mp4", sidedata.CAPTIONS) == listed(source, sidedata.CAPTIONS)
    assert len({data.data for data in listed(source, sidedata.CAPTIONS)}) == 6


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "vp9"), (".mkv", "av1"), (".mkv", "ffv1")])
def test_captions_elsewhere_are_said_to_be_left_out(suffix, codec, tmp_path):
    sink = copy(side_data.with_sei(tmp_path / "in.mp4", side_data.captions), tmp_path / f"out{suffix}", codec=codec)
    assert sum("closed captions (EIA-608/708)" in warning for warning in sink.warnings) == 1


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "hevc"), (".mp4", "h264"), (".mkv", "av1")])
def test_hdr10plus_is_said_to_be_left_out(suffix, codec, tmp_path):
    source = side_data.with_sei(tmp_path / "in.mkv", side_data.hdr10plus, "libx265", 3, "yuv420p10le")
    assert len(listed(source, "DYNAMIC_HDR_PLUS")) == 3
    sink = copy(source, tmp_path / f"out{suffix}", codec=codec)
    assert sum("HDR10+ dynamic metadata" in warning for warning in sink.warnings) == 1
    assert not listed(tmp_path / f"out{suffix}", "DYNAMIC_HDR_PLUS")
    assert probe(source)["video"]["beside"] == ["HDR10+ dynamic metadata"]


def test_an_icc_profile_stays_in_png_on_every_picture(tmp_path):
    """A picture that was drawn on lost it, its neighbours did not: colours jumped in whatever manages colours."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        side_data.with_profile(folder / f"{number}.png", number)
    draw(folder, tmp_path / "out" / "%06d.png")
    for number in range(4):
        image = decode_image(tmp_path / "out" / f"{number:06d}.png", 10**6)
        assert [data.data for data in sidedata.copies(image) if data.name == sidedata.ICC] == [side_data.ICC]


@pytest.mark.parametrize("target", ["out/%06d.tif", "out/%06d.jpg", "out.mp4"])
def test_an_icc_profile_elsewhere_is_said_to_be_left_out(target, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        side_data.with_profile(folder / f"{number}.png", number)
    sink = draw(folder, tmp_path / target)
    assert sum("ICC profile" in warning for warning in sink.warnings) == 1


def test_the_name_of_an_icc_profile_does_not_crash_the_process(tmp_path):
    """PyAV frees the names that are noted with side data, and libav frees them again: a folder of PNG ended in a SIGSEGV."""
    import subprocess
    import sys

    for number in range(3):
        side_data.with_profile(tmp_path / f"{number}.png", number)
    code = f"""
import gc
from streamseg.decode import Decoder
with Decoder({str(tmp_path)!r}) as decoder:
    print(sum(1 for frame in decoder.frames()), [data.name for data in decoder.info.beside])
del decoder
gc.collect()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "3 ['ICC_PROFILE']"), done.stderr


def test_what_a_headset_needs_is_said_to_be_left_out(tmp_path):
    source = side_data.all_round(tmp_path / "in.mp4")
    words = {"spherical projection (360 degrees)", "stereoscopic 3D"}
    assert set(probe(source)["video"]["beside"]) == words
    said = [text for text in copy(source, tmp_path / "out.mp4").warnings if "left out" in text]
    assert len(said) == 1
    assert all(word in said[0] for word in words)


def rpu(profile: int, *, full_range: int = 0, depth: int = 12, enhanced: int = 0, alone: int = 1) -> sidedata.Kept:
    """What libav decodes of Dolby Vision's RPU, its header alone: AVDOVIMetadata as far as AVDOVIRpuDataHeader."""
    header = struct.pack("=BxH8B7B", 2, 18, profile, 6, 0, 0, 23, 1, full_range, 10, 10, depth, 0, enhanced, alone, 0, 0)
    return sidedata.Kept("DOVI_METADATA", struct.pack("=QQQ", 24, 0, 0) + header)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (rpu(0, full_range=1), "Dolby Vision profile 5 (without it, colours are wrong"),
        (rpu(1), "Dolby Vision profile 8"),
        (rpu(1, enhanced=1, alone=0), "Dolby Vision profile 7"),
        (rpu(1, enhanced=1, alone=0, depth=14), "Dolby Vision profile 4"),
        (sidedata.Kept("DOVI_METADATA", b""), "Dolby Vision"),
        (sidedata.Kept("SPHERICAL", b""), "spherical projection (360 degrees)"),
        (sidedata.Kept("STEREO3D", b""), "stereoscopic 3D"),
        (sidedata.Kept("FILM_GRAIN_PARAMS", b""), "film grain"),
    ],
)
def test_every_other_kind_is_named_for_every_codec(data, words):
    for codec in ("h264", "hevc", "av1", "vp9", "prores", "ffv1", ".png", ".jpg"):
        assert left_out(codec, [data], [data]).startswith(words)


def test_what_is_applied_or_tells_how_it_was_coded_is_not_spoken_of(tmp_path):
    found = [sidedata.Kept(name, b"") for name in ("DISPLAYMATRIX", "SEI_UNREGISTERED", "MOTION_VECTORS", "GOP_TIMECODE")]
    assert left_out("h264", found, ()) == ""
    source = clips.rotated(tmp_path / "in.mp4")
    assert not [w for w in copy(source, tmp_path / "out.mp4").warnings if "left out" in w]


def test_side_data_of_a_turned_film_come_through(tmp_path):
    """Telephones film HDR upright: the picture that is turned is a new one, without them."""
    source = side_data.hdr10(tmp_path / "in.mp4")
    with Decoder(source) as decoder:
        info = decoder.info
        frames = [replace(frame, picture=clips.picture(i, pix_fmt="yuv420p10le")) for i, frame in enumerate(decoder.frames())]
    sink = open_sink(tmp_path / "out.mp4", info)
    sink.open()
    for frame in frames:
        sink(Rendered(Result(frame, instances([])), frame.picture))
    sink.close()
    assert len(listed(tmp_path / "out.mp4", sidedata.MASTERING)) >= 1
