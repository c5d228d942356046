"""Stages of a user's own from pipeline files and from Python."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streamseg.composite import Overlay
from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.core.result import Result
from streamseg.errors import ConfigError, StageError
from streamseg.pipeline.bench import bench
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.extra import ExtraStage
from streamseg.pipeline.iteration import iterate
from streamseg.system.registry import STAGES
from tests import clips
from tests.conformance.known import KnownEngine
from tests.plugins import installed

STAGE = '''
from dataclasses import dataclass, field
from streamseg.core.result import Result
from streamseg.errors import ConfigError, StageError
from streamseg.pipeline.extra import ExtraStage

@dataclass
class Every(ExtraStage):
    """Lets the instances of every nth frame through."""
    n: int = 2
    name_needed: str = ""
    seen: int = field(default=0, init=False)
    after = "smooth"

    def __post_init__(self):
        if self.n < 1:
            raise ConfigError(f"every: n must be 1 or more, got {self.n}")

    def begin(self, class_names):
        if self.name_needed and self.name_needed not in class_names:
            raise ConfigError(f"every: the model does not know {self.name_needed!r}")

    def __call__(self, result):
        self.seen += 1
        return result if self.seen % self.n == 1 else Result(result.frame, result.instances[:0])
'''


@pytest.fixture(autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"stage": {"every": "shiny_stage:Every", "track": "shiny_stage:Every"}}
    installed(tmp_path_factory.mktemp("site"), monkeypatch, points, {"shiny_stage": STAGE})


def shown(tmp_path: Path, config: PipelineConfig) -> tuple[list[int], list[str]]:
    """How many instances each frame of a film of six has, and the stages that ran."""
    out = tmp_path / "o.jsonl"
    film = clips.cfr(tmp_path / "a.mp4", 6)
    report = build_pipeline(film, config, [str(out)], engine=KnownEngine(320, 180), overwrite=True).run()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return [len(line["instances"]) for line in lines if "instances" in line], list(report.stages)


def test_by_name_with_options_where_it_says_itself(tmp_path: Path) -> None:
    config = parse_pipeline("stages: [every: {n: 3}]", "x.yaml")
    counts, names = shown(tmp_path, config)
    assert counts == [1, 0, 0, 1, 0, 0]
    assert names[names.index("smooth") + 1] == "every"
    assert shown(tmp_path, config)[0] == counts  # a second run begins anew


def test_its_place_and_its_name_can_be_said_and_it_can_stand_twice(tmp_path: Path) -> None:
    text = (
        "stages:\n  - every: {n: 2, after: events}\n  - use: shiny_stage:Every\n    after: every\n    name: third\n    n: 3\n"
    )
    config = parse_pipeline(text, "x.yaml", trust=True)
    counts, names = shown(tmp_path, config)
    assert counts == [1, 0, 0, 0, 0, 0]
    assert names[names.index("events") :][:3] == ["events", "every", "third"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages:\n  - every: {n: 0}", r"x\.yaml:2: stages\.0\.every: n must be 1 or more, got 0"),
        ("stages:\n  - every: {m: 0}", r"x\.yaml:2: stages\.0\.every\.m: unknown key.*allowed: n, name_needed\)"),
        ("stages:\n  - every: {n: two}", r"x\.yaml:2: stages\.0\.every\.n: 'two' is not allowed"),
        ("stages:\n  - evry", r"x\.yaml:2: stages\.0\.evry: there is no such stage; did you mean 'every'\?"),
        ("stages:\n  - track", r"x\.yaml:2: stages\.0: the stage 'track' runs in any case"),
        ("stages:\n  - use: shiny_stage:Every", r"x\.yaml:2: stages\.0: 'shiny_stage:Every' would run code"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_pipeline(text, "x.yaml")


def test_a_place_that_there_is_not_and_classes_are_refused_before_the_first_frame(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stage 'every': after is 'smoth'; allowed: decode, "):
        shown(tmp_path, parse_pipeline("stages: [every: {after: smoth}]", "x.yaml"))
    with pytest.raises(ConfigError, match="the model does not know 'unicorn'"):
        shown(tmp_path, parse_pipeline("stages: [every: {name_needed: unicorn}]", "x.yaml"))
    with pytest.raises(ConfigError, match="unknown class 'unicorn' in an effect"):
        shown(
            tmp_path,
            parse_pipeline(f"outputs: {{a: {{path: {tmp_path}/o.mp4, composite: [overlay: {{classes: unicorn}}]}}}}", "x.yaml"),
        )


@dataclass
class Doubled(ExtraStage):
    """Counts frames."""

    seen: list[int] = field(default_factory=list)

    def __call__(self, result: Result) -> Result:
        self.seen.append(result.frame.index)
        return result


def test_objects_of_python_are_taken_as_they_are(tmp_path: Path) -> None:
    stage = Doubled()
    config = PipelineConfig.model_validate(
        {"stages": [stage], "outputs": {"a": {"path": "{out}", "composite": [Overlay(fill=1)]}}}
    )
    assert config.outputs["a"].composite[0].effect == Overlay(fill=1)
    shown(tmp_path, config)
    assert stage.seen == [0, 1, 2, 3, 4, 5]  # its field is given on: the list is the caller's


@dataclass
class Later(ExtraStage):
    """Holds some frames back."""

    n: int = 4
    wrong: bool = False
    held: list[Any] = field(default_factory=list, init=False)
    delays = True

    def __call__(self, item: Any) -> Any:
        if self.wrong:
            return item
        self.held.append(item)
        return [self.held.pop(0)] if len(self.held) > self.n else []

    def flush(self) -> list[Any]:
        return self.held


@pytest.mark.parametrize(("after", "n"), [("decode", 4), ("infer", 4), ("track", 40), ("composite", 5), ("tally", 3)])
def test_a_stage_may_give_its_items_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str, n: int) -> None:
    stage = Later(n=n)
    stage.after = after  # type: ignore[misc]
    outputs = {"a": {"path": "{out}", "composite": [Overlay(fill=1)]}}
    config = PipelineConfig.model_validate({"stages": [stage], "outputs": outputs})
    film = clips.cfr(tmp_path / "a.mp4", 6)
    report = build_pipeline(film, config, [str(tmp_path / "o.mp4")], engine=KnownEngine(320, 180)).run()
    assert {name: c["items"] for name, c in report.stages.items()} == dict.fromkeys(report.stages, 6)
    assert [frame.pts for frame in clips.decoded(tmp_path / "o.mp4")] == [frame.pts for frame in clips.decoded(film)]
    monkeypatch.setattr("streamseg.pipeline.bench.load_engine", lambda config: KnownEngine(320, 180))
    measured = bench(film, config, 6)
    assert measured.frames == 6
    assert all(cost.ms > 0 for cost in measured.stages.values())


def test_a_stage_that_should_give_a_list_and_does_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"the Later stage failed: TypeError: .*gave a value of type Result where a list"):
        shown(tmp_path, PipelineConfig.model_validate({"stages": [Later(wrong=True)]}))


def test_results_one_by_one_pass_a_stage_that_gives_later(tmp_path: Path) -> None:
    """All of them; and a loop that is left while the stage holds some ends all threads."""
    film, before = clips.cfr(tmp_path / "a.mp4", 12), set(threading.enumerate())
    config = PipelineConfig.model_validate({"stages": [Later(n=5)]})
    engine = KnownEngine(320, 180)
    assert [r.frame.index for r in iterate(film, config, engine_of=lambda: engine)] == list(range(12))
    results = iterate(film, config, engine_of=lambda: engine)
    assert [next(results).frame.index for _ in range(3)] == [0, 1, 2]
    results.close()
    assert set(threading.enumerate()) <= before


def test_a_run_says_that_a_plug_in_with_a_name_of_ours_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "effect": {"overlay": "nothing_here:A"},
        "sink": {".mp4": "nothing_here:B"},
        "engine": {"torch": "nothing_here:C"},
    }
    installed(tmp_path / "more", monkeypatch, points, {}, package="bold")
    said: list[str] = []
    config = parse_pipeline("outputs: {a: {path: '{out}', composite: [overlay, overlay]}}", "x.yaml")
    film = clips.cfr(tmp_path / "a.mp4", 3)
    build_pipeline(film, config, [str(tmp_path / "o.mp4")], engine=KnownEngine(320, 180), on_message=said.append).run()
    assert [line for line in said if "bold" in line] == [
        "sink '.mp4' is streamseg's own; that of bold 1.2 is refused",
        "effect 'overlay' is streamseg's own; that of bold 1.2 is refused",
    ]


def test_a_name_of_a_stage_that_runs_in_any_case_is_refused() -> None:
    found = {each.name: each.problem for each in STAGES.found()}
    assert found["every"] is None
    assert "streamseg itself has a stage 'track'" in (found["track"] or "")


@dataclass
class Forgets(ExtraStage):
    """Gives what it was told to give, not what it took."""

    gives: object = None

    def __call__(self, result: Result) -> object:
        return self.gives


@pytest.mark.parametrize(("gives", "said"), [(None, "None"), (7, "a value of type int"), ([], "a value of type list")])
def test_a_stage_that_gives_something_else_is_blamed_itself(tmp_path: Path, gives: object, said: str) -> None:
    """Seen: `the smooth stage failed: AttributeError: 'NoneType' object has no attribute 'detected'`."""
    config = PipelineConfig.model_validate({"stages": [Forgets(gives)]})
    with pytest.raises(
        StageError, match=rf"the Forgets stage failed: TypeError: it gave {said} where a Result is needed"
    ) as caught:
        shown(tmp_path, config)
    assert caught.value.stage == "Forgets"


def test_the_class_that_was_meant_is_named_with_its_output_and_effect(tmp_path: Path) -> None:
    known = KnownEngine(320, 180).spec.classes[0]
    text = f"outputs: {{seen: {{path: {tmp_path}/o.mp4, composite: [overlay: {{classes: {known.upper()}}}]}}}}"
    said = rf"outputs: seen: overlay: unknown class '{known.upper()}' in an effect; .*; did you mean '{known}'\?"
    with pytest.raises(ConfigError, match=said):
        shown(tmp_path, parse_pipeline(text, "x.yaml"))
    with pytest.raises(ConfigError, match=rf"classes: there is no '{known.title()}'; .*; did you mean '{known}'\?"):
        shown(tmp_path, parse_pipeline(f"postprocess: {{classes: {known.title()}}}", "x.yaml"))
    place = f"events: {{zones: {{yard: {{points: [[0, 0], [1, 0], [1, 1]], classes: {known.title()}}}}}}}"
    with pytest.raises(ConfigError, match=rf"yard: unknown class '{known.title()}'; .*; did you mean '{known}'\?"):
        shown(tmp_path, parse_pipeline(place, "x.yaml"))
