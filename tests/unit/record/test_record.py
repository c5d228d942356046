"""The results file: what was found comes back to the bit, whatever became of the file, or an error says which frame is lost."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.result import Result
from streamseg.core.types import Instances
from streamseg.errors import OutputError, OutputExists, ResultsError
from streamseg.record import RecordWriter, chunks, open_results
from streamseg.record.source_key import file_key, images_key, same_source
from tests.unit.record import made


@pytest.mark.parametrize(("side", "fine"), [(28, True), (28, False), (1, False), (0, False), (56, True)])
def test_what_is_kept_comes_back_to_the_bit(tmp_path, side, fine):
    rng = np.random.default_rng(3)
    told = [made.result(i, made.instances(rng, n, side, fine)) for i, n in enumerate((0, 1, 5, 2))]
    with open_results(made.kept(tmp_path / "a.streamseg", told)) as results:
        assert (results.complete, results.note, len(results)) == (True, None, 4)
        for record, result in zip(results, told, strict=True):
            made.same(record, result)
        assert results[2].of(told[2].frame).frame is told[2].frame


def test_all_that_instances_say_is_kept():
    """A new field has to be written and read, or named here."""
    of_a_person = {"track_names"}
    kept = {"boxes", "scores", "labels", "masks", "class_names", "track_ids", "track_scores", "doubtful", "fine", "mattes"}
    assert {field.name for field in fields(Instances)} == kept | of_a_person
    of_a_run = {"occlusion", "activity", "covers", "still", "scene"}
    assert {field.name for field in fields(Result)} == {"frame", "instances", "detected", "answered"} | of_a_run


def test_frames_are_found_by_their_number_in_the_source_and_by_time(tmp_path):
    told = [made.result(number, made.instances(np.random.default_rng(number), 2)) for number in (75, 76, 80)]
    with open_results(made.kept(tmp_path / "a.streamseg", told)) as results:
        made.same(results[80], told[2])
        assert (results.first, results.last) == (75, 80)
        assert [number in results for number in (76, 77, 80)] == [True, False, True]
        assert [results.at(time).index for time in (3.0, 3.04, 3.07, 3.2, 9)] == [75, 76, 76, 80, 80]
        with pytest.raises(IndexError, match="no frame 0: it holds 75 to 80"):
            results[0]
        with pytest.raises(IndexError, match="nothing is shown at 1 s"):
            results.at(1)


def test_a_film_without_a_frame_has_results_without_one(tmp_path):
    with open_results(made.kept(tmp_path / "a.streamseg", [])) as results:
        assert (len(results), list(results), results.tracks(), results.first) == (0, [], (), None)
        assert results.complete


def test_a_file_cut_at_any_byte_gives_its_whole_frames_and_says_so(tmp_path):
    told = made.several(3)
    data = made.kept(tmp_path / "a.streamseg", told).read_bytes()
    head = data.index(chunks.FRAME) - 4
    whole = [head]
    for _ in told:
        whole.append(whole[-1] + 12 + struct.unpack_from("<I", data, whole[-1])[0])
    path = tmp_path / "cut.streamseg"
    for length in [*range(head + 1), *range(head + 1, len(data), 211), *whole, *(end - 1 for end in whole[1:])]:
        path.write_bytes(data[:length])
        if length < head:
            with pytest.raises(ResultsError, match=r"cut\.streamseg: "):
                open_results(path)
            continue
        with open_results(path) as results:
            frames = sum(end <= length for end in whole[1:])
            assert len(results) == frames, length
            assert not results.complete
            assert "it is read" in results.note
            for record, result in zip(results, told, strict=False):
                made.same(record, result)


def test_what_was_written_is_there_after_a_kill(tmp_path):
    """Nothing is held back in memory: the file of a process that was killed is that of one that goes on."""
    told = made.several(4)
    path = made.kept(tmp_path / "a.streamseg", told, complete=None)
    with open_results(path) as results:
        assert [len(record) for record in results] == [len(result) for result in told]
        assert results.note.endswith("was not finished; it is read up to frame 3")


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_is_noticed_and_its_frame_named(tmp_path, seed):
    told = made.several(4)
    data = bytearray(made.kept(tmp_path / "a.streamseg", told).read_bytes())
    rng = np.random.default_rng(seed)
    at = int(rng.integers(0, len(data)))
    data[at] ^= 1 << int(rng.integers(0, 8))
    path = tmp_path / "b.streamseg"
    path.write_bytes(data)
    if at < data.index(chunks.FRAME) - 4:
        with pytest.raises(ResultsError, match=r"b\.streamseg: "):
            open_results(path)
        return
    with open_results(path) as results:
        lost = [number for number in range(4) if not _sound(results, number, told[number])]
        assert len(lost) == 1 or results.note is not None


def _sound(results, number, told):
    """Whether a frame is there, and right; where it is damaged, that is said of it."""
    if number not in results:
        return False
    with contextlib.suppress(ResultsError):
        made.same(results[number], told)
        return True
    with pytest.raises(ResultsError, match=f"the record of frame {number}"):
        results[number]
    return False


def rewritten(path: Path, head: dict | None = None, frame: bytes | None = None) -> Path:
    """A file of one frame with a head or a frame of somebody else's."""
    payload = json.dumps(head if head is not None else {"schema": "streamseg.record/1", **made.HEAD}).encode()
    body = chunks.SIGNATURE + chunks.chunk(chunks.HEAD, payload)
    path.write_bytes(body + (b"" if frame is None else chunks.chunk(chunks.FRAME, frame)))
    return path


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"schema": "streamseg.record/2"}, "is of the version 'streamseg.record/2'; this streamseg reads 'streamseg.record/1'"),
        ({}, "is of the version None"),
        ([], "is of the version None"),
        ({"schema": "streamseg.record/1", "time_base": "1/25"}, "names no classes"),
        ({"schema": "streamseg.record/1", "classes": ["a"], "time_base": "1/0"}, "time base '1/0'"),
        ({"schema": "streamseg.record/1", "classes": ["a"], "time_base": "1e999999"}, "time base '1e999999'"),
        ({"schema": "streamseg.record/1", "classes": ["a"]}, "time base None"),
    ],
)
def test_another_version_and_a_damaged_head_are_refused(tmp_path, head, said):
    with pytest.raises(ResultsError) as caught:
        open_results(rewritten(tmp_path / "a.streamseg", head))
    assert said in str(caught.value)


@pytest.mark.parametrize(("data", "said"), [(b"", "empty"), (b"\0\0\0\x18ftypmp42 and so on", "no results file of streamseg")])
def test_what_is_no_results_file_is_refused(tmp_path, data, said):
    path = tmp_path / "film.streamseg"
    path.write_bytes(data)
    with pytest.raises(ResultsError, match=said):
        open_results(path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ResultsError, match="No such file"):
        open_results(tmp_path / "a.streamseg")
    with pytest.raises(ResultsError, match="directory"):
        open_results(tmp_path)


def test_lengths_that_a_file_only_claims_take_no_memory(tmp_path):
    """A billion instances, a mask of 65535 x 65535, a chunk of 4 GB: refused by their numbers."""
    claims = {
        "says that it holds": struct.pack("<qqqIIIIHBB", 0, 0, 1, 0, 96, 64, 1 << 30, 28, 1, 0),
        "claims 4294836225 bytes": struct.pack("<qqqIIIIHBB", 0, 0, 1, 0, 96, 64, 1, 65535, 1, 0)
        + bytes(8)
        + b"\0\0\x80\x3f" * 2
        + bytes(8 + 8 + 4 + 4 + 2 + 1)
        + zlib.compress(bytes(100)),
    }
    for said, frame in claims.items():
        with open_results(rewritten(tmp_path / "a.streamseg", frame=frame)) as results, pytest.raises(ResultsError, match=said):
            results[0]
    path = rewritten(tmp_path / "b.streamseg")
    path.write_bytes(path.read_bytes() + struct.pack("<I4s", 0xFFFFFFFF, chunks.FRAME) + bytes(100))
    with open_results(path) as results:
        assert len(results) == 0
        assert "left over" in results.note


@pytest.mark.parametrize(
    "values", [{"boxes": (0, 0, np.nan, 1)}, {"boxes": (5, 0, 1, 1)}, {"score": 2}, {"label": 3}, {"track": -1}]
)
def test_numbers_that_no_detection_has_are_refused(tmp_path, values):
    box = values.get("boxes", (0, 0, 9, 9))
    columns = np.array(box, "<f4").tobytes() + np.array([values.get("score", 0.5), 0.5, 1], "<f4").tobytes()
    columns += struct.pack("<qIHB", values.get("track", 1), values.get("label", 0), 0, 0)
    frame = struct.pack("<qqqIIIIHBB", 0, 0, 1, 0, 96, 64, 1, 1, 1, 0) + columns + zlib.compress(b"\xff")
    with (
        open_results(rewritten(tmp_path / "a.streamseg", frame=frame)) as results,
        pytest.raises(ResultsError, match="frame 0"),
    ):
        results[0]


def test_an_end_that_points_beyond_all_files_is_left_aside(tmp_path):
    told = made.several(3)
    path = made.kept(tmp_path / "a.streamseg", told)
    path.write_bytes(path.read_bytes()[:-20] + chunks.chunk(chunks.TAIL, b"\xff" * 8))
    with open_results(path) as results:
        assert [len(record) for record in results] == [len(result) for result in told]
        assert "its frames were counted one by one" in results.note


def test_tracks_are_summed_up(tmp_path):
    """Track 1 is seen in frames 0, 1 and 4, once as a car; track 2 in frame 2; an object without a track counts for nothing."""

    def found(*rows: tuple[int, int, float, float]) -> Instances:
        """(track, label, score, side) of full masks."""
        boxes = np.array([(0, 0, side, side) for *_, side in rows], np.float32).reshape(-1, 4)
        tracks, labels, scores, _ = zip(*rows, strict=True) if rows else ((), (), (), ())
        return Instances(
            boxes, np.array(scores, np.float32), np.array(labels, np.int64), np.full((len(rows), 28, 28), 255, np.uint8),
            made.CLASSES, np.array(tracks, np.int64),
        )  # fmt: skip

    frames = [
        found((1, 0, 0.5, 10)),
        found((1, 1, 0.75, 10)),
        found((2, 2, 0.5, 4), (0, 0, 0.25, 30)),
        found(),
        found((1, 0, 1, 20)),
    ]
    with open_results(made.kept(tmp_path / "a.streamseg", [made.result(i, f) for i, f in enumerate(frames)])) as results:
        first, second = results.tracks()
    assert (first.track_id, first.name, first.votes) == (1, "person", {"person": 2, "car": 1})
    assert (first.frames, first.first_frame, first.last_frame) == (3, 0, 4)
    assert (first.first_time, first.last_time, first.longest_gap) == (0.0, 0.16, 0.08)
    assert (first.score, first.area, first.mean_area) == (0.75, 600.0, 200.0)
    assert (second.track_id, second.frames, second.longest_gap, second.area) == (2, 1, 0.0, 16.0)


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path):
    path = made.kept(tmp_path / "a.streamseg", made.several(2))
    with pytest.raises(OutputExists):
        RecordWriter(path, made.HEAD)


def test_one_that_is_replaced_stays_until_the_new_one_is_complete(tmp_path):
    path = made.kept(tmp_path / "a.streamseg", made.several(2))
    old, new = path.read_bytes(), made.several(3, seed=5)
    for complete in (False, True):
        writer = RecordWriter(path, made.HEAD, replace=True)
        for result in new:
            writer.write(result)
        assert path.read_bytes() == old
        writer.close(complete=complete)
        assert (path.read_bytes() == old) is not complete
        assert list(tmp_path.iterdir()) == [path]
    with open_results(path) as results:
        made.same(results[2], new[2])


def test_two_runs_do_not_write_one_file(tmp_path):
    first = RecordWriter(tmp_path / "a.streamseg", made.HEAD)
    with pytest.raises(OutputExists):
        RecordWriter(tmp_path / "a.streamseg", made.HEAD)
    first.close()
    replacing = RecordWriter(tmp_path / "a.streamseg", made.HEAD, replace=True)
    with pytest.raises(OutputError, match="another run is writing it"):
        RecordWriter(tmp_path / "a.streamseg", made.HEAD, replace=True)
    replacing.close()


def test_an_error_while_writing_keeps_the_frames_before_it(tmp_path, monkeypatch):
    told = made.several(3)
    writer = RecordWriter(tmp_path / "a.streamseg", made.HEAD)
    for result in told[:2]:
        writer.write(result)
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:40]) if len(data) > 40 else _full())
    with pytest.raises(OutputError, match=r"writing the results file failed: No space left.*; 2 frames before it are kept"):
        writer.write(told[2])
    monkeypatch.undo()
    with open_results(tmp_path / "a.streamseg") as results:
        assert len(results) == 2
        made.same(results[1], told[1])


def _full() -> int:
    raise OSError(28, "No space left on device")


def test_a_source_is_known_by_its_bytes_and_not_by_its_name_or_time(tmp_path):
    film, copy = tmp_path / "a.mov", tmp_path / "b.mov"
    data = bytearray(np.random.default_rng(1).integers(0, 256, 4 << 20, np.uint8).tobytes())
    film.write_bytes(data)
    copy.write_bytes(data)
    os.utime(copy, (1, 1))
    assert same_source(file_key(film), file_key(copy))
    data[2_000_000:2_100_000] = bytes(100_000)  # a shot cut anew, amid a film whose frames are all of one size
    copy.write_bytes(data)
    assert not same_source(file_key(film), file_key(copy))
    film.write_bytes(data + b"x")
    assert not same_source(file_key(film), file_key(copy))


def test_images_are_known_by_their_names_sizes_and_times(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        path.write_bytes(b"x" * 10)
    key = images_key(paths)
    assert same_source(key, images_key(paths))
    assert not same_source(key, images_key(paths[:2]))
    os.utime(paths[1], (1, 1))
    assert not same_source(key, images_key(paths))


def test_about_a_kilobyte_an_instance(tmp_path):
    """Smooth masks with a fine grid of 80 x 80, as the network and the refinement give them."""
    y, x = np.mgrid[:28, :28]
    disc = np.clip(255 * (1.2 - np.hypot(x - 13.5, y - 13.5) / 12) * 3, 0, 255)
    fine = np.clip(255 * (1.2 - np.hypot(*(np.mgrid[:80, :80] - 39.5)) / 34) * 5, 0, 255).astype(np.uint8)
    found = Instances(
        np.array([[0, 0, 90, 60]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64),
        disc.astype(np.uint8)[None], made.CLASSES, fine=(fine,),
    )  # fmt: skip
    empty = made.kept(tmp_path / "a.streamseg", []).stat().st_size
    path = made.kept(tmp_path / "b.streamseg", [made.result(i, found) for i in range(20)])
    assert (path.stat().st_size - empty) / 20 < 2048
