"""What goes wrong while writing: killed, disk full, no permission, the output is the source, nothing to write."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamseg.decode import Decoder
from streamseg.encode import open_sink
from streamseg.errors import OutputError, OutputExists, OutputIsInput
from streamseg.system.output_files import OutputFile
from tests import clips
from tests.full_disk import file_size_limit
from tests.unit.encode.helpers import INFO, copy, frames, rendered, times, write

ROOT = Path(__file__).parents[2]
MICRO = Fraction(1, 1_000_000)
FILMS = [".mp4", ".mov", ".mkv", ".webm", ".ts", ".avi"]


def in_child(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


# --- kill -9 --------------------------------------------------------------------------------------------------------------

KILLED = """
    import os, signal, sys
    from streamseg.decode import Decoder
    from streamseg.encode import open_sink
    from tests.unit.encode.helpers import rendered
    source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with Decoder(source) as decoder:
        sink = open_sink(target, decoder.info, passthrough=decoder.subscribe())
        sink.open()
        for number, frame in enumerate(decoder.frames(), 1):
            sink(rendered(frame))
            if number == count:
                os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("suffix", FILMS)
def test_killed_writer_leaves_all_but_the_last_second(suffix, tmp_path):
    source, target = clips.cfr(tmp_path / "in.mp4", 100, audio=True), tmp_path / f"out{suffix}"
    done = in_child(KILLED, source, target, 75)
    assert done.returncode == -signal.SIGKILL, done.stderr
    indexes = [clips.read_index(clips.plane_array(frame)) for frame in readable(target)]
    assert len(indexes) >= 50  # of 75 at 25 a second
    # The cut may come between a picture and the B-frames shown before it.
    assert indexes[:-1] == list(range(len(indexes) - 1))
    assert 0 <= indexes[-1] - indexes[-2] - 1 <= 2
    if suffix in (".mp4", ".mov", ".mkv"):
        assert len(clips.packets(target)) > 80  # of 140 packets of sound


@pytest.mark.parametrize("kind", ["subtitles", "chapters", "10 bit", "alpha"])
def test_killed_writer_of_the_less_common(kind, tmp_path):
    """Sparse tracks make muxers wait, and other encoders hold back more pictures."""
    if kind == "subtitles":
        source, target = clips.with_subtitles(tmp_path / "in.mp4", 100), tmp_path / "out.mp4"
    elif kind == "chapters":
        source, target = with_chapters(clips.cfr(tmp_path / "in.mp4", 100, audio=True)), tmp_path / "out.mp4"
    elif kind == "10 bit":
        source, target = clips.hdr10(tmp_path / "in.mp4", 100, codec="libx264"), tmp_path / "out.mp4"
    else:
        source, target = clips.lossless(tmp_path / "in.mkv", 100, "yuva444p10le"), tmp_path / "out.mov"
    done = in_child(KILLED, source, target, 75)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(readable(target)) >= 50


KILLED_ALL = """
    import os, signal, sys
    from streamseg.decode import Decoder
    from streamseg.encode import open_sink
    from tests.unit.encode.helpers import rendered
    source, count, folder, outputs = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    with Decoder(source) as decoder:
        sinks = []
        for output in outputs:
            codec, _, suffix = output.partition(".")
            sinks.append(open_sink(f"{folder}/{output}", decoder.info, codec=codec, passthrough=decoder.subscribe()))
            sinks[-1].open()
        for number, frame in enumerate(decoder.frames(), 1):
            for sink in sinks:
                sink(rendered(frame))
            if number == count:
                os.kill(os.getpid(), signal.SIGKILL)
"""
SLOW = ["h264.mp4", "hevc.mp4", "av1.mp4", "prores.mov", "h264.mkv", "hevc.mkv", "ffv1.mkv", "vp9.webm", "h264.ts", "h264.avi"]


@pytest.mark.parametrize(("kind", "rate"), [("picture", 2), ("text", 2), ("sound", 8)])
def test_killed_writer_loses_no_more_of_a_slow_film(kind, rate, tmp_path):
    """Encoders hold a number of pictures back, which of two a second are seconds."""
    if kind == "text":
        source = clips.with_subtitles(tmp_path / "in.mp4", 30, rate=rate)
    else:
        source = clips.cfr(tmp_path / "in.mp4", 30, rate=rate, audio=kind == "sound")
    done = in_child(KILLED_ALL, source, 20, tmp_path, *SLOW)
    assert done.returncode == -signal.SIGKILL, done.stderr
    lost = {name: (20 - len(readable(tmp_path / name))) / rate for name in SLOW}
    assert max(lost.values()) <= 1, lost


def with_chapters(path: Path) -> Path:
    chaptered = path.with_suffix(".mkv")
    with av.open(str(path)) as source, av.open(str(chaptered), "w") as container:
        streams = [container.add_stream_from_template(stream) for stream in source.streams]
        container.set_chapters([{"id": 1, "start": 0, "end": 3, "time_base": Fraction(1), "metadata": {"title": "one"}}])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                container.mux(packet)
    return chaptered


def readable(path: Path) -> list[av.VideoFrame]:
    """The pictures of a file that may end anywhere."""
    found: list[av.VideoFrame] = []
    with av.open(str(path)) as container, contextlib.suppress(av.FFmpegError):
        found.extend(container.decode(video=0))
    return found


# --- no room --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FILMS)
@pytest.mark.parametrize("limit", [6_000, 40_000])
def test_full_disk_is_an_error_and_what_is_written_stays_readable(suffix, limit, tmp_path):
    source, target = (
        clips.cfr(tmp_path / "in.mp4", 60, video=clips.Video(size=(320, 240)), audio=True),
        tmp_path / f"out{suffix}",
    )
    with file_size_limit(limit), pytest.raises(OutputError, match=r"File too large") as caught:
        copy_until_error(source, target)
    assert str(target) in str(caught.value)
    # AVI's empty index alone is larger than the smaller limit: nothing was encoded, so nothing is left behind.
    assert not target.exists() if (suffix, limit) == (".avi", 6_000) else target.stat().st_size <= limit
    if limit > 6_000:
        indexes = [clips.read_index(clips.plane_array(frame)) for frame in readable(target)]
        assert len(indexes) >= 5
        assert indexes[:-1] == list(range(len(indexes) - 1))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_disk_that_fills_while_finalising_leaves_the_fragments(suffix, tmp_path, monkeypatch):
    """The trailer appends an index and then points the header to it; without the hold, a half-written index is all there is."""
    target = tmp_path / f"out{suffix}"
    sink = open_sink(target, INFO)
    sink.open()
    for frame in frames([clips.picture(i) for i in range(60)]):
        sink(rendered(frame))
    limit = []

    def full(self, at, data, put=OutputFile._put):
        limit.append(len(data))
        if len(limit) > 1:
            self.error = self.error or OSError(errno.ENOSPC, "No space left on device")
            raise self.error
        put(self, at, data[: len(data) // 2])

    before = len(readable(target))
    monkeypatch.setattr(OutputFile, "_put", full)
    with pytest.raises(OutputError, match="No space left"):
        sink.close()
    assert len(readable(target)) >= before > 40


def test_full_device(tmp_path):
    target = tmp_path / "out.mp4"
    target.symlink_to("/dev/full")
    sink = open_sink(target, INFO, overwrite=True)
    sink.open()
    made = frames([clips.picture(i) for i in range(60)])
    with pytest.raises(OutputError, match="No space left"):
        any(sink(rendered(frame)) for frame in made)
    sink.abort()


def test_other_outputs_fill_up_too(tmp_path):
    folder, lines = tmp_path / "images", tmp_path / "out.jsonl"
    made = [clips.picture(i, 320, 240) for i in range(200)]
    with file_size_limit(3_000):
        with pytest.raises(OutputError, match="File too large"):
            write(folder, made[:3])
        with pytest.raises(OutputError, match="File too large"):
            write(lines, made)
    assert not list(folder.iterdir())  # no half image, no temporary file
    assert lines.read_bytes().count(b"\n") > 10


@pytest.mark.parametrize("limit", [1500, 1600, 1700])
def test_lines_are_whole_on_a_full_disk(limit, tmp_path):
    """The write that did not fit left the half that did."""
    sink = open_sink(tmp_path / "o.jsonl", INFO)
    sink.open()
    results = [rendered(frame) for frame in frames([clips.picture(i) for i in range(20)])]
    with file_size_limit(limit), pytest.raises(OutputError, match="File too large"):
        deque(map(sink, results), maxlen=0)
    sink.abort()
    data = (tmp_path / "o.jsonl").read_bytes()
    assert data.endswith(b"\n")
    assert len(data) > limit / 2
    assert all(json.loads(line) for line in data.splitlines())


def copy_until_error(source: Path, target: Path) -> None:
    """As the runtime does: the sink that fails is aborted."""
    from streamseg.decode import Decoder

    with Decoder(source) as decoder:
        sink = open_sink(target, decoder.info, passthrough=decoder.subscribe(), crf=5 if target.suffix != ".avi" else 1)
        sink.open()
        try:
            for frame in decoder.frames():
                sink(rendered(frame))
            sink.close()
        except OutputError:
            sink.abort()
            raise


# --- what is there already ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.jsonl"])
def test_existing_output_is_kept_unless_told(name, tmp_path):
    target = tmp_path / name
    target.write_bytes(b"precious")
    with pytest.raises(OutputExists, match="--overwrite"):
        write(target, [clips.picture(0)])
    assert target.read_bytes() == b"precious"
    write(target, [clips.picture(0)], overwrite=True)
    assert target.read_bytes() != b"precious"


def test_existing_images_are_kept_unless_told(tmp_path):
    folder = tmp_path / "images"
    write(folder, [clips.picture(i) for i in range(4)])
    with pytest.raises(OutputExists, match="4 images"):
        write(folder, [clips.picture(0)])
    sink = write(folder, [clips.picture(i) for i in range(3)], overwrite=True)
    assert any("1 images of an earlier run" in warning for warning in sink.warnings)


def test_output_that_appears_meanwhile_is_not_overwritten(tmp_path):
    sink = open_sink(tmp_path / "out.mp4", INFO)
    sink.open()
    (tmp_path / "out.mp4").write_bytes(b"precious")
    with pytest.raises(OutputExists):
        sink(rendered(frames([clips.picture(0)])[0]))
    sink.abort()
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv", "o.jsonl", "o.mots.txt", "o.coco.json"])
def test_two_runs_never_write_one_file(name, tmp_path):
    path, pictures = tmp_path / name, frames([clips.picture(i) for i in range(3)])
    first, second, third = (open_sink(path, INFO, overwrite=True) for _ in range(3))
    first.open()
    second.open()  # nothing is written yet
    first(rendered(pictures[0]))
    with pytest.raises(OutputError, match="another run is writing it"):
        second(rendered(pictures[0]))
    if not name.endswith(".json"):  # which is under its name only when it is whole
        with pytest.raises(OutputError, match="another run is writing it"):
            third.open()
    second.abort()
    for frame in pictures[1:]:
        first(rendered(frame))
    first.close()
    assert path.stat().st_size > 100 or name == "o.mots.txt", "the first goes on"  # no instances: no lines
    third.open()
    third(rendered(pictures[0]))
    third.close()


@pytest.mark.parametrize("name", ["o.cvat.zip", "o", "o/a%03d.png", "o.mots"])
def test_two_runs_never_mix_their_images(name, tmp_path):
    path, pictures = tmp_path / name, frames([clips.picture(i) for i in range(2)])
    first, second, third = (open_sink(path, INFO, overwrite=True) for _ in range(3))
    first.open(), second.open()
    first(rendered(pictures[0]))
    with pytest.raises(OutputError, match="another run is writing it"):
        second(rendered(pictures[0]))
    second.abort()
    if "%" in name:  # another pattern in the same folder is another output
        with_other_name = open_sink(tmp_path / "o" / "b%03d.png", INFO)
        with_other_name.open()
        with_other_name(rendered(pictures[0]))
        with_other_name.close()
    first(rendered(pictures[1]))
    first.close()
    third.open()
    third(rendered(pictures[0]))
    third.close()
    assert [p.name for p in tmp_path.rglob(".*")] == [], "nothing hidden is left"


@pytest.mark.parametrize("how", ["same path", "other spelling", "hard link", "symbolic link", "source is the link"])
def test_source_is_never_written_onto(how, tmp_path):
    source = clips.cfr(tmp_path / "in.mp4", 3)
    bytes_before, target = source.read_bytes(), tmp_path / "other.mp4"
    if how == "same path":
        target = source
    elif how == "other spelling":
        target = tmp_path / "nowhere" / ".." / "in.mp4"
        (tmp_path / "nowhere").mkdir()
    elif how == "hard link":
        os.link(source, target)
    elif how == "symbolic link":
        target.symlink_to(source)
    else:
        target, link = source, tmp_path / "link.mp4"
        link.symlink_to(source)
        source = link
    with pytest.raises(OutputIsInput, match="never written onto"):
        copy(source, target, overwrite=True)
    assert source.read_bytes() == bytes_before


@pytest.mark.parametrize("spelling", ["folder", "pattern", "glob"])
def test_folder_of_source_images_is_never_written_into(spelling, tmp_path):
    folder = clips.image_folder(tmp_path / "in", 3)
    source = {"folder": folder, "pattern": folder / "frame%d.png", "glob": folder / "*.png"}[spelling]
    with pytest.raises(OutputIsInput):
        write(folder, [clips.picture(0)], source=source, overwrite=True)
    assert len(list(folder.iterdir())) == 3


# --- nothing to write, nowhere to write -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi", "out.jsonl", "images", "%03d.tif"])
def test_no_pictures_leave_no_output(name, tmp_path):
    target = tmp_path / "new" / name
    for end in ("close", "abort"):
        sink = open_sink(target, INFO)
        sink.open()
        getattr(sink, end)()
        sink.close()
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_no_pictures_keep_the_old_output(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    write(tmp_path / "out.mp4", [], overwrite=True)
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


def test_missing_folders_are_made(tmp_path):
    write(tmp_path / "a" / "b" / "out.mp4", [clips.picture(0)])
    assert len(clips.decoded(tmp_path / "a" / "b" / "out.mp4")) == 1


@pytest.mark.parametrize("name", ["file/out.mp4", "file/images/%d.png", "file/x.jsonl"])
def test_folder_that_cannot_be_made(name, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make this folder"):
        open_sink(tmp_path / name, INFO).open()


@pytest.mark.parametrize("name", ["out.mp4", "images", "x.jsonl"])
def test_folder_without_permission(name, tmp_path, monkeypatch):
    # Tests may run as root, whom permissions do not stop.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(OutputError, match="no permission"):
        open_sink(tmp_path / name, INFO).open()


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("out.xyz", r"\.mp4.*\.webm.*\.png.*\.jsonl.*http://127"),
        ("out.mp3", r"\.mp4"),
        ("picture.png", r"%06d\.png"),
        ("%d_%d.png", "one number"),
        ("100%.png", "one number"),
    ],
)
def test_name_that_says_nothing_we_can_write(name, allowed, tmp_path):
    with pytest.raises(OutputError, match=allowed):
        open_sink(tmp_path / name, INFO)


@pytest.mark.parametrize(
    ("name", "options", "allowed"),
    [
        ("a.mp4", {"codec": "divx"}, "auto, h264, hevc, av1"),
        ("a.webm", {"codec": "h264"}, "vp9"),
        ("a.mp4", {"crf": 60}, "0 .*51"),
        ("a.mp4", {"codec": "prores"}, "h264"),
        ("a.ts", {"alpha": True}, r"\.mov, \.mkv"),
    ],
)
def test_codec_or_quality_that_does_not_fit(name, options, allowed, tmp_path):
    with pytest.raises(OutputError, match=allowed):
        open_sink(tmp_path / name, INFO, **options).open()
    assert not list(tmp_path.iterdir())


def test_name_of_a_folder(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OutputError, match="folder"):
        open_sink(tmp_path / "out.mp4", INFO, overwrite=True).open()


def test_abort_leaves_a_finished_file_and_is_quick(tmp_path):
    source, target = clips.cfr(tmp_path / "in.mp4", 60, audio=True), tmp_path / "out.mp4"
    from streamseg.decode import Decoder

    with Decoder(source) as decoder:
        sink = open_sink(target, decoder.info, passthrough=decoder.subscribe())
        sink.open()
        for frame in decoder.frames():
            sink(rendered(frame))
    sink.abort()
    sink.close()
    assert len(clips.decoded(target)) >= 45
    assert b"moof" not in target.read_bytes()[-2000:]


# --- times that a container cannot hold --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_pause_longer_than_a_movie_can_count_is_an_error_not_the_end_of_the_process(suffix, tmp_path):
    """A camera's microseconds, and off for an hour: libav's muxer aborts."""
    pictures = frames(
        [clips.picture(i) for i in range(6)], [0, 40_000, 80_000, 3_600_000_000, 3_600_040_000, 3_600_080_000], MICRO
    )
    sink = open_sink(tmp_path / f"out{suffix}", replace(INFO, time_base=MICRO))
    sink.open()
    with pytest.raises(OutputError, match=r"a pause of 3600 s is more than the 2147 s .* write \.mkv"):
        write_all(sink, pictures)
    sink.abort()
    assert 1 <= len(clips.decoded(tmp_path / f"out{suffix}")) <= 3


def test_a_pause_of_an_hour_fits_into_matroska(tmp_path):
    pictures = frames([clips.picture(i) for i in range(3)], [0, 40_000, 3_600_000_000], MICRO)
    sink = open_sink(tmp_path / "out.mkv", replace(INFO, time_base=MICRO))
    sink.open()
    for frame in pictures:
        sink(rendered(frame))
    sink.close()
    assert [round(t) for t in times(tmp_path / "out.mkv")] == [0, 0, 3600]


def test_sound_that_leaps_by_a_day_is_left_out_and_said(tmp_path):
    """As where the clock of a transport stream wraps for the sound alone; libav's muxer aborts."""
    source = clips.cfr(tmp_path / "in.mkv", 50, audio=True)
    with Decoder(source) as decoder:
        through = decoder.subscribe()
        sink = open_sink(tmp_path / "out.mp4", decoder.info, passthrough=Leap(through, 10, 95443))
        sink.open()
        for frame in decoder.frames():
            sink(rendered(frame))
        sink.close()
    assert len(clips.decoded(tmp_path / "out.mp4")) == 50
    assert len(clips.packets(tmp_path / "out.mp4")) == 10
    assert any("packets of sound or text are left out" in warning for warning in sink.warnings)


def write_all(sink, pictures):
    for frame in pictures:
        sink(rendered(frame))
    sink.close()


class Leap:
    """Passes packets through; from number `at` on their times are `seconds` later."""

    def __init__(self, through, at, seconds):
        self.through, self.left, self.seconds = through, at, seconds

    def __getattr__(self, name):
        return getattr(self.through, name)

    def take(self, until=None):
        packets = self.through.take(until)
        for packet in packets:
            self.left -= 1
            if self.left < 0:
                ticks = round(self.seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return packets


@pytest.mark.parametrize("suffix", FILMS)
def test_a_failure_before_the_first_picture_left_the_encoder_leaves_no_empty_file(suffix, tmp_path):
    """A header with nothing behind it can be read by nobody."""
    sink = open_sink(tmp_path / f"out{suffix}", INFO)
    sink.open()
    sink(rendered(frames([clips.picture(0)])[0]))
    assert sink.counters.frames == 1
    sink.abort()
    path = tmp_path / f"out{suffix}"
    assert not path.exists() or len(clips.decoded(path)) == 1
