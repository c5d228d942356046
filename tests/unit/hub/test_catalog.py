"""Model names and sizes lead to files; what there is not is answered with what there is."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from streamseg.engine.prebuild import graph_of
from streamseg.errors import ConfigError, MissingExtra, ModelError
from streamseg.errors.extras import how_to_install
from streamseg.hub import catalog, on_demand
from streamseg.hub.graph_file import parse_graph
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.importer import import_file
from streamseg.hub.without_masks import without_masks
from streamseg.system import folders, resources
from tests import graphs
from tests.weights import tiny_weights


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    """An installation that brings `lite` at two sizes, `big` at one, and files that are not models."""
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    engines = tmp_path / "shipped" / "engines"
    for name, size in (("lite", (320, 576)), ("lite", (64, 96)), ("big", (64, 128))):
        graphs.constant_model(engines / name / f"{name}-{size[0]}x{size[1]}.onnx", size=size)
    (engines / "lite" / "lite.yaml").write_text("recipe")
    (engines / "lite" / "notes.onnx").write_text("not named like a model")
    monkeypatch.setattr(resources, "shipped_folder", lambda folder: tmp_path / "shipped" / folder)
    return engines


def test_a_name_alone_takes_the_default_size(shop):
    assert catalog.resolve("lite") == shop / "lite" / "lite-320x576.onnx"
    assert catalog.resolve("big") == shop / "big" / "big-64x128.onnx"


def test_a_size_picks_its_file(shop):
    assert catalog.resolve("lite", (64, 96)) == shop / "lite" / "lite-64x96.onnx"


def test_the_largest_of_the_sizes_that_a_model_brings(shop, tmp_path):
    graphs.constant_model(shop / "lite" / "lite-448x768.onnx", size=(448, 768))
    assert catalog.extreme_size("lite", "largest") == (448, 768)
    assert catalog.extreme_size("lite", "smallest") == (64, 96)
    assert catalog.extreme_size("big", "largest") == (64, 128), "it has one"
    assert catalog.extreme_size(tmp_path / "film.onnx", "largest") is None, "a file has its own"


def test_an_unknown_size_is_answered_with_those_there_are(shop):
    with pytest.raises(ModelError, match="'lite' is not shipped at 100x100; there are: 64x96, 320x576"):
        catalog.resolve("lite", (100, 100))


def test_an_unknown_name_is_answered_with_those_there_are(shop):
    with pytest.raises(ModelError, match="'huge'; here: big, lite; to be fetched: resnet50-fpn, resnet50-fpn-v2"):
        catalog.resolve("huge")


def test_an_installation_without_models_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    monkeypatch.setattr(resources, "shipped_folder", lambda folder: tmp_path / folder)
    with pytest.raises(ModelError, match="brings no model files"):
        catalog.resolve("lite")
    assert catalog.shipped() == []


def test_a_path_is_taken_as_it_is(shop, tmp_path, monkeypatch):
    own = graphs.constant_model(tmp_path / "own.onnx", size=(32, 64))
    assert catalog.resolve(own) == own
    assert catalog.resolve(str(own), (32, 64)) == own
    monkeypatch.chdir(tmp_path)
    assert catalog.resolve("own.onnx") == Path("own.onnx")
    with pytest.raises(ModelError, match="takes 32x64, not 64x96"):
        catalog.resolve(own, (64, 96))
    with pytest.raises(ModelError, match=r"no model file .*gone\.onnx"):
        catalog.resolve(tmp_path / "gone.onnx")


@pytest.mark.parametrize("part", ["boxes", "proposals", "class-agnostic"])
def test_a_part_of_a_network_has_a_graph_of_its_own(shop, part):
    beside = graphs.constant_model(shop / "lite" / f"lite-64x96-{part}.onnx", metadata={"streamseg.part": part})
    assert catalog.resolve("lite", (64, 96), part=part) == beside
    assert catalog.resolve("lite", (64, 96)) == shop / "lite" / "lite-64x96.onnx"
    assert set(catalog.find("lite").graphs) == {(320, 576), (64, 96)}


def test_a_part_that_cannot_be_made_is_named(shop):
    with pytest.raises(ModelError, match="not shipped at 64x96 of the part proposals"):
        catalog.resolve("lite", (64, 96), part="proposals")


@pytest.mark.parametrize(("stated", "part"), [(None, "boxes"), ("class-agnostic", "class-agnostic-boxes")])
def test_a_graph_without_its_masks_gives_the_same_boxes(shop, stated, part):
    """Cut out of the whole one, without torch; made once."""
    from streamseg.engine import open_engine

    whole = graphs.rectangle_model(shop / "lite" / "lite-64x96.onnx", metadata={"streamseg.part": stated})
    cut = without_masks(read_spec(whole))
    facts = parse_graph(cut.path.read_bytes(), "cut").metadata
    assert (facts["streamseg.part"], list(cut.outputs)) == (part, ["boxes", "scores", "labels"])
    assert cut.path.stat().st_size < whole.stat().st_size
    assert without_masks(cut) is cut
    before = cut.path.stat().st_mtime_ns
    assert without_masks(read_spec(whole)).path.stat().st_mtime_ns == before
    picture = np.zeros((1, 64, 96, 3), np.uint8)
    picture[0, 8:24, 16:48] = (255, 0, 0)
    with open_engine(whole) as one, open_engine(whole, part="boxes") as other:
        expected, found = one.submit(picture).result(), other.submit(picture).result()
    assert sorted(found.row(0)) == ["boxes", "labels", "scores"]
    assert found["boxes"][0, 0].tolist() == [16, 8, 48, 24]
    for name in found.row(0):
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_file_computes_the_part_that_it_does(shop, tmp_path):
    whole = graphs.constant_model(tmp_path / "whole.onnx")
    regions = graphs.constant_model(tmp_path / "regions.onnx", metadata={"streamseg.part": "proposals"})
    assert catalog.resolve(regions, part="proposals") == regions
    with pytest.raises(ModelError, match=r"the part full, and no other.*streamseg export MODEL --head proposals"):
        catalog.resolve(whole, part="proposals")


def test_every_shipped_file_is_described(shop):
    found = {(m.name, m.size): m for m in map(catalog.describe, catalog.shipped())}
    assert list(found) == [("big", (64, 128)), ("lite", (64, 96)), ("lite", (320, 576))]
    assert [m.default for m in found.values()] == [False, False, True]
    lite = found["lite", (64, 96)]
    assert lite.classes == graphs.CLASSES
    assert lite.bytes == lite.path.stat().st_size
    assert lite.origin == "wheel"


def test_weights_shared_by_sizes_count_for_each(shop):
    path = shop / "lite" / "lite-64x96.onnx"
    weights = graphs.move_weights(path, "lite.bin")
    assert catalog.describe(path).bytes == path.stat().st_size + weights.stat().st_size


def test_a_damaged_file_is_named(shop):
    (shop / "big" / "big-64x128.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"big-64x128\.onnx"):
        list(map(catalog.describe, catalog.shipped()))


@pytest.fixture
def exports(monkeypatch) -> list[dict]:
    """The requests that the exporter gets, which answers each with a graph that reads the weights."""
    asked: list[dict] = []

    def answer(request: dict) -> None:
        asked.append(dict(request))
        weights = Path(request["weights"])
        suffix = "" if request["precision"] == "fp32" else f"-{request['precision']}"
        path = weights.parent / f"{request['name']}-{request['size'][0]}x{request['size'][1]}{suffix}.onnx"
        graphs.constant_model(path, size=tuple(request["size"]), metadata={"streamseg.precision": request["precision"]})

    monkeypatch.setattr(on_demand, "_export_in_child", answer)
    return asked


@pytest.fixture
def mine(shop) -> Path:
    """The user's model of that name, of which there are only weights."""
    return tiny_weights(folders.models_root() / "mine" / "mine.safetensors")


def test_weights_are_exported_once_for_each_size(shop, mine, exports):
    said: list[str] = []
    first = catalog.resolve("mine", (128, 192), on_message=said.append)
    assert read_spec(first).size == (128, 192)
    assert first.is_relative_to(folders.cache_root())
    assert (first.parent / "mine.safetensors").read_bytes() == mine.read_bytes()
    assert catalog.resolve("mine", (128, 192), on_message=said.append) == first
    assert said == ["exporting mine-128x192.onnx, once; this takes about half a minute"]
    other = catalog.resolve("mine", (64, 96))
    assert other.parent == first.parent
    assert len(exports) == 2
    assert catalog.ready_sizes(catalog.find("mine")) == [(64, 96), (128, 192)]


def test_a_precision_is_a_graph_of_its_own(shop, mine, exports):
    assert catalog.resolve("mine", (64, 96), precision="fp16").name == "mine-64x96-fp16.onnx"
    assert catalog.resolve("mine", (64, 96)).name == "mine-64x96.onnx"
    assert graph_of("mine", (64, 96), "fp16").precision == "fp16"
    assert [request["precision"] for request in exports] == ["fp16", "fp32"]
    with pytest.raises(ModelError, match="streamseg export mine --size 64x96 --precision int8 --calibrate VIDEO"):
        catalog.resolve("mine", (64, 96), precision="int8")


@pytest.mark.parametrize(("network", "size"), [("resnet50-fpn-v2", (800, 1344)), ("lite", (320, 576))])
def test_a_network_has_a_size_of_its_own(shop, exports, network, size):
    tiny_weights(folders.models_root() / "mine" / "mine.safetensors", network)
    assert read_spec(catalog.resolve("mine")).size == size


def test_other_weights_or_settings_are_exported_again(shop, mine, exports, monkeypatch):
    first = catalog.resolve("mine", (64, 96))
    mine.unlink()  # as an import does: the cache may hold a link to it
    tiny_weights(mine, value=2)
    second = catalog.resolve("mine", (64, 96))
    assert second != first
    assert (second.parent / "mine.safetensors").read_bytes() == mine.read_bytes()
    assert (first.parent / "mine.safetensors").read_bytes() != mine.read_bytes()
    monkeypatch.setattr(on_demand, "settings_for", lambda network: {"proposals": 1, "detections": 1})
    assert catalog.resolve("mine", (64, 96)) not in (first, second)
    assert len(exports) == 3


def test_shipped_weights_are_exported_at_other_sizes(shop, exports):
    tiny_weights(shop / "lite" / "lite.safetensors", "lite")
    assert catalog.resolve("lite", (64, 96)).is_relative_to(shop)
    assert catalog.resolve("lite", (96, 96)).is_relative_to(folders.cache_root())
    assert exports[0]["settings"]["detections"] == 30
    with pytest.raises(ModelError, match="'big' is not shipped at 96x96; there are: 64x128"):
        catalog.resolve("big", (96, 96))


def test_without_torch_it_says_what_there_is_and_what_to_install(shop, mine, monkeypatch):
    tiny_weights(shop / "lite" / "lite.safetensors", "lite")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as caught:
        catalog.resolve("lite", (96, 96))
    message = str(caught.value)
    assert "'lite' is here at 64x96, 320x576, and must be exported to run at 96x96" in message
    assert how_to_install("train") in message
    with pytest.raises(MissingExtra, match="'mine' must be exported to run at 800x1344; torch"):
        catalog.resolve("mine")
    assert catalog.resolve("lite", (64, 96)).is_file(), "what is there runs without torch"


@pytest.mark.parametrize(("size", "near"), [((720, 1280), "704x1280 or 736x1280"), ((32, 64), "64x64"), ((0, 0), "64x64")])
def test_a_size_that_cannot_be_is_answered_with_one_that_can(shop, mine, exports, size, near):
    with pytest.raises(ConfigError, match=f"must be multiples of 32, from 64 on; take {near}$"):
        catalog.resolve("mine", size)
    assert not exports


def test_a_size_that_no_memory_holds_is_refused_at_once(shop, mine, exports):
    with pytest.raises(ConfigError, match=r"9984x9984 is too large: .* 100 million pixels; allowed: 17 million, as 4096x4096"):
        catalog.resolve("mine", (9984, 9984))
    assert not exports


def test_what_could_be_fetched_is_never_fetched_unasked(shop, exports):
    with pytest.raises(ModelError, match="fetch it: streamseg models pull resnet50-fpn-v2"):
        catalog.resolve("resnet50-fpn-v2")


def test_an_export_that_fails_leaves_nothing(shop, mine, monkeypatch):
    def fail(request: dict) -> None:
        (Path(request["folder"]) / "half.onnx").write_bytes(b"half")
        raise ModelError("no")

    monkeypatch.setattr(on_demand, "_export_in_child", fail)
    with pytest.raises(ModelError, match="no"):
        catalog.resolve("mine", (64, 96))
    assert [p for p in (folders.cache_root() / "graphs").rglob("*") if p.is_file() and p.suffix != ".lock"] == []


def test_two_that_need_one_graph_make_it_once(shop, mine, exports, monkeypatch):
    real, begun, go = on_demand._export_in_child, threading.Event(), threading.Event()

    def slow(request: dict) -> None:
        begun.set()
        go.wait(10)
        real(request)

    monkeypatch.setattr(on_demand, "_export_in_child", slow)
    said: list[str] = []
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(catalog.resolve("mine", (64, 96), on_message=said.append))) for _ in "ab"
    ]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    while len(said) < 2 and threads[1].is_alive():
        time.sleep(0.01)
    go.set()
    for thread in threads:
        thread.join(10)
    assert found == [found[0]] * 2
    assert len(exports) == 1
    assert said[1] == "another process is exporting mine-64x96.onnx; waiting for it"


def test_what_a_killed_export_left_is_cleared(shop, mine, exports):
    left = folders.cache_root() / "graphs" / ".exporting.mine-64x96.99999"
    left.mkdir(parents=True)
    (left / "mine.safetensors").write_bytes(b"x")
    catalog.resolve("mine", (64, 96))
    assert not left.exists()


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0nonsense", b"\xff" * 20, (2).to_bytes(8, "little") + b"{}"])
def test_weights_that_are_none_are_named(shop, mine, content):
    mine.write_bytes(content)
    with pytest.raises(ModelError, match=r"mine\.safetensors (is not|does not say)"):
        catalog.resolve("mine")


def test_weights_that_are_cut_short_are_named(shop, mine):
    mine.write_bytes(mine.read_bytes()[:-1])
    with pytest.raises(ModelError, match="is cut short"):
        catalog.resolve("mine")


def test_a_checkpoint_is_not_run_as_it_is(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.pth").write_bytes(b"x")
    for path in ("a.pth", "./a.pth"):
        with pytest.raises(ModelError, match=r"streamseg models import a\.pth"):
            catalog.resolve(path)


@pytest.mark.parametrize(
    ("child", "error", "said"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            ModelError,
            r"the exporter was ended by SIGKILL \(too little memory\?.*\) while it exported mine",
        ),
        ("import sys; sys.exit('out of luck')", ModelError, "the exporter ended with exit code 1 .*: out of luck"),
        ('print(\'["ConfigError", "not so"]\')', ConfigError, "^not so$"),
    ],
)
def test_what_becomes_of_the_exporter_is_said(shop, mine, monkeypatch, child, error, said):
    monkeypatch.setattr(on_demand, "_CHILD", child)
    with pytest.raises(error, match=said):
        catalog.resolve("mine", (64, 96))
    assert not list((folders.cache_root() / "graphs").glob(".exporting*"))


@pytest.mark.parametrize(
    ("name", "way"), [("m.xml", "Geti and OTX"), ("m.bin", "OpenVINO IR"), ("m.engine", "the ONNX file it was")]
)
def test_files_of_other_kinds_are_answered_with_the_way_to_onnx(tmp_path, monkeypatch, name, way):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"<net/>")
    for path in (name, tmp_path / name):
        with pytest.raises(ModelError, match=f"{way}.*streamseg reads ONNX"):
            catalog.resolve(path)
    with pytest.raises(ModelError, match=way):
        import_file(tmp_path / name)
