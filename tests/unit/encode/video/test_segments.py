"""A film that is encoded in parts: one film, and the same one however often it is cut off."""

from fractions import Fraction

import av
import pytest

from streamseg.composite import Rendered
from streamseg.decode import Decoder
from streamseg.encode import open_sink
from streamseg.encode.video.segments import following
from tests import clips
from tests.unit.encode.helpers import copy, rendered, times
from tests.unit.encode.keeper import Folder

KINDS = [
    ("out.mp4", "h264"),
    ("out.mov", "hevc"),
    ("out.mov", "prores"),
    ("out.mkv", "ffv1"),
    ("out.webm", "vp9"),
    ("out.mkv", "av1"),
    ("out.ts", "h264"),
    ("out.avi", "h264"),
    ("out.avi", "utvideo"),
    ("out.mov", "png"),
]


def cut_off(source, target, keeper, after):
    """Write the first pictures and leave without a word, as a process that is killed does."""
    with Decoder(source) as decoder:
        sink = open_sink(target, decoder.info, source=source, passthrough=decoder.subscribe(), keeper=keeper)
        sink.open()
        for _, frame in zip(range(after), decoder.frames(), strict=False):
            sink(rendered(frame))
    sink._muxer.leave()
    if sink._encoder._file is not None:
        sink._encoder._file.leave()


def drawn(source, target, keeper, **options):
    """As `copy`; gives the numbers of the pictures that had to be drawn, and leaves the others grey."""
    grey, numbers = clips.picture(255), []
    with Decoder(source) as decoder:
        sink = open_sink(
            target, decoder.info, source=source, passthrough=decoder.subscribe(), keeper=keeper, overwrite=True, **options
        )
        sink.open()
        for frame in decoder.frames():
            if sink.recalls(frame):
                sink(Rendered(rendered(frame).result, grey))
            else:
                numbers.append(frame.index)
                sink(rendered(frame))
        sink.close()
    return numbers


@pytest.mark.parametrize(("name", "codec"), KINDS, ids=[f"{codec}{name[3:]}" for name, codec in KINDS])
def test_a_film_in_parts_is_one_film(name, codec, tmp_path):
    source = clips.cfr(tmp_path / "in.mp4", 34, audio=True)
    plain, parts = tmp_path / "plain" / name, tmp_path / "parts" / name
    copy(source, plain, codec=codec)
    copy(source, parts, codec=codec, keeper=Folder(tmp_path / "kept"))
    assert times(parts) == times(plain)
    planes = [clips.plane_array(frame) for frame in clips.decoded(parts)]
    assert [clips.read_index(plane[..., 1] if plane.ndim == 3 else plane) for plane in planes] == list(range(34))
    assert clips.packets(parts) == clips.packets(plain)
    with av.open(str(parts)) as container:
        stamps = [packet.dts for packet in container.demux(container.streams.video[0]) if packet.dts is not None]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize(("name", "codec"), KINDS, ids=[f"{codec}{name[3:]}" for name, codec in KINDS])
def test_what_was_encoded_is_used_again_to_the_byte(name, codec, tmp_path):
    source = clips.cfr(tmp_path / "in.mp4", 34, audio=True)
    kept = Folder(tmp_path / "kept")
    copy(source, tmp_path / name, codec=codec, keeper=kept)
    whole = (tmp_path / name).read_bytes()
    assert drawn(source, tmp_path / name, kept, codec=codec) == [0, 30, 31, 32, 33]
    assert (tmp_path / name).read_bytes() == whole


@pytest.mark.parametrize("after", [1, 9, 10, 11, 25, 33])
def test_cut_off_anywhere_it_goes_on_from_the_last_whole_part(after, tmp_path):
    source = clips.vfr(tmp_path / "in.mp4", audio=True) if after == 9 else clips.with_subtitles(tmp_path / "in.mkv", 34)
    copy(source, tmp_path / "whole.mp4", keeper=Folder(tmp_path / "one"))
    kept = Folder(tmp_path / "two")
    cut_off(source, tmp_path / "cut.mp4", kept, after)
    numbers = drawn(source, tmp_path / "cut.mp4", kept)
    assert numbers == [0, *range(max(1, after // 10 * 10), len(clips.decoded(source)))]
    assert (tmp_path / "cut.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_a_damaged_part_is_encoded_again(tmp_path):
    source = clips.cfr(tmp_path / "in.mp4", 34)
    kept = Folder(tmp_path / "kept")
    copy(source, tmp_path / "out.mp4", keeper=kept)
    whole, part = (tmp_path / "out.mp4").read_bytes(), kept.path("000001.packets")
    for data in (part.read_bytes()[:-7], part.read_bytes()[:50] + b"x" + part.read_bytes()[51:], None):
        part.unlink() if data is None else part.write_bytes(data)
        assert drawn(source, tmp_path / "out.mp4", kept) == [0, *range(10, 20), *range(30, 34)]
        assert (tmp_path / "out.mp4").read_bytes() == whole


def test_alpha_that_lies_beside_the_picture_is_kept(tmp_path):
    """VP9 codes it as a second stream, in the packets' side data."""
    source = clips.lossless(tmp_path / "in.mkv", pix_fmt="yuva420p", frames=12)
    kept = Folder(tmp_path / "kept", 5)
    for _ in range(2):
        drawn(source, tmp_path / "out.webm", kept, alpha=True)
    with av.open(str(tmp_path / "out.webm")) as container:
        assert [bool(p.has_sidedata("matroska_block_additional")) for p in container.demux(video=0) if p.size] == [True] * 12


def test_a_part_behind_a_pause_has_the_decoding_times_of_one_encoder():
    """Two pictures are held back. By itself the part would begin 8 s early, before what came before it."""

    def packet(pts, dts):
        made = av.Packet(b"x")
        made.pts, made.dts, made.time_base = pts, dts, Fraction(1, 25)
        return made

    part = [packet(100, -100), packet(300, 0), packet(200, 100), packet(301, 200)]
    assert [p.dts for p in following(iter(part), [96, 97, 98, 99])] == [98, 99, 100, 200]
    assert [p.dts for p in following(iter([packet(100, 100), packet(101, 101)]), [98, 99])] == [100, 101]
