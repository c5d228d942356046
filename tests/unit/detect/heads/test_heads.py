"""Which head reads a graph: exactly one, or an error that names what there is."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from streamseg.config import parse_pipeline
from streamseg.detect import heads
from streamseg.detect.heads import HEADS, head_for
from streamseg.detect.heads.mask_rcnn import MaskRCNN, declared
from streamseg.detect.postprocess import Postprocess
from streamseg.engine import read_spec
from streamseg.errors import ConfigError, ModelError
from streamseg.hub.graph_file import TensorInfo
from streamseg.hub.importer import import_file
from streamseg.system.registry import Reference
from tests import graphs
from tests.plugins import installed

SPEC = graphs.spec()


class Rival(MaskRCNN):
    """Another family of the same layout."""

    name = "rival"


@pytest.mark.parametrize("side", [7, 14, 28, 56, 112])
@pytest.mark.parametrize("batch", [0, 1, 4])
def test_masks_of_any_side_are_ours(side, batch):
    assert isinstance(head_for(graphs.spec(side=side, batch=batch)), MaskRCNN)


@pytest.mark.parametrize(
    "change",
    [
        {"masks": None, "scores": TensorInfo("float32", (0, 7))},
        {"boxes": TensorInfo("float32", (0, 8, 5))},
        {"boxes": TensorInfo("float16", (0, 8, 4))},
        {"scores": TensorInfo("float32", (0, 7))},
        {"labels": TensorInfo("int64", (0, 8))},
        {"masks": TensorInfo("float32", (0, 8, 28, 56))},
        {"masks": TensorInfo("float32", (0, 28, 28))},
        {"masks": TensorInfo("uint8", (0, 8, 28, 28))},
        {"protos": TensorInfo("float32", (0, 32, 16, 24))},
    ],
    ids=str,
)
def test_what_no_head_reads_is_told_with_what_the_graph_has_and_what_is_read(change):
    outputs = {name: info for name, info in (dict(SPEC.outputs) | change).items() if info is not None}
    spec = replace(SPEC, outputs=outputs)
    with pytest.raises(ModelError) as caught:
        Postprocess(spec)
    said = str(caught.value)
    assert all(f"{name}: {info}" in said for name, info in outputs.items())
    assert "mask-rcnn (boxes: float32 [B, D, 4]" in said


def test_the_graph_says_whose_it_is(monkeypatch):
    """Of heads of one layout that of the graph's family reads it; a name goes before that."""
    monkeypatch.setitem(HEADS, "rival", Rival)
    assert type(head_for(SPEC)) is MaskRCNN
    assert type(head_for(replace(SPEC, family="rival"))) is Rival
    assert type(head_for(SPEC, "rival")) is Rival
    assert type(head_for(replace(SPEC, family="rival"), "mask-rcnn")) is MaskRCNN
    with pytest.raises(ConfigError, match=r"no head 'other' \(there are: mask-rcnn"):
        head_for(replace(SPEC, family="other"))


def test_of_several_of_packages_that_fit_one_must_be_named(tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, {"head": {"odd": "shiny_two:Odd", "greedy": "shiny_two:Greedy"}}, {"shiny_two": HEAD})
    with pytest.raises(ModelError, match="several heads can read: greedy, odd; name one"):
        head_for(replace(SPEC, outputs=ODD))
    assert type(head_for(replace(SPEC, outputs=ODD), "odd")).__name__ == "Odd"


def test_a_named_head_must_be_there_and_fit():
    with pytest.raises(ConfigError, match=r"no head 'other' \(there are: mask-rcnn"):
        head_for(SPEC, "other")
    with pytest.raises(ModelError, match="nothing here reads that"):
        head_for(replace(SPEC, outputs={"output0": TensorInfo("float32", (1, 116, 8400))}), "mask-rcnn")


def test_a_graph_that_nothing_reads_is_not_imported(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_MODELS", str(tmp_path / "mine"))
    path = graphs.constant_model(tmp_path / "m.onnx")
    monkeypatch.setattr(MaskRCNN, "fits", staticmethod(lambda spec: False))
    with pytest.raises(ModelError, match="nothing here reads that"):
        import_file(path, name="odd", check=heads.check_readable)
    assert not (tmp_path / "mine").exists()


def test_the_declared_outputs_are_those_of_a_file(tmp_path):
    path = graphs.constant_model(tmp_path / "m.onnx", detections=5, batch=None)
    assert dict(read_spec(path).outputs) == declared(5, 28, 0)


ODD = {"output0": TensorInfo("float32", (1, 116, 8400))}
HEAD = """
from streamseg.detect.heads import MaskRCNN

class Odd(MaskRCNN):
    name = "odd"
    layout = "output0: float32 [B, C, N]"

    @staticmethod
    def fits(spec):
        return list(spec.outputs) == ["output0"]

class Greedy(Odd):
    @staticmethod
    def fits(spec):
        return True
"""


def test_a_head_of_an_installed_package_is_asked_where_none_of_ours_fits(tmp_path, monkeypatch):
    points = {"head": {"odd": "shiny_head:Odd", "lost": "shiny_lost:Head"}}
    installed(tmp_path, monkeypatch, points, {"shiny_head": HEAD})
    assert type(head_for(SPEC)) is MaskRCNN
    assert "shiny_head" not in sys.modules
    assert type(head_for(replace(SPEC, outputs=ODD))).__name__ == "Odd"  # the one that fails does not stop it
    with pytest.raises(ModelError, match=r"odd \(output0: float32 \[B, C, N\]\); the head 'lost' of shiny 1\.2 cannot be used"):
        head_for(replace(SPEC, outputs={"output1": ODD["output0"]}))
    assert type(head_for(SPEC, Reference("shiny_head:Greedy"))).__name__ == "Greedy"
    with pytest.raises(ModelError, match="nothing here reads that"):
        head_for(SPEC, "odd")
    with pytest.raises(ConfigError, match="os:getcwd is not a head"):
        head_for(SPEC, Reference("os:getcwd"))


def test_a_pipeline_file_names_a_head(tmp_path, monkeypatch):
    installed(tmp_path, monkeypatch, {"head": {"odd": "shiny_head2:Odd"}}, {})
    assert parse_pipeline("postprocess: {head: odd}", "x.yaml").postprocess.head == "odd"
    with pytest.raises(ConfigError, match=r"x\.yaml:1: postprocess\.head: 'od' .*allowed: 'auto', 'mask-rcnn', .*'odd'"):
        parse_pipeline("postprocess: {head: od}", "x.yaml")
    with pytest.raises(ConfigError, match="would run code"):
        parse_pipeline("postprocess: {head: {use: 'shiny_head2:Odd'}}", "x.yaml")
