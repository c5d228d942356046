"""Results as JSON lines."""

import json
from dataclasses import replace
from fractions import Fraction
from importlib import resources

import numpy as np
import pytest

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Activity, Event, Instances
from streamseg.encode import open_sink
from streamseg.errors import OutputError
from tests import clips
from tests.unit.encode.helpers import INFO, frames, rendered


def with_score(frame, score: float) -> Rendered:
    found = Instances(
        np.array([[8, 8, 40, 40]], np.float32),
        np.array([score], np.float32),
        np.array([1], np.int64),
        np.full((1, 28, 28), 255, np.uint8),
        ("person", "car"),
    )
    return Rendered(Result(frame, found), frame.picture)


def lines(path) -> list[dict]:
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text(encoding="utf-8").splitlines()]


def test_header_then_one_line_a_frame(tmp_path):
    target = tmp_path / "out.jsonl"
    sink = open_sink(target, replace(INFO, name="Straße.mp4", rate=Fraction(30000, 1001)))
    sink.open()
    made = frames([clips.picture(i) for i in range(3)], times=(0, 2, 5), time_base=Fraction(1, 50))
    for frame in made:
        sink(with_score(frame, 0.75))
    sink.close()
    header, *results = lines(target)
    assert header == {
        "schema": "streamseg.results/1",
        "source": "Straße.mp4",
        "width": 96,
        "height": 64,
        "time_base": "1/50",
        "rate": "30000/1001",
        "classes": ["person", "car"],
    }
    assert results == [with_score(frame, 0.75).result.to_json() for frame in made]
    assert [r["pts"] for r in results] == [0, 2, 5]
    assert results[0]["instances"][0]["class"] == "car"
    assert (sink.counters.frames, sink.counters.bytes) == (3, target.stat().st_size)


def test_lines_are_on_disk_at_once(tmp_path):
    """A process that reads along, or outlives ours, sees every whole line."""
    target = tmp_path / "out.jsonl"
    sink = open_sink(target, INFO)
    sink.open()
    for count, frame in enumerate(frames([clips.picture(i) for i in range(3)]), 1):
        sink(rendered(frame))
        assert len(lines(target)) == 1 + count
    sink.abort()
    assert len(lines(target)) == 4


def test_nan_is_an_error_not_a_line(tmp_path):
    target = tmp_path / "out.jsonl"
    sink = open_sink(target, INFO)
    sink.open()
    first, second = frames([clips.picture(i) for i in range(2)])
    sink(rendered(first))
    with pytest.raises(OutputError, match=r"out\.jsonl.*JSON"):
        sink(with_score(second, float("nan")))
    sink.abort()
    assert len(lines(target)) == 2


def test_live_lines_say_when_it_was_by_the_clock_on_the_wall(tmp_path):
    """Header, frames and events of a camera have `utc`; a placeholder says why the camera is away. All as the schema says."""
    target = tmp_path / "out.jsonl"
    sink = open_sink(target, INFO)
    sink.open()
    first, second = frames([clips.picture(i) for i in range(2)])
    event = Event("count", 0.0, 1, "car", utc=1_796_058_480.0)
    counted = Activity({"car": 1}, {"car": 1}, {}, {}, (event,))
    sink(Rendered(replace(with_score(replace(first, utc=1_796_058_480.5), 0.75).result, activity=counted), first.picture))
    sink(with_score(replace(second, utc=1_796_058_482.25, lost="no data for 5.0 s"), 0.75))
    sink.close()
    header, one, told, away = lines(target)
    assert header["utc"] == one["utc"] == "2026-11-30T17:08:00.500Z"
    assert told["utc"] == "2026-11-30T17:08:00.000Z"
    assert (away["utc"], away["lost"]) == ("2026-11-30T17:08:02.250Z", "no data for 5.0 s")
    assert "lost" not in one
    schema = resources.files("streamseg.encode.results").joinpath("results.schema.json").read_text("utf-8")
    check = pytest.importorskip("jsonschema", reason="needs the extra 'dev'").Draft202012Validator(json.loads(schema))
    for line in (header, one, told, away):
        check.validate(line)
