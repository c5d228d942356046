"""The larger networks' graphs in the runtimes: each is exported once, small, and asked everything there is to ask."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")
pytest.importorskip("onnxruntime", reason="needs extra `onnx`")

from collections.abc import Callable
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import torch
from onnx import numpy_helper

from streamseg.core.types import Frame
from streamseg.detect.infer import Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.engine import Outputs, read_spec
from streamseg.errors import BadOutput
from streamseg.export.export import FORBIDDEN, OUTPUTS, export_model
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.build import build_network
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights
from streamseg.pixels.letterbox import Letterbox
from tests.unit.networks.random_networks import Found, assert_same, pictures, scale_random_weights

SIZE = (128, 192)
CLASSES = tuple(f"class {i}" for i in range(20))
SEED = 5
"""Of the picture; of five the one at which the random v2 amplifies rounding least."""
SETTINGS = GraphSettings(*SIZE, proposals=50, detections=10)
NETWORKS = ("resnet50-fpn-v2", "resnet50-c4", "mobilenetv3-fpn")
Answer = list[np.ndarray]


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """Weights file and graph of a network by name, made when first asked for."""
    made: dict[str, tuple[Path, Path]] = {}

    def make(name: str) -> tuple[Path, Path]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            torch.manual_seed(0)
            model = scale_random_weights(
                build_network(name, len(CLASSES)), pictures(1, *SIZE, SEED), background=2.0, contrast=1.2
            )
            save_weights(model, WeightsInfo(name, CLASSES, tuple(range(1, 21))), folder / f"{name}.safetensors")
            (graph,) = export_model(folder / f"{name}.safetensors", folder, [SIZE], SETTINGS, name, dynamic_batch=False)
            made[name] = folder / f"{name}.safetensors", graph
        return made[name]

    return make


def run_onnxruntime(graph: Path, images: np.ndarray) -> Answer:
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    return session.run(list(OUTPUTS), {"images": images})


def run_openvino(graph: Path, images: np.ndarray) -> Answer:
    compiled = ov.Core().compile_model(str(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(images)
    return [np.array(answer[name]) for name in OUTPUTS]


def found(outputs: list[torch.Tensor]) -> Found:
    """The detections out of a graph's outputs for one picture."""
    boxes, scores, labels, masks = (output[0] for output in outputs)
    return Found(*(value[labels >= 0] for value in (boxes, scores, labels.long() + 1, masks)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NETWORKS)
def test_runtimes_agree_with_torch_and_with_each_other(name: str, exported: Callable[[str], tuple[Path, Path]]) -> None:
    weights, graph = exported(name)
    proto = onnx.load(str(graph), load_external_data=False)
    assert not {node.op_type for node in proto.graph.node} & FORBIDDEN
    assert graph.stat().st_size < 2_000_000, "weights lie beside the graph"
    images = pictures(1, *SIZE, SEED)
    with torch.no_grad():
        torchs = list(InferenceGraph(load_weights(weights)[0], SETTINGS)(images))
    ours, theirs = ([torch.from_numpy(a) for a in run(graph, images.numpy())] for run in (run_onnxruntime, run_openvino))
    for one, other in ((torchs, ours), (torchs, theirs), (ours, theirs)):
        assert_same(found(one), *(output[0] for output in other), least=10)


HEADS = ("rpn.head.cls_logits", "rpn.head.bbox_pred", "roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred")


def spoilt(graph: Path, layer: str) -> Path:
    """The graph with one NaN in the bias of `layer`."""
    proto = onnx.load(str(graph), load_external_data=True)
    bias = next(t for t in proto.graph.initializer if t.name == f"model.{layer}.bias")
    values = numpy_helper.to_array(bias).copy()
    values[-1] = np.nan
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    onnx.save(proto, str(graph.with_name("spoilt.onnx")))
    return graph.with_name("spoilt.onnx")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("layer", HEADS)
def test_nan_is_not_an_empty_frame_in_any_runtime(layer: str, exported: Callable[[str], tuple[Path, Path]]) -> None:
    """NaN compares as false: the graph would find nothing, and say so as it does of a black frame."""
    weights, graph = exported("mobilenetv3-fpn")
    images = pictures(1, *SIZE, SEED)
    model, _ = load_weights(weights)
    broken = InferenceGraph(model, SETTINGS)
    with torch.no_grad():
        model.get_submodule(layer).bias[-1] = torch.nan
        answers = [[a.numpy() for a in broken(images)]]
    path = spoilt(graph, layer)
    answers += [run(path, images.numpy()) for run in (run_onnxruntime, run_openvino)]
    for boxes, scores, labels, masks in answers:
        assert np.isnan(scores).all()
        assert np.isfinite(boxes).all()
        stage = Postprocess(read_spec(graph), conf=0.3, patience=2)
        assert len(stage(pending(boxes, scores, labels, masks)).instances) == 0
        assert stage.counters.bad_frames == 1
        with pytest.raises(BadOutput, match="NaN"):
            stage(pending(boxes, scores, labels, masks))


def pending(*outputs: np.ndarray) -> Pending:
    """A frame of the graph's own size with this answer."""
    future: Future[Outputs] = Future()
    future.set_result(Outputs(dict(zip(OUTPUTS, outputs, strict=True))))
    height, width = SIZE
    frame = Frame(av.VideoFrame(width, height, "gray"), 0, 0, Fraction(1, 25))
    return Pending(frame, Letterbox(1.0, 1.0, 0, 0, width, height), future, 0)
