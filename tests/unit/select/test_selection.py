"""Selections as text: what each means for instances whose ids and classes are known, and where each wrong one goes wrong."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from streamseg.errors import ConfigError
from streamseg.select import Selection
from tests.unit.pictures import instances

FOUND = instances([[0, 0, 9, 9]] * 5)
"""#1 person, #2 car, #3 dog, #4 person, #5 car."""


def ids(selection: Selection | str) -> list[int]:
    return FOUND.track_ids[Selection.parse(selection).chosen(FOUND)].tolist()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("all", [1, 2, 3, 4, 5]),
        ("none", []),
        ("person", [1, 4]),
        ("person#4", [4]),
        ("person #4", [4]),
        ("#4", [4]),
        ("car#4", []),
        ("#1, #2", [1, 2]),
        ("person, dog", [1, 3, 4]),
        ("person or dog#3", [1, 3, 4]),
        ("not person", [2, 3, 5]),
        ("person and not #1", [4]),
        ("person, not #1", [4]),
        ("not #1, person", [4]),
        ("person, car, not #1, not #2", [4, 5]),
        ("not #1, not person", [2, 3, 5]),
        ("person, not #1 or car", [1, 2, 3, 4, 5]),
        ("#1 or person and #4", [1, 4]),
        ("(#1 or person) and #4", [4]),
        ("not (person, car)", [3]),
        ("not not dog", [3]),
        ("person & ~#1 | DOG", None),
        ("person&~#1|dog", [3, 4]),
        ("PERSON", None),
        ("'person'#1, \"dog\"", [1, 3]),
        ("AND", None),
    ],
)
def test_what_a_text_means(text, meant):
    if meant is None:
        with pytest.raises(ConfigError):
            ids(text)
    else:
        assert ids(text) == meant
        assert Selection.parse(str(Selection.parse(text))) == Selection.parse(text), "its text means something else"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("at 00:12 640,360", "at 12 640,360"),
        ("at 1m30s 640, 360.5", "at 90 640,360.5"),
        ("at 00:00:12,5 1,2, largest", "at 12.5 1,2 or largest"),
        ("at 3s 1,2 and person", "at 3 1,2 and person"),
        ("largest traffic light", "largest traffic light"),
        ("largest 'hot, dog'", 'largest "hot, dog"'),
        ("'all'#3", '"all"#3'),
    ],
)
def test_what_only_the_film_can_tell(text, terms):
    selection = Selection.parse(text)
    assert str(selection) == terms
    assert Selection.parse(terms) == selection
    if "#" not in text:
        assert selection.needs_film
        with pytest.raises(ConfigError, match="whole film"):
            selection.chosen(FOUND)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("person#3 und #9", 10, "'and', 'or' or the end is expected here, not 'und'"),
        ("person#3 person#4", 10, "a comma, 'and'"),
        ("person 3", 8, "written with #: person#3"),
        ("3", 1, "written with #: #3"),
        ("person#", 7, "a track is # and its number"),
        ("#0", 2, "counted from 1"),
        ("#" + "9" * 5000, 2, "counted from 1"),
        ("#3 and #9", 4, "nothing is #3 and #9 at once; for both write #3, #9"),
        ("(person, car", 13, "closing bracket is missing"),
        ("person)", 7, "not ')'"),
        ("person,,car", 8, "is needed here, not ','"),
        ("'person", 1, "no second one"),
        ("person and", 11, "is needed here"),
        ("at 12", 1, "write at TIME X,Y"),
        ("at noon 3,4", 4, "'noon' is not a time"),
        ("at 00:00:12:05 3,4", 4, "a timecode"),
        ("at -3 3,4", 4, "at least 0"),
        ("at 3 1.2.3,4", 6, "'1.2.3' is not a number"),
        ("at nan 3,4", 4, "at least 0"),
        ("largest#3", 9, "expected here, not '3'"),
        ("car, " + "x" * 5000, 6, "is no name"),
        ("car, 'a\0b'", 6, "is no name"),
        ("''", 1, "is no name"),
        ("(" * 100 + "#1", 51, "more than 50 brackets"),
    ],
)
def test_the_place_of_a_mistake_is_shown(text, column, said):
    with pytest.raises(ConfigError, match=f"character {column}: ") as caught:
        Selection.parse(text)
    first, shown, caret = str(caught.value).split("\n")
    assert said in first
    if 0 < column <= len(text) <= 60:
        assert shown[caret.index("^")] == text[column - 1]


def test_an_unknown_name_is_said_with_the_nearest():
    with pytest.raises(ConfigError, match=r"persons is neither a class nor a name.*did you mean 'person'"):
        Selection.parse("persons").chosen(FOUND)


def test_thousands_of_tracks_are_joined():
    many = Selection.parse(", ".join(f"#{i}" for i in range(3, 5000)))
    assert many.chosen(FOUND).tolist() == [False, False, True, True, True]
    assert Selection.parse(str(many)) == many


def test_it_is_made_in_python():
    assert ids(Selection.track(1) | ("car" & Selection.all())) == [1, 2, 5]
    assert ids(Selection.of_class("person") & ~Selection.track(1)) == [4]
    assert ids(~Selection.none()) == [1, 2, 3, 4, 5]
    assert ids(~~Selection.of_class("dog")) == [3]
    assert Selection.at("1:00", 3, 4) | Selection.largest("car") == Selection.parse("at 60 3,4, largest car")
    assert Selection.track(np.int64(3)) == Selection.parse("#3")
    for bad in (0, -1, True, "3", 1.5):
        with pytest.raises(ConfigError, match="number from 1 on"):
            Selection.track(bad)
    for bad in (3, None, ["person"]):
        with pytest.raises(ConfigError, match="is a text"):
            Selection.parse(bad)
    with pytest.raises(ConfigError, match="not empty"):
        Selection.of_class(" ")


def test_it_is_copied_and_pickled_and_a_key():
    selection = Selection.parse("person#3, largest, not (dog or 'and')")
    assert pickle.loads(pickle.dumps(selection)) == selection == copy.deepcopy(selection)
    assert {selection: 1}[Selection.parse(str(selection))] == 1
    assert repr(selection) == f"Selection({str(selection)!r})"


def test_a_name_goes_through_text_whatever_is_in_it():
    for name in ("traffic light", "a,b", "and", "x(y)", "it's", 'say "hi"', "#3", "Jürgen  Groß", "日本"):
        assert Selection.parse(str(Selection.of_class(name))) == Selection.of_class(name)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_selection_says_what_to_write(text):
    with pytest.raises(ConfigError, match="the selection is empty; write as 'person#3, largest', or all, or none"):
        Selection.parse(text)
