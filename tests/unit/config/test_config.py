"""Pipeline files: every bad value is answered with file, line, what was wrong and what is allowed."""

import re
from pathlib import Path

import jsonschema
import pytest

import streamseg
from streamseg.composite.effect import builtin
from streamseg.config import PipelineConfig, load_pipeline, override, parse_pipeline, parse_seconds, pipeline_names
from streamseg.config.steps import options_of
from streamseg.errors import ConfigError
from tests.plugins import installed


@pytest.mark.parametrize("name", ["drive", "edit", "live"])
def test_shipped_pipelines_load(name):
    config = load_pipeline(name)
    assert config.outputs
    assert name in pipeline_names()


def test_an_empty_file_is_the_usual_pipeline():
    assert parse_pipeline("", "x.yaml").infer.model == "lite"
    assert parse_pipeline("infer:\ndecode:\n", "x.yaml").infer.engine == "auto"


BAD = {
    "unknown section": ("decod: {}\n", r"x\.yaml:1: decod: unknown key; did you mean 'decode'\?"),
    "unknown key": (
        "decode:\n  policy: block\n  polcy: block\n",
        r"x\.yaml:3: decode\.polcy: unknown key; did you mean 'policy'\?.*reconnect",
    ),
    "unknown effect key": (
        "outputs:\n  a:\n    composite:\n      - overlay: {fil: 3}\n",
        r"x\.yaml:4: .*overlay\.fil: .*'fill'\? \(allowed: box",
    ),
    "bad choice": ("infer:\n  engine: cuda\n", r"x\.yaml:2: infer\.engine: 'cuda' is not allowed; allowed: 'auto', 'tensorrt'"),
    "out of range": (
        "# a\n\npostprocess:\n  conf: 2\n",
        r"x\.yaml:4: postprocess\.conf: 2 is not allowed; expected less than or equal to 1",
    ),
    "second effect": (
        "outputs:\n  a:\n    composite:\n      - overlay\n      - blur: {where: 'sky,,'}\n",
        r"x\.yaml:5: .*blur: where: selection, character 5: .* not ','\n  sky,,\n      \^",
    ),
    "two effects in a step": (
        "outputs: {a: {composite: [{blur: {}, alpha: {}}]}}",
        "exactly one of alerts, alpha, background, birdseye, blur, corridor, counts",
    ),
    "bad time": ("decode: {start: soon}", r"'soon' is not a time; write seconds"),
    "negative time": ("decode: {start: -3}", "greater than or equal to 0"),
    "no duration": ("decode: {duration: 0s}", "greater than 0"),
    "infinite": ("decode: {timeout: .inf}", "finite"),
    "bad size": ("preprocess: {size: 320}", "is not a size; write HEIGHTxWIDTH"),
    "bad edges": ("smooth: {edges: often}", "'often' is not true, false or matte"),
    "bad label": ('outputs: {a: {composite: [overlay: {label: "{nme}"}]}}', r"its fields are \{name\}, \{id\}, \{score\}"),
    "key twice": ("infer: {}\ninfer: {}\n", r"x\.yaml:2: the key 'infer' is given twice"),
    "key that is a list": ("? [a, b]\n: 1\n", r"x\.yaml:1: a key is a name, not a list"),
    "alias": ("decode: &a {}\ninfer: *a\n", "aliases"),
    "deep": ("a:\n  " + 20_000 * "[", r"x\.yaml:2: more than 32 lists and sections within each other"),
    "not YAML": ("a: [\n", r"x\.yaml:2: not valid YAML"),
    "a list": ("- a\n", r"expected sections \(decode, preprocess"),
    "python tag": ("decode: !!python/object/apply:os.system [ls]\n", r"x\.yaml:1: not valid YAML"),
    "output name": ("outputs: {Big Name: {}}", "not an output's name"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_answered(case):
    text, message = BAD[case]
    with pytest.raises(ConfigError, match=message):
        parse_pipeline(text, "x.yaml")


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_pipeline("infer: {batch: 0}\npostprocess: {conf: -1}\n", "x.yaml")
    assert "x.yaml:1: infer.batch" in str(caught.value)
    assert "x.yaml:2: postprocess.conf" in str(caught.value)


def test_missing_binary_and_unknown_files(tmp_path):
    with pytest.raises(ConfigError, match="no pipeline 'drvie'; known: drive, edit, live"):
        load_pipeline("drvie")
    with pytest.raises(ConfigError, match="cannot read the pipeline file"):
        load_pipeline(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        load_pipeline(tmp_path / "binary.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_pipeline(tmp_path / "big.yaml")


def test_a_copied_and_changed_pipeline_loads(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "postprocess: {classes: 'cat, dog', conf: 0.3}\noutputs:\n  picture:\n    composite: [overlay, {pixelate: {block: 8}}]\n"
    )
    config = load_pipeline(mine)
    assert config.postprocess.classes == ("cat", "dog")
    assert [step.name for step in config.outputs["picture"].composite] == ["overlay", "pixelate"]


def test_flags_override_the_file_and_leave_the_rest():
    config = override(load_pipeline("edit"), {"postprocess": {"conf": 0.7, "classes": None}, "preprocess": {"size": "256x448"}})
    assert config.postprocess.conf == 0.7
    assert config.postprocess.classes == ("person",)
    assert config.preprocess.size == (256, 448)
    assert config.outputs == load_pipeline("edit").outputs
    assert override(config, {"postprocess": {"classes": "all"}}).postprocess.classes is None
    with pytest.raises(ConfigError, match=r"options: postprocess\.conf: 7"):
        override(config, {"postprocess": {"conf": 7}})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3s", 3),
        ("250ms", 0.25),
        ("1m30s", 90),
        ("1h", 3600),
        ("1:30", 90),
        ("00:01:30.5", 90.5),
        ("2.5", 2.5),
        (4, 4),
        ("1m", 60),
        (".5", 0.5),
        (".5s", 0.5),
        ("5.s", 5),
        ("5S", 5),
        ("5 s", 5),
        ("5sec", 5),
        ("2min", 120),
        ("1 min 2 s", 62),
        ("1m2s", 62),
        ("1h 250ms", 3600.25),
        ("1:02", 62),
        ("1:02.5", 62.5),
        ("00:01:02,500", 62.5),
        ("90:00", 5400),
        ("1:2:3", 3723),
    ],
)
def test_times(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "ms", ".", ".s", "3x", "1:2:3:4", "three", "1:75", "1:60:00", "1:", ":30", "1,5s", "2s 1m", "100f", "-5s"]
)
def test_not_times(text):
    with pytest.raises(ValueError, match=r"not a time.*; write seconds \(1\.5\), 3s, 250ms, 1m30s or 00:01:30$"):
        parse_seconds(text)


@pytest.mark.parametrize("label", ["00:01:02;03", "01:00:00:00"])
def test_a_timecode_is_no_time(label):
    with pytest.raises(ValueError, match=f"{label}' is not a time .it is a timecode, whose last part counts pictures.; write"):
        parse_seconds(label)


@pytest.mark.parametrize(("text", "size"), [(".5GB", 5 * 10**8), ("2 GB", 2 * 10**9), ("1.MiB", 2**20), ("off", 0)])
def test_sizes_in_bytes(text, size):
    assert parse_pipeline(f"decode: {{spool: {text}}}", "test").decode.spool == size


def test_the_docs_list_every_effect_with_its_options():
    page = (Path(__file__).parents[3] / "docs" / "effects.md").read_text()
    table = page.partition("| effect | fields |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = {
        line.split("`")[1]: set(re.findall(r"`(\w+)", line.partition("|")[2].partition("|")[2])) for line in table.splitlines()
    }
    assert rows.keys() == set(builtin())
    for name, kind in builtin().items():
        assert set(options_of(kind)) <= rows[name], name


def test_the_json_schema_lists_what_the_registries_have(tmp_path, monkeypatch):
    points = {
        "effect": {"shine": "shiny_schema:Shine", "broken": "shiny_schema:Nothing"},
        "stage": {"wait": "shiny_schema:Wait"},
    }
    text = (
        "from dataclasses import dataclass\n"
        "from streamseg.composite import Effect\nfrom streamseg.pipeline.extra import ExtraStage\n"
        "@dataclass(frozen=True)\nclass Shine(Effect):\n    amount: int = 3\n"
        "@dataclass\nclass Wait(ExtraStage):\n    frames: int = 3\n"
    )
    installed(tmp_path, monkeypatch, points, {"shiny_schema": text})
    schema = PipelineConfig.model_json_schema()
    for good in (
        {"outputs": {"a": {"composite": [{"shine": {"amount": 4}}, "overlay", {"blur": None}, {"use": "a:B", "x": 1}]}}},
        {"stages": [{"wait": {"frames": 2, "after": "track"}}], "infer": {"engine": {"use": "a:B"}}},
    ):
        jsonschema.validate(good, schema)
    for bad in (
        {"outputs": {"a": {"composite": [{"shine": {"amount": "much"}}]}}},
        {"outputs": {"a": {"composite": [{"shine": {"amont": 3}}]}}},
        {"outputs": {"a": {"composite": ["broken"]}}},
        {"stages": ["track"]},
        {"infer": {"engine": "cuda"}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [("{stem}.{nope}.mp4", "{nope}"), ("{Out}", "{Out}"), ("{stem.mp4", "{stem.mp4"), ("{}.mp4", "{}"), ("out}", "}")],
)
def test_a_mistyped_placeholder_is_refused(path, wrong):
    with pytest.raises(ConfigError) as caught:
        parse_pipeline(f"outputs:\n  a:\n    path: '{path}'\n", "x.yaml")
    assert str(caught.value) == (
        f"x.yaml:3: outputs.a.path: {wrong!r} is no placeholder; allowed: {{out}} (what -o says), {{stem}} (the same without "
        "its suffix), {track} and {class} (a file for each)"
    )


def test_placeholders_that_are_known_stay():
    for path in ("{out}", "{stem}.alpha.mov", "{stem}/%06d.png", "a.mp4", "{stem}.{class}-{track}.mkv"):
        assert parse_pipeline(f"outputs: {{a: {{path: '{path}'}}}}", "x.yaml").outputs["a"].path == path


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: streamseg.TrackConfig(maxage=1), r"^TrackConfig: maxage: unknown key; did you mean 'max_age'\? \(allowed: "),
        (lambda: streamseg.SmoothConfig(masks="no"), "^SmoothConfig: masks: 'no' is not a time"),
        (lambda: streamseg.EventsConfig(margin=2), "^EventsConfig: margin: 2 is not allowed"),
        (lambda: PipelineConfig(track={"maxage": 1}), r"^PipelineConfig: track\.maxage: unknown key; did you mean 'max_age'\?"),
        (
            lambda: PipelineConfig(infer={"batch": True}),
            r"^PipelineConfig: infer\.batch: True is not allowed; a number is needed$",
        ),
        (lambda: streamseg.TrackConfig(low=False), "^TrackConfig: low: False is not allowed; a number is needed$"),
    ],
)
def test_a_section_made_in_python_is_refused_as_one_of_a_file(made, said):
    """Seen: pydantic's own error, with a link to its documentation, and True taken as 1."""
    with pytest.raises(ConfigError, match=said) as caught:
        made()
    assert "pydantic" not in str(caught.value)


def test_truth_is_no_number_in_a_file_and_still_what_it_means_elsewhere():
    with pytest.raises(ConfigError, match=r"x\.yaml:2: postprocess\.conf: True is not allowed; a number is needed"):
        parse_pipeline("postprocess:\n  conf: yes", "x.yaml")
    with pytest.raises(ConfigError, match=r"x\.yaml:1: outputs\.a\.composite\.0\.overlay\.fill: True is not allowed; a number"):
        parse_pipeline("outputs: {a: {path: o.mp4, composite: [overlay: {fill: yes, box: yes}]}}", "x.yaml")
    config = parse_pipeline("decode: {deinterlace: yes, realtime: yes}\nsmooth: {masks: off}", "x.yaml")
    assert (config.decode.deinterlace, config.decode.realtime, config.smooth.masks) == ("frame", True, 0.0)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("blur: {strength: 7}", "composite.0.blur: strength must be above 0 and at most 1, got 7.0"),
        (
            "blur: {where: person#1, largest}",
            "composite.0.blur.largest: unknown key; a selection with a comma needs quotation marks: where: 'person#1, largest'",
        ),
        ("blur: {wher: person#1}", "composite.0.blur.wher: unknown key; did you mean 'where'?"),
    ],
)
def test_a_wrong_effect_is_named_once_with_what_to_write(tmp_path, steps, said):
    file = tmp_path / "p.yaml"
    file.write_text(f"outputs:\n  seen:\n    path: a.mp4\n    composite:\n      - {steps}\n")
    with pytest.raises(ConfigError) as caught:
        load_pipeline(file)
    assert said in str(caught.value)
    assert str(caught.value).count("blur") == 1
