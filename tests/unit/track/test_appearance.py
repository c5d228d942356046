"""Colours tell things apart, wherever they are and however the frame keeps its samples."""

import numpy as np
import pytest

from streamseg.track.appearance import histograms, similarity
from tests import scenes
from tests.noisy_detector import NoisyDetector


def looks(i, name="yuv420p", scene=None):
    truth = (scene or scenes.crossing(25, camera=scenes.pan(40))).truth(i)
    found = NoisyDetector.perfect().instances(truth)
    inside = [[m[int(b[1]) : int(b[3]), int(b[0]) : int(b[2])].mean() for m in truth.visible] for b in found.boxes]
    owner = truth.ids[np.argmax(inside, axis=1)].tolist()
    return dict(zip(owner, histograms(truth.frame(name), found), strict=True))


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuv420p10le", "rgb24", "yuv444p"])
def test_a_person_looks_like_himself_a_second_later_and_not_like_others(name):
    early, late = looks(5, name), looks(30, name)
    ids = sorted(set(early) & set(late))
    assert len(ids) == 4
    table = similarity(np.array([early[i] for i in ids]), np.array([late[i] for i in ids]))
    assert table.argmax(1).tolist() == [0, 1, 2, 3]
    assert table.diagonal().min() > 0.85
    assert (table - np.diag(table.diagonal())).max() < 0.85


def test_shirt_and_trousers_changed_round_is_another():
    red, blue = (190, 50, 50), (50, 90, 190)
    actors = [
        scenes.walker(scenes.straight(150, 180), 200, red, blue, 1),
        scenes.walker(scenes.straight(450, 180), 200, blue, red, 2),
    ]
    own = looks(0, scene=scenes.Scene(actors, (0.0,)))
    assert similarity(own[1][None], own[2][None])[0, 0] < 0.8


def test_an_empty_mask_has_no_look():
    truth = scenes.crossing(25).truth(0)
    found = NoisyDetector.perfect().instances(truth)
    found.masks[0] = 0
    table = histograms(truth.frame(), found)
    assert not table[0].any()
    assert table[1:].any(1).all()
