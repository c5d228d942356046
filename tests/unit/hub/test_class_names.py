"""What the classes of a foreign file are called, as files were seen to say it, and where they say nothing."""

from __future__ import annotations

import pytest

from streamseg.hub.class_names import class_names, coco_numbers, names_in, stated_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'person', 1: 'hot dog'}", ("person", "hot dog")),
        ('{"0": "person", "1": "hot dog"}', ("person", "hot dog")),
        ("['person', 'hot dog']", ("person", "hot dog")),
        ("{1: 'b', 0: 'a'}", ("a", "b")),
        ("None", None),  # ultralytics#9417
        ("", None),
        ("{}", None),
        ("{0: 'a', 2: 'c'}", None),
        ("{'a': 0}", None),
        ("['a', '']", None),
        ("__import__('os').system('true')", None),
        ("[" * 100_000, None),
        ("person,car", None),
    ],
)
def test_names_as_metadata_write_them(text, names):
    assert stated_names(text) == names


def test_they_stand_under_several_keys():
    assert names_in({"task": "segment", "class_names": '{"0": "_background", "1": "road"}'}) == ("_background", "road")
    assert names_in({"names": "None", "labels": "['cat']"}) == ("cat",)
    assert names_in({"task": "segment"}) is None


def test_names_of_another_number_are_not_believed():
    """A model for one class whose file names COCO's 80 (ultralytics#8940)."""
    found = class_names(1, ["person", "bicycle"])
    assert found.names == ("class0",)
    assert found.reason == "assumed: the file names none; write yours here (its metadata names 2)"


def test_cocos_names_are_taken_where_the_number_is_theirs():
    eighty = class_names(80)
    assert (eighty.names[0], eighty.names[-1], eighty.category_ids[-1]) == ("person", "toothbrush", 90)
    assert eighty.reason.startswith("assumed: ")
    ninety = class_names(90)
    assert (ninety.names[0], ninety.names[11], ninety.names[89]) == ("person", "unused12", "toothbrush")
    more = class_names(91)
    assert (more.names[0], more.names[1], more.names[90]) == ("background", "person", "toothbrush")
    assert len(set(more.names)) == 91
    assert coco_numbers(["toothbrush", "person"]) == (90, 1)
    assert coco_numbers(["toothbrush", "owl"]) == ()


def test_where_the_number_of_labels_is_not_told_that_is_what_is_said():
    """Rows of six numbers do not tell it: "assumed: COCO's, since there are 80" was no reason, there were as many as assumed."""
    assumed = class_names(None)
    assert (len(assumed.names), assumed.names[0], assumed.told) == (80, "person", False)
    assert assumed.reason == "assumed: COCO's 80; the file does not tell how many labels it has: write yours here"
    assert (len(class_names(None, otherwise=91).names), class_names(None, ["owl"])) == (91, class_names(1, ["owl"]))
    assert class_names(80).told


def test_a_name_that_is_there_twice_gets_a_number():
    assert class_names(3, ["cat", "cat", "cat"]).names == ("cat", "cat 2", "cat 3")
