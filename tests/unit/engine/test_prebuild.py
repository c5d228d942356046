"""Recipes, `streamseg build` and `streamseg engines`: what a person types, and what is answered."""

from __future__ import annotations

import json
import sys
from contextlib import closing as opened
from pathlib import Path

import pytest

from streamseg.cli import main as cli
from streamseg.engine import open_engine
from streamseg.engine.prebuild import graph_of
from streamseg.engine.recipe import load_recipe, parse_recipe, recipe_names
from streamseg.engine.store import Store
from streamseg.errors import ConfigError, EngineUnavailable, ModelError
from tests import clips, graphs
from tests.unit.engine.tensorrt.convolution import convolution_model

BAD = {
    "no model": ("sizes: [320x576]\n", r"r\.yaml:1: model: a value is needed"),
    "unknown key": (
        "model: lite\nbatch: [1]\n",
        r"r\.yaml:2: batch: unknown key; did you mean 'batches'\? \(allowed: batches, engine, for, head",
    ),
    "precision": (
        "model: lite\nprecisions: [fp32, fp8]\n",
        r"r\.yaml:2: precisions\.1: 'fp8' is not allowed; allowed: 'fp32', 'fp16'",
    ),
    "batch": ("model: lite\nbatches:\n  - 1\n  - 0\n", r"r\.yaml:4: batches\.1: 0 is not allowed"),
    "size": ("model: lite\nsizes: [big]\n", r"r\.yaml:2: sizes\.0: .*is not a size; write HEIGHTxWIDTH"),
    "capability": ("model: lite\nfor: [rtx3090]\n", r"r\.yaml:2: for\.0: 'rtx3090' is not a compute capability; write sm_86"),
    "engine": ("model: lite\nengine: openvino\n", r"r\.yaml:2: engine: 'openvino' is not allowed; allowed: 'auto', 'tensorrt'"),
    "a list": ("- lite\n", r"r\.yaml:1: expected sections \(model, engine"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_recipe_is_answered_with_file_line_and_what_is_allowed(case):
    text, said = BAD[case]
    with pytest.raises(ConfigError, match=said):
        parse_recipe(text, "r.yaml")


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_name_graphs_that_are_there_or_say_how_to_get_them(name, tmp_path, monkeypatch):
    for variable in ("STREAMSEG_MODELS", "STREAMSEG_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    recipe = load_recipe(name)
    assert recipe.model == name
    assert recipe.sizes
    assert recipe.precisions
    assert recipe.batches
    for size in recipe.sizes:
        assert not any(side % 32 for side in size), "no network takes that size"
        for precision in recipe.precisions:
            if name == "lite":
                assert graph_of(recipe.model, size, precision).size == size
            else:
                with pytest.raises(ModelError, match=f"fetch it: streamseg models pull {name}"):
                    graph_of(recipe.model, size, precision)


def test_there_is_a_recipe_for_every_model_that_is_worth_a_gpu():
    assert recipe_names() == ["lite", "resnet50-fpn", "resnet50-fpn-v2"]
    listed = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    assert all(f'"engines/{name}.yaml" = "streamseg/shipped/engines/{name}.yaml"' in listed for name in recipe_names())


def test_flags_go_on_top_of_the_recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("model: lite\nsizes: [320x576, 256x448]\nbatches: 4\nfor: sm_86\n")
    recipe = load_recipe(str(path), {"batches": "1,8", "precisions": "fp16,fp32", "sizes": None, "for": "sm_89, sm_120"})
    assert recipe.sizes == ((320, 576), (256, 448))
    assert (recipe.batches, recipe.precisions, recipe.targets) == ((1, 8), ("fp16", "fp32"), ("sm_89", "sm_120"))
    assert load_recipe("some.onnx").model == "some.onnx"
    with pytest.raises(ConfigError, match=r"batches\.0: 'many' is not allowed"):
        load_recipe(str(path), {"batches": "many"})
    with pytest.raises(ConfigError, match="cannot read the recipe"):
        load_recipe(str(tmp_path / "none.yaml"))


def test_the_graph_of_a_precision_lies_beside_the_model(tmp_path):
    plain = convolution_model(tmp_path / "m-64x96.onnx", types="fp32")
    with pytest.raises(ModelError, match=r"m-64x96\.onnx is fp32, and there is no fp16 graph m-64x96-fp16\.onnx beside it"):
        graph_of(str(plain), None, "fp16")
    half = convolution_model(tmp_path / "m-64x96-fp16.onnx", types="fp16", states="fp32")
    with pytest.raises(ModelError, match="states that it is fp32, not fp16"):
        graph_of(str(plain), None, "fp16")
    convolution_model(half, types="fp16")
    assert graph_of(str(plain), None, "fp16").path == half
    assert graph_of(str(half), None, None).precision == "fp16"
    assert graph_of(str(plain), None, "fp32").path == plain


def test_a_part_is_the_graph_that_a_run_of_it_takes(tmp_path, monkeypatch):
    """An engine compiled for anything else would be compiled again by the run."""
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path))
    whole = graphs.rectangle_model(tmp_path / "m.onnx")
    boxes = graph_of(str(whole), None, None, "boxes")
    assert set(boxes.outputs) == {"boxes", "scores", "labels"}
    with opened(open_engine(whole, part="boxes", engine="onnxruntime")) as engine:
        assert engine.spec.sha256 == boxes.sha256 != graph_of(str(whole), None, None).sha256
    recipe = load_recipe(str(whole), {"masks": "none", "head": "full"})
    assert (recipe.head, recipe.masks) == ("full", "none")
    with pytest.raises(ConfigError, match="masks: 'box' is not allowed"):
        load_recipe(str(whole), {"masks": "box"})


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Runs `streamseg ARGUMENTS` here; gives (exit code, stdout, stderr)."""
    monkeypatch.setenv("STREAMSEG_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setattr("streamseg.engine.tensorrt.opener.no_driver", lambda: "no NVIDIA driver")
    monkeypatch.setattr("streamseg.engine.prebuild.find_gpu", _no_gpu)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["streamseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        return int(done.value.code or 0), out, err

    return run


def _no_gpu():
    raise EngineUnavailable("no NVIDIA driver")


def test_the_life_of_an_engine(shell, tmp_path):
    assert shell("engines", "list")[1].startswith(f"no engines in {tmp_path / 'engines'}")
    half = convolution_model(tmp_path / "m-fp16.onnx", types="fp16")
    code, out, err = shell("build", half, "--for", "sm_86,sm_89", "--batch", "1,2", "--json")
    assert (code, err) == (0, "")
    (built,) = json.loads(out)
    assert built["key"]["precision"] == "fp16"
    assert built["key"]["batches"] == [1, 2]
    assert built["key"]["capabilities"] == ["sm_86", "sm_89"]
    assert Path(built["path"]).parent == tmp_path / "engines"

    code, out, err = shell("build", half)
    assert code == 0
    assert "not tensorrt: no NVIDIA driver" in err
    assert "any GPU of compute capability 8.0 or later" in err
    code, out, _ = shell("engines", "list")
    assert "sm_86, sm_89" in out
    assert "sm_80 and later" in out

    code, out, _ = shell("engines", "show", built["name"])
    assert json.loads(out)["layers"]["CONVOLUTION"] == {"fp16": 1}
    assert "info: " in shell("engines", "show", built["name"], "--log")[1]
    code, _, err = shell("engines", "show", "test")
    assert (code, "several engines begin with 'test'" in err) == (3, True)

    assert shell("engines", "verify")[0] == 0
    plan = Path(built["path"]) / "plan"
    plan.write_bytes(plan.read_bytes()[:-1])
    code, out, _ = shell("engines", "verify")
    assert code == 13
    assert out.count(": sound") == 1
    assert "would remove" in shell("engines", "prune", "--dry-run")[1]
    assert f"removed {built['name']}: the engine" in shell("engines", "prune")[1]
    assert len(Store().entries()) == 1


def test_engines_of_another_version_are_pruned(shell, tmp_path, monkeypatch):
    model = convolution_model(tmp_path / "m.onnx")
    monkeypatch.setattr("tensorrt_rtx.__version__", "0.9")
    assert shell("build", model)[0] == 0
    monkeypatch.undo()
    monkeypatch.setenv("STREAMSEG_ENGINES", str(tmp_path / "engines"))
    _, out, _ = shell("engines", "prune")
    assert "built by tensorrt-rtx 0.9, installed is" in out
    assert Store().entries() == []
    assert shell("engines", "prune")[1] == f"nothing to remove in {Store().root}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("--engine", "tensorrt"),
            15,
            "tensorrt builds only on the GPU it will run on: no NVIDIA driver. Use --engine tensorrt-rtx",
        ),
        (("--engine", "tensorrt", "--for", "sm_86"), 15, "Use --engine tensorrt-rtx"),
        (("--for", "sm_90"), 3, "does not compile for 'sm_90'; allowed: sm_75"),
        (("--precision", "int8"), 13, "there is no int8 graph m-int8.onnx beside it"),
        (("--batch", "65"), 3, "batches.0: '65' is not allowed"),
        (("--size", "10x10"), 13, "takes 64x96, not 10x10"),
    ],
)
def test_what_cannot_be_built_is_said_with_an_exit_code(shell, tmp_path, arguments, code, said):
    done, _, err = shell("build", convolution_model(tmp_path / "m.onnx"), *arguments)
    assert said in err
    assert done == code
    assert Store().entries() == []


def test_run_with_require_gpu_does_not_fall_back(shell, tmp_path):
    source, output = clips.cfr(tmp_path / "a.mp4", frames=3), tmp_path / "b.mp4"
    code, _, err = shell("run", source, "-o", output, "--model", convolution_model(tmp_path / "m.onnx"), "--require-gpu")
    assert code == 15
    assert (
        "a GPU is required, but no engine can use one here: tensorrt: no NVIDIA driver; tensorrt-rtx: no NVIDIA driver" in err
    )
    assert not output.exists()
