"""Files become models of the user's, whole or not at all, under names that lead to them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from streamseg.errors import ConfigError, MissingExtra, ModelError, OutputError, OutputExists
from streamseg.hub import catalog, importer
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.importer import check_name, import_file, name_for, remove
from streamseg.system import folders, resources
from tests import graphs


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    graphs.constant_model(tmp_path / "shipped" / "engines" / "lite" / "lite-64x96.onnx")
    monkeypatch.setattr(resources, "shipped_folder", lambda folder: tmp_path / "shipped" / folder)
    return tmp_path / "mine"


def graph(folder: Path, size=(64, 96), name: str = "door") -> Path:
    """A graph whose weights lie beside it."""
    path = graphs.constant_model(folder / f"export-{size[0]}.onnx", size=size, metadata={"streamseg.name": name})
    graphs.move_weights(path, f"{folder.name}.bin")
    return path


def test_a_graph_and_its_weights_become_a_model(tmp_path, root):
    made = import_file(graph(tmp_path / "a"))
    assert (made.name, made.path) == ("door", root / "door" / "door-64x96.onnx")
    assert catalog.resolve("door") == made.path
    assert read_spec(made.path).classes == graphs.CLASSES
    notes = json.loads((root / "door" / "door.json").read_text())
    assert notes["origin"] == "export-64.onnx"
    assert catalog.find("door").about() == notes
    assert sorted(path.name for path in root.iterdir() if path.name != ".locks") == ["door"], "no leftovers"


def test_a_further_size_of_the_same_weights_joins_its_model(tmp_path, root):
    import_file(graph(tmp_path / "a"))
    import_file(graph(tmp_path / "more" / "a", (128, 96)))
    assert sorted(catalog.find("door").graphs) == [(64, 96), (128, 96)]
    assert read_spec(catalog.resolve("door", (128, 96))).size == (128, 96)


def test_a_graph_in_half_precision_is_a_model_too_and_stands_back_behind_the_full_one(tmp_path):
    def kind(precision: str) -> Path:
        path = graphs.constant_model(
            tmp_path / precision / "a" / "x.onnx", metadata={"streamseg.name": "door", "streamseg.precision": precision}
        )
        graphs.move_weights(path, "a.bin")
        return path

    half = import_file(kind("fp16")).path
    assert half.name == "door-64x96-fp16.onnx"
    assert catalog.resolve("door") == catalog.resolve("door", (64, 96), precision="fp16") == half
    full = import_file(kind("fp32")).path
    assert catalog.resolve("door") == full
    assert catalog.resolve("door", precision="fp16") == half
    with pytest.raises(ModelError, match="'door' is not here at 64x96 in int8"):
        catalog.resolve("door", precision="int8")


def test_a_model_is_replaced_only_when_asked(tmp_path, root):
    import_file(graph(tmp_path / "a"))
    other = graph(tmp_path / "b", (128, 192))
    with pytest.raises(OutputExists, match="there is a model 'door'"):
        import_file(other)
    assert list(catalog.find("door").graphs) == [(64, 96)]
    import_file(other, overwrite=True)
    assert list(catalog.find("door").graphs) == [(128, 192)]
    assert not (root / "door" / "a.bin").exists()
    import_file(other, name="gate")
    assert list(catalog.installed()) == ["door", "gate", "lite"]


def test_remove_deletes_only_the_user_s(tmp_path, root):
    import_file(graph(tmp_path / "a"))
    assert remove("door") == root / "door"
    assert not (root / "door").exists()
    for name in ("door", "../shipped", ""):
        with pytest.raises(ModelError, match=f"no model '{name}'"):
            remove(name)
    with pytest.raises(ModelError, match="'lite' comes with streamseg and cannot be removed"):
        remove("lite")
    assert catalog.resolve("lite").is_file()


@pytest.mark.parametrize("name", ["", "-a", "Door", "a b", "a/b", "../a", ".a", "a" * 61, "door-320x576", "é"])
def test_names_that_cannot_be(name):
    with pytest.raises(ConfigError, match="cannot be a model's name"):
        check_name(name)


def test_a_shipped_name_is_taken(tmp_path):
    with pytest.raises(ConfigError, match="'lite' is a model that streamseg brings"):
        import_file(graph(tmp_path / "a"), name="lite")


@pytest.mark.parametrize(
    ("path", "name"),
    [("runs/Night Owls/model.safetensors", "night-owls"), ("runs/owls/checkpoint.pt", "owls"), ("my.Best_1.pth", "my-best_1")],
)
def test_a_checkpoint_gives_its_name(tmp_path, path, name):
    assert name_for(tmp_path / path) == name


def test_a_checkpoint_whose_name_is_none(tmp_path):
    with pytest.raises(ConfigError, match="give one: --name"):
        name_for(tmp_path / "é.pth")


def test_files_that_make_no_model(tmp_path):
    with pytest.raises(ModelError, match="there is no file"):
        import_file(tmp_path / "gone.pth")
    with pytest.raises(ModelError, match="is a folder; name the file in it"):
        import_file(tmp_path)
    (tmp_path / "a.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="not an ONNX file"):
        import_file(tmp_path / "a.onnx")


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "file" / "mine"))
    with pytest.raises(OutputError, match="STREAMSEG_MODELS"):
        import_file(graph(tmp_path / "a"))


def test_an_import_that_fails_leaves_the_old_model(tmp_path, root, monkeypatch):
    import_file(graph(tmp_path / "a"))

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importer.shutil, "copyfile", full)
    with pytest.raises(OutputError, match=r"No space left on device; make room"):
        import_file(graph(tmp_path / "b", (128, 192)), overwrite=True)
    assert list(catalog.find("door").graphs) == [(64, 96)]
    assert [path.name for path in root.iterdir() if path.name != ".locks"] == ["door"]


def test_folders_are_those_of_the_environment(tmp_path, monkeypatch):
    assert folders.models_root() == tmp_path / "mine"
    for name in ("STREAMSEG_MODELS", "STREAMSEG_CACHE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.models_root() == tmp_path / "data" / "streamseg" / "models"
    assert folders.cache_root() == tmp_path / ".cache" / "streamseg"


class Refused:
    """A finder that says of torch that it is not there, as an installation without it does."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")


@pytest.fixture(params=["no spec", "a finder refuses"])
def no_torch(request, monkeypatch):
    if request.param == "no spec":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    else:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        monkeypatch.setattr(sys, "meta_path", [Refused(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "streamseg.hub.checkpoints", raising=False)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"hello, world", "is not a checkpoint that torch.save wrote, nor a safetensors file"),
        ("e.pth", b"", "nor a safetensors file: it is empty"),
        ("bad.safetensors", b"hello, world", "is not a safetensors file"),
        ("zip.safetensors", b"PK\x03\x04 and more", "is not a safetensors file"),
    ],
)
def test_what_is_no_checkpoint_is_said_without_torch(no_torch, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} .*{said}"):
        import_file(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.pth", b"PK\x03\x04 and more"), ("old.pt", b"\x80\x02 and more"), ("w.safetensors", b"\x02" + bytes(7) + b"{}")],
)
def test_what_may_be_one_asks_for_torch(no_torch, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MissingExtra, match=r"torch is not installed; run: pip install"):
        import_file(tmp_path / name)
