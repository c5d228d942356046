"""`streamseg tune`: what is fastest here is found on the user's film, its answers are compared, and runs can use it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.config import load_pipeline
from streamseg.core.types import Instances
from streamseg.engine import openvino, tuned
from streamseg.errors import ConfigError
from streamseg.hub import quality
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.quality import Quality
from streamseg.pipeline import opening, tune
from streamseg.system import resources
from tests import clips, graphs

FOUND = {"boxes": ((20.0, 28.0, 60.0, 58.0),), "scores": (0.9,), "labels": (0,), "size": (64, 96)}


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film; a model `tiny` whose int8 graph finds the same as the exact one, and which is faster on this CPU."""
    folder = tmp_path / "engines" / "tiny"
    graphs.constant_model(folder / "tiny-64x96.onnx", **FOUND)
    graphs.constant_model(folder / "tiny-64x96-int8.onnx", **FOUND, metadata={"streamseg.precision": "int8"})
    monkeypatch.setattr(resources, "shipped_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(openvino, "int8_is_faster", lambda: True)
    monkeypatch.setattr(tune, "why_not_bf16", lambda: "not here")
    monkeypatch.setenv("STREAMSEG_CONFIG", str(tmp_path / "config"))
    return clips.cfr(tmp_path / "a.mp4", 10)


def rates(monkeypatch: pytest.MonkeyPatch, **fps: float) -> None:
    """Let a precision have been so fast."""
    measure = tune._Tuner._measure

    def known(self: Any, config: Any, choice: tuned.Choice) -> tune.Trial:
        trial = asdict(measure(self, config, choice)) | {"choice": choice, "fps": fps.get(choice.precision, 1.0)}
        return tune.Trial(**trial)

    monkeypatch.setattr(tune._Tuner, "_measure", known)


def worse(folder: Path, ap: float) -> None:
    found = []
    for precision, mask, suffix in (("fp32", 30.0, ""), ("int8", ap, "-int8")):
        sha256 = read_spec(folder / f"tiny-64x96{suffix}.onnx").sha256
        found.append(Quality((64, 96), precision, sha256, "9 photos", 30.0, mask, "person", 20.0, mask))
    quality.keep(folder, found)


def test_the_fastest_whose_answers_held_is_chosen_kept_and_used(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates(monkeypatch, int8=30.0, fp32=20.0)
    report = streamseg.tune(film, model="tiny", seconds=60, frames=4, engine="openvino", apply=True)
    assert report.complete
    assert report.chosen.precision == "int8"
    assert report.speedup == 1.5
    assert {(t.every, t.frames) for t in report.trials} == {(1, 4), (2, 4), (3, 4)}
    assert all(t.matched == 1 and t.iou > 0.99 and t.held for t in report.trials if t.every == 1)
    said: list[str] = []
    config = load_pipeline("drive")
    mine = config.model_copy(update={"infer": config.infer.model_copy(update={"model": "tiny", "engine": "openvino"})})
    assert opening.tuned(mine, said.append).infer.precision == "int8"
    assert said[0].startswith("tuned: precision int8, requests: ")
    assert "--no-tuned" in said[0]
    run = streamseg.run(film, film.with_name("b.jsonl"), model="tiny", engine="openvino")
    assert run.precision == "int8"
    for option in ({"no_tuned": True}, {"precision": "fp32"}):
        usual: dict[str, Any] = {"model": "tiny", "engine": "openvino", "overwrite": True}
        assert streamseg.run(film, film.with_name("c.jsonl"), **usual | option).precision == "fp32"
    with streamseg.Session(model="tiny", engine="openvino") as session:
        assert session.run(film, film.with_name("d.jsonl")).precision == "int8"


def test_what_was_kept_without_apply_or_for_another_processor_is_not_used(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates(monkeypatch, int8=30.0, fp32=20.0)
    report = streamseg.tune(film, model="tiny", frames=4, engine="openvino", seconds=1)
    assert json.loads(Path(report.kept).read_text())
    run = {"model": "tiny", "engine": "openvino", "overwrite": True}
    assert streamseg.run(film, film.with_name("b.jsonl"), **run).precision == "fp32"
    streamseg.tune(film, model="tiny", frames=4, engine="openvino", seconds=1, apply=True)
    monkeypatch.setattr(tuned, "cpu_name", lambda: "another")
    assert streamseg.run(film, film.with_name("b.jsonl"), **run).precision == "fp32"


def test_what_the_card_says_loses_too_much_is_shown_and_not_chosen(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates(monkeypatch, int8=30.0, fp32=20.0)
    worse(film.parent / "engines" / "tiny", 29.0)
    report = streamseg.tune(film, model="tiny", frames=4, engine="openvino", seconds=0.001)
    assert [(t.choice.precision, t.mask_ap, t.held) for t in report.trials[:2]] == [("fp32", 30.0, True), ("int8", 29.0, False)]
    assert report.chosen.precision == "fp32"
    assert not report.complete, "the time was over"


def test_what_finds_other_things_is_not_chosen(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates(monkeypatch, int8=30.0, fp32=20.0)
    other = FOUND | {"boxes": ((1.0, 2.0, 40.0, 40.0),)}
    path = film.parent / "engines" / "tiny" / "tiny-64x96-int8.onnx"
    graphs.constant_model(path, **other, metadata={"streamseg.precision": "int8"})
    report = streamseg.tune(film, model="tiny", frames=4, engine="openvino", seconds=1)
    assert (report.trials[1].matched, report.trials[1].held) == (0, False)
    assert report.chosen.precision == "fp32"


def test_an_interrupt_keeps_what_was_tried(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates(monkeypatch, int8=30.0, fp32=20.0)

    def interrupted(self: Any) -> list[dict[str, int]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune._Tuner, "_requests", interrupted)
    report = streamseg.tune(film, model="tiny", frames=4, engine="openvino")
    assert (report.chosen.precision, report.complete, len(report.trials)) == ("int8", False, 2)


def test_a_file_is_refused(film: Path) -> None:
    with pytest.raises(ConfigError, match="tune is for a model by name"):
        streamseg.tune(film, model=film.with_suffix(".onnx"))


def test_where_nothing_is_faster_nothing_is_kept_and_what_was_before_is_forgotten(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gain of 1 % over a run as it is, which was int8 by itself, was kept and applied."""
    worse(film.parent / "engines" / "tiny", 29.9)
    rates(monkeypatch, int8=30.0, fp32=20.0)
    measure = tune._Tuner._measure
    monkeypatch.setattr(tune._Tuner, "_requests", lambda self: [{"in_flight": 3}])

    def better(gain: float) -> None:
        def known(self: Any, config: Any, choice: tuned.Choice) -> tune.Trial:
            trial = measure(self, config, choice)
            return replace(trial, fps=trial.fps * (gain if choice.in_flight == 3 else 1))

        monkeypatch.setattr(tune._Tuner, "_measure", known)

    how: dict[str, Any] = {"model": "tiny", "frames": 3, "engine": "openvino", "apply": True}
    better(1.5)
    report = streamseg.tune(film, **how)
    assert (report.chosen.in_flight, report.speedup, report.applied) == (3, 1.5, True)
    better(1.01)
    report = streamseg.tune(film, **how)
    assert (report.chosen.precision, report.chosen.in_flight != 3, report.kept, report.applied) == ("int8", True, "", False)
    assert json.loads(tuned.file_of_choices().read_text()) == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"k": 3}', '{"k": {"choice": {}, "apply": true}}'])
def test_choices_that_cannot_be_read_are_none_and_that_is_said(film: Path, content: str) -> None:
    path = tuned.file_of_choices()
    path.parent.mkdir()
    path.write_text(content)
    said: list[str] = []
    assert tuned.kept("k", said.append) is None
    assert [str(path) in each and "delete the file, or tune again" in each for each in said] == [True] * (content != "{}")
    assert streamseg.run(film, film.with_name("b.jsonl"), model="tiny", engine="openvino").precision == "fp32"


def objects(*boxes: tuple[float, ...], label: int = 0) -> Instances:
    count = len(boxes)
    return Instances(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.9, np.float32),
        np.full(count, label, np.int64),
        np.full((count, 28, 28), 255, np.uint8),
        ("person", "car"),
    )


def test_agreement_counts_what_is_missing_and_what_is_too_much() -> None:
    two, one = objects((0, 0, 10, 10), (50, 50, 80, 80)), objects((0, 0, 10, 10))
    assert tune._agreement([two], [two], 100, 100) == (1, 1)
    assert tune._agreement([two], [one], 100, 100) == (0.5, 1)
    assert tune._agreement([one], [two], 100, 100) == (0.5, 1)
    assert tune._agreement([one], [objects((0, 0, 10, 10), label=1)], 100, 100)[0] == 0
    assert tune._agreement([objects()], [objects()], 100, 100) == (1, 1)
    matched, iou = tune._agreement([one], [objects((0, 0, 10, 8))], 100, 100)
    assert matched == 1
    assert iou == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("measured", "held"), [(True, True), (False, False)])
def test_a_card_that_vouches_lets_a_few_objects_near_the_threshold_differ(
    film: Path, monkeypatch: pytest.MonkeyPatch, measured: bool, held: bool
) -> None:
    monkeypatch.setattr(tune, "_agreement", lambda *_: (0.84, 0.98))
    if measured:
        worse(film.parent / "engines" / "tiny", 30.1)
    report = streamseg.tune(film, model="tiny", frames=4, engine="openvino", seconds=0.001)
    assert report.trials[1].held is held


def test_what_was_found_for_a_whole_network_is_not_used_for_a_part_of_it(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates(monkeypatch, int8=30.0, fp32=20.0)
    streamseg.tune(film, model="tiny", frames=4, engine="openvino", seconds=0.001, apply=True)
    asked: list[str] = []
    resolve = opening.resolve

    def noted(model: str, size: Any, *, part: str, **more: Any) -> Path:
        asked.append(part)
        other = film.with_name("part-64x96.onnx")
        return resolve(model, size, **more) if part == "full" else graphs.constant_model(other, **FOUND | {"scores": (0.8,)})

    monkeypatch.setattr(opening, "resolve", noted)
    config = streamseg.PipelineConfig.model_validate({"infer": {"model": "tiny", "engine": "openvino"}})
    assert opening.tuned(config).infer.precision == "int8"
    boxes = config.model_copy(update={"postprocess": config.postprocess.model_copy(update={"masks": "none"})})
    assert opening.tuned(boxes).infer.precision == "auto"
    assert len(set(asked)) == 2


def test_boxes_alone_agree_by_their_boxes() -> None:
    """One of two objects is found again, four of its twenty columns to the right: 16 of 24 are shared."""

    def boxes(*rows: tuple[float, float, float, float]) -> Instances:
        count = len(rows)
        none = np.zeros((count, 0, 0), np.uint8)
        return Instances(np.array(rows, np.float32), np.ones(count, np.float32), np.zeros(count, np.int64), none, ("person",))

    exact, found = boxes((10, 10, 30, 30), (50, 10, 60, 20)), boxes((14, 10, 34, 30))
    assert tune._agreement([exact], [found], 96, 64) == (0.5, pytest.approx(320 / 480))
