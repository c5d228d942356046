"""FAILURES.md, "untrusted weights": a checkpoint that is a program is refused at the command line, and does not run."""

from __future__ import annotations

import os
import pickle
import sys

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import torch

from streamseg.cli.main import main
from streamseg.errors import ModelError
from streamseg.system import folders


class Canary:
    """Its loading runs a command."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.fixture
def streamseg(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["streamseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capfd.readouterr().err

    return call


@pytest.mark.parametrize("verb", [("models", "import"), ("export",)], ids=lambda verb: verb[-1])
@pytest.mark.parametrize(
    ("wrap", "name", "expected"),
    [
        ("torch", "a.pth", "asks to run code"),
        ("model", "a.pth", "asks to run code"),
        (2, "a.pth", "asks to run code"),
        (4, "a.pth", "is not a checkpoint that torch.save wrote"),
        (2, "a.safetensors", "is not a safetensors file"),
    ],
)
def test_a_checkpoint_that_is_a_program(streamseg, tmp_path, verb, wrap, name, expected):
    path, canary = tmp_path / name, tmp_path / "canary"
    if wrap == "torch":
        torch.save(Canary(canary), path)
    elif wrap == "model":
        torch.save({"model": {"weight": torch.zeros(1), "bias": Canary(canary)}}, path)
    else:
        path.write_bytes(pickle.dumps(Canary(canary), protocol=wrap))
    code, said = streamseg(*verb, path)
    assert code == ModelError.exit_code
    assert expected in said
    assert "Traceback" not in said
    assert not canary.exists()
    assert not list(folders.models_root().glob("[!.]*"))
