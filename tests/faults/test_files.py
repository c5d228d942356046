"""Damaged, odd and hostile files (FAILURES.md, "Files"): what is good arrives, the rest is named."""

from __future__ import annotations

import gc
import os
import random
import re
import resource
import struct
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.core.types import Frame
from streamseg.decode import Decoder
from streamseg.errors import NoVideo, SourceError, SourceNotFound, TooLarge, Unreadable
from tests import clips
from tests.clips import Video, plane_array, read_index


def read(source: object, **options: object) -> tuple[Decoder, list[Frame], Exception | None]:
    """The frames that came, and the error after them, if any."""
    frames: list[Frame] = []
    problem = None
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        try:
            frames.extend(decoder.frames())
        except SourceError as error:
            problem = error
    return decoder, frames, problem


def numbers(frames: list[Frame]) -> list[int]:
    return [read_index(plane_array(f.picture)) for f in frames]


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("content", [b"", b"hello, this is not a video\n" * 40, bytes(5000)])
def test_what_is_no_video_is_unreadable_and_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holiday.mp4"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=r"holiday\.mp4") as caught:
        Decoder(path).open()
    assert caught.value.exit_code == 6


def test_an_mp4_without_its_index_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"clip\.mp4"):
        Decoder(cut(clips.cfr(tmp_path / "clip.mp4"), 0.7)).open()


def test_a_missing_file_and_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="nowhere"):
        Decoder(tmp_path / "nowhere.mp4").open()
    with pytest.raises(NoVideo):
        Decoder(tmp_path).open()


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("share", [0.35, 0.6, 0.9, 0.99])
def test_a_cut_mp4_gives_its_good_frames_then_an_error(tmp_path: Path, share: float, audio: bool) -> None:
    whole = clips.cfr(tmp_path / "clip.mp4", 60, audio=audio, container_options={"movflags": "faststart"})
    decoder, frames, problem = read(cut(whole, share))
    assert isinstance(problem, Unreadable)
    assert "clip.mp4" in str(problem)
    assert numbers(frames) == list(range(len(frames)))
    assert 0 < len(frames) < 60 or audio
    assert decoder.counters.frames == len(frames)


@pytest.mark.parametrize("options", [{}, {"live": "1"}], ids=["sizes known", "sizes unknown"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_matroska_gives_its_good_frames_then_an_error(tmp_path: Path, share: float, options: dict[str, str]) -> None:
    """Seen: 21 of 60 frames, a clean end, and at best a warning; libav ends it as it ends a whole one."""
    _, frames, problem = read(cut(clips.cfr(tmp_path / "clip.mkv", 60, container_options=options), share))
    assert isinstance(problem, Unreadable)
    assert "clip.mkv: breaks off at" in str(problem)
    assert 0 < len(frames) < 60
    assert numbers(frames) == list(range(len(frames)))


def test_a_matroska_that_loses_only_its_index_loses_no_picture(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "clip.mkv", 60)
    path.write_bytes(path.read_bytes()[:-5])
    decoder, frames, problem = read(path)
    assert (problem, len(frames)) == (None, 60)
    assert decoder.warnings == [f"{path}: is cut off behind its last picture: 5 bytes are missing"]


def test_a_header_that_tells_too_long_a_film_is_a_warning(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "clip.mkv", 60)
    data = path.read_bytes()
    at = data.index(bytes((0x44, 0x89, 0x88))) + 3  # Duration, milliseconds
    path.write_bytes(data[:at] + struct.pack(">d", 4800.0) + data[at + 8 :])
    decoder, frames, problem = read(path)
    assert (problem, len(frames), decoder.counters.ended_early) == (None, 60, 1)
    assert any("ended early: at 2.40 s, but its header says 4.80 s" in w and "clip.mkv" in w for w in decoder.warnings)


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_a_cut_avi_gives_its_good_frames_then_an_error(tmp_path: Path, share: float) -> None:
    """Seen: libav shortens the duration to what is there; "its last packet is damaged", and success."""
    _, frames, problem = read(cut(clips.cfr(tmp_path / "clip.avi", 60, video=Video(codec="mpeg4")), share))
    assert isinstance(problem, Unreadable)
    assert "clip.avi: breaks off at" in str(problem)
    assert 0 < len(frames) < 60


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_what_is_missing_of_a_cut_film_is_the_rest_of_it(tmp_path: Path, share: float) -> None:
    """Where the clock does not begin at 0. Seen: "breaks off at 2.56 s; 0.56 s of 3.04 s are missing"."""
    fragments = {"movflags": "frag_keyframe+empty_moov"}
    path = clips.cfr(tmp_path / "late.mp4", 60, video=Video(b_frames=2, gop=10), container_options=fragments)
    _, _, problem = read(cut(path, share))
    at, lost, length = map(float, re.findall(r"(\d+\.\d\d) s", str(problem)))
    assert at + lost == pytest.approx(length, abs=0.001)


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.ts"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(Unreadable, match=rf"{name}: is empty"):
            Decoder(tmp_path / name).open()


def test_a_start_within_the_last_picture_tells_where_that_begins(tmp_path: Path) -> None:
    """Seen: "there is nothing from 3.99 s on: it lasts 4.00 s"."""
    path = clips.cfr(tmp_path / "clip.mp4", 60)
    with pytest.raises(NoVideo, match=r"nothing from 2\.39 s on: its last picture begins at 2\.36 s$"):
        Decoder(path, start=2.39).open()
    with pytest.raises(NoVideo, match=r"nothing from 2\.4 s on: it lasts 2\.40 s$"):
        Decoder(path, start=2.4).open()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
@pytest.mark.parametrize("audio", [False, True])
def test_a_whole_file_is_not_said_to_end_early(tmp_path: Path, name: str, audio: bool) -> None:
    video = Video(codec="mpeg4") if name.endswith("avi") else Video(b_frames=2)
    path = clips.cfr(tmp_path / name, 60, Fraction(30000, 1001), video=video, audio=audio)
    decoder, frames, problem = read(path)
    assert problem is None
    assert len(frames) == 60
    assert decoder.warnings == []


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_bit_flips_are_counted_and_do_not_stop_the_run(tmp_path: Path, codec: str, seed: int) -> None:
    options = {} if codec == "libx264" else {"b": "2000000"}
    path = clips.cfr(tmp_path / "clip.mkv", 60, video=Video(codec=codec, options=options, gop=10))
    data = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for at in rng.sample(range(2000, len(data) - 200), 3):
        data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    decoder, frames, problem = read(path)
    assert problem is None
    assert len(frames) + decoder.counters.decode_errors >= 50
    assert sum(f.corrupt for f in frames) == decoder.counters.corrupt
    lost = decoder.counters.decode_errors
    assert lost < 2 or any(f"{lost} packets could not be decoded" in line for line in decoder.warnings), "pictures are missing"
    assert all(b.pts > a.pts for a, b in pairwise(frames))


def test_some_bit_flip_is_indeed_noticed(tmp_path: Path) -> None:
    """The test above must not pass by damage that nobody sees."""
    path = clips.cfr(tmp_path / "clip.ts", 60, video=Video(gop=10), container_format="mpegts")
    data = bytearray(path.read_bytes())
    for at in range(3000, len(data) - 2000, 2000):
        for k in range(40):
            data[at + k] ^= 0xFF
    path.write_bytes(data)
    decoder, frames, _ = read(path)
    assert decoder.counters.corrupt + decoder.counters.decode_errors > 0
    assert len(frames) > 10


def test_a_change_of_size_begins_an_epoch_and_time_goes_on(tmp_path: Path) -> None:
    decoder, frames, problem = read(clips.size_change(tmp_path / "joined.ts"))
    assert problem is None
    assert numbers(frames) == list(range(24))
    assert [f.epoch for f in frames] == [0] * 12 + [1] * 12
    assert {(f.width, f.height) for f in frames[12:]} == {(64, 48)}
    assert [f.pts - frames[0].pts for f in frames] == [3600 * i for i in range(24)], "the second part goes on one step later"
    assert (decoder.counters.jumps, decoder.counters.format_changes) == (1, 1)


def test_sound_goes_on_in_step_over_a_seam(tmp_path: Path) -> None:
    parts = [clips.cfr(tmp_path / f"{i}.ts", 50, audio=True, first_index=50 * i, container_format="mpegts") for i in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    with Decoder(path) as decoder:
        through = decoder.subscribe()
        frames = list(decoder.frames())
        sound = [float(p.pts * p.time_base) for p in through.take()]
    assert numbers(frames) == list(range(100))
    assert [f.epoch for f in frames] == [0] * 50 + [1] * 50
    assert through.rebased == 0
    assert all(0.01 < b - a < 0.1 for a, b in pairwise(sound))
    assert len(sound) == 2 * len(clips.packets(parts[0]))
    assert abs(sound[-1] - frames[-1].time) < 0.15


def test_a_change_of_pixel_format_begins_an_epoch(tmp_path: Path) -> None:
    a = clips.cfr(tmp_path / "a.ts", 10, container_format="mpegts")
    b = clips.cfr(tmp_path / "b.ts", 10, video=Video(pix_fmt="yuv422p"), container_format="mpegts", first_index=10)
    path = tmp_path / "joined.ts"
    path.write_bytes(a.read_bytes() + b.read_bytes())
    _, frames, _ = read(path)
    assert [f.epoch for f in frames] == [0] * 10 + [1] * 10
    assert [f.picture.format.name for f in frames] == ["yuv420p"] * 10 + ["yuv422p"] * 10


def test_missing_pts_are_made_from_the_rate_and_flagged(tmp_path: Path) -> None:
    decoder, frames, _ = read(clips.raw_h264(tmp_path / "bare.h264", 12))
    assert [f.pts * f.time_base for f in frames] == [Fraction(i, 25) for i in range(12)]
    assert all(f.synthetic_pts for f in frames)
    assert decoder.counters.synthetic_pts == 12


def test_the_user_may_say_the_rate_of_a_bare_stream(tmp_path: Path) -> None:
    _, frames, _ = read(clips.raw_h264(tmp_path / "bare.h264", 12), rate=50)
    assert [f.pts * f.time_base for f in frames] == [Fraction(i, 50) for i in range(12)]


def test_repeated_pts_keep_every_frame(tmp_path: Path) -> None:
    """Seen: the muxer raises ArgumentError and the output dies."""
    decoder, frames, _ = read(clips.duplicate_pts(tmp_path / "twice.mkv", 12, every=4))
    assert numbers(frames) == list(range(12))
    pts = [f.pts for f in frames]
    assert all(b > a for a, b in pairwise(pts))
    assert [p for i, p in enumerate(pts) if i % 4 != 3] == [40 * i for i in range(12) if i % 4 != 3], "good times are kept"
    assert decoder.counters.non_monotonic == 3


def test_audio_only_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(NoVideo, match=r"song\.m4a.*audio") as caught:
        Decoder(clips.audio_only(tmp_path / "song.m4a")).open()
    assert caught.value.exit_code == 7


def test_a_video_stream_without_a_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "silent.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        tone = clips.Tone(container)
        tone.play_until(0.3)
        tone.finish()
    with pytest.raises(NoVideo, match=r"silent\.mkv"):
        Decoder(path).open()


@pytest.mark.parametrize("size", [(81, 59), (1, 1), (95, 64), (96, 63)])
def test_odd_sizes_are_kept(tmp_path: Path, size: tuple[int, int]) -> None:
    decoder, frames, _ = read(clips.lossless(tmp_path / "odd.mkv", 2, "yuv420p", size))
    assert (decoder.info.width, decoder.info.height) == size == (frames[0].width, frames[0].height)
    expected = clips.picture(1, *size)
    assert np.array_equal(plane_array(frames[1].picture, 1), plane_array(expected, 1))


def write_bomb(path: Path, width: int = 8200, height: int = 8200) -> Path:
    """A gray picture of 67 megapixels, just over the limit, that compresses to two megabytes."""
    with av.open(str(path), "w", format="mjpeg" if path.suffix == ".mjpeg" else None) as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.codec_context.color_range = 2
        frame = av.VideoFrame(width, height, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


BOMB_CHILD = """
import os, resource, sys
from streamseg.decode import Decoder
from streamseg.errors import TooLarge
assert len(os.listdir("/proc/self/task")) == 1, "a thread that has not begun would meet the limit"
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 60 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    Decoder(sys.argv[1], threads=1).open()
except TooLarge as error:
    print("too large:", error)
"""


@pytest.mark.parametrize("name", ["bomb.mp4", "bomb.mjpeg"])
def test_a_bomb_is_refused_by_its_header_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    """A frame takes 96 MiB; the child may take 60 more than it has."""
    path = write_bomb(tmp_path / name)
    # A thread of NumPy's takes 170 MiB of addresses when it first runs, on a busy machine after the limit was set: and crashes.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BOMB_CHILD, path]
    child = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert child.stdout.startswith("too large:"), (child.returncode, child.stderr)
    assert "8200x8200" in child.stdout
    assert name in child.stdout


def test_the_limit_can_be_raised(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "c.mp4", 3)
    with pytest.raises(TooLarge, match="96x64"):
        Decoder(path, max_pixels=96 * 64 - 1).open()
    assert len(read(path, max_pixels=96 * 64)[1]) == 3


def test_pictures_that_grow_beyond_the_limit_stop_the_run(tmp_path: Path) -> None:
    path = clips.size_change(tmp_path / "grows.ts", (96, 64), (640, 480))
    _, frames, problem = read(path, max_pixels=100 * 100)
    assert isinstance(problem, TooLarge)
    assert "640x480" in str(problem)
    assert len(frames) == 12


def test_libav_writes_nothing_to_the_terminal(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "clip.ts", 30, container_format="mpegts")
    data = bytearray(path.read_bytes())
    data[4000:5000] = bytes(1000)
    path.write_bytes(data)
    code = "import sys; from streamseg.decode import Decoder; d = Decoder(sys.argv[1]); d.open(); print(len(list(d.frames())))"
    child = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stderr == ""


def test_files_are_closed(tmp_path: Path) -> None:
    """No descriptor is left behind by runs that end, fail or are abandoned."""
    good, bad = clips.cfr(tmp_path / "good.mp4", 10), clips.audio_only(tmp_path / "bad.m4a")
    sound = clips.cfr(tmp_path / "sound.mp4", 10, audio=True)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert limit > 0
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        read(good)
        with Decoder(good) as decoder:
            next(decoder.frames())
        with pytest.raises(NoVideo):
            Decoder(bad).open()
        with Decoder(sound) as decoder:
            through = decoder.subscribe()
            list(decoder.frames())
    assert len(through.take()) > 0
    del through
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
