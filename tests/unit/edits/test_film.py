"""Edits made on a film that is known (`story`): what is left of each frame, what does not fit, and whom a selection means."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.edits import Applied, Edits, Film
from streamseg.edits.fit import found_key
from streamseg.errors import ConfigError
from streamseg.record import open_results
from streamseg.select import Selection
from tests.unit.edits import story


def seen(film: Film) -> dict[int, list[int]]:
    """Track → the frames in which it is."""
    found: dict[int, list[int]] = {}
    for record in film.records():
        for track in record.instances.track_ids.tolist():
            found.setdefault(track, []).append(record.index)
    return found


def classes(film: Film) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for record in film.records():
        for track, name in zip(record.instances.track_ids.tolist(), record.instances.names, strict=True):
            found.setdefault(track, set()).add(name)
    return found


ASIS = {track: list(frames) for track, (_, frames, _, _) in story.SEEN.items()}


def test_without_edits_all_is_as_it_was_found(results):
    film = Film(results)
    assert seen(film) == ASIS
    assert film.tracks == results.tracks()


def test_a_merge_makes_one_object_with_the_first_ones_number_and_class(results):
    film = Film(results, Edits().merge(1, 3))
    assert seen(film) == {1: ASIS[1] + ASIS[3], 2: ASIS[2], 4: ASIS[4]}
    (person,) = [track for track in film.tracks if track.track_id == 1]
    assert (person.frames, person.first_time, person.last_time, person.longest_gap) == (23, 0.0, 0.96, pytest.approx(0.08))
    with_dog = Film(results, Edits().merge(1, 4))
    assert classes(with_dog)[1] == {"person"}, "the dog that is the person is called a person"


def test_a_split_makes_two(results):
    film = Film(results, Edits().split(2, 0.4, 31).split(31, 0.72, 32).rename(31, "the van"))
    frames = seen(film)
    assert (frames[2], frames[31], frames[32]) == (list(range(5, 10)), list(range(10, 18)), list(range(18, 25)))
    assert classes(film)[32] == {"car"}
    assert film.edited(results[12]).instances.called == ["person", "the van"]
    assert film.edited(results[5]).instances.called == ["person", "car"]


def test_parts_that_are_split_from_the_whole_in_any_order_are_the_same(results):
    one = Film(results, Edits().split(2, 0.72, 32).split(2, 0.4, 31))
    other = Film(results, Edits().split(2, 0.4, 31).split(31, 0.72, 32))
    assert seen(one) == seen(other)


def test_a_time_with_few_digits_takes_the_frame_that_was_meant(results):
    assert seen(Film(results, Edits().split(2, 0.4004, 31)))[31][0] == 10


def test_a_part_is_merged_with_another_and_named(results):
    film = Film(results, Edits().split(1, 0.2, 9).merge(9, 3).rename(9, "Anna"))
    assert seen(film)[9] == [*range(5, 10), *range(12, 25)]
    assert classes(film)[9] == {"person"}
    assert film.resolve("Anna, #3, #1") == Selection("#9 or #9 or #1")


def test_what_is_forbidden_is_gone(results):
    film = Film(results, Edits().forbid(2, 4))
    assert seen(film) == {1: ASIS[1], 3: ASIS[3]}
    assert [track.track_id for track in film.tracks] == [3, 1]


def test_columns_and_instances_say_the_same(results):
    """The tracks are summed up from columns without masks, what is shown is made of instances."""
    film = Film(results, Edits().split(2, 0.4, 31).merge(31, 1).forbid(4))
    assert {track.track_id: track.frames for track in film.tracks} == {track: len(at) for track, at in seen(film).items()}


def test_an_instance_that_is_not_tracked_stays():
    found = story.instances(22)
    loose = Applied(Edits().forbid(4)).instances(
        type(found)(found.boxes, found.scores, found.labels, found.masks, found.class_names), 0.88
    )
    assert len(loose) == 3


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (Edits().rename(12, "A"), "names: 'A': there is no track 12: there are tracks 1, 2, 3, 4 .numbers change"),
        (Edits().merge(1, 12), r"merge: \[1, 12\]: there is no track 12"),
        (Edits().forbid(12), "forbid: there is no track 12"),
        (Edits().split(12, 0.4, 31), "split: there is no track 12"),
        (Edits().split(2, 0.4, 3), "into 3: there is a track 3 already; take 5"),
        (Edits().split(2, 0.1, 31), "track 2 is seen from 0.200 to 0.960 s: 0.1 s is not between two of its frames"),
        (Edits().split(2, 0.2, 31), "0.2 s is not between"),
        (Edits().split(2, 1.0, 31), "1 s is not between"),
        (Edits().split(31, 0.5, 32).split(2, 0.6, 31), "there is no track 31 at 0.5 s"),
        (Edits().merge(1, 2), r"merge: \[1, 2\]: tracks 2 and 1 are seen at once in frame 5, at 0.200 s: they are two objects|"
                              r"tracks 1 and 2 are seen at once in frame 5"),
        (Edits().split(2, 0.4, 31).merge(31, 2, 3), "are seen at once in frame 12"),
        (Edits().rename(1, "car"), "'car' is the name of a class"),
        (Edits().select("dog", "#1"), "'dog' is the name of a class"),
        (Edits(source=story.SOURCE | {"sha256": "other", "name": "b.mov"}), "of another film .'b.mov'., not of 'film.mov'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(results, edits, said):
    with pytest.raises(ConfigError, match=said):
        Film(results, edits)


def test_edits_of_this_film_fit(results):
    Film(results, Edits(source=story.SOURCE | {"name": "renamed.mov"}).merge(1, 3))


# --- selections -----------------------------------------------------------------------------------------------------------------

NAMED = Edits().rename(1, "Anna").merge(1, 3).forbid(4).select("hero", "Anna, largest car").select("crowd", "all, not hero")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("largest", "#2"),
        ("largest person", "#1"),
        ("Anna", "#1"),
        ("#3", "#1"),
        ("person#3", "#1"),
        ("Anna#1", "#1"),
        ("hero", "#1 or #2"),
        ("crowd", "all and not (#1 or #2)"),
        ("car, not #2", "car and not #2"),
        ("at 0.2 90,40", "#2"),
        ("at 0.36 20,50", "#1"),
        ("at 0.999 20,50", "#1"),
    ],
)
def test_whom_a_selection_means(results, text, meant):
    assert str(Film(results, NAMED).resolve(text)) == meant


def test_what_is_in_front_is_what_is_drawn_on_top(results):
    film = Film(results)
    assert (film.under(0.88, 100, 50), film.under(0.88, 85, 50), film.under(0.4, 100, 50)) == (4, 2, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ana", "Ana is neither a class nor a name that was given; did you mean 'Anna'"),
        ("bird", r"bird is neither a class nor .* this model knows person, car, dog"),
        ("#12", "there is no track 12: there are tracks 1, 2"),
        ("#4", "track 4 is forbidden"),
        ("car#1", "track 1 is a person, not a car; write person#1, or #1"),
        ("largest dog", "no dog was found"),
        ("largest bird", "no such class"),
        ("at 0.44 20,50", r"nothing is there \(frame 11, 0.440 s\). car#2 is 60 pixels away; its middle is "
                          r"at 100,50; at this point is Anna until 0.360 s; at this point is Anna from 0.480 s"),
        ("at 0.4 199,99", "nothing is there"),
        ("at 0.4 200,50", "the picture is 200x100 pixels"),
        ("at 1 20,50", "the film ends at 1.000 s"),
        ("at 0.88 99,50 and dog", None),
    ],
)  # fmt: skip
def test_what_a_selection_cannot_mean_is_said(results, text, said):
    film = Film(results, NAMED)
    if said is None:
        assert str(film.resolve(text)) == "#2 and dog", "the dog upon the car is forbidden"
        return
    with pytest.raises(ConfigError, match=said):
        film.resolve(text)


def test_the_largest_of_what_is_shown(results):
    assert str(Film(results, classes=["person", "dog"]).resolve("largest")) == "#3"
    with pytest.raises(ConfigError, match="track 2 is a car, and shown are person, dog alone"):
        Film(results, classes=["person", "dog"]).resolve("#2")
    assert str(Film(results, classes=["person", "dog"], also=[2]).resolve("#2, largest")) == "#2 or #2"
    film = Film(results)
    assert str(film.resolve("largest", within=film.resolve("not car"))) == "#3"
    assert [track.track_id for track in film.tracks_of("person, dog")] == [3, 1, 4]


def test_resolved_it_chooses_in_every_frame(results):
    film = Film(results, NAMED)
    chosen = film.resolve("crowd, hero")
    for record in film.records():
        assert np.array_equal(chosen.chosen(record.instances), np.ones(len(record), bool))


def test_edits_of_what_another_model_found_are_refused(tmp_path):
    """Its tracks have other numbers: names would go to the wrong objects."""
    model = {"name": "lite", "sha256": "aa", "size": [320, 576], "engine": "openvino", "precision": "int8", "masks": True}
    found = [
        story.results_file(tmp_path / f"{i}.streamseg", model=model | {"precision": p}, settings={})
        for i, p in enumerate(("int8", "fp32"))
    ]
    with open_results(found[0]) as one, open_results(found[1]) as other:
        edits = Edits(found=found_key(one)).rename(1, "Anna")
        assert Film(one, edits).tracks
        with pytest.raises(ConfigError, match="another model or other settings"):
            Film(other, edits)


def test_what_a_selection_names_itself():
    edits = NAMED.select("others", "dog, #2, not hero, largest bird, at 1 2,3")
    assert edits.named_in(Selection.parse("others, 'person'")) == (["dog", "bird", "car", "person"], [2, 1])
    assert edits.named_in(Selection.parse("person#3")) == ([], [1]), "it is merged into 1"


def test_a_class_that_was_mistaken_is_put_right(results):
    edits = Edits().split(2, 0.4, 31).merge(31, 1).relabel(31, "dog").relabel(3, "car")
    film = Film(results, edits)
    assert {track: names for track, names in classes(film).items() if track in (2, 3, 31)} == {
        2: {"car"},
        3: {"car"},
        31: {"dog"},
    }
    assert str(film.resolve("car#3, largest dog")) == "#3 or #31"
    for wrong, said in [
        (Edits().relabel(2, "van"), "classes: track 2: there is no class 'van'"),
        (Edits().relabel(77, "car"), "classes: 'car': there is no track 77"),
    ]:
        with pytest.raises(ConfigError, match=said):
            Film(results, wrong)
