"""What stands beside the pictures, and when: sound in step where a film is cut or its clock moved, and what is said on failure."""

import errno
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from streamseg.decode import Decoder
from streamseg.encode import open_sink
from streamseg.encode.video.codecs import choose_codec
from streamseg.encode.video.muxer import Muxer
from streamseg.encode.video.other_streams import OutputStreams
from streamseg.errors import OutputError
from streamseg.system.output_files import OutputFile
from tests import clips, sound
from tests.unit.encode.helpers import INFO, copy, frames, rendered, times, write
from tests.unit.encode.video.test_sound import with_pictures

MS = Fraction(1, 1000)
CLOCK = Fraction(1, 10_000_000)
"""Windows' ticks of 100 ns, the finest that an mp4 is given."""


def packets(path, kind="video"):
    """(pts, dts, bytes) of each packet of the first stream of a kind, times in seconds; Matroska tells no dts of the first."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [
            (p.pts * p.time_base, None if p.dts is None else p.dts * p.time_base, bytes(p))
            for p in container.demux(stream)
            if p.size
        ]


# --- where a film is cut ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".ts"])
@pytest.mark.parametrize(("later", "first"), [(0, 10), (1, 10), (2, 11), (12, 11)])
def test_copied_sound_begins_with_the_first_picture(later, first, suffix, tmp_path):
    """A live source's: `later` ms after packet 10 began. What differs by a millisecond is rounding."""
    source, target = sound.write(tmp_path / "in.mkv", "libmp3lame"), tmp_path / f"o{suffix}"
    given = packets(source, "audio")
    cut = given[10][0] + later * MS
    sound.remux(source, target, first=cut, origin="picture")
    got = packets(target, "audio")
    assert [data for _, _, data in got] == [data for _, _, data in given[first:]]
    if suffix != ".ts":  # which begins where libav's muxer lets it
        moved = [old[0] - cut - new[0] for old, new in zip(given[first:], got, strict=True)]
        assert max(map(abs, moved)) <= 1.5 * MS


@pytest.mark.parametrize(("later", "first"), [(0, 1), (9, 1), (15, 2), (24, 2)])
def test_without_times_sound_begins_with_the_packet_nearest_to_the_first_picture(later, first, tmp_path):
    """AVI counts packets; one of MP3 lasts 24 ms."""
    source, target = sound.write(tmp_path / "in.mkv", "libmp3lame"), tmp_path / "o.avi"
    given = packets(source, "audio")
    sound.remux(source, target, first=given[1][0] + later * MS, origin="picture")
    assert [data for _, _, data in packets(target, "audio")] == [data for _, _, data in given[first:]]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_converted_sound_begins_within_a_packet(suffix, tmp_path):
    """FLAC's packets, of 96 ms, are as good as any: what lies before the first picture is decoded and cut at the sample."""
    source = sound.write(tmp_path / "in.mov", "pcm_s8" if suffix == ".mkv" else "pcm_alaw")
    starts = [time for time, _, _ in packets(source, "audio")]
    cut = next(Fraction(ms, 1000) for ms in range(100, 400) if all(abs(Fraction(ms, 1000) - t) > 4 * MS for t in starts))
    sound.remux(source, tmp_path / f"o{suffix}", first=cut, origin="picture")
    begin, _, _ = sound.samples(tmp_path / f"o{suffix}")
    assert abs(begin) <= 0.001
    assert sound.misfit(tmp_path / f"o{suffix}", start=-float(cut)) < (0.02 if suffix == ".mkv" else 0.15)


class Timeless:
    """Passes packets through; the fourth has no times."""

    def __init__(self, through):
        self.through, self.number = through, 0

    def __getattr__(self, name):
        return getattr(self.through, name)

    def take(self, until=None):
        taken = self.through.take(until)
        for packet in taken:
            self.number += 1
            if self.number == 4:
                packet.pts = packet.dts = None
        return taken


@pytest.mark.parametrize("start", [0.0, 10.0])
def test_sound_without_a_time_is_left_out_and_said(start, tmp_path):
    source = clips.cfr(tmp_path / "in.mkv", 20, audio=True)
    with Decoder(source) as decoder:
        through = Timeless(decoder.subscribe())
        sink = open_sink(tmp_path / "o.mkv", replace(decoder.info, start=start), passthrough=through)
        sink.open()
        for frame in decoder.frames():
            sink(rendered(frame))
        sink.close()
    given = [data for _, _, data in packets(source, "audio")]
    wanted = given[1 if start else 0 : 3] + given[4:]  # AAC's first packet lies before the first picture
    assert [data for _, _, data in packets(tmp_path / "o.mkv", "audio")] == wanted
    assert (sink.counters.packets_copied, sink.counters.packets_skipped) == (len(wanted), 1)
    assert "1 packets of sound or text are left out" in sink.warnings[-1]


# --- clocks ---------------------------------------------------------------------------------------------------------------


UNEVEN = {
    "uneven": [0, 1, 2, 3, 9, 10, 11, 30, 31, 32, 33, 34],
    "a pause at once": [0, *range(1500, 1511)],
    "a pause before the last": [*range(11), 1500],
}


@pytest.mark.parametrize("rate", UNEVEN)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts"])
def test_a_film_from_another_time_is_the_same_film(suffix, rate, tmp_path):
    """A part of a source, or a live one: only the clock is another, also of decoding, as B-frames and pauses ask for it."""
    at = UNEVEN[rate]
    for name, begin, start in (("a", 0, 0.0), ("b", 250, 10.0)):
        sink = open_sink(tmp_path / f"{name}{suffix}", replace(INFO, start=start))
        sink.open()
        for frame in frames([clips.picture(i) for i in range(len(at))], [begin + t for t in at]):
            sink(rendered(frame))
        sink.close()
    one, other = ([(pts, dts) for pts, dts, _ in packets(tmp_path / f"{name}{suffix}")] for name in "ab")
    assert one == other
    assert any(pts != dts for pts, dts in one)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_sounds_before_the_first_picture_begins_the_film(suffix, tmp_path):
    """A transport stream, whose clock begins anywhere: sound comes first, by as much as in the source."""
    source = clips.write(tmp_path / "in.ts", range(5, 20), Fraction(1, 25), audio=True, container_format="mpegts")
    copy(source, tmp_path / f"o{suffix}")
    before, after = ([times(p)[0], packets(p, "audio")[0][0]] for p in (source, tmp_path / f"o{suffix}"))
    assert before[0] - before[1] > Fraction(1, 10)
    assert after[1] == 0
    assert abs((after[0] - after[1]) - (before[0] - before[1])) <= MS


def test_the_clock_of_windows_is_kept_exactly(tmp_path):
    at = [0, 333_667, 667_334, 1_001_001]
    sink = open_sink(tmp_path / "o.mp4", INFO)
    sink.open()
    for frame in frames([clips.picture(i) for i in range(4)], at, CLOCK):
        sink(rendered(frame))
    sink.close()
    assert times(tmp_path / "o.mp4") == [t * CLOCK for t in at]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_longest_pause_that_a_movie_can_count_is_written(suffix, tmp_path):
    """2^31 - 2 ticks, of a microsecond each. One more was written, and read as a pause of one tick; beyond that libav aborts."""
    at, tick = [0, 2**31 - 2], Fraction(1, 1_000_000)
    for longer in (0, 1):
        sink = open_sink(tmp_path / f"{longer}{suffix}", replace(INFO, time_base=tick))
        sink.open()
        pictures = frames([clips.picture(i) for i in range(2)], [at[0], at[1] + longer], tick)
        if longer:
            with pytest.raises(OutputError, match="a pause of 2147 s is more than"):
                write_all(sink, pictures)
            sink.abort()
        else:
            write_all(sink, pictures)
            assert times(tmp_path / f"{longer}{suffix}") == [t * tick for t in at]


def test_what_an_encoder_puts_before_the_sound_makes_room_in_a_transport_stream(tmp_path):
    """AAC's first packet comes 1024 samples before the first sample: the film begins as late as one whose sound was AAC before."""
    firsts = []
    for codec, name in (("aac", "copied"), ("pcm_mulaw", "made")):
        made = sound.write(tmp_path / f"{name}-sound.mov", codec)
        with_pictures(made, tmp_path / f"{name}.mov")
        copy(tmp_path / f"{name}.mov", tmp_path / f"{name}.ts")
        firsts.append(times(tmp_path / f"{name}.ts")[0])
        assert sound.misfit(tmp_path / f"{name}.ts", start=float(firsts[-1])) < 0.15
        assert all(a[1] < b[1] for a, b in pairwise(packets(tmp_path / f"{name}.ts", "audio")))
    assert abs(firsts[1] - firsts[0]) < MS


# --- what stands where ------------------------------------------------------------------------------------------------------


def test_sound_stands_beside_the_pictures_that_are_decoded_with_it(tmp_path):
    """Few pictures a second, and B-frames: one that is shown a second later is no reason to write a second of sound first."""
    source = clips.cfr(tmp_path / "in.mp4", 30, 5, audio=True)
    copy(source, tmp_path / "o.mkv")
    with av.open(str(tmp_path / "o.mkv")) as container:
        read = [p.dts * p.time_base for p in container.demux() if p.size and p.dts is not None]
    assert len(read) > 300
    assert all(later > time - Fraction(1, 10) for time, later in pairwise(read))


def test_sound_that_goes_on_is_written_to_its_end(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        stream, tone = out.add_stream("libx264", rate=25), clips.Tone(out)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(10):
            picture = clips.picture(number)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        tone.play_until(1.5)
        tone.finish()
    sink = copy(tmp_path / "in.mkv", tmp_path / "o.mp4")
    given = [data for _, _, data in packets(tmp_path / "in.mkv", "audio")]
    assert [data for _, _, data in packets(tmp_path / "o.mp4", "audio")] == given
    assert sink.counters.packets_copied == len(given)


def test_a_finished_film_wants_no_more_sound(tmp_path):
    """What the source still has would stay in memory."""
    source = clips.cfr(tmp_path / "in.mkv", 10, audio=True)
    with Decoder(source) as decoder:
        through = decoder.subscribe()
        sink = open_sink(tmp_path / "o.mkv", decoder.info, passthrough=through)
        sink.open()
        sink(rendered(next(iter(decoder.frames()))))
        sink.abort()
        for _ in decoder.frames():
            pass
        assert through.take(None) == []


@pytest.mark.parametrize(
    ("name", "codec", "tag"), [("o.mp4", "hevc", "hvc1"), ("o.mov", "hevc", "hvc1"), ("o.mp4", "h264", "avc1")]
)
def test_players_find_the_tag_that_they_look_for(name, codec, tag, tmp_path):
    """Apple's play HEVC as hvc1 only."""
    write(tmp_path / name, [clips.picture(0)], codec=codec)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.codec_tag == tag


# --- what is said ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_full_disk_is_said_in_the_systems_words_with_what_is_kept(suffix, tmp_path, monkeypatch):
    target, room, put = tmp_path / f"o{suffix}", 1_200_000, OutputFile._put

    def full(self, at, data):
        if at + len(data) > room:
            self.error = self.error or OSError(errno.ENOSPC, "No space left on device", str(target))
            raise self.error
        put(self, at, data)

    monkeypatch.setattr(OutputFile, "_put", full)
    sink = open_sink(target, replace(INFO, width=320, height=240), codec="h264", crf=0)
    sink.open()
    with pytest.raises(OutputError) as caught:
        write_all(sink, frames(noise(i) for i in range(40)))
    sink.abort()
    kept = target.stat().st_size
    assert 500_000 < kept <= room
    assert str(caught.value) == (
        f"{target}: writing it failed: No space left on device; the {kept / 1e6:.1f} MB written so far are kept"
    )


def write_all(sink, pictures):
    for frame in pictures:
        sink(rendered(frame))
    sink.close()


def noise(index):
    """A picture that no codec makes small."""
    picture = clips.picture(index, 320, 240)
    clips.fill_plane(picture, 0, np.random.default_rng(index).integers(0, 256, (240, 320), np.uint8))
    return picture


def test_an_encoder_that_is_not_here_is_named(tmp_path):
    """A build of FFmpeg without it: PyAV's error has words of its own, but none of the system's."""
    muxer = Muxer(tmp_path / "o.mkv", OutputStreams(None, ".mkv"), overwrite=False, time_base=MS, metadata={})
    choice = choose_codec(
        ".mkv", av.VideoFormat("yuv420p", 96, 64), codec="h264", crf=None, alpha=False, live=False, rate=Fraction(25)
    )
    missing = replace(choice, codec=replace(choice.codec, encoder="no_such_encoder"))
    with pytest.raises(OutputError, match=r"o\.mkv: opening the encoder for it failed: .*no_such_encoder"):
        muxer.add_video(missing, Fraction(25), MS)
    muxer.leave()
