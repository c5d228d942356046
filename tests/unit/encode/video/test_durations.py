"""How long films are: a picture lasts until the next one, the last until the source's end, whatever packets say of themselves."""

import struct
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import pytest

from streamseg.decode import Decoder
from streamseg.encode import open_sink
from streamseg.errors import Unreadable
from tests import clips
from tests.clips import Video
from tests.unit.encode.helpers import INFO, copy, frames, rendered, times

TICK = Fraction(1, 90_000)
RECORDED = [9000 * i for i in range(20)] + [9000 * (200 + i) for i in range(20)]
"""A screen recording, 90 kHz: 2 s, a pause until 20 s, 2 s; 22 s in all."""
B_FRAMES = Video(b_frames=3, gop=30)


def length(path):
    """Seconds from zero to the end of the film's last picture, as the container tells; and of the container."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        whole = Fraction(container.duration, 1_000_000)
        own = ((stream.start_time or 0) + stream.duration) * stream.time_base if stream.duration else None
        return own, whole + (0 if "matroska" in container.format.name else Fraction(container.start_time or 0, 1_000_000))


@pytest.mark.parametrize("target", ["o.mp4", "o.mov", "o.mkv", "o.webm"])
@pytest.mark.parametrize("source", ["s.mp4", "s.mov", "s.mkv", "s.nut"])
def test_a_pause_does_not_lengthen_the_film(source, target, tmp_path):
    """Packets of mp4 last until the next one that is decoded, so that a B-frame lasted as long as the pause: 24 s became 42.5."""
    recorded = clips.write(tmp_path / source, RECORDED, TICK, B_FRAMES, rate=Fraction(10))
    copy(recorded, tmp_path / target)
    first, step = times(recorded)[0], Fraction(1, 1000)
    given = [t - first for t in times(tmp_path / target)]
    assert [round(float(t - given[0]), 3) for t in given] == [round(float(t * TICK), 3) for t in RECORDED]
    own, whole = length(tmp_path / target)
    assert abs(whole - (first + 22)) <= step
    assert own is None or abs(own - (first + 22)) <= step


@pytest.mark.parametrize("codec", ["h264", "av1", "vp9"])
def test_a_pause_of_ten_minutes_is_one(codec, tmp_path):
    recorded = [*range(0, 45000, 9000), *range(54_000_000, 54_045_000, 9000)]
    source = clips.write(tmp_path / "s.mp4", recorded, TICK, B_FRAMES, rate=Fraction(10))
    copy(source, tmp_path / "o.mp4", codec=codec)
    assert times(tmp_path / "o.mp4") == [t * TICK for t in recorded]
    assert length(tmp_path / "o.mp4") == (Fraction(6005, 10), Fraction(6005, 10))


PAUSES = {
    "at once": [0, *(54_000_000 + 9000 * i for i in range(12))],
    "after two": [0, 9000, *(54_000_000 + 9000 * i for i in range(12))],
    "before the last": [*(9000 * i for i in range(12)), 54_000_000],
    "before the last two": [*(9000 * i for i in range(12)), 54_000_000, 54_009_000],
}


def movie_seconds(path):
    """What the movie's own header (mvhd, ISO 14496-12 8.2.2) says, which players go by."""
    data = path.read_bytes()
    at = data.rfind(b"mvhd") + 4
    wide = data[at] == 1
    scale, duration = struct.unpack(">IQ" if wide else ">II", data[at + (20 if wide else 12) :][: 12 if wide else 8])
    return Fraction(duration, scale)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".ts"])
@pytest.mark.parametrize("where", PAUSES)
def test_a_pause_among_the_first_or_last_pictures_is_one(where, suffix, codec, tmp_path):
    """There B-frames move the times of decoding by as much as the pause: ten minutes were told as twenty, or as none."""
    times_given = PAUSES[where]
    pictures = frames((clips.picture(i) for i in range(len(times_given))), times_given, TICK)
    sink = open_sink(tmp_path / f"o{suffix}", replace(INFO, time_base=TICK, rate=Fraction(30)), codec=codec)
    sink.open()
    for frame, following in zip(pictures, [*times_given[1:], times_given[-1] + 9000], strict=True):
        sink(rendered(replace(frame, duration=following - frame.pts)))
    sink.close()
    made = times(tmp_path / f"o{suffix}")
    assert [t - made[0] for t in made] == [t * TICK for t in times_given]
    seconds = (times_given[-1] + 9000) * TICK
    with av.open(str(tmp_path / f"o{suffix}")) as container:
        stream = container.streams.video[0]
        if suffix == ".ts":
            assert stream.start_time * stream.time_base < 1
        else:
            assert made[0] == 0
            assert stream.duration * stream.time_base == seconds == movie_seconds(tmp_path / f"o{suffix}")
        packets = [p for p in container.demux(video=0) if p.size]
    assert all(b.dts > a.dts for a, b in pairwise(packets))
    assert all(p.dts <= p.pts for p in packets)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_last_picture_lasts_to_the_end_of_the_source(suffix, tmp_path):
    """One that stands still at the end of a recording."""
    with av.open(str(tmp_path / f"s{suffix}"), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        stream.codec_context.color_range = 2
        for number in range(5):
            picture = clips.picture(number, pix_fmt="yuvj420p")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            for packet in stream.encode(picture):
                packet.duration = 70 if number == 4 else 1
                out.mux(packet)
    copy(tmp_path / f"s{suffix}", tmp_path / "o.mp4")
    assert length(tmp_path / "o.mp4")[0] == Fraction(74, 10)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_that_goes_on_does_not_lengthen_the_last_picture(suffix, tmp_path):
    source = tmp_path / f"s{suffix}"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        tone = clips.Tone(out)
        for number in range(25):
            picture = clips.picture(number)
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        tone.play_until(3.0)
        tone.finish()
    with Decoder(source) as decoder:
        seen = list(decoder.frames())
    assert {round(float(f.duration * f.time_base), 3) for f in seen} == {0.04}
    copy(source, tmp_path / "o.mp4")
    with av.open(str(tmp_path / "o.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0, abs=0.002)


def test_a_part_ends_where_it_was_to_end(tmp_path):
    """In the midst of a pause, too."""
    source = clips.write(tmp_path / "s.mp4", RECORDED, TICK, B_FRAMES, rate=Fraction(10))
    copy(source, tmp_path / "o.mp4", start=1.0, duration=6.0)
    assert length(tmp_path / "o.mp4") == (6, 6)


def test_a_film_that_breaks_off_is_not_stretched_to_the_end_of_its_header(tmp_path):
    whole = clips.cfr(tmp_path / "s.mkv", 60)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    seen = []
    with Decoder(whole) as decoder, pytest.raises(Unreadable, match="breaks off"):
        seen.extend(decoder.frames())
    assert 5 < len(seen) < 55
    assert seen[-1].duration * seen[-1].time_base == Fraction(1, 25)


def test_a_picture_lasts_over_those_that_were_left_out(tmp_path):
    """A live source's pictures are dropped where the network cannot follow; here 2 and 3 of 5, the encoder holding all back."""
    pictures = frames(clips.picture(i) for i in range(5))
    sink = open_sink(tmp_path / "o.mkv", replace(INFO, rate=Fraction(25)))
    sink.open()
    for frame in (pictures[0], pictures[1], pictures[4]):
        sink(rendered(frame))
    sink.close()
    with av.open(str(tmp_path / "o.mkv")) as container:
        shown = sorted(p.pts for p in container.demux(video=0) if p.size)
    assert shown == [0, 40, 160]
    assert length(tmp_path / "o.mkv")[1] == Fraction(2, 10)


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("late", [0, 3, -3])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_first_picture_keeps_its_time_and_the_end_its_own(suffix, late, b_frames, tmp_path):
    """Edit lists: a start that is late, or before zero (where a muxer begins at zero), beside the delay that B-frames need."""
    source = clips.write(
        tmp_path / "s.mov", range(late, late + 20), Fraction(1, 25), Video(b_frames=b_frames), rate=Fraction(25)
    )
    given = times(source)
    copy(source, tmp_path / f"o{suffix}")
    made = times(tmp_path / f"o{suffix}")
    assert [b - a for a, b in pairwise(made)] == [Fraction(1, 25)] * (len(made) - 1)
    assert len(made) == len(given)
    assert made[0] == max(0, given[0])
    assert length(tmp_path / f"o{suffix}")[1] == made[-1] + Fraction(1, 25)
