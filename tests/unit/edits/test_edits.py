"""Edits as a value and as a file: what contradicts itself or is mistyped is refused, what others wrote stays."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import streamseg.edits
from streamseg.edits import SCHEMA, Edits, Split
from streamseg.errors import ConfigError, OutputError

FULL = Edits().rename(3, "Anna").relabel(2, "car").split(2, 0.5, 31).merge(1, 4).forbid(7).select("hero", "Anna, not car")


def test_each_method_gives_other_edits():
    assert not Edits()
    assert FULL
    assert Edits().rename(3, "Anna").names == {3: "Anna"}
    assert Edits().rename(3, "Anna").rename(3, "Ben").names == {3: "Ben"}
    assert Edits().rename(3, "Anna").rename(3, "") == Edits()
    assert Edits().merge(3, 9).merge(9, 12).merges == ((3, 9, 12),)
    assert Edits().merge(3, 9).merge(4, 5).merge(5, 9).merges == ((5, 9, 3, 4),)
    assert Edits().merge(3, 9, 12).unmerge(12).merges == ((3, 9),)
    assert Edits().merge(3, 9).unmerge(9).merges == ()
    assert Edits().split(2, 1, 31).splits == (Split(2, 1.0, 31),)
    assert Edits().split(2, 1, 31).unsplit(31) == Edits()
    assert Edits().forbid(7, 8).forbid(7).forbidden == (7, 8)
    assert Edits().forbid(7, 8).allow(7).forbidden == (8,)
    assert str(Edits().select("hero", "#1, #2").selections["hero"]) == "#1 or #2"
    assert Edits().select("hero", "#1").select("hero", "") == Edits()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Edits().rename(0, "A"), "names: 0 is no track"),
        (lambda: Edits().rename(True, "A"), "names: True is no track"),
        (lambda: Edits().rename(3, "  "), "'  ' is no name"),
        (lambda: Edits().rename(3, "a\nb"), "is no name"),
        (lambda: Edits().rename(3, "x" * 101), "is no name"),
        (lambda: Edits().rename(3, "not"), "'not' means something in a selection"),
        (lambda: Edits().rename(3, "Background"), "means something in a selection"),
        (lambda: Edits().rename(3, "#4"), "'#4' could not be written"),
        (lambda: Edits().rename(3, "A").rename(4, "A"), "'A' is the name of track 3 and of track 4"),
        (lambda: Edits().rename(3, "A").select("A", "#4"), "selections: 'A' is the name of track 3, too"),
        (lambda: Edits().merge(3, 9).rename(9, "A"), "track 9 is merged into 3: name that one"),
        (lambda: Edits().rename(3, "A").forbid(3), "track 3 .'A'. is forbidden"),
        (lambda: Edits().merge(3, 9).relabel(9, "car"), "classes: track 9 is merged into 3"),
        (lambda: Edits().relabel(0, "car"), "classes: 0 is no track"),
        (lambda: Edits().merge(3), "merge: .3.: two tracks or more"),
        (lambda: Edits(merges=((3, 9), (9, 4))), r"track 9 stands in two merges; write one: \[3, 9, 4\]"),
        (lambda: Edits(merges=((3, 9), (9, 3))), "track 9 stands in two merges"),
        (lambda: Edits().merge(3, 9).forbid(9), "track 9 is merged with others, and forbidden"),
        (lambda: Edits().split(2, -1, 31), "-1.0 is not a time"),
        (lambda: Edits().split(2, float("nan"), 31), "nan is not a time"),
        (lambda: Edits().split(2, 1, 2), "into is 2, which is taken"),
        (lambda: Edits().split(2, 1, 31).split(3, 1, 31), "into is 31, which is taken"),
        (lambda: Edits().split(2, 1, 31).split(2, 1, 32), "track 2 is split twice at 1 s"),
        (lambda: Edits().split(2, 1, 31).split(31, 2, 2), "come.* from itself: the splits go in a circle"),
        (lambda: Edits().select("a", "b").select("b", "not a"), "a → b → a|b → a → b"),
        (lambda: Edits().select("a", "#3 and #4"), "nothing is #3 and #4"),
    ],
)
def test_what_contradicts_itself_is_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


def test_a_file_says_the_same_and_keeps_what_others_wrote(tmp_path):
    path = tmp_path / "film.streamseg.json"
    source = {"kind": "file", "name": "film.mov", "size": 5, "sha256": "ab"}
    path.write_text(json.dumps({"x-cutter": {"reel": ["A001"]}, "schema": SCHEMA, "source": source, "names": {"3": "Änne"}}))
    edits = Edits.read(path)
    assert (edits.names, edits.source, edits.others) == ({3: "Änne"}, source, {"x-cutter": {"reel": ["A001"]}})
    changed = edits.merge(1, 4).forbid(7).split(2, 0.5, 31).select("hero", "Änne, not car")
    changed.save(path)
    assert Edits.read(path) == changed
    written = json.loads(path.read_text("utf-8"))
    assert written["x-cutter"] == {"reel": ["A001"]}
    assert "Änne" in path.read_text("utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "something was left beside it"
    with pytest.raises(OutputError, match="cannot write"):
        changed.save(tmp_path / "no such folder" / "a.streamseg.json")


def test_the_schema_that_is_published_takes_what_is_written_and_no_mistakes():
    schema = json.loads((Path(streamseg.edits.__file__).parent / "edits.schema.json").read_text())
    jsonschema.validate({"schema": SCHEMA, **FULL.to_json()}, schema)
    jsonschema.validate({"schema": SCHEMA}, schema)
    for bad in ({}, {"schema": "other"}, {"schema": SCHEMA, "names": {"a": "b"}}, {"schema": SCHEMA, "merge": [[1]]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


GOOD = {"schema": SCHEMA}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: not valid JSON"),
        ("{\n'a': 1}", ":2: not valid JSON"),
        ("[]", "expected keys .schema, source, found, names, classes"),
        ("[" * 100_000, "not valid JSON"),
        ('{"schema": "streamseg.edits/1", "names": {}, "names": {}}', "the key 'names' is given twice"),
        ({}, "schema is not said; this streamseg reads 'streamseg.edits/1'"),
        ({"schema": "streamseg.edits/2"}, "schema is 'streamseg.edits/2'"),
        (GOOD | {"name": {}}, "name: unknown key; did you mean 'names'"),
        (GOOD | {"forbidden": [7]}, "forbidden: unknown key; did you mean 'forbid'"),
        (GOOD | {"names": {"three": "A"}}, "'three' is no track"),
        (GOOD | {"names": {"3": 4}}, "names.3: 4 is not allowed; expected a text"),
        (GOOD | {"merge": [3, 9]}, "merge.0: 3 is not allowed; expected a list"),
        (GOOD | {"merge": [[3, "9"]]}, "merge.0.1: '9' is not allowed; expected a whole number"),
        (GOOD | {"split": [{"track": 3, "at": "soon", "into": 9}]}, "split.0.at: 'soon' is not a time"),
        (GOOD | {"split": [{"track": 3, "at": 1}]}, "split.0.into: a value is needed"),
        (
            GOOD | {"split": [{"track": 3, "at": 1, "into": 9, "on": 2}]},
            "split.0.on: unknown key; did you mean 'into'|unknown key",
        ),
        (GOOD | {"forbid": 7}, "forbid: 7 is not allowed; expected a list"),
        (GOOD | {"forbid": [True]}, "forbid.0: True is not allowed"),
        (GOOD | {"selections": {"hero": "#3 und #4"}}, "selections: hero: selection, character 4"),
    ],
)
def test_a_bad_file_is_answered(tmp_path, text, said):
    path = tmp_path / "film.streamseg.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(ConfigError, match=said) as caught:
        Edits.read(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the edits .*: No such file"):
        Edits.read(tmp_path / "none.streamseg.json")
    (tmp_path / "a").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match="not a text file in UTF-8"):
        Edits.read(tmp_path / "a")


def test_times_are_read_as_everywhere(tmp_path):
    path = tmp_path / "a.streamseg.json"
    path.write_text(json.dumps(GOOD | {"split": [{"track": 3, "at": "00:01:30.5", "into": 9}]}))
    assert Edits.read(path).splits == (Split(3, 90.5, 9),)
