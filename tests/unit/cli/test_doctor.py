"""The doctor tells the truth about this machine, also about what is missing or broken."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamseg.cli import display
from streamseg.cli import doctor as module
from streamseg.cli.doctor import GpuReport, doctor
from streamseg.engine import CANDIDATES, open_engine
from streamseg.errors.extras import how_to_install
from streamseg.system import resources
from tests import graphs
from tests.plugins import installed


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(resources, "shipped_folder", lambda folder: tmp_path / folder)
    return graphs.constant_model(tmp_path / "engines" / "lite" / "lite-64x96.onnx")


def nvidia_smi(folder: Path, script: str, monkeypatch) -> None:
    """Put a program of that name first on the path."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_what_it_says_of_this_machine(shop):
    report = doctor()
    assert report.python == platform.python_version()
    assert 1 <= report.cores <= (os.cpu_count() or 1)
    assert report.versions["numpy"] == np.__version__
    assert report.versions["openvino"]
    assert report.ffmpeg["libavcodec"]
    assert report.models.problem is None
    assert report.models.files[0].path == shop
    assert report.ok


def test_the_engine_it_calls_chosen_is_the_one_that_auto_opens(shop):
    report = doctor()
    assert [e.name for e in report.engines] == [c.name for c in CANDIDATES]
    (chosen,) = [e.name for e in report.engines if e.chosen]
    with open_engine(shop) as engine:
        assert engine.name == chosen
    for engine_report in report.engines:
        assert engine_report.runs == (engine_report.why_not is None)


def test_an_engine_that_is_not_installed_says_what_to_install(shop, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (report,) = [e for e in doctor().engines if e.name == "onnxruntime"]
    assert not report.runs
    assert how_to_install("onnx") in (report.why_not or "")


def test_a_damaged_model_does_not_hide_the_sound_ones(shop):
    (shop.parent / "lite-64x64.onnx").write_bytes(b"damaged")
    report = doctor()
    assert [f.path for f in report.models.files] == [shop]
    assert "lite-64x64.onnx" in (report.models.problem or "")
    assert not report.ok


def test_plug_ins_are_listed_with_their_package_and_what_is_wrong(shop, tmp_path, monkeypatch, capsys):
    points = {
        "effect": {"bad": "shiny_doc:Nothing", "overlay": "shiny_doc:Nothing"},
        "engine": {"mine": "shiny_doc:ENGINE"},
        "sink": {".gone": "shiny_gone:Sink"},
    }
    text = "from streamseg.engine import Candidate\nENGINE = Candidate('x', lambda: 'not today', None)\n"
    installed(tmp_path / "site", monkeypatch, points, {"shiny_doc": text})
    report = doctor()
    assert [(f.kind, f.name, f.package, f.version) for f in report.plugins] == [
        ("effect", "bad", "shiny", "1.2"),
        ("effect", "overlay", "shiny", "1.2"),
        ("sink", ".gone", "shiny", "1.2"),
        ("engine", "mine", "shiny", "1.2"),
    ]
    problems = [f.problem or "" for f in report.plugins]
    assert "has no attribute 'Nothing'" in problems[0]
    assert problems[1].startswith("refused: streamseg itself has an effect 'overlay'")
    assert "No module named 'shiny_gone'" in problems[2]
    assert problems[3] == ""
    assert (report.engines[-1].name, report.engines[-1].why_not, report.engines[-1].chosen) == ("mine", "not today", False)
    assert report.ok  # a plug-in that fails stops nothing
    display.show_doctor(report.as_dict())
    said = capsys.readouterr().out
    assert "sink .gone: shiny 1.2 (shiny_gone:Sink) cannot be used: ModuleNotFoundError" in said
    assert "engine mine: shiny 1.2 (shiny_doc:ENGINE)\n" in said


def test_it_fits_into_json(shop):
    again = json.loads(json.dumps(doctor().as_dict()))
    assert again["ok"] is True
    assert again["models"]["files"][0]["path"] == str(shop)


def test_a_gpu_is_read_from_the_drivers_tool(shop, tmp_path, monkeypatch):
    nvidia_smi(tmp_path, "echo 'NVIDIA H200, 143771, 570.86.15, 9.0'; echo 'NVIDIA T4, 15360, 570.86.15, 7.5'", monkeypatch)
    report = doctor()
    assert report.gpus == (
        GpuReport("NVIDIA H200", 143771, "570.86.15", "9.0"),
        GpuReport("NVIDIA T4", 15360, "570.86.15", "7.5"),
    )
    assert report.gpu_note is None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'Failed to initialize NVML: Driver/library version mismatch' >&2; exit 18", "Driver/library version mismatch"),
        ("exit 9", "exit code 9"),
        ("exit 0", "lists no GPU"),
    ],
)
def test_a_broken_driver_is_quoted(shop, tmp_path, monkeypatch, script, said):
    nvidia_smi(tmp_path, script, monkeypatch)
    report = doctor()
    assert report.gpus == ()
    assert said in (report.gpu_note or "")


def test_a_driver_that_hangs_does_not_hang_us(shop, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(module.subprocess, "run", hang)
    assert "did not answer" in (doctor().gpu_note or "")


def test_it_imports_no_torch(shop):
    code = "import sys; from streamseg.cli.doctor import doctor; doctor(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_with_a_gpu_it_says_what_becomes_of_pictures(shop, tmp_path, monkeypatch, capsys):
    from streamseg.cli import display

    assert doctor().pictures == {}, "without one there is nothing to say"
    nvidia_smi(tmp_path, "echo 'NVIDIA T4, 15360, 570.86.15, 7.5'", monkeypatch)
    report = doctor()
    assert list(report.pictures) == ["frames on the GPU", "NVDEC", "NVENC"]
    display.show_doctor(report.as_dict())
    said = capsys.readouterr().out
    for what, why_not in report.pictures.items():
        assert f"{what}: {'yes' if why_not is None else 'no: '}" in said
