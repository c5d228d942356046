"""Start timecode and reel name, from every place where sources have them to every container that has one."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest
from av.sidedata.sidedata import Type

from streamseg.decode import Decoder
from streamseg.decode.labels import NO_LABELS, first_label
from streamseg.encode.video.containers import CONTAINERS
from streamseg.pipeline.probe import probe
from tests import clips
from tests.unit.encode.helpers import copy, times

NTSC, DOUBLE = Fraction(30000, 1001), Fraction(60000, 1001)
TOLD = {"timecode": "01:00:59;28", "reel_name": "A001C007"}


def labelled(path, frames=12, rate=NTSC, **told):
    """A film whose pictures begin at `timecode`; `reel_name` beside it. What is written is what libav's muxers make of tags."""
    told = told or TOLD
    with av.open(str(path), "w", options={}) as container:
        codec = "mpeg2video" if path.suffix in (".mxf", ".mpg") else "libx264"
        options = {"preset": "ultrafast", "bf": "0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = 96, 64
        (container if path.suffix in (".avi", ".mxf") else stream).metadata.update(told)
        for number in range(frames):
            frame = clips.picture(number)
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def told(path):
    """The timecode and reel that a file tells, wherever it has them."""
    with av.open(str(path)) as container:
        places = [container.metadata, *(stream.metadata for stream in container.streams)]
        found = {key.lower(): value for place in places for key, value in place.items()}
        tracks = [stream for stream in container.streams if stream.type == "data" and "timecode" in stream.metadata]
    return {key: found[key] for key in TOLD if key in found}, len(tracks)


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("name", ["a.mov", "a.mkv"])
def test_timecode_and_reel_are_kept_or_named(name, suffix, tmp_path):
    source, target = labelled(tmp_path / name), tmp_path / f"out{suffix}"
    sink = copy(source, target)
    found, tracks = told(target)
    assert found == {
        ".mp4": {"timecode": TOLD["timecode"]},
        ".avi": {"timecode": TOLD["timecode"]},
        ".ts": {},
    }.get(suffix, TOLD)
    assert tracks == (suffix in (".mp4", ".mov"))
    lost = [key for key in TOLD if key not in found]
    assert [any(f"{key} {TOLD[key]} is left out" in warning for warning in sink.warnings) for key in lost] == [True] * len(lost)
    assert len(clips.decoded(target)) == 12


@pytest.mark.parametrize(("start", "label"), [(0.0, "01:00:59;28"), (0.05, "01:01:00;02"), (0.1, "01:01:00;03")])
def test_a_part_begins_with_the_label_of_its_first_picture(start, label, tmp_path):
    """Two labels do not exist at the beginning of a minute."""
    copy(labelled(tmp_path / "a.mov"), tmp_path / "o.mov", start=start)
    assert told(tmp_path / "o.mov")[0]["timecode"] == label


@pytest.mark.parametrize(
    ("name", "rate", "label"),
    [("a.avi", NTSC, "01:00:59;28"), ("a.mxf", Fraction(25), "10:20:30:04"), ("a.mp4", Fraction(24000, 1001), "23:59:59:23")],
)
def test_other_sources_have_it_elsewhere(name, rate, label, tmp_path):
    source = labelled(tmp_path / name, rate=rate, timecode=label)
    with Decoder(source) as decoder:
        assert str(decoder.info.timecode) == label
    assert probe(source)["timecode"] == label
    copy(source, tmp_path / "o.mov")
    assert told(tmp_path / "o.mov")[0]["timecode"] == label


@pytest.mark.parametrize(
    ("told", "start", "label"), [("10:20:30:04", 0, "10:20:30:04"), ("10:20:30:04", 1.0, "10:20:31:04"), ("", 0, None)]
)
def test_a_group_of_mpeg2_tells_it(told, start, label, tmp_path):
    """All zero means that the encoder knew none. Of an open group it is the label of the B-frame before the key frame."""
    with av.open(str(tmp_path / "a.ts"), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"bf": "2"} | ({"gop_timecode": told} if told else {}))
        stream.width, stream.height, stream.codec_context.gop_size = 96, 64, 6
        for number in range(36):
            frame = clips.picture(number)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with Decoder(tmp_path / "a.ts", start=start) as decoder:
        code = decoder.info.timecode
    assert (None if code is None else str(code)) == label


@dataclass
class SideData:
    """As PyAV gives it; PyAV cannot put any into a picture."""

    type: Type
    data: bytes

    def __bytes__(self):
        return self.data


@pytest.mark.parametrize(
    ("rate", "word", "label"),
    [
        (Fraction(25), 0x24595923, "23:59:59:24"),
        (NTSC, 1 << 30 | 0x02000101, "01:01:00;02"),
        (Fraction(50), 0x12000010 | 1 << 7, "10:00:00:25"),
        (Fraction(60000, 1001), 0x29000000 | 1 << 23, "00:00:00:59"),
    ],
)
def test_each_picture_of_h264_may_tell_its_own(rate, word, label):
    image = SimpleNamespace(side_data=[SideData(Type.S12M_TIMECODE, struct.pack("=4I", 1, word, 0, 0))])
    code, at = first_label(NO_LABELS, Fraction(0), rate, image, Fraction(3))
    assert (str(code), at) == (label, 3)


@pytest.mark.parametrize(
    ("rate", "label"), [(Fraction(120000, 1001), "00:00:59;119"), (DOUBLE, "00:00:59;59"), (Fraction(240), "09:19:47:179")]
)
def test_milliseconds_do_not_change_a_label(rate, label, tmp_path):
    """A tmcd track counts ticks a picture: of a millisecond each, 59.94 pictures a second read as 59."""
    source = labelled(tmp_path / "a.mkv", rate=rate, timecode=label)
    copy(source, tmp_path / "o.mov")
    assert told(tmp_path / "o.mov")[0]["timecode"] == label
    assert times(tmp_path / "o.mov") == times(source)


def test_an_alpha_master_has_it_too(tmp_path):
    copy(labelled(tmp_path / "a.mov"), tmp_path / "o.mov", codec="prores")
    assert told(tmp_path / "o.mov") == (TOLD, 1)


def test_what_is_no_timecode_is_said(tmp_path):
    source = labelled(tmp_path / "a.mkv", timecode="reel 5")
    with Decoder(source) as decoder:
        assert decoder.info.timecode is None
        assert "its timecode reel 5 is left out" in decoder.warnings[0]
