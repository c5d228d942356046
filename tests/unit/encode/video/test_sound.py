"""Sound in every codec, into every container: the same packets, or the same samples at the same times; never silently gone."""

from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.encode.video.containers import CONTAINERS
from streamseg.encode.video.other_streams import choose_stream
from tests import clips, sound
from tests.unit.encode.helpers import copy

SOURCES = {
    "aac": "a.mp4",
    "ac3": "a.mkv",
    "adpcm_ima_qt": "a.mov",
    "adpcm_ima_wav": "a.avi",
    "adpcm_ms": "a.avi",
    "alac": "a.mov",
    "flac": "a.mkv",
    "libmp3lame": "a.mkv",
    "libopencore_amrnb": "a.mov",
    "libopus": "a.mp4",
    "mp2": "a.mkv",
    "pcm_alaw": "a.mov",
    "pcm_bluray": "a.m2ts",
    "pcm_f32be": "a.mov",
    "pcm_mulaw": "a.avi",
    "pcm_s16le": "a.mkv",
    "pcm_s24le": "a.mov",
    "pcm_u8": "a.mkv",
    "tta": "a.mkv",
    "wmav2": "a.avi",
}
"""Codecs as FFmpeg's encoders, each in a file that can hold it."""


@pytest.mark.parametrize("codec", SOURCES)
def test_sound_is_copied_where_it_fits_and_converted_where_not(codec, tmp_path):
    """One table for all: what is copied has the source's bytes, what is converted its samples at its times; each said by name."""
    name = SOURCES[codec]
    amr = "amr" in codec
    source = sound.write(tmp_path / name, codec, seconds=0.2, rate=8000 if amr else 48_000, layout="mono" if amr else "stereo")
    begin, given, rate = sound.samples(source)
    for suffix in CONTAINERS:
        target = tmp_path / f"out{suffix}"
        tracks = sound.remux(source, target, first=Fraction(max(0, round(begin * 1000)), 1000), origin=origin_of(suffix))
        (track,) = tracks.kept.values()
        if track.sound is None:
            assert not tracks.warnings
            if (codec, suffix) != ("aac", ".ts"):  # a header is put before each packet
                before, after = (b"".join(p[2] for p in clips.packets(path)) for path in (source, target))
                assert before.endswith(after), suffix
                assert len(after) >= len(before) * (1 if suffix != ".avi" else 0.8), suffix
        else:
            assert [w.split(" ")[:3] for w in tracks.warnings] == [["audio", "stream", "0"]]
            assert f"is converted to {track.sound.name}" in tracks.warnings[0]
            assert f": a {suffix} file cannot" in tracks.warnings[0]
        _, got, got_rate = sound.samples(target)
        assert len(got) / got_rate >= len(given) / rate - (0.03 if suffix == ".avi" else 0.001), suffix
        if suffix in (".mp4", ".mov") and not name.endswith(".mkv"):  # the others round times to their own ticks
            assert sound.difference(source, target) < 0.1, suffix


EXACT = [
    ("pcm_s8", "a.mov", ".mkv"),
    ("pcm_f32be", "a.mov", ".avi"),
    ("pcm_bluray", "a.m2ts", ".mov"),
    ("alac", "a.mov", ".avi"),
]


@pytest.mark.parametrize(("codec", "name", "suffix"), EXACT)
def test_lossless_sound_becomes_another_lossless_one(codec, name, suffix, tmp_path):
    source, target = sound.write(tmp_path / name, codec), tmp_path / f"out{suffix}"
    begin = Fraction(sound.samples(source)[0]).limit_denominator(90_000)
    (track,) = sound.remux(source, target, first=begin, origin="picture").kept.values()
    assert track.sound.encoder.startswith("pcm_")
    assert np.array_equal(sound.samples(target)[1], sound.samples(source)[1])


@pytest.mark.parametrize(("suffix", "loss"), [(".mp4", 0.1), (".mkv", 0.02), (".webm", 0.1), (".avi", 0.02), (".ts", 0.1)])
@pytest.mark.parametrize("start", [0.0, 0.3])
def test_converted_sound_stays_in_step_with_the_picture(suffix, loss, start, tmp_path):
    """Priming, delays and rounding of every container: the chirp is where it was, seen from the first picture."""
    made = sound.write(tmp_path / "sound.mov", "pcm_s8" if suffix == ".mkv" else "pcm_alaw", start=start)
    if suffix == ".avi":
        made = sound.write(tmp_path / "sound.mp4", "alac", start=start)
    source = with_pictures(made, tmp_path / f"in{made.suffix}")
    sink = copy(source, tmp_path / f"out{suffix}")
    assert "is converted to" in sink.warnings[0]
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        frame = next(container.decode(video=0))
        first = 0.0 if suffix == ".avi" else float(frame.pts * frame.time_base)
    assert sound.misfit(tmp_path / f"out{suffix}", start=first + start) < loss


@pytest.mark.parametrize(
    ("suffix", "codec", "loss"), [(".mkv", "pcm_s8", 0.02), (".mp4", "pcm_alaw", 0.15), (".webm", "aac", 0.15)]
)
def test_a_part_is_cut_at_the_sample(suffix, codec, loss, tmp_path):
    """What is converted begins with the first picture and ends with the part; what comes before is decoded to begin well."""
    source = sound.write(tmp_path / "a.mov", codec, seconds=0.8)
    sound.remux(source, tmp_path / f"o{suffix}", first=Fraction(3, 10), origin="picture", window=(0.3, 0.6))
    begin, got, rate = sound.samples(tmp_path / f"o{suffix}")
    assert abs(begin) <= 0.001
    assert abs(len(got) / rate - 0.3) < (0.022 if suffix == ".mp4" else 0.001)  # AAC has whole frames of 1024 samples
    assert sound.misfit(tmp_path / f"o{suffix}", start=-0.3, last=0.3) < loss


@pytest.mark.parametrize(("codec", "suffix"), [("pcm_s8", ".mkv"), ("aac", ".webm"), ("pcm_alaw", ".mp4"), ("alac", ".avi")])
@pytest.mark.parametrize("start", [0.4, 0.48])
def test_a_part_of_a_film_has_its_own_sound(start, codec, suffix, tmp_path):
    """Sought in the middle of a group of pictures, and at a key frame, where nothing comes before to decode."""
    made = sound.write(tmp_path / "sound.mov", codec, seconds=1.0)
    copy(with_pictures(made, tmp_path / "in.mov"), tmp_path / f"o{suffix}", start=start, duration=0.4)
    begin, got, rate = sound.samples(tmp_path / f"o{suffix}")
    assert abs(begin) <= 0.0011
    assert abs(len(got) / rate - 0.4) < 0.022
    got = got[: round(0.4 * rate)]
    wanted = sound.chirp(rate, round((start + begin) * rate), round((start + begin) * rate) + len(got))
    settled = slice(round(0.03 * rate), round(0.38 * rate))
    off = np.sqrt(np.mean((got[settled] - wanted[settled]) ** 2) / np.mean(wanted[settled] ** 2))
    assert off < (0.2 if suffix != ".mkv" else 0.02)


def test_a_pause_is_silence_and_what_follows_stays_in_its_place(tmp_path):
    """AAC's frames follow one another: without silence the rest would come 0.1 s early."""
    source = sound.write(tmp_path / "a.mkv", "pcm_u8", pauses=lambda sample: 9600 <= sample < 14_400)
    sound.remux(source, tmp_path / "o.mp4")
    begin, got, rate = sound.samples(tmp_path / "o.mp4")
    at = round((0.35 - begin) * rate)
    wanted = sound.chirp(rate, round(0.35 * rate), round(0.45 * rate))
    assert np.sqrt(np.mean((got[at : at + len(wanted)] - wanted) ** 2) / np.mean(wanted**2)) < 0.05
    assert np.abs(got[round(0.22 * rate) : round(0.28 * rate)]).max() < 0.01


def test_a_pause_of_an_hour_is_not_filled(tmp_path):
    source = sound.write(tmp_path / "a.mov", "pcm_alaw", seconds=0.4)
    later = sound.write(tmp_path / "b.mov", "pcm_alaw", seconds=0.4, start=3600.0)
    target = tmp_path / "o.mp4"
    with av.open(str(source)) as one, av.open(str(later)) as two:
        made = convert(one, [*one.demux(), *two.demux()], target)
    assert made < 100
    times = [p[0] for p in clips.packets(target)]
    assert max(times) / 48_000 == pytest.approx(3600.4, abs=0.1)


def test_damage_is_counted_and_filled(tmp_path):
    source = sound.write(tmp_path / "a.mkv", "libmp3lame", seconds=0.6)
    with av.open(str(source)) as container:
        packets = [p for p in container.demux() if p.size]
        for packet in packets[8:11]:
            packet.update(b"\xff" * packet.size)
        convert(container, packets, tmp_path / "o.webm")
    assert sound.samples(tmp_path / "o.webm")[1].size == pytest.approx(sound.samples(source)[1].size, abs=1200)


def test_a_damaged_packet_does_not_end_the_film(tmp_path):
    """AAC in a transport stream has a header on each packet, which mp4 has not: one that cannot be read ended the run."""
    made = sound.write(tmp_path / "sound.mp4", "aac", seconds=1.0)
    source = with_pictures(made, tmp_path / "in.ts")
    data = bytearray(source.read_bytes())
    headers = [at for at in range(len(data) - 2) if data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0 and data[at + 2] == 0x4C]
    for at in headers[10:12]:
        data[at + 3 : at + 6] = b"\xff\xff\xff"
    source.write_bytes(data)
    sink = copy(source, tmp_path / "o.mp4")
    assert len(clips.decoded(tmp_path / "o.mp4")) == 25
    assert clips.packets(tmp_path / "o.mp4")[-1][0] > 0.9 * 48_000  # the sound goes on behind the damage
    assert "packets of stream 1 are damaged and left out" in sink.warnings[-1]


def test_another_rate_and_channels_in_mid_stream(tmp_path):
    one = sound.write(tmp_path / "a.aac", "aac", seconds=0.3)
    two = sound.write(tmp_path / "b.aac", "aac", seconds=0.3, rate=44_100, layout="mono")
    (tmp_path / "c.aac").write_bytes(one.read_bytes() + two.read_bytes())
    sound.remux(tmp_path / "c.aac", tmp_path / "o.webm")
    with av.open(str(tmp_path / "o.webm")) as container:
        frames = list(container.decode(audio=0))
    assert {(f.sample_rate, f.layout.name) for f in frames} == {(48_000, "stereo")}
    assert sum(f.samples for f in frames) == pytest.approx(0.6 * 48_000, abs=5000)


def test_copy_converts_nothing_and_none_leaves_all_out(tmp_path):
    source = sound.write(tmp_path / "a.mov", "pcm_alaw")
    refused = sound.remux(source, tmp_path / "o.mp4", "copy")
    assert not refused.kept
    (said,) = refused.warnings
    assert said.startswith("audio stream 0 (pcm_alaw) is left out: a .mp4 file cannot hold it")
    assert "--audio copy" in said
    assert said.endswith(".mov, .mkv and .avi can")
    assert sound.remux(source, tmp_path / "o.mov", "copy").kept
    silent = sound.remux(source, tmp_path / "p.mov", "none")
    assert not silent.kept
    assert not silent.warnings


def test_sound_of_an_unknown_kind_is_said_to_be_one(tmp_path):
    """NUT has no field for what ADPCM's decoder needs, and libav forgets the channels: copied, nobody could play it."""
    source = tmp_path / "a.nut"
    sound.write(source, "adpcm_ima_wav", seconds=0.2)
    tracks = sound.remux(source, tmp_path / "o.avi")
    assert not tracks.kept
    assert tracks.warnings == [
        "audio stream 0 (adpcm_ima_wav) is left out: the source does not tell its sample rate, or how many channels it has"
    ]


def test_languages_titles_and_dispositions_of_several_tracks_stay(tmp_path):
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        for number, (language, title) in enumerate([("deu", "Ton"), ("eng", "Sound")]):
            stream = container.add_stream("pcm_u8", rate=8000)
            stream.codec_context.layout = "mono"
            stream.metadata.update({"language": language, "title": title})
            stream.disposition = av.stream.Disposition.default if number else av.stream.Disposition.comment
        block = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        block.sample_rate, block.pts = 8000, 0
        for stream in container.streams.audio:
            container.mux(stream.encode(block))
    sound.remux(source, tmp_path / "o.webm")
    with av.open(str(tmp_path / "o.webm")) as container:
        found = [(s.codec_context.name, s.language, s.metadata["title"]) for s in container.streams.audio]
        assert found == [("opus", "deu", "Ton"), ("opus", "eng", "Sound")]
        assert [bool(s.disposition & av.stream.Disposition.default) for s in container.streams.audio] == [False, True]


def origin_of(suffix):
    """As a video's sink has it, for files."""
    return "source" if suffix != ".avi" else "picture"


def with_pictures(source, target):
    """The sound of a file beside 25 pictures, from 0 s on."""
    plain = clips.cfr(target.with_name("plain.mp4"), 25)
    with av.open(str(source)) as heard, av.open(str(plain)) as seen, av.open(str(target), "w") as container:
        streams = [container.add_stream_from_template(s) for s in (seen.streams.video[0], heard.streams.audio[0])]
        packets = [(p, i) for i, c in enumerate((seen, heard)) for p in c.demux() if p.size]
        for packet, index in sorted(packets, key=lambda both: both[0].dts * both[0].time_base):
            packet.stream = streams[index]
            container.mux(packet)
    return target


def convert(container, packets, target):
    """These packets of a file with sound alone, converted; how many came out."""
    track, _ = choose_stream(container.streams.audio[0], target.suffix)
    with av.open(str(target), "w") as out:
        _, converter = track.add(out)
        out.start_encoding()
        made = [m for p in packets if p.size for m in converter.feed(p)] + converter.finish()
        out.mux(made)
    return len(made)
