"""Detect every N and the smooth stage in the whole pipeline: order, counts, cuts, and what a file may say."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.config import override
from streamseg.errors import ConfigError
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.iteration import iterate
from tests import clips, scenes


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two shots of a second each, 25 frames a second, losslessly."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        shots = [scenes.Scene((), scenes.times(1), 320, 180, camera=scenes.pan(20), seed=seed) for seed in (1, 2)]
        for index, truth in enumerate(scenes.Film(shots)):
            picture = truth.frame().picture
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def test_every_third_frame_is_looked_at_and_each_cut(film, make_config):
    results = list(iterate(str(film), make_config("{}", every=3)))
    assert [r.frame.index for r in results] == list(range(50))
    looked = [r.frame.index for r in results if r.detected]
    assert looked == [*range(0, 25, 3), *range(25, 50, 3)]
    assert all(len(r) == 1 for r in results), "masks are carried to the other frames"
    assert all(r.track_ids[0] > 0 for r in results), "with their identities"


def test_what_is_carried_moves_with_the_picture(film, make_config):
    results = list(iterate(str(film), make_config("{}", every=10)))
    still, shifted = results[0].boxes[0], results[9].boxes[0]
    assert shifted - still == pytest.approx([7.2, 0, 7.2, 0], abs=0.6)  # 20 pixels a second, for 9 frames


def test_all_frames_are_written_and_counted(film, make_config, tmp_path):
    report = build_pipeline(str(film), make_config(every=4), [str(tmp_path / "o.mp4")]).run()
    assert report.frames_done == report.instances == len(clips.decoded(tmp_path / "o.mp4")) == 50


def test_auto_never_falls_behind_a_live_source(film, make_config):
    config = make_config("decode: {realtime: true, policy: drop_oldest}", every="auto")
    results = list(iterate(str(film), config))
    indices = [r.frame.index for r in results]
    assert indices == sorted(set(indices))
    assert indices[-1] == 49, "what is dropped is what is old"
    assert all(len(r) == 1 for r in results), "and masks are carried over what was dropped"


def test_auto_looks_at_every_frame_of_a_file_that_waits(film, make_config):
    assert all(r.detected for r in iterate(str(film), make_config("{}", every="auto")))


def test_both_parts_can_be_switched_off(film, make_config):
    plain = list(iterate(str(film), make_config("smooth: {masks: off, edges: false}")))
    smoothed = list(iterate(str(film), make_config("{}")))
    assert all(not r.instances.fine for r in plain)
    assert all(np.array_equal(r.boxes, plain[0].boxes) for r in plain)
    assert all(r.instances.fine[0] is not None for r in smoothed if min(r.boxes[0, 2:] - r.boxes[0, :2]) > 40)


@pytest.mark.parametrize("every", ["0", "101", "sometimes", "1.5"])
def test_bad_values_are_refused_with_what_is_allowed(every, make_config):
    with pytest.raises(ConfigError, match="not a number of frames from 1 to 100, nor auto"):
        override(make_config(), {"infer": {"every": every}})
