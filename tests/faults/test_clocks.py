"""Clocks as containers really give them: without dts, in another order, jumping back or ahead. Every picture, at its time."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from tests import clips
from tests.clips import Video, plane_array, read_index

FRAMES = 40
X265 = {
    "preset": "ultrafast",
    "x265-params": "log-level=none:pools=1:bframes=8:b-adapt=0:rc-lookahead=12:keyint=20:min-keyint=20:no-open-gop=1",
}
DEEP = {
    "x264": Video(b_frames=8, gop=20),
    "pyramid": Video(b_frames=3, gop=20, options={"preset": "veryslow", "x264-params": "b-adapt=0:bframes=3:b-pyramid=normal"}),
    "x265": Video(codec="libx265", options=X265),
}
"""Codings that hold many pictures back."""


def read(source: object, **options: object) -> tuple[Decoder, list[Frame]]:
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        return decoder, list(decoder.frames())


def numbers(frames: list[Frame]) -> list[int]:
    return [read_index(plane_array(f.picture)) for f in frames]


def steps(frames: list[Frame]) -> list[float]:
    return [round(b.time - a.time, 2) for a, b in pairwise(frames)]


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("suffix", ["mkv", "nut", "ts", "mp4", "mov", "flv"])
def test_every_picture_comes_however_deep_they_are_reordered(tmp_path: Path, suffix: str, kind: str) -> None:
    """10 pictures a second: a B-frame may be shown 0.8 s before its predecessor in the file. Seen: 2 of 200 in Matroska."""
    if (suffix, kind) == ("flv", "x265"):
        pytest.skip("an extension of FLV that no camera sends")
    path = clips.cfr(tmp_path / f"clip.{suffix}", FRAMES, 10, DEEP[kind])
    decoder, frames = read(path)
    assert numbers(frames) == list(range(FRAMES))
    assert set(steps(frames)) == {0.1}
    assert frames[-1].epoch == decoder.counters.jumps == 0
    assert decoder.warnings == []


@pytest.mark.parametrize("suffix", ["mkv", "nut"])
def test_so_they_do_through_a_pipe(tmp_path: Path, suffix: str) -> None:
    path = clips.cfr(tmp_path / f"clip.{suffix}", FRAMES, 10, DEEP["x264"])
    code = "from streamseg.decode import Decoder; d = Decoder('-'); d.open(); print([f.pts for f in d.frames()])"
    with path.open("rb") as file:
        child = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, text=True, timeout=60, check=True)
    assert child.stdout.strip() == str([f.pts for f in read(path)[1]])
    assert child.stdout.count(",") == FRAMES - 1


def write_avi(path: Path, frames: int = FRAMES) -> Path:
    """H.264 with B-frames in AVI, which numbers its packets in the order of decoding and knows no other time."""
    source = clips.cfr(path.with_suffix(".ts"), frames, 10, DEEP["x264"])
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        packets = [p for p in container.demux(video=0) if p.size]
        for number, packet in enumerate(packets):
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = number
            packet.duration = 1
            out.mux(packet)
    return path


def test_avi_with_b_frames_is_shown_in_the_order_of_its_pictures(tmp_path: Path) -> None:
    """libav gives pts that only count the packets. Seen: 24.5 s and 20 epochs instead of 12 s."""
    decoder, frames = read(write_avi(tmp_path / "clip.avi"))
    assert numbers(frames) == list(range(FRAMES))
    assert set(steps(frames)) == {0.1}
    assert frames[-1].epoch == decoder.counters.jumps == 0


@pytest.mark.parametrize("suffix", ["mp4", "mov", "flv", "ts", "mkv"])
def test_b_frames_written_by_one_who_knew_none_come_in_order(tmp_path: Path, suffix: str) -> None:
    """Cheap recorders: pts that count the packets. Seen: 13.7 s and 12 epochs instead of 6 s."""
    source = clips.cfr(tmp_path / "source.ts", FRAMES, 10, DEEP["x264"])
    path = tmp_path / f"clip.{suffix}"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(p for p in container.demux(video=0) if p.size):
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = number
            packet.duration = 1
            out.mux(packet)
    decoder, frames = read(path)
    assert numbers(frames) == list(range(FRAMES))
    assert set(steps(frames)[6:]) == {0.1}, "after the first picture that came back in time"
    assert frames[-1].time - frames[0].time < 4.3
    assert frames[-1].epoch == decoder.counters.jumps == 0


def test_a_transport_stream_goes_on_over_the_wrap_of_its_clock(tmp_path: Path) -> None:
    """After 2^33 ticks of 1/90000 s, 26.5 hours."""
    first = round(25 * 2**33 / 90000) - 40
    path = clips.write(
        tmp_path / "wrap.ts",
        range(first, first + 80),
        Fraction(1, 25),
        Video(b_frames=2),
        rate=Fraction(25),
        container_format="mpegts",
    )
    _, frames = read(path)
    assert numbers(frames) == list(range(80))
    assert set(steps(frames)) == {0.04}
    assert frames[-1].epoch == 0


JUMPS_CHILD = """
import random, sys
from streamseg.decode.address import parse_source
from streamseg.decode.passthrough import PassThroughHub
from streamseg.decode.container import open_container
from streamseg.decode.reader import PacketReader
from streamseg.decode.shared import SharedState
from streamseg.decode.timeline import DecodeCounters, Splicer
from tests.clips import plane_array, read_index

def jumping(packets, rng):
    shift, at = 0, {rng.randrange(1, 36) for _ in range(4)}
    for number, packet in enumerate(packets):
        if number in at:
            shift += round(rng.choice([-2.0, -0.8, -0.4, 0.7, 30.0]) / packet.time_base)
        if packet.pts is not None:
            packet.pts += shift
        if packet.dts is not None:
            packet.dts += shift
        yield packet

address = parse_source(sys.argv[1])
for seed in range(int(sys.argv[2])):
    rng = random.Random(seed)
    with open_container(address, 5.0) as container:
        shared = SharedState(address, PassThroughHub(), Splicer(), DecodeCounters(), [], 2**20, 4, lambda: False)
        reader = PacketReader(container, shared)
        seen = [read_index(plane_array(p.image)) for p in reader.pictures(jumping(container.demux(), rng))]
    print(seed, sorted(set(range(36)) - set(seen)), seen == sorted(seen), flush=True)
"""

CODECS = {
    "vp9.webm": Video(codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "vp8.webm": Video(codec="libvpx", options={"deadline": "realtime", "cpu-used": "8"}),
    "av1.mkv": Video(codec="libsvtav1", options={"preset": "12"}),
    "h264.ts": Video(b_frames=3),
    "h264.mkv": Video(),
    "hevc.mp4": Video(codec="libx265", options={"x265-params": "log-level=none:pools=1:bframes=3:no-open-gop=1"}),
    "mpeg2.ts": Video(codec="mpeg2video", options={"bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"}),
    "mpeg4.mp4": Video(codec="mpeg4", options={"bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"}),
}


@pytest.mark.parametrize("name", CODECS)
def test_a_clock_may_jump_at_any_packet(tmp_path: Path, name: str) -> None:
    """Seen: VP9 with three threads or more crashed libav, since its decoder was flushed where no key frame stands."""
    seeds = 25 if name.startswith("vp9") else 8
    path = clips.cfr(tmp_path / name, 36, 25, CODECS[name])
    command = [sys.executable, "-c", JUMPS_CHILD, str(path), str(seeds)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == [f"{seed} [] True" for seed in range(seeds)], "every picture, in order"


def write_ts(path: Path, starts: tuple[float, ...], frames: int = 25, video: Video | None = None, audio: bool = False) -> Path:
    """Transport streams one after the other, the clock of each beginning at one of `starts` (seconds)."""
    parts = b""
    for number, start in enumerate(starts):
        part = clips.write(
            path.with_name(f"part{number}.ts"),
            [round(25 * start) + i for i in range(frames)],
            Fraction(1, 25),
            video or Video(),
            rate=Fraction(25),
            audio=audio and start < 100,
            first_index=frames * number,
            container_format="mpegts",
        )
        parts += part.read_bytes()
    path.write_bytes(parts)
    return path


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("starts", [(100, 0), (0, 7200), (0, 40, 3), (0, 90000)])
def test_a_transport_stream_goes_on_where_its_clock_starts_anew(
    tmp_path: Path, starts: tuple[float, ...], b_frames: int
) -> None:
    """Joined recordings: hours back or ahead are no pause of hours."""
    decoder, frames = read(write_ts(tmp_path / "joined.ts", starts, video=Video(b_frames=b_frames)))
    assert numbers(frames) == list(range(25 * len(starts)))
    assert set(steps(frames)) == {0.04}
    assert [f.epoch for f in frames] == [i // 25 for i in range(len(frames))]
    assert decoder.counters.jumps == len(starts) - 1
    leaps = [b - a for a, b in pairwise(starts) if 0 < b - a < 40000]
    said = [float(line.split("goes ahead by ")[1].split()[0]) for line in decoder.warnings if "goes ahead" in line]
    assert said == pytest.approx([leap - 1 for leap in leaps[:1]], abs=0.2), "time that is left out is said, once"


def test_a_short_hole_in_a_transport_stream_stays(tmp_path: Path) -> None:
    decoder, frames = read(write_ts(tmp_path / "hole.ts", (0, 6)))
    assert len(frames) == 50
    assert frames[25].time - frames[0].time == pytest.approx(6)
    assert frames[-1].epoch == decoder.counters.jumps == 0


def test_a_time_lapse_in_a_transport_stream_keeps_its_steps(tmp_path: Path) -> None:
    path = clips.write(
        tmp_path / "lapse.ts", [i * 30 for i in range(8)], Fraction(1), rate=Fraction(25), container_format="mpegts"
    )
    assert set(steps(read(path)[1])) == {30.0}


def test_a_start_is_found_in_joined_transport_streams_where_two_places_have_that_time(tmp_path: Path) -> None:
    """libav's search by time leads to any of them. Seen: from 3 s on, the end of the second part alone."""
    path = write_ts(tmp_path / "joined.ts", (0, 0), frames=100, video=Video(gop=25))
    _, everything = read(path)
    for start in (1.0, 3.0, 6.0):
        _, frames = read(path, start=start)
        wanted = [f for f in everything if f.time - everything[0].time >= start - 1e-9]
        assert [(f.index, f.pts) for f in frames] == [(f.index, f.pts) for f in wanted]
        assert numbers(frames[:1]) == numbers(wanted[:1])


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "nut"])
def test_a_pause_in_a_file_is_a_pause_however_long(tmp_path: Path, suffix: str) -> None:
    times = [*range(20), *range(72000, 72020)]
    path = clips.write(tmp_path / f"pause.{suffix}", times, Fraction(1, 10), Video(b_frames=3), rate=Fraction(10))
    decoder, frames = read(path)
    assert numbers(frames) == list(range(40))
    assert frames[-1].time - frames[0].time == pytest.approx(7201.9)
    assert frames[-1].epoch == decoder.counters.jumps == 0


def test_a_film_that_starts_late_in_matroska_is_not_said_to_end_early(tmp_path: Path) -> None:
    """Its header counts from zero. Seen: "ended early: at 8.48 s, but its header says 8.48 s"."""
    path = clips.write(tmp_path / "late.mkv", range(200, 212), Fraction(1, 25), rate=Fraction(25))
    decoder, frames = read(path)
    assert len(frames) == 12
    assert decoder.warnings == []
