"""`streamseg models` and `streamseg export`, from a server to a video: what is fetched, kept, exported, run and said."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import torch

from streamseg.hub import catalog, exporter, on_demand
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.pretrained import PRETRAINED, Pretrained
from streamseg.system import folders
from tests import clips, graphs
from tests.http_source import Server
from tests.served_file import ServedFile
from tests.weights import tiny_weights

SHIPPED = Path(__file__).parents[2] / "engines" / "lite"


@pytest.fixture
def streamseg(streamseg):
    """As elsewhere, with the errors' lines joined: where they are broken depends on the paths in them."""

    def call(*arguments):
        done = streamseg(*arguments)
        return replace(done, stderr=" ".join(done.stderr.split()))

    return call


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    for module in (on_demand, exporter):
        monkeypatch.setattr(module, "settings_for", lambda network: {"proposals": 20, "detections": 5})
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def published(folder: Path) -> Path:
    """torchvision's first Mask R-CNN with random weights, in a file like that of COCO_V1: its old names, its name by hash."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.manual_seed(0)
    state = OrderedDict()
    for name, tensor in maskrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict().items():
        new = re.sub(r"(_blocks\.\d+)\.0\.", r"\1.", name).replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        state[re.sub(r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", new)] = tensor
    path = folder / "made.pth"
    torch.save(state, path)
    return path.rename(folder / f"tiny-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")


@pytest.mark.timeout(300)
def test_from_the_server_to_a_video(streamseg, tmp_path, monkeypatch):
    file = published(tmp_path)
    served = ServedFile(file.read_bytes(), script=["cut:50000000"])
    monkeypatch.setitem(PRETRAINED, "resnet50-fpn", Pretrained(file.name, 178, 80, 37.9, 34.6))
    clip = clips.cfr(tmp_path / "a.mp4", 3)
    run = ("run", clip, "--model", "resnet50-fpn", "--size", "128x192", "-o", tmp_path / "o.jsonl", "--overwrite")

    done = streamseg(*run)
    assert done.returncode == 13
    assert "fetch it: streamseg models pull resnet50-fpn" in done.stderr

    with Server({f"/{file.name}": served}) as server:
        monkeypatch.setenv("STREAMSEG_MODELS_URL", server.url)
        done = streamseg("models", "pull", "resnet50-fpn")
    assert done.returncode == 0, done.stderr
    assert "the connection ended after 50000000 of" in done.stderr
    assert served.sent == file.stat().st_size, "no byte came twice"

    done = streamseg(*run)
    assert done.returncode == 0, done.stderr
    assert "exporting resnet50-fpn-128x192.onnx, once" in done.stderr
    assert "3 frames" in done.stderr
    (graph,) = folders.cache_root().rglob("*.onnx")
    spec = read_spec(graph)
    assert (spec.size, spec.outputs["scores"].shape[1], len(spec.classes)) == ((128, 192), 5, 80)
    assert spec.weights[0].samefile(folders.models_root() / "resnet50-fpn" / "resnet50-fpn.safetensors"), "kept once"

    said: list[str] = []
    assert catalog.resolve("resnet50-fpn", (128, 192), on_message=said.append) == graph
    assert said == [], "exported once"

    (row,) = [row for row in json.loads(streamseg("models", "--json").stdout) if row["name"] == "resnet50-fpn"]
    assert (row["state"], row["class_count"], row["exported"]) == ("pulled, resnet50-fpn", 80, ["128x192"])
    assert "BSD-3-Clause" in row["licence"]


@pytest.fixture
def exports(monkeypatch):
    """What the exporter was asked for, which writes graphs of known answers; the real one is in the test above, and its own."""
    import streamseg.export.export as module

    asked: list[tuple] = []

    def write(weights, folder, sizes, settings, name, dynamic_batch, precision, calibration, report):
        report(f"{precision} layers")
        asked.append((sizes, settings.proposals, settings.detections, dynamic_batch, precision, tuple(calibration)))
        (folder / f"{name}.safetensors").write_bytes(weights.read_bytes())
        suffix = "" if precision == "fp32" else f"-{precision}"
        for size in sizes:
            graphs.constant_model(folder / f"{name}-{size[0]}x{size[1]}{suffix}.onnx", size=size)

    monkeypatch.setattr(module, "export_model", write)
    return asked


def test_export_writes_graphs_that_run(streamseg, exports, tmp_path):
    export = ("export", SHIPPED / "lite.safetensors", "-o", tmp_path / "out", "--size", "64x96", "--size", "96x64")
    done = streamseg(*export, "--detections", "7", "--batch", "1")
    assert done.returncode == 0, done.stderr
    graph, other = (tmp_path / "out" / f"lite-{size}.onnx" for size in ("64x96", "96x64"))
    assert done.stdout.split() == [str(graph), str(other)]
    assert "fp32 layers" in done.stderr, "what the exporter says reaches the user"
    assert exports == [([(64, 96), (96, 64)], 20, 7, False, "fp32", ())]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [graph.name, other.name, "lite.safetensors"]

    clip = clips.cfr(tmp_path / "a.mp4", 3)
    done = streamseg("run", clip, "--model", graph, "-o", tmp_path / "o.jsonl")
    assert done.returncode == 0, done.stderr
    assert streamseg("models", "import", graph, "--name", "small").returncode == 0
    assert streamseg("run", clip, "--model", "small", "-o", tmp_path / "p.jsonl").returncode == 0
    assert (tmp_path / "p.jsonl").read_text().splitlines()[1:] == (tmp_path / "o.jsonl").read_text().splitlines()[1:]


def test_export_replaces_only_when_asked(streamseg, exports, tmp_path):
    export = ("export", "lite", "-o", tmp_path, "--size", "64x96")
    assert streamseg(*export).returncode == 0
    graph = tmp_path / "lite-64x96.onnx"
    graph.write_bytes(b"mine")
    done = streamseg(*export)
    assert (done.returncode, graph.read_bytes()) == (11, b"mine")
    assert f"{graph}: there already; replace with --overwrite" in done.stderr
    assert len(exports) == 1, "refused before the work"
    assert streamseg(*export, "--overwrite").returncode == 0
    assert read_spec(graph).size == (64, 96)
    (tmp_path / "lite.safetensors").write_bytes(b"other weights")
    done = streamseg("export", "lite", "-o", tmp_path, "--size", "96x96", "--precision", "int8", "--calibrate", "a.mp4")
    assert (done.returncode, (tmp_path / "lite.safetensors").read_bytes()) == (11, b"other weights")
    assert exports[-1][4:] == ("int8", ("a.mp4",))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("lite", "--size", "100x100"), 3, "the size 100x100 is not possible"),
        (("lite", "--size", "big"), 3, "--size: 'big' is not a size; write HEIGHTxWIDTH"),
        (("lite", "--batch", "3"), 3, "--batch is '3'; allowed: 1 or dynamic"),
        (("lite", "--proposals", "0"), 3, "proposals is 0; allowed: 1 to"),
        (("lite", "--precision", "fp8"), 3, "precision is 'fp8'; allowed: fp32, fp16"),
        (("lite", "--calibrate", "a.mp4"), 3, "--calibrate is for --precision int8, not fp32"),
        (("lite", "--classes", "a,b"), 3, "the model 'lite' has its own: leave them out"),
        (("lite", "--network", "resnet50-fpn"), 3, "the model 'lite' has its own: leave them out"),
        (("huge",), 13, "unknown model 'huge'"),
        (("resnet50-fpn",), 13, "streamseg models pull resnet50-fpn"),
        (("gone.pth",), 13, "cannot read"),
        (("graphonly",), 13, "a graph without its weights"),
    ],
)
def test_what_cannot_be_exported(streamseg, tmp_path, arguments, code, said):
    graphs.constant_model(folders.models_root() / "graphonly" / "graphonly-64x96.onnx")
    done = streamseg("export", *arguments, "-o", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.glob("out/**/*.onnx"))


def test_a_place_that_cannot_be_written(streamseg, tmp_path):
    (tmp_path / "file").write_text("")
    done = streamseg("export", "lite", "--size", "64x96", "-o", tmp_path / "file" / "out")
    assert done.returncode == 10
    assert "cannot write into" in done.stderr


def test_the_list_says_what_is_here_and_what_could_be(streamseg):
    tiny_weights(folders.models_root() / "owls" / "owls.safetensors", "resnet50-c4", ("owl",))
    rows = json.loads(streamseg("models", "--json").stdout)
    states = {row["name"]: (row["state"], row["size"], row["class_count"]) for row in rows}
    assert states["owls"] == ("imported, resnet50-c4", "any", 1)
    assert states["resnet50-fpn-v2"] == ("not fetched", "any", 80)
    assert [row["name"] for row in rows if row["default"]] == ["lite"]
    table = streamseg("models").stdout
    for text in ("lite (default)", "shipped", "owls", "not stated", "resnet50-fpn-v2", "BSD-3-Clause", "models pull NAME"):
        assert text in table
    assert "removed" in streamseg("models", "remove", "owls").stdout
    assert "owls" not in streamseg("models").stdout


def test_an_interrupted_pull_says_that_it_goes_on(streamseg, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("streamseg.hub.pretrained.download", interrupt)
    done = streamseg("models", "pull", "resnet50-fpn")
    assert done.returncode == 130
    assert "interrupted; the same command goes on from here" in done.stderr


def test_an_import_says_what_it_took_the_file_for(streamseg, tmp_path):
    done = streamseg("models", "import", SHIPPED / "lite.safetensors", "--name", "copy", "--classes", "a,b,c,d,e,f,g,h")
    assert done.returncode == 0, done.stderr
    assert "copy: lite, 8 classes, float16" in done.stderr
    assert "--model copy" in done.stderr
    done = streamseg("models", "import", SHIPPED / "lite.safetensors")
    assert done.returncode == 3
    assert "'lite' is a model that streamseg brings; take another (--name)" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--classes", "a,a,c,d,e,f,g,h"), "--classes names 'a' twice"),
        (("--norm-eps", "-1"), "--norm-eps is -1.0; allowed: 0 to 1"),
        (("--norm-eps", "nan"), "--norm-eps is nan; allowed: 0 to 1"),
        (("--name", "resnet50-fpn"), "'resnet50-fpn' is the name of another network"),
    ],
)
def test_an_import_that_would_mislead_is_refused(streamseg, arguments, said):
    done = streamseg("models", "import", SHIPPED / "lite.safetensors", "--name", "copy", *arguments)
    assert (done.returncode, said in done.stderr) == (3, True), done.stderr
    assert not list(folders.models_root().glob("*/*.safetensors"))


def test_an_export_that_is_ended_leaves_nothing(tmp_path):
    out = tmp_path / "graphs"
    command = [sys.executable, "-m", "streamseg", "export", "lite", "--size", "64x96", "-o", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        limit = time.monotonic() + 60
        while not list(out.glob(".exporting.*/*")):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < limit
            time.sleep(0.02)
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in said
    assert list(out.iterdir()) == []
