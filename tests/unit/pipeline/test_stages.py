"""The list of stages: what the docs, the report and `bench` say is what is made, and a stage of one's own runs where it says."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.errors import ConfigError, StageError
from streamseg.pipeline.bench import bench
from streamseg.pipeline.build import build_pipeline
from streamseg.pipeline.stages import STAGES, Context, Step, check, make, steps
from streamseg.pixels.memory import format_bytes
from tests import clips
from tests.conformance.known import KnownEngine

PAGE = Path(__file__).resolve().parents[3] / "docs" / "pipelines.md"
PLAIN = "outputs: {picture: {composite: [overlay]}}"
USUAL = [step for step in STAGES if not step.brings]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return clips.cfr(tmp_path / "a.mp4", 12)


def config(text: str = PLAIN) -> PipelineConfig:
    return parse_pipeline(text, "test.yaml")


def engine() -> KnownEngine:
    return KnownEngine(320, 180)


class Note:
    """A stage that writes down what comes by, and where."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.seen: list[object] = []
        self.threads: set[str] = set()
        self.closed = False

    def __call__(self, item: object) -> object:
        time.sleep(self.pause)
        self.seen.append(item)
        self.threads.add(threading.current_thread().name)
        return item

    def close(self) -> None:
        self.closed = True


def noting(name: str, after: str, note: Note) -> Step:
    return Step(name, "writes down what comes by", "", lambda context: note, after=after)


def test_the_docs_have_the_list() -> None:
    thread = {"never": "its own", "live": "live: shared", "always": "shared"}
    rows = []
    for step in STAGES:
        does = f"{step.does}; `{step.optional}` leaves it out" if step.optional else step.does
        does += f"; `{step.brings}` brings it in" if step.brings else ""
        settings = f"`{step.section}`" if step.section else ""
        gpu = "yes" if step.gpu else "no"
        rows.append([f"`{step.name}`", does, step.gives, settings, gpu, thread[step.joins]])
    section = PAGE.read_text().partition("## What runs, in which order")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| `")]
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in table] == rows


def test_each_section_of_a_pipeline_file_belongs_to_a_stage() -> None:
    sections = {*PipelineConfig.model_fields, "composite", "encode"} - {"outputs", "stages", "strict"}  # no section, one switch
    assert {step.section for step in STAGES if step.section} == sections


@pytest.mark.parametrize("realtime", ["false", "true"], ids=["file", "live"])
def test_every_stage_is_in_the_report(film: Path, tmp_path: Path, realtime: str) -> None:
    """Seen: live, those behind track were one, called track; with a file, occlusion was within events."""
    text = f"decode: {{realtime: {realtime}, policy: block}}\n{PLAIN}"
    report = build_pipeline(film, config(text), [str(tmp_path / "o.mp4")], engine=engine()).run()
    names = [f"{step.name} picture" if step.part == "output" else step.name for step in USUAL]
    if realtime == "true":
        names.remove("link")  # it waits for what comes after
    assert list(report.stages) == names
    assert all(stage["items"] == 12 for stage in report.stages.values())


def test_bench_times_what_a_run_would_make(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: tally was no stage; start and end of the file, and every: N, were not kept to by the stages alone."""
    monkeypatch.setattr("streamseg.pipeline.bench.load_engine", lambda config: engine())
    measured = bench(film, config(PLAIN), 10)
    assert list(measured.stages) == [step.name for step in USUAL]
    assert measured.frames == 10
    assert all(cost.ms > 0 for cost in measured.stages.values())
    without = bench(film, config(f"smooth: {{edges: false}}\ndecode: {{end: 0.2}}\n{PLAIN}"), 10)
    assert list(without.stages) == [step.name for step in USUAL if step.name != "refine"]
    assert without.frames == 5, "0.2 s of 25 frames a second"


@pytest.mark.parametrize(("after", "kind"), [("decode", Frame), ("postprocess", Result), ("refine", Result), ("tally", Result)])
def test_a_stage_of_ones_own_runs_where_it_says(film: Path, tmp_path: Path, after: str, kind: type) -> None:
    note = Note()
    report = build_pipeline(
        film, config(), [str(tmp_path / "o.mp4")], engine=engine(), extra=[noting("mine", after, note)]
    ).run()
    names = list(report.stages)
    assert names[names.index(after) + 1] == "mine"
    assert len(note.seen) == 12
    assert all(isinstance(item, kind) for item in note.seen)
    assert note.closed
    assert note.threads == {"mine"}, "a file's stages have threads of their own"


def test_it_changes_what_comes_out(film: Path, tmp_path: Path) -> None:
    def empty(result: Result) -> Result:
        return Result(result.frame, result.instances[:0])

    none = Step("none", "lets nothing through", "Result", lambda context: empty, after="track")
    assert build_pipeline(film, config(), [str(tmp_path / "a.jsonl")], engine=engine()).run().instances == 12
    report = build_pipeline(film, config(), [str(tmp_path / "b.jsonl")], engine=engine(), extra=[none]).run()
    assert (report.frames_done, report.instances) == (12, 0)
    assert all(
        json.loads(line)["instances"] == [] for line in (tmp_path / "b.jsonl").read_text().splitlines() if '"frame"' in line
    )


def test_live_it_shares_the_thread_of_the_stage_before(film: Path, tmp_path: Path) -> None:
    note, text = Note(), f"decode: {{realtime: true, policy: block}}\n{PLAIN}"
    build_pipeline(film, config(text), [str(tmp_path / "o.mp4")], engine=engine(), extra=[noting("mine", "events", note)]).run()
    assert note.threads == {"track"}


def test_behind_composite_it_runs_for_each_output(film: Path, tmp_path: Path) -> None:
    made = []

    def one(context: Context) -> Note:
        made.append(Note())
        return made[-1]

    extra = [Step("mine", "", "Rendered", one, after="composite")]
    outputs = [str(tmp_path / "b.mp4"), str(tmp_path / "c.mp4")]
    report = build_pipeline(film, config(), outputs, engine=engine(), extra=extra).run()
    assert [name for name in report.stages if name.startswith("mine")] == ["mine picture", "mine output1"]
    assert [len(note.seen) for note in made] == [12, 12]


def test_those_behind_the_same_stage_keep_their_order() -> None:
    extra = [noting(name, "track", Note()) for name in ("first", "second")] + [noting("third", "second", Note())]
    names = [step.name for step in steps(extra)]
    assert names[names.index("track") :][:5] == ["track", "first", "second", "third", "link"]


@pytest.mark.parametrize(
    ("name", "after", "what"),
    [("mine", "trak", "after is 'trak'; allowed: decode, "), ("mine", "encode", "after is 'encode'"), ("mine", "", "after is ''"),
     ("track", "infer", "name of its own; taken: decode, ")],
)  # fmt: skip
def test_what_cannot_be_is_refused(name: str, after: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        steps([noting(name, after, Note())])


def test_its_error_has_its_name(film: Path, tmp_path: Path) -> None:
    def fail(result: Result) -> Result:
        raise ValueError("no")

    extra = [Step("mine", "fails", "Result", lambda context: fail, after="smooth")]
    text = f"decode: {{realtime: true}}\n{PLAIN}"
    with pytest.raises(StageError, match="mine"):
        build_pipeline(film, config(text), [str(tmp_path / "o.mp4")], engine=engine(), extra=extra).run()


def test_drops_are_counted_where_they_happen(film: Path, tmp_path: Path) -> None:
    """In front of the first stage behind decode, whatever it is called. Seen: they were looked for at preprocess."""
    text = f"decode: {{realtime: true, policy: drop_oldest}}\n{PLAIN}"
    slow = noting("slow", "decode", Note(0.12))
    pipeline = build_pipeline(film, config(text), [str(tmp_path / "o.mp4")], engine=engine(), extra=[slow])
    report = pipeline.run()
    assert report.dropped > 0
    assert report.stages["slow"]["dropped"] == report.dropped == pipeline.dropped
    assert all(stage["dropped"] == 0 for name, stage in report.stages.items() if name != "slow")
    assert report.frames_done + report.dropped == report.frames_in == 12


def test_a_run_can_end_early_and_leaves_an_engine_that_it_was_given(film: Path, tmp_path: Path) -> None:
    class Closing(KnownEngine):
        closed = False

        def close(self) -> None:
            self.closed = True

    given = Closing(320, 180)
    report = build_pipeline(film, config(), [str(tmp_path / "o.mp4")], engine=given, limit=5).run()
    assert report.frames_in == report.frames_done == len(clips.decoded(tmp_path / "o.mp4")) == 5
    assert not given.closed


def test_a_setting_that_leaves_a_stage_out() -> None:
    optional = [step.name for step in STAGES if step.optional]
    context = Context(config("smooth: {edges: false}\ntrack: {online: true}"), engine().spec, engine())
    made = [name for name, _ in make(STAGES, "trunk", context).stages]
    assert [step.name for step in USUAL if step.part == "trunk" and step.name not in made] == optional


def test_what_was_made_is_closed_where_a_later_stage_cannot_be(film: Path, tmp_path: Path) -> None:
    def refuse(context: Context) -> Note:
        raise ConfigError("not here")

    note = Note()
    extra = [noting("mine", "track", note), Step("other", "", "Result", refuse, after="smooth")]
    with pytest.raises(ConfigError, match="not here"):
        build_pipeline(film, config(), [str(tmp_path / "o.mp4")], engine=engine(), extra=extra)
    assert note.closed


def test_what_is_made_to_be_checked_only_is_closed() -> None:
    note = Note()
    check(config(), engine().spec, [replace(noting("mine", "track", note), checks=True)])
    assert note.closed


@pytest.mark.parametrize(
    ("size", "fmt", "live", "room"),
    [((1920, 1080), "yuv420p", False, 4), ((3840, 2160), "yuv420p", False, 3), ((3840, 2160), "yuv420p10le", False, 1),
     ((7680, 4320), "gbrp12le", False, 1), ((1920, 1080), "yuv420p", True, 1)],
)  # fmt: skip
def test_the_larger_pictures_are_the_fewer_wait(size: tuple[int, int], fmt: str, live: bool, room: int) -> None:
    """Seen: of 4K with 10 bits some 80 waited behind each other, 2 GB of them."""
    context = Context(config(), engine().spec, engine(), live=live, frame_bytes=format_bytes(fmt, *size))
    assert context.room == room
    joined = make(STAGES, "trunk", context).joined
    assert ("smooth" in joined) is (room == 1), "stages that share a thread hand pictures on at once"


def test_a_window_that_large_pictures_shorten_is_told(tmp_path: Path) -> None:
    film, said = clips.cfr(tmp_path / "a.mp4", 3), []
    small = config(f"track: {{memory: {10 * 96 * 64}}}\n{PLAIN}")
    build_pipeline(film, small, [str(tmp_path / "o.mp4")], engine=engine(), on_message=said.append).close()
    assert "tracks: 0.24 s of film are known ahead, not 1 s: 6 pictures fill 0 MB (track: memory)" in said
