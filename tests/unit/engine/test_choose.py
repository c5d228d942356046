"""The choice of an engine is said aloud; a name means that engine or an error."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from streamseg.config import override, parse_pipeline
from streamseg.engine import CANDIDATES, choose, open_engine
from streamseg.engine.onnxruntime import open_onnxruntime, why_not_onnxruntime
from streamseg.engine.openvino import why_not_openvino
from streamseg.errors import ConfigError, EngineError, EngineUnavailable, MissingExtra, ModelError
from streamseg.errors.extras import how_to_install
from streamseg.hub.graph_spec import read_spec
from streamseg.system.registry import Reference
from tests import graphs
from tests.plugins import installed


@pytest.fixture
def model(tmp_path):
    return graphs.constant_model(tmp_path / "m.onnx")


def test_auto_takes_the_best_that_runs_and_says_why_the_better_were_not(model, monkeypatch):
    absent = [replace(c, why_not=lambda: "its library is missing") if c.gpu else c for c in CANDIDATES]
    monkeypatch.setattr(choose, "CANDIDATES", tuple(absent))
    said: list[str] = []
    with open_engine(model, on_message=said.append) as engine:
        assert engine.name == "openvino"
    assert len(said) == 1
    assert said[0].startswith("engine: openvino on ")
    assert said[0].endswith(" (not tensorrt: its library is missing; not tensorrt-rtx: its library is missing)")


def test_a_machine_without_a_gpu_says_so_once(model, monkeypatch):
    absent = [replace(c, why_not=lambda: "no NVIDIA driver") if c.gpu else c for c in CANDIDATES]
    monkeypatch.setattr(choose, "CANDIDATES", tuple(absent))
    monkeypatch.setattr(choose, "no_driver", lambda: "no NVIDIA driver")
    said: list[str] = []
    open_engine(model, on_message=said.append).close()
    assert said[0].endswith(" (no NVIDIA driver)")
    assert "tensorrt" not in said[0]


def test_auto_goes_on_when_an_engine_cannot_run_the_model(model, monkeypatch):
    def broken(spec, **options):
        raise EngineError("OpenVINO cannot compile it")

    others = [replace(c, open=broken) if c.name == "openvino" else c for c in CANDIDATES]
    monkeypatch.setattr(choose, "CANDIDATES", tuple(others))
    said: list[str] = []
    with open_engine(model, on_message=said.append) as engine:
        assert engine.name == "onnxruntime"
    assert "not openvino: OpenVINO cannot compile it" in said[0]
    with pytest.raises(EngineError, match="cannot compile it"):
        open_engine(model, engine="openvino")


def test_auto_with_no_engine_at_all_gives_every_reason(model, monkeypatch):
    monkeypatch.setattr(choose, "CANDIDATES", tuple(replace(c, why_not=lambda: "broken here") for c in CANDIDATES))
    with pytest.raises(EngineUnavailable, match=r"no engine can run .*openvino: broken here; onnxruntime: broken here"):
        open_engine(model)


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_a_named_engine_that_cannot_run_is_an_error_not_a_fallback(model, name):
    with pytest.raises(EngineUnavailable, match=f"{name}: .*--engine auto"):
        open_engine(model, engine=name)


def test_an_unknown_engine_is_answered_with_the_known(model):
    with pytest.raises(ConfigError, match="'cuda'; known: auto, tensorrt, tensorrt-rtx, openvino, onnxruntime"):
        open_engine(model, engine="cuda")


@pytest.mark.parametrize("option", [{"threads": -1}, {"in_flight": 0}, {"batch": 0}])
def test_bad_options_are_named(model, option):
    with pytest.raises(ConfigError, match=f"{next(iter(option))} is {next(iter(option.values()))}; allowed"):
        open_engine(model, **option)


def test_what_is_not_installed_says_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert how_to_install("onnx") in (why_not_onnxruntime() or "")
    assert "pip install openvino" in (why_not_openvino() or "")
    with pytest.raises(MissingExtra, match=re.escape(how_to_install("onnx"))):
        open_onnxruntime(read_spec(model))
    with pytest.raises(EngineUnavailable, match=f"onnxruntime: .*{re.escape(how_to_install('onnx'))}"):
        open_engine(model, engine="onnxruntime")


def test_a_bad_model_is_not_an_engines_fault(tmp_path):
    with pytest.raises(ModelError):
        open_engine(graphs.constant_model(tmp_path / "m.onnx", metadata={"streamseg.format": None}))


ENGINE = """
import numpy as np
from streamseg.engine import Candidate, PooledEngine

def open_it(spec, *, threads, in_flight, batch, on_message):
    def run(images):
        shapes = {name: (len(images), *info.shape[1:]) for name, info in spec.outputs.items()}
        types = {name: info.dtype for name, info in spec.outputs.items()}
        answer = {name: np.ones(shape, types[name]) for name, shape in shapes.items()}
        answer["boxes"][:] = [1, 2, 3, 4]
        return answer
    return PooledEngine("mine", "nowhere", spec, [run], batch)

ENGINE = Candidate("mine", lambda: None, open_it)
BROKEN = Candidate("broken", lambda: "it is Monday", open_it)
"""


def test_an_engine_of_an_installed_package_is_taken_where_it_is_named(model, tmp_path, monkeypatch):
    points = {"engine": {"mine": "shiny_engine:ENGINE", "broken": "shiny_engine:BROKEN"}}
    installed(tmp_path / "site", monkeypatch, points, {"shiny_engine": ENGINE})
    with open_engine(model) as engine:
        assert engine.name != "mine"
    assert "shiny_engine" not in sys.modules
    with open_engine(model, engine="mine") as engine:
        assert engine.submit(np.zeros((1, 64, 96, 3), np.uint8)).result()["boxes"][0, 0].tolist() == [1, 2, 3, 4]
    with open_engine(model, engine=Reference("shiny_engine:ENGINE")) as engine:
        assert engine.name == "mine"
    with pytest.raises(EngineUnavailable, match="broken: it is Monday"):
        open_engine(model, engine="broken")
    with pytest.raises(ConfigError, match=r"a GPU is required, but the engine mine runs on the CPU"):
        open_engine(model, engine="mine", require_gpu=True)
    with pytest.raises(ConfigError, match=r"unknown engine 'shiny_engine:ENGINE'; known: auto, .*mine"):
        open_engine(model, engine="shiny_engine:ENGINE")  # code runs only where it was trusted
    with pytest.raises(ConfigError, match=r"shiny_engine:open_it is not an engine: it is not a streamseg\.engine\.Candidate"):
        open_engine(model, engine=Reference("shiny_engine:open_it"))


def test_a_pipeline_file_names_engines_of_packages_and_references_where_it_is_trusted(tmp_path, monkeypatch):
    installed(tmp_path / "site", monkeypatch, {"engine": {"mine": "shiny_named:ENGINE"}}, {})
    assert parse_pipeline("infer: {engine: mine}", "x.yaml").infer.engine == "mine"  # not imported: it may be overridden
    with pytest.raises(ConfigError, match=r"x\.yaml:1: infer\.engine: 'minx' .*'torch', 'mine'; did you mean 'mine'\?"):
        parse_pipeline("infer: {engine: minx}", "x.yaml")
    text = "infer:\n  engine: {use: 'shiny_named:ENGINE'}\n"
    with pytest.raises(ConfigError, match=r"x\.yaml:2: infer\.engine: 'shiny_named:ENGINE' would run code"):
        parse_pipeline(text, "x.yaml")
    config = parse_pipeline(text, "x.yaml", trust=True)
    assert isinstance(override(config, {"infer": {"batch": 2}}).infer.engine, Reference)
    with pytest.raises(ConfigError, match="would run code"):
        override(config, {"infer": {"engine": "os:getcwd"}})
