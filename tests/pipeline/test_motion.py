"""A pipeline with the motion gate: the network rests while nothing moves, and what stands still stays found, under its name."""

import json

import numpy as np
import pytest

import streamseg
from streamseg.errors import ConfigError
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.change import change
from tests import clips, graphs

SIZE = (64, 96)
STILL, GOES, STOPS = 4.0, 10.0, 11.2
"""Seconds: a red box stands from the beginning, goes to the right, stands again until the end."""
END = 20.0
RATE = 25


def left_edge(t: float) -> int:
    return 20 + round(30 * (min(max(t, GOES), STOPS) - GOES))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    chance = np.random.default_rng(0)
    floor = np.repeat(chance.integers(20, 90, (*SIZE, 1), np.uint8), 3, 2)

    def pictures():
        for i in range(round(END * RATE)):
            rgb, x = floor.copy(), left_edge(i / RATE)
            rgb[20:50, x : x + 14] = (255, 0, 0)
            yield rgb

    return clips.of_arrays(tmp_path_factory.mktemp("film") / "a.mkv", pictures())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return graphs.rectangle_model(tmp_path_factory.mktemp("model") / "red.onnx", colours=("red",), size=SIZE)


def test_a_person_who_stands_still_does_not_vanish_and_keeps_the_identity(film, model):
    results = list(streamseg.stream(film, pipeline={"motion": True}, model=model, threads=1, online=True))
    assert len(results) == END * RATE
    assert all(len(result) == 1 for result in results)
    assert {int(result.track_ids[0]) for result in results} == {1}
    looked = np.array([result.time for result in results if result.detected])
    stills = np.array([result.time for result in results if result.still])
    assert not any(result.detected for result in results if result.still)
    assert len(looked[(looked >= STILL) & (looked < GOES)]) <= 1, "nothing moves: 6 s in which the network rests"
    assert len(looked[(looked >= GOES) & (looked < STOPS)]) >= round((STOPS - GOES) * RATE) - 1, (
        "it goes: looked at all the way"
    )
    assert len(stills[stills > 14]) >= 5 * RATE
    for result in results:
        assert result.boxes[0, 0] == pytest.approx(left_edge(result.time), abs=2.5)
    held = [result.instances for result in results if 5 < result.time < 9 and result.still]
    assert all(np.array_equal(each.boxes, held[0].boxes) for each in held), "it does not wander off"


def test_what_was_gated_is_counted(film, model, make_config, tmp_path):
    config = make_config("motion: on\ntrack: {online: true}\noutputs: {p: {composite: [overlay]}}", model)
    report = build_pipeline(film, config, [str(tmp_path / "o.mkv")], limit=300).run()
    assert report.frames_done == 300 == report.detected + report.gated
    assert 100 < report.gated < 250
    assert report.speed is None or report.speed.pictures == report.detected
    assert report.objects == {"person": 1}
    assert {"motion", "learn"} <= report.stages.keys()


def test_motion_is_for_what_happens_now(film, model):
    with pytest.raises(ConfigError, match=r"motion: .*add online=True, or take the pipeline live"):
        next(iter(streamseg.stream(film, motion=True, model=model)))


def test_an_area_to_ignore_is_given_as_text_or_points(film, model, streamseg, tmp_path):
    import streamseg as package

    there = next(iter(package.stream(film, model=model, ignore={"right": [[0.6, 0], [1, 0], [1, 1], [0.6, 1]]})))
    assert len(there) == 1
    away = next(iter(package.stream(film, model=model, ignore={"left": {"points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}})))
    assert len(away) == 0
    done = streamseg("run", film, "-o", tmp_path / "o.jsonl", "--model", model, "--duration", "200ms", "--ignore",
                     "left: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["instances"] for row in rows if "instances" in row] == [[]] * 5
    done = streamseg("run", film, "-o", tmp_path / "o.jsonl", "--model", model, "--ignore", "left", "--overwrite")
    assert (done.returncode, "--ignore: an area needs points, as" in done.stderr) == (3, True)
    done = streamseg("run", film, "-o", tmp_path / "o.jsonl", "--model", model, "--overwrite", "--ignore",
                     "{a: {points: [[0, 0], [0.5, 0], [0.5, 1]], classes: persn}}")  # fmt: skip
    assert (done.returncode, "--ignore: a: classes: there is no 'persn'" in done.stderr) == (3, True)


def test_a_run_takes_over_areas_a_rate_and_the_gate_between_two_frames(film, model, make_config, tmp_path):
    base = "decode: {max_rate: %s}\nmotion: {gate: %s}\nignore: {%s}\ntrack: {online: true}\noutputs: {p: {path: '{out}'}}"
    config = make_config(base % (25, "false", ""), model)
    target = tmp_path / "o.jsonl"
    pipeline = build_pipeline(film, config, [str(target)], changeable=True)
    after = make_config(base % (5, "true", "all: [[0, 0], [1, 0], [1, 1], [0, 1]]"), model)
    took = []

    def on_tick(running):
        if not took:
            took.append((change(running, after, {}), running.tally.frames))

    report = pipeline.run(on_tick)
    rows = [json.loads(line) for line in target.read_text().splitlines() if '"instances"' in line]
    assert took[0][0], "the source stays open"
    assert len(rows) == report.frames_done
    found = [bool(row["instances"]) for row in rows]
    assert found[0] != found[-1]
    assert found == sorted(found, reverse=True), "all before it, none after it"
    assert report.frames_in == END * RATE == report.frames_done + sum(report.skipped.values())
    assert report.skipped.keys() == {"decode: above max_rate"}
    assert report.gated > 0
