"""`streamseg.open`: a film as a sequence of results, with what its results file holds."""

from __future__ import annotations

import numpy as np
import pytest

import streamseg as library
from streamseg.errors import ConfigError, ResultsError, SourceNotFound
from tests import clips
from tests.clips import Video

FRAMES = 20


@pytest.fixture
def film(tmp_path):
    return clips.cfr(tmp_path / "film.mp4", FRAMES, video=Video(b_frames=3, gop=8))


def found(result):
    """What was found in a frame; who hides whom, and counts, are told by a run alone."""
    instances = result.instances
    return (result.frame.index, result.pts, result.detected, instances.boxes.tolist(), instances.track_ids.tolist(),
            instances.masks.tobytes(), [None if grid is None else grid.tobytes() for grid in instances.fine])  # fmt: skip


def shown(result):
    return clips.read_index(clips.plane_array(result.frame.picture))


def test_frames_by_number_from_both_ends_and_in_slices(film):
    with library.open(film) as video:
        assert len(video) == FRAMES
        assert [shown(video[number]) for number in (13, 0, 19, -1, -20, 7)] == [13, 0, 19, 19, 0, 7]
        part = video[4:12:3]
        assert (len(part), [shown(result) for result in part]) == (3, [4, 7, 10])
        assert shown(part[-1]) == 10
        assert [shown(result) for result in part[1:]] == [7, 10]
        assert [shown(result) for result in video[::-1][:3]] == [19, 18, 17]
        assert shown(video.at(0.5)) == 12
        assert [shown(result) for result in video] == [*range(FRAMES)]
        assert shown(video[np.int64(3)]) == 3
        for number in (FRAMES, -FRAMES - 1):
            with pytest.raises(IndexError, match=f"there is no frame {number}: it has 20"):
                video[number]
        assert repr(video) == f"Video('{film}', 96x64 at 25 a second, no results)"


def test_without_results_a_frame_has_no_instances_and_is_its_picture(film):
    with library.open(film) as video:
        result = video[3]
        assert (len(result), result.detected, result.names) == (0, False, [])
        assert result._repr_png_().startswith(b"\x89PNG")
        assert result.plot().shape == (64, 96, 3)


def test_with_results_it_is_what_was_found(film, known, tmp_path):
    told = [found(result) for result in library.stream(film, model=known, results=tmp_path / "film.streamseg")]
    with library.open(film) as video:
        assert [found(video[number]) for number in (11, 3, 19)] == [told[11], told[3], told[19]]
        assert [found(result) for result in video] == told
        assert video.results is not None
        assert len(video.results.tracks()) == 1
    with library.open(film, results=None) as video:
        assert len(video[11]) == 0


def test_results_of_a_part_are_those_of_its_frames(film, known, tmp_path):
    path = tmp_path / "kept" / "part.streamseg"
    list(library.stream(film, model=known, results=path, start=0.2, duration=0.2))
    with library.open(film, results=path) as video, library.open_results(path) as kept:
        assert [len(video[number]) for number in (4, 5, 9, 10)] == [0, 1, 1, 0]
        assert not video[4].detected
        with library.open(film, results=kept) as other:
            assert len(other[5]) == 1


def test_results_of_another_film_are_left_aside_or_refused(film, known, tmp_path):
    other = clips.cfr(tmp_path / "other.mp4", 5)
    list(library.stream(other, model=known, results=tmp_path / "film.streamseg"))
    with library.open(film) as video:
        assert video.results is None
        assert video.warnings == (f"{tmp_path}/film.streamseg: it is of another film, and is left aside",)
    with pytest.raises(ResultsError, match="it is of another film"):
        library.open(film, results=tmp_path / "film.streamseg")


def test_pictures_are_those_that_were_looked_at(known, tmp_path):
    """Results of a film that was deinterlaced are shown on deinterlaced pictures."""
    from tests import interlaced_clips

    film = interlaced_clips.write_fields(tmp_path / "film.ts", frames=6)
    told = list(library.stream(film, model=known, deinterlace="field", results=tmp_path / "film.streamseg"))
    assert len(told) == 12
    with library.open(film) as video:
        assert len(video) == 12
        assert [found(result) for result in video[3:7]] == [found(result) for result in told[3:7]]
        assert all(np.array_equal(video[n].image(), told[n].image()) for n in (8, 2))
    with pytest.raises(ResultsError, match="it was made with deinterlace field, not off"):
        library.open(film, results=tmp_path / "film.streamseg", deinterlace=False)


def test_what_is_no_file_is_refused(tmp_path):
    for source in ("rtsp://127.0.0.1/cam", 0, [np.zeros((4, 4, 3), np.uint8)]):
        with pytest.raises(ConfigError, match="frames by number need a film in a file"):
            library.open(source)
    with pytest.raises(SourceNotFound):
        library.open(tmp_path / "none.mp4")
