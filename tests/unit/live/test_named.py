"""Names and hidden tracks of a camera that runs: from the next frame on, all or nothing."""

import pytest

from streamseg.errors import ConfigError
from streamseg.live.named import Named
from tests.unit.pictures import instances, noise, result


def seen():
    return result(noise("yuv420p", 64, 48), instances([[0, 0, 20, 40], [20, 0, 40, 40], [40, 0, 60, 40]]))


def test_nothing_named_gives_the_same_result():
    given = seen()
    assert Named()(given) is given


def test_a_name_is_given_and_a_hidden_track_is_gone_from_the_next_frame_on():
    named = Named()
    named.set({2: "Anna"}, [3])
    after = named(seen())
    assert after.track_ids.tolist() == [1, 2]
    assert after.instances.called == ["person", "Anna"]
    named.set({}, [])
    assert named(seen()).track_ids.tolist() == [1, 2, 3]


def test_a_hidden_track_keeps_its_name_for_when_it_is_shown_again():
    named = Named({2: "Anna"}, [2])
    assert named(seen()).track_ids.tolist() == [1, 3]


@pytest.mark.parametrize("names", [{1: "Anna", 2: "Anna"}, {0: "Anna"}, {1: " "}])
def test_what_cannot_be_is_refused_and_changes_nothing(names):
    named = Named({1: "Bob"})
    with pytest.raises(ConfigError):
        named.set(names, [])
    assert named(seen()).instances.called[0] == "Bob"
