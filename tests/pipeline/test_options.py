"""The options of a run, declared once: the same in the shell, in Python and in a pipeline file, each called what was typed."""

import inspect
import json
import pydoc

import av
import pytest

import streamseg
from streamseg.cli import measure
from streamseg.config.schema import EventsConfig, PipelineConfig, SmoothConfig, TrackConfig
from streamseg.errors import ConfigError, OutputExists
from streamseg.pipeline.configure import configure
from streamseg.pipeline.opening import fitted, input_size
from streamseg.pipeline.options import OPTIONS, help_of, in_python, in_shell, option, pythonic
from tests import clips, interlaced_clips
from tools import options as tool


def test_all_signatures_and_texts_are_as_declared():
    for name in tool.FILES:
        text = (tool.ROOT / name).read_text()
        assert text.count("# options: ") > 0
        assert tool.written(text) == text, "run: python -m tools.options"


def test_the_tool_writes_what_is_missing():
    text = (tool.ROOT / "streamseg/api.py").read_text()
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(("    conf:", "        conf:"))]
    assert tool.written("".join(lines)) == text
    assert tool.written(text.replace("conf: float", "conf: str").replace("conf: Score", "conf: Something")) == text


def test_each_option_is_a_field_of_the_pipeline_file():
    for each in OPTIONS:
        where = PipelineConfig() if each.place[:1] not in (("encode",), ("keep_grey",), ("composite",)) else _output()
        for part in each.place:
            where = getattr(where, part)


def _output():
    return streamseg.load_pipeline("drive").outputs["picture"]


def test_every_function_has_every_option_that_means_something_to_it():
    names = {each.name for each in OPTIONS}
    for function in (streamseg.stream, streamseg.astream):
        given = set(inspect.signature(function).parameters) - {"source"}
        assert given == {each.name for each in OPTIONS if {"output", "job"}.isdisjoint(each.groups)}
    assert set(inspect.signature(streamseg.run).parameters) - {"source", "output"} == names
    assert set(inspect.signature(streamseg.run_many).parameters) - {"sources", "output", "on", "workers"} == names


def test_help_shows_types_that_are_no_strings_and_each_text():
    for function in (streamseg.stream, streamseg.run):
        text = " ".join(pydoc.render_doc(function, renderer=pydoc.plaintext).split())
        assert "rate: float | None = None" in text
        assert "detect_every: Union[int, Literal['auto'], NoneType]" in text or "int | Literal['auto'] | None" in text
        for name in inspect.signature(function).parameters:
            if name in {each.name for each in OPTIONS}:
                assert f"{name}: {help_of(option(name), in_python)}" in text


def test_the_shell_shows_each_text(streamseg, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    text = " ".join(streamseg("run", "--help").stdout.replace("│", " ").split())
    for each in OPTIONS:
        assert (each.flag in text) == bool(each.shell)
        assert not each.shell or help_of(each, in_shell).rstrip(".") in text
    assert "instead of --duration" in text


@pytest.mark.parametrize("verb", ["bench", "tune"])
def test_what_measures_takes_the_options_of_what_it_measures(streamseg, verb, tmp_path):
    """`tune` had neither --masks nor --head, and so was for another network than the run's."""
    flags = [each.flag for each in OPTIONS if {"output", "results", "job"}.isdisjoint(each.groups) and each.shell]
    given = set(inspect.signature(getattr(measure, verb)).parameters)
    assert {each.name for each in OPTIONS if each.flag in flags} <= given
    done = streamseg(verb, tmp_path / "none.mp4", "--masks", "nonne")
    assert (done.returncode, "--masks: 'nonne' is not allowed; allowed: 'auto', 'box' or 'none'" in done.stderr) == (3, True)


# --- what was typed is what is named ---------------------------------------------------------------------------------------

WRONG = {
    "detect_every": ("often", "'often' is not a number of frames"),
    "conf": (5, "less than or equal to 1"),
    "precision": ("fp8", "'fp8' is not allowed"),
    "rate": (0, "greater than 0"),
    "spool": ("much", "'much' is not a size"),
    "decode": ("gpu", "'gpu' is not allowed"),
    "deinterlace": ("both", "'both' is not allowed"),
    "crf": (99, "less than or equal to 63"),
    "audio": ("loud", "'loud' is not allowed"),
    "batch": (0, "greater than or equal to 1"),
    "start": ("soon", "'soon' is not a time"),
    "reconnect": ("never", "'never' is not a time"),
    "size": ("huge", "'huge' is not a size"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_names_what_was_typed(name, streamseg, tmp_path):
    value, words = WRONG[name]
    with pytest.raises(ConfigError) as raised:
        configure({name: value, "pipeline": "edit"})
    assert str(raised.value).startswith(f"{name}: ")
    assert words in str(raised.value)
    flag = option(name).flag
    done = streamseg("run", "a.mp4", "-o", tmp_path / "o.mp4", f"{flag}={value}")
    assert done.returncode == 3
    assert done.stderr.startswith(f"streamseg: {flag}: ")
    assert words in done.stderr


def test_what_only_the_model_can_refuse_is_named_as_it_was_typed(streamseg, tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 1)
    done = streamseg("run", source, "-o", tmp_path / "o.mp4", "--model", known, "--classes", "persn")
    assert done.stderr.startswith("streamseg: --classes: there is no 'persn'; this model knows person")
    (tmp_path / "p.yaml").write_text("postprocess: {classes: [persn]}")
    done = streamseg("run", source, "-o", tmp_path / "o.mp4", "--model", known, "-p", tmp_path / "p.yaml")
    assert done.stderr.startswith("streamseg: classes: there is no 'persn'; this model knows person"), "nobody typed a flag"


@pytest.mark.parametrize("naming", [in_python, in_shell])
def test_two_that_do_not_go_together_are_both_named(naming):
    with pytest.raises(ConfigError) as raised:
        configure({"start": "2s", "end": "1s"}, naming)
    assert (
        str(raised.value) == f"{naming(option('start'))}, {naming(option('end'))}: the end, 1 s, must be after the start, 2 s"
    )


def test_a_file_is_still_named_with_its_line(streamseg, tmp_path):
    (tmp_path / "p.yaml").write_text("infer:\n  every: often\n")
    done = streamseg("run", "a.mp4", "-o", tmp_path / "o.mp4", "-p", tmp_path / "p.yaml")
    assert f"{tmp_path}/p.yaml:2: infer.every: 'often' is not a number" in done.stderr


def test_what_is_said_of_flags_names_arguments_in_python(tmp_path, known):
    assert pythonic("already exists; pass --overwrite to replace it") == "already exists; pass overwrite=True to replace it"
    assert pythonic("(--rate says other)") == "(rate says other)"
    assert pythonic("use --decode cpu, or --spool 2GB") == 'use decode="cpu", or spool="2GB"'
    assert pythonic("Use --engine tensorrt-rtx") == 'Use engine="tensorrt-rtx"'
    assert pythonic("--detect-every 3 and --detect-everything") == "detect_every=3 and --detect-everything"
    assert (
        pythonic("streamseg export M --precision int8 -o F; or --crf 3") == "streamseg export M --precision int8 -o F; or crf=3"
    )
    source, out = clips.cfr(tmp_path / "a.mp4", 2), tmp_path / "o.mp4"
    out.write_text("mine")
    with pytest.raises(OutputExists, match="pass overwrite=True to replace it"):
        streamseg.run(source, out, model=known)


# --- the same from Python ---------------------------------------------------------------------------------------------------


def test_run_takes_what_the_command_takes(tmp_path, known):
    source, out = clips.cfr(tmp_path / "a.mp4", 12, audio=True), tmp_path / "o.mkv"
    streamseg.run(
        source, out, pipeline={}, model=known, classes="person", start="120ms", end=0.32, codec="ffv1", audio="none", threads=1
    )
    with av.open(str(out)) as container:
        assert [(s.type, s.codec_context.name) for s in container.streams] == [("video", "ffv1")]
    frames = clips.decoded(out)
    assert [clips.read_index(clips.plane_array(f)) for f in frames] == [3, 4, 5, 6, 7]


def test_the_end_that_is_asked_for_takes_the_place_of_the_files():
    file = {"decode": {"duration": 5}}
    assert configure({"pipeline": file}).decode.duration == 5
    for given in ({"end": 3}, {"duration": 3}):
        decode = configure({"pipeline": file} | given).decode
        assert {"end": decode.end, "duration": decode.duration} == {"end": None, "duration": None} | given


def test_another_model_has_its_own_size():
    file = {"preprocess": {"size": "64x96"}}
    assert configure({"pipeline": file}).preprocess.size == (64, 96)
    assert configure({"pipeline": file, "model": "other.onnx"}).preprocess.size is None
    assert configure({"pipeline": file, "model": "other.onnx", "size": (32, 64)}).preprocess.size == (32, 64)


def test_edit_takes_the_largest_input_of_any_model_unless_told_another():
    said: list[str] = []
    assert input_size(configure({"pipeline": "edit"}), said.append) == (448, 768)
    assert said == ["size: 448x768, the largest that lite comes with; --size auto takes its usual one"]
    assert input_size(configure({"pipeline": "edit", "model": "other.onnx"}), said.append) is None, "a file has its own"
    assert input_size(configure({"pipeline": "edit", "size": "256x448"}), said.append) == (256, 448)
    assert input_size(configure({"pipeline": "edit", "size": "auto"}), said.append) is None
    assert input_size(configure({"pipeline": "drive", "size": "largest"})) == (448, 768)
    assert len(said) == 1, "nothing is said where it was not taken"


def test_a_small_film_gets_an_input_that_it_fills():
    """Enlarged four times, a car's seats were found as persons."""
    asked = configure({"pipeline": "edit"})
    said: list[str] = []
    sizes = [fitted(asked, film, said.append).preprocess.size for film in ((176, 144), (352, 288), (640, 360), (854, 480))]
    assert sizes == [(256, 448), (320, 576), (448, 768), (448, 768)]
    assert said[0] == "size: 256x448, the largest that lite comes with for pictures of 176x144; --size auto takes its usual one"
    assert said[3] == "size: 448x768, the largest that lite comes with; --size auto takes its usual one"
    assert fitted(configure({"pipeline": "edit", "size": "448x768"}), (176, 144)).preprocess.size == (448, 768)
    assert fitted(configure({"pipeline": "edit", "model": "other.onnx"}), (176, 144)).preprocess.size == "largest", "its own"


def test_deinterlace_means_frame(tmp_path, known):
    assert configure({"deinterlace": True}).decode.deinterlace == "frame"
    assert configure({"deinterlace": False, "pipeline": {"decode": {"deinterlace": "field"}}}).decode.deinterlace == "off"
    source = interlaced_clips.write(tmp_path / "a.mp4")
    assert all(r.frame.field_order is None for r in streamseg.stream(source, model=known, deinterlace=True))


@pytest.mark.parametrize("asked", [["--deinterlace=field"], ["--deinterlace", "field", "-q"]])
def test_deinterlace_takes_its_value_either_way(asked, streamseg, known, tmp_path):
    source = interlaced_clips.write(tmp_path / "a.mp4")
    done = streamseg("run", source, "--model", known, "-o", tmp_path / "o.mp4", *asked)
    assert done.returncode == 0, done.stderr
    assert interlaced_clips.orders(tmp_path / "o.mp4") == [None] * 12


def test_a_pipeline_is_a_name_a_file_an_object_or_a_dict(tmp_path):
    (tmp_path / "p.yaml").write_text("postprocess: {conf: 0.7}")
    same = [tmp_path / "p.yaml", str(tmp_path / "p.yaml"), {"postprocess": {"conf": 0.7}}]
    same.append(PipelineConfig(postprocess={"conf": 0.7}))
    assert [configure({"pipeline": pipeline, "engine": "openvino"}).postprocess.conf for pipeline in same] == [0.7] * 4
    assert configure({"pipeline": "edit"}).outputs.keys() == streamseg.load_pipeline("edit").outputs.keys()
    with pytest.raises(ConfigError, match=r"pipeline: infer\.modle: unknown key; did you mean 'model'\?"):
        configure({"pipeline": {"infer": {"modle": "lite"}}})
    with pytest.raises(ConfigError, match="pipeline: a name, a path, a PipelineConfig or a dict of sections is needed, not 3"):
        configure({"pipeline": 3})


def test_sections_may_be_dicts_or_objects():
    file = {"smooth": {"masks": "off", "edges": False}, "track": {"low": 0.2}}
    found = configure({"pipeline": file, "smooth": {"edges": True}, "track": TrackConfig(max_age=2)})
    assert found.smooth == SmoothConfig(masks=0, edges=True)
    assert (found.track.max_age, found.track.low) == (2, TrackConfig().low)
    assert configure({"events": EventsConfig(hold=1)}).events.hold == 1
    with pytest.raises(ConfigError, match=r"^events\.line: unknown key; did you mean 'lines'\?"):
        configure({"events": {"line": {}}})
    with pytest.raises(ConfigError, match=r"^events\.lines\.door"):
        configure({"events": {"lines": {"door": [[0, 1]]}}})
    with pytest.raises(ConfigError, match=r"^smooth: 3 is not allowed"):
        configure({"smooth": 3})


def test_lines_and_zones_can_be_set_from_stream(tmp_path, known):
    source = clips.cfr(tmp_path / "a.mp4", 20)
    places = {"confirm": 0, "zones": {"yard": [[0, 0], [1, 0], [1, 1], [0, 1]]}, "lines": {"door": [[0.1, 0.5], [0.9, 0.5]]}}
    *_, last = streamseg.stream(source, model=known, events=places, track={"confirm": 0})
    assert last.activity.zones["yard"]["inside"] == 1
    assert set(last.activity.lines) == {"door"}
    plain = list(streamseg.stream(source, model=known, smooth={"masks": "off", "edges": False}))
    assert not plain[-1].instances.fine, "outlines were not refined"


def test_stream_takes_a_whole_pipeline(tmp_path, known):
    source, out = clips.cfr(tmp_path / "a.mp4", 3), tmp_path / "seen.mp4"
    pipeline = {"infer": {"model": str(known), "every": 2}, "outputs": {"picture": {"path": str(out)}}}
    assert [r.detected for r in streamseg.stream(source, pipeline=pipeline)] == [True, False, True]
    assert not out.exists(), "outputs are for run"


def test_the_report_of_run_names_arguments(tmp_path, known):
    source = interlaced_clips.write(tmp_path / "a.mp4")
    report = streamseg.run(source, tmp_path / "%06d.png", model=known)
    said = json.dumps(report.to_json())
    assert "deinterlace=" in said
    assert "--deinterlace" not in said
