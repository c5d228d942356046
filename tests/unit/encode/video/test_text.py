"""Subtitles, attachments and data: text in every container's own kind at its own times, the rest kept or said."""

from fractions import Fraction

import av
import pytest

from streamseg.encode.video.containers import CONTAINERS
from tests import clips, sound
from tests.unit.encode.helpers import copy, times

LINES = ((0.1, 0.5, "<i>one</i> & two"), (0.6, 1.0, "zwei\nZeilen ä"), (1.1, 1.6, "three"))
PLAIN = ["one & two", "zwei\nZeilen ä", "three"]
KINDS = {"subrip": ".mkv", "ass": ".mkv", "webvtt": ".webm", "mov_text": ".mp4"}
TIMES = [line[:2] for line in LINES]


def write(path, lines=LINES, encoder="subrip", attach=None):
    """A file with one subtitle stream, made by libav's encoder from lines of SubRip."""
    decoder = av.CodecContext.create("subrip", "r")
    decoder.open()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder)
        context = stream.codec_context
        context.subtitle_header = decoder.subtitle_header
        context.time_base = stream.time_base = Fraction(1, 1000)
        stream.metadata.update({"language": "ger", "title": "Deutsch"})
        stream.disposition = av.stream.Disposition.forced
        if attach:
            container.add_attachment(*attach)
        container.start_encoding()
        for start, end, text in lines:
            packet = av.Packet(text.encode())
            packet.pts, packet.time_base = round(1000 * start), Fraction(1, 1000)
            coded = context.encode_subtitle(decoder.decode2(packet))
            coded.stream, coded.time_base, coded.pts = stream, Fraction(1, 1000), round(1000 * start)
            coded.dts, coded.duration = coded.pts, round(1000 * (end - start))
            container.mux(coded)
    return path


def shown(path):
    """What a player shows: (from, to, text without its styles), one after the other."""
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        found = []
        for packet in container.demux(stream):
            decoded = stream.codec_context.decode2(packet) if packet.size else None
            for rect in decoded or ():
                start = packet.pts * packet.time_base
                text = rect.ass.split(b",", 8)[8].decode().replace("\\N", "\n").replace("\\r", "")
                plain = "".join(part.split("}")[-1] for part in text.split("{"))
                found.append((float(start), float(start + packet.duration * packet.time_base), plain.strip()))
        return found


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("kind", KINDS)
def test_text_becomes_the_containers_own_kind(kind, suffix, tmp_path):
    source, target = write(tmp_path / f"in{KINDS[kind]}", encoder=kind), tmp_path / f"out{suffix}"
    tracks = sound.remux(source, target)
    if suffix in (".avi", ".ts"):
        assert not tracks.kept
        assert tracks.warnings[0].startswith(f"subtitle stream 0 ({kind}, ger) is left out: a {suffix} file holds no text; ")
        return
    (track,) = tracks.kept.values()
    if track.text:
        assert tracks.warnings == [
            f"subtitle stream 0 ({kind}, ger) is converted to {CONTAINERS[suffix].text}: a {suffix} file cannot hold it"
        ]
    else:
        assert not tracks.warnings
        copied, given = ([p[2] for p in clips.packets(path, "subtitles") if p[2] != b"\0\0"] for path in (target, source))
        assert copied == given
    assert [text for *_, text in shown(target)] == PLAIN
    assert [(start, end) for start, end, _ in shown(target)] == TIMES
    with av.open(str(target)) as container:
        stream = container.streams.subtitles[0]
        assert stream.language == "ger"
        assert stream.disposition & av.stream.Disposition.forced or suffix == ".mov"  # which has no place for it


def test_lines_that_overlap_are_shown_together(tmp_path):
    """A sample of mov_text ends where the next one begins: the rest of the first line would be gone."""
    lines = ((0.0, 1.0, "long"), (0.4, 0.6, "short"), (0.8, 1.4, "next"))
    sound.remux(write(tmp_path / "a.mkv", lines), tmp_path / "o.mp4")
    assert shown(tmp_path / "o.mp4") == [
        (0.0, 0.4, "long"),
        (0.4, 0.6, "long\nshort"),
        (0.6, 0.8, "long"),
        (0.8, 1.0, "long\nnext"),
        (1.0, 1.4, "next"),
    ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_pictures_keep_their_times_beside_text(codec, suffix, tmp_path):
    """FFmpeg began a fragment with a text, and took the next picture's time for the last one's end."""
    lines = tuple((0.1 + 0.7 * number, 0.55 + 0.7 * number, str(number)) for number in range(5))
    text = write(tmp_path / "text.mp4", lines, encoder="mov_text")
    source = clips.cfr(tmp_path / "plain.mp4", 100, video=clips.Video(size=(64, 48), gop=30, b_frames=2))
    with av.open(str(source)) as seen, av.open(str(text)) as read, av.open(str(tmp_path / "in.mp4"), "w") as container:
        streams = [container.add_stream_from_template(s) for s in (seen.streams.video[0], read.streams.subtitles[0])]
        packets = [(p, index) for index, opened in enumerate((seen, read)) for p in opened.demux() if p.size > 2]
        for packet, index in sorted(packets, key=lambda both: both[0].dts * both[0].time_base):
            packet.stream = streams[index]
            container.mux(packet)
    copy(tmp_path / "in.mp4", tmp_path / f"out{suffix}", codec=codec)
    assert times(tmp_path / f"out{suffix}") == [Fraction(number, 25) for number in range(100)]
    assert [(round(start, 3), round(end, 3)) for start, end, _ in shown(tmp_path / f"out{suffix}")] == [
        (round(start, 3), round(end, 3)) for start, end, _ in lines
    ]


def test_fonts_stay_where_they_can(tmp_path):
    source = write(tmp_path / "a.mkv", encoder="ass", attach=("Häger.ttf", "font/ttf", bytes(range(200))))
    sound.remux(source, tmp_path / "o.mkv")
    with av.open(str(tmp_path / "o.mkv")) as container:
        (font,) = container.streams.attachments
        assert (font.name, font.mimetype, font.data) == ("Häger.ttf", "font/ttf", bytes(range(200)))
    said = sound.remux(source, tmp_path / "o.mp4").warnings
    assert "attachment stream 1 (Häger.ttf) is left out: a .mp4 file cannot hold it; .mkv can" in said


def test_data_stays_where_it_can(tmp_path):
    with av.open(str(tmp_path / "a.ts"), "w") as container:
        stream = container.add_data_stream("klv")
        stream.time_base = Fraction(1, 90_000)
        for number in range(3):
            packet = av.Packet(bytes([number]) * 32)
            packet.pts = packet.dts = 9000 * number
            packet.time_base, packet.stream = Fraction(1, 90_000), stream
            container.mux(packet)
    sound.remux(tmp_path / "a.ts", tmp_path / "o.ts")
    assert [p[2] for p in clips.packets(tmp_path / "o.ts", "data")] == [bytes([n]) * 32 for n in range(3)]
    (said,) = sound.remux(tmp_path / "a.ts", tmp_path / "o.mkv").warnings
    assert said == "data stream 0 (klv) is left out: a .mkv file cannot hold it; .ts can"


def test_teletext_stays_in_a_transport_stream(tmp_path):
    """Without a decoder here QuickTime's muxer takes it, mark and all, and nobody reads it."""
    with av.open(str(tmp_path / "a.ts"), "w") as container:
        stream = container.add_mux_stream("dvb_teletext", time_base=Fraction(1, 90_000))
        for number in range(3):
            packet = av.Packet(b"\x10\x02\x2c" + bytes(44))
            packet.pts = packet.dts = 9000 * number
            packet.time_base, packet.stream = Fraction(1, 90_000), stream
            container.mux(packet)
    assert not sound.remux(tmp_path / "a.ts", tmp_path / "o.ts").warnings
    for suffix in (".mov", ".mkv", ".avi"):
        (said,) = sound.remux(tmp_path / "a.ts", tmp_path / f"o{suffix}").warnings
        assert said.startswith(f"subtitle stream 0 (dvb_teletext) is left out: a {suffix} file cannot hold it, and this build")


def test_pictures_are_copied_where_they_fit_and_else_named(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_mux_stream("dvd_subtitle", time_base=Fraction(1, 1000))
        packet = av.Packet(b"\x00\x32" + bytes(48))
        packet.pts, packet.dts, packet.duration, packet.time_base, packet.stream = 100, 100, 400, Fraction(1, 1000), stream
        container.mux(packet)
    assert not sound.remux(tmp_path / "a.mkv", tmp_path / "o.mkv").warnings
    assert clips.packets(tmp_path / "o.mkv", "subtitles") == clips.packets(tmp_path / "a.mkv", "subtitles")
    (said,) = sound.remux(tmp_path / "a.mkv", tmp_path / "o.mp4").warnings
    assert said.startswith("subtitle stream 0 (dvd_subtitle) is left out: a .mp4 file cannot hold it, and they are pictures")
