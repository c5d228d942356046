"""`pull` fetches what was published, once, checks it, and makes it a model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from streamseg.errors import MissingExtra, ModelError
from streamseg.hub import catalog, pretrained
from streamseg.hub.download import Patience
from streamseg.hub.importer import Imported
from streamseg.hub.pretrained import BODIES, PRETRAINED, Pretrained, pull
from streamseg.networks.design import IMAGENET_FILES, imagenet_file
from streamseg.system import folders
from tests.http_source import Server
from tests.served_file import ServedFile
from tests.weights import tiny_weights

DATA = random.Random(3).randbytes(50_000)
SHA = hashlib.sha256(DATA).hexdigest()
FILE = f"tiny-{SHA[:8]}.pth"
QUICK = Patience(timeout=2, attempts=2, pause=0.01)


@pytest.fixture(autouse=True)
def imported(tmp_path, monkeypatch) -> list[tuple[bytes, dict]]:
    """What was made a model: the file's bytes and the notes. Making it is `import_file`'s, tested on its own."""
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STREAMSEG_MODELS_URL", raising=False)
    monkeypatch.setitem(PRETRAINED, "tiny", Pretrained(FILE, 1, 80, 1.0, 1.0))
    made: list[tuple[bytes, dict]] = []

    def make(file: Path, *, name: str, network: str, overwrite: bool, notes: dict) -> Imported:
        made.append((file.read_bytes(), notes))
        path = tiny_weights(folders.models_root() / name / f"{name}.safetensors")
        return Imported(name, path, network, (), False)

    monkeypatch.setattr(pretrained, "import_file", make)
    return made


@pytest.fixture
def served() -> ServedFile:
    return ServedFile(DATA)


@pytest.fixture
def mirror(served):
    with Server({f"/models/{FILE}": served, "/other.pth": served}) as server:
        yield server.url


@pytest.mark.parametrize("place", ["/models", "/models/", f"/models/{FILE}", "/other.pth"])
def test_an_address_is_that_of_the_file_or_of_its_folder(mirror, imported, place):
    path = pull("tiny", url=mirror + place, patience=QUICK)
    assert path.is_file()
    assert imported[0][0] == DATA
    assert imported[0][1]["source_sha256"] == SHA
    assert "BSD" in imported[0][1]["licence"]
    assert not [p for p in (folders.cache_root() / "downloads").iterdir() if p.is_file()], "the checkpoint is not kept twice"


def test_a_mirror_of_the_environment(mirror, imported, monkeypatch):
    monkeypatch.setenv("STREAMSEG_MODELS_URL", f"{mirror}/models")
    pull("tiny", patience=QUICK)
    assert imported


def test_what_is_here_is_not_fetched_again_unless_forced(mirror, served, imported):
    said: list[str] = []
    for _ in range(2):
        pull("tiny", url=f"{mirror}/models", on_message=said.append, patience=QUICK)
    assert len(served.requests) == 1
    assert "is here already" in said[-1]
    pull("tiny", url=f"{mirror}/models", force=True, patience=QUICK)
    assert len(imported) == 2


def test_another_file_than_the_name_says_is_refused(mirror, served, imported):
    served.data = DATA + b"!"
    with pytest.raises(ModelError, match=f"expected was {SHA[:8]}…"):
        pull("tiny", url=f"{mirror}/models", patience=QUICK)
    assert not imported


def test_the_first_fetch_is_remembered_in_full(mirror, served, imported, monkeypatch):
    """Eight digits keep out accidents; who can make a file of the same eight is kept out by those of the first one."""
    pull("tiny", url=f"{mirror}/models", patience=QUICK)
    records = json.loads((folders.models_root() / "fetched.json").read_text())
    assert records[FILE]["sha256"] == SHA
    records[FILE]["sha256"] = SHA[:8] + "0" * 56  # so that what is served now is the forgery
    (folders.models_root() / "fetched.json").write_text(json.dumps(records))
    with pytest.raises(ModelError, match=f"expected was {SHA[:8]}0000"):
        pull("tiny", url=f"{mirror}/models", force=True, patience=QUICK)
    (folders.models_root() / "fetched.json").write_text("{")
    with pytest.raises(ModelError, match="repair or remove it"):
        pull("tiny", url=f"{mirror}/models", force=True, patience=QUICK)


def test_a_body_s_weights_are_put_where_trainings_look_for_them(mirror, imported, monkeypatch):
    monkeypatch.setitem(BODIES, "imagenet-resnet50", Pretrained(FILE, 1))
    monkeypatch.setitem(IMAGENET_FILES, "resnet50", FILE)
    path = pull("imagenet-resnet50", url=f"{mirror}/models", patience=QUICK)
    assert imagenet_file("resnet50") == path
    assert path.read_bytes() == DATA
    assert not imported
    assert "imagenet" not in catalog.installed()


def test_bodies_are_those_that_trainings_look_for():
    assert {name: published.file for name, published in BODIES.items()} == {
        f"imagenet-{body}": file for body, file in IMAGENET_FILES.items()
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50-c4", "nobody published weights of resnet50-c4 for COCO: train it"),
        ("mobilenetv3-fpn", "nobody published"),
        ("lite", "'lite' comes with streamseg and need not be fetched"),
        ("huge", "'huge' cannot be fetched; there are: resnet50-fpn, resnet50-fpn-v2"),
    ],
)
def test_what_nobody_published(name, said):
    with pytest.raises(ModelError, match=said):
        pull(name)


def test_without_torch_nothing_is_fetched(mirror, served, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install .*\[train\]"):
        pull("tiny", url=f"{mirror}/models", patience=QUICK)
    assert not served.requests
    with pytest.raises(ModelError, match="'foo' cannot be fetched; there are: "):  # before 5 GB of torch are fetched for it
        pull("foo")


def test_published_files_are_those_that_torchvision_names():
    from torchvision.models import detection

    for name, kind in (("resnet50-fpn", "FPN"), ("resnet50-fpn-v2", "FPN_V2")):
        weights = getattr(detection, f"MaskRCNN_ResNet50_{kind}_Weights").COCO_V1
        ours = PRETRAINED[name]
        assert weights.url == pretrained.BASE_URL + ours.file
        assert weights.url.endswith(f"-{ours.digest}.pth")
        measured = weights.meta["_metrics"]["COCO-val2017"]
        assert (measured["box_map"], measured["mask_map"]) == (ours.box_ap, ours.mask_ap)
        assert abs(weights.meta["_file_size"] * 2**20 / 1e6 - ours.megabytes) < 1
