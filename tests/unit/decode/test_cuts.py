"""Where a film can be cut, or why it cannot; the parts are what reading it from its beginning gives.

Reports that inputs are made after: a picture behind a recovery point that leans on one before it (L-SMASH-Works #19, av1an #745),
and recordings joined with `cat`.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamseg.decode import Decoder
from streamseg.decode.cuts import Cuts, cuts
from streamseg.decode.promise import promised
from streamseg.decode.stretch import Stretch
from streamseg.decode.timetable import Timetable
from streamseg.errors import StreamsegError
from tests import clips
from tests.clips import Video
from tests.unit.decode.test_access import B, x264
from tests.unit.decode.test_stretch import all_of, opened


def test_a_film_is_cut_near_its_key_frames_or_it_is_said_why_not(tmp_path: Path) -> None:
    path = clips.cfr(tmp_path / "a.mp4", 100, video=Video(gop=40, b_frames=2))
    found = cuts(path, 10, {})
    assert isinstance(found, Cuts)
    assert (found.total, found.starts, found.vain) == (100, (0, 10, 40, 50, 80, 90), (0, 10, 0, 10, 0, 10))
    assert found.longest == 30
    assert "100 pictures only" in str(cuts(path, 100, {}))
    rare = clips.cfr(tmp_path / "b.mp4", 100, video=Video(gop=400, b_frames=2))
    assert "its key frames are 4 s apart" in str(cuts(rare, 10, {"deinterlace": "off"}))
    assert "a span of it" in str(cuts(path, 10, {"start": 1}))
    assert "deinterlace: field" in str(cuts(path, 10, {"deinterlace": "field"}))
    with pytest.raises(StreamsegError, match="nothing there"):
        cuts(tmp_path / "nothing there.mp4", 10, {})


def test_a_film_whose_pictures_lean_on_those_before_a_key_frame_is_not_cut(tmp_path: Path) -> None:
    """The table of key frames is missing, so that every picture counts as one."""
    path = clips.cfr(tmp_path / "a.mov", 60, video=Video(codec="qtrle", pix_fmt="rgb24", gop=60))
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    assert cuts(path, 10, {}) == "its pictures depend on those before their key frame, from 1.20 s on"


def promising(source: Path, path: Path, every: int) -> Path:
    """Recovery points (ITU-T H.264, D.1.8) before each `every`th picture of a film, which are none: a case of Blu-rays."""
    with av.open(str(source)) as film, av.open(str(path), "w") as into:
        stream = into.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(packet for packet in film.demux(video=0) if packet.size):
            data = bytes(packet)
            at = next(i for i in range(len(data)) if data[i : i + 3] == b"\0\0\1" and data[i + 3] & 31 in (1, 5))
            point = b"" if number % every else b"\0\0\1\6\6\1\xc4\x80"
            made = av.Packet(data[:at] + point + data[at:])
            made.pts, made.dts, made.time_base, made.stream = packet.pts, packet.dts, packet.time_base, stream
            into.mux(made)
    return path


def test_key_frames_that_only_promise_to_be_some_are_tried(tmp_path: Path) -> None:
    """One in forty pictures is a key frame, and one in ten says that it is one."""
    plain = clips.cfr(tmp_path / "a.ts", 120, video=x264("keyint=40:ref=4:scenecut=0:repeat-headers=1"))
    path = promising(plain, tmp_path / "b.ts", 10)
    table = promised(path, opened(path), {})
    assert isinstance(table, Timetable)
    assert (len(table.keys), len(table.unsure)) == (12, 9)
    frames, _ = all_of(Decoder(path))
    assert all_of(Stretch(path, table, 30, 40, {}))[0] != frames[30:40], "what is decoded from there looks whole, and is not"
    found = cuts(path, 20, {})
    assert isinstance(found, Cuts)
    assert (found.starts, found.vain) == ((0, 20, 40, 60, 80, 100), (0, 20, 0, 20, 0, 20))
    for first in (0, 20, 30, 40, 55, 80, 100):
        assert all_of(Stretch(path, found.table, first, first + 20, {}))[0] == frames[first : first + 20], first
    everywhere = clips.cfr(
        tmp_path / "c.ts", 120, video=x264("keyint=20:open-gop=1:bframes=3:b-adapt=0:scenecut=0:repeat-headers=1")
    )
    found = cuts(everywhere, 20, {})
    assert isinstance(found, Cuts)
    assert len(found.starts) == 6, "pictures that promise it, and hold it"
    assert len(found.table.unsure) == 5


def recordings(path: Path, begins: tuple[int, ...], audio: bool, skip: int = 0) -> Path:
    """Recordings of a camera, joined, that begin at these pictures of its clock; skip: packets lost of all but the first."""
    whole = b""
    for number, begin in enumerate(begins):
        one = path.with_name(f"one{number}.ts")
        clips.write(one, range(begin, begin + 40), Fraction(1, 25), B, rate=Fraction(25), audio=audio)
        whole += one.read_bytes()[188 * skip if number else 0 :]
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("begins", "audio"),
    [((0, 0, 0), False), ((0, 0, 0), True), ((0, 2000, 4000), False), ((4000, 2000, 0), False), ((0, 41, 20), False)],
)
def test_recordings_that_were_joined_are_cut_also_behind_the_joint(
    tmp_path: Path, begins: tuple[int, ...], audio: bool
) -> None:
    """Two or three places of the file have one time, or the clock leaps: key frames are sought by their place."""
    path = recordings(tmp_path / "a.ts", begins, audio)
    frames, _ = all_of(Decoder(path))
    assert len(frames) == 120
    found = cuts(path, 10, {})
    assert isinstance(found, Cuts)
    assert len(found.table.jumps) == (1 if begins[1] == 41 else 2)
    assert len(found.starts) > 10
    table = Timetable.unpacked(found.table.packed())
    for first in range(0, 120, 7):
        assert all_of(Stretch(path, table, first, first + 7, {})) == (frames[first : first + 7], ""), first


def test_a_recording_that_begins_amid_a_group_is_said(tmp_path: Path) -> None:
    path = recordings(tmp_path / "a.ts", (0, 0, 0), False, skip=30)
    frames, _ = all_of(Decoder(path))
    parts, odd = [], []
    for first in range(0, len(frames), 10):
        part, why = all_of(Stretch(path, None, first, first + 10, {}))
        parts += part
        odd += [why] if why else []
    assert odd


@pytest.mark.parametrize("rate", [None, 24000 / 1001, 12.5])
def test_a_folder_of_images_is_cut_anywhere(tmp_path: Path, rate: float | None) -> None:
    folder, options = clips.image_folder(tmp_path / "a", 12), {"rate": rate}
    found = cuts(folder, 3, options)
    assert isinstance(found, Cuts)
    assert (found.total, found.starts, found.vain) == (12, (0, 3, 6, 9), (0, 0, 0, 0))
    frames, _ = all_of(Decoder(folder, **options))
    table = Timetable.unpacked(found.table.packed())
    assert [each for k in range(0, 12, 3) for each in all_of(Stretch(folder, table, k, k + 3, options))[0]] == frames
    clips.save_image(folder / "frame5.png", 5, size=(32, 32))
    assert "its picture or its clock changes" in all_of(Stretch(folder, table, 3, 6, options))[1]
    (folder / "frame5.png").write_bytes(b"nothing")
    assert "not an image" in all_of(Stretch(folder, table, 3, 6, options))[1]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(
    ("params", "unsure"), [("keyint=10:scenecut=0", 0), ("keyint=10:scenecut=0:open-gop=1:bframes=2:b-adapt=0", 5)]
)
def test_which_key_frames_are_sure(tmp_path: Path, suffix: str, params: str, unsure: int) -> None:
    path = clips.cfr(tmp_path / f"a{suffix}", 60, video=x264(params))
    table = promised(path, opened(path), {})
    assert isinstance(table, Timetable)
    assert (len(table.keys), len(table.unsure)) == (6, unsure)
