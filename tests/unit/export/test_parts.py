"""The parts of a Mask R-CNN alone answer what the same modules of torchvision's network answer."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import nms

from streamseg.core.parts import PARTS, outputs_of, part_of
from streamseg.errors import ConfigError
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.networks.build import build_network
from streamseg.networks.fine import Pyramid
from streamseg.networks.weights import load_weights
from tests.unit.networks.random_networks import Found, assert_same, normalised, pictures, reference, scale_random_weights

SIZE = (128, 192)


@pytest.fixture(scope="module", params=[False, True], ids=["masks of a class", "one mask for all"])
def model(request: pytest.FixtureRequest) -> MaskRCNN:
    torch.manual_seed(0)
    network = build_network("lite", 6, class_agnostic_masks=request.param)
    return scale_random_weights(network, pictures(2, *SIZE))


def settings(part: str) -> GraphSettings:
    return GraphSettings(*SIZE, proposals=80, detections=40, candidates=200, part=part)


@torch.no_grad()
def answer(model: MaskRCNN, part: str, images: Tensor) -> dict[str, Tensor]:
    graph = InferenceGraph(model, settings(part))
    return dict(zip(graph.outputs, graph(images), strict=True))


@torch.no_grad()
def regions(model: MaskRCNN, images: Tensor) -> tuple[Pyramid, list[Tensor], list[Tensor], list[tuple[int, int]]]:
    """torchvision's features, and its proposals with their objectness, of each picture."""
    model.rpn._pre_nms_top_n = model.rpn._post_nms_top_n = {"training": 80, "testing": 80}
    x = normalised(model, images)
    sizes = [(x.shape[2], x.shape[3])] * len(x)
    features = model.backbone(x)
    kept: list[tuple[list[Tensor], list[Tensor]]] = []
    original = model.rpn.filter_proposals
    model.rpn.filter_proposals = lambda *given: kept.append(original(*given)) or kept[-1]
    try:
        model.rpn(ImageList(x, sizes), features)
    finally:
        del model.rpn.filter_proposals
    return features, *kept[0], sizes


def test_proposals_are_those_of_torchvision(model: MaskRCNN) -> None:
    """Every one of them: the same box and objectness."""
    images = pictures(2, *SIZE)
    found = answer(model, "proposals", images)
    assert list(found) == ["boxes", "scores", "labels"]
    _, boxes, scores, _ = regions(model, images)
    for i in range(2):
        n = int((found["labels"][i] >= 0).sum())
        assert n == len(boxes[i]) > 40
        assert not found["labels"][i, :n].any()
        assert (found["labels"][i, n:] == -1).all()
        torch.testing.assert_close(found["scores"][i, :n], scores[i], rtol=0, atol=1e-5)
        apart = torch.cdist(found["boxes"][i, :n], boxes[i], p=torch.inf)
        assert apart.min(1).values.max() < 0.05
        assert apart.min(0).values.max() < 0.05


def test_boxes_are_those_of_the_whole_network(model: MaskRCNN) -> None:
    """Faster R-CNN: the same detections, without the branch that takes the time."""
    images = pictures(2, *SIZE)
    found, whole = answer(model, "boxes", images), answer(model, "full", images)
    assert list(found) == ["boxes", "scores", "labels"]
    assert all(torch.equal(found[name], whole[name]) for name in found)
    assert (found["labels"] > 0).any()


@torch.no_grad()
def objects(model: MaskRCNN, images: Tensor) -> list[Found]:
    """Class-agnostic detections out of torchvision's modules: the likeliest class's box and mask, objectness, NMS over all."""
    heads, result = model.roi_heads, []
    features, boxes, scores, sizes = regions(model, images)
    for i in range(len(images)):
        mine = Pyramid((name, level[i : i + 1]) for name, level in features.items())
        mine.fine = [level[i : i + 1] for level in features.fine]
        logits, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(mine, [boxes[i]], sizes[:1])))
        label = logits[:, 1:].argmax(1) + 1
        refined = heads.box_coder.decode(deltas, [boxes[i]])[torch.arange(len(label)), label]
        refined[:, 0::2].clamp_(0, SIZE[1])
        refined[:, 1::2].clamp_(0, SIZE[0])
        usable = torch.where((scores[i] > 0.05) & ((refined[:, 2:] - refined[:, :2]) >= 1e-2).all(1))[0]
        keep = usable[nms(refined[usable], scores[i][usable], heads.nms_thresh)][:40]
        masks = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(mine, [refined[keep]], sizes[:1])))
        chosen = masks.sigmoid()[torch.arange(len(keep)), label[keep]]
        result.append(Found(refined[keep], scores[i][keep], torch.ones(len(keep), dtype=torch.long), chosen))
    return result


def test_class_agnostic_detections_are_those_of_its_modules(model: MaskRCNN) -> None:
    images = pictures(2, *SIZE)
    found = answer(model, "class-agnostic", images)
    for i, expected in enumerate(objects(model, images)):
        assert_same(expected, *(found[name][i] for name in ("boxes", "scores", "labels", "masks")), least=10)
    alone = answer(model, "class-agnostic-boxes", images)
    assert all(torch.equal(alone[name], found[name]) for name in ("boxes", "scores", "labels"))


def test_objects_overlap_less_than_detections_of_several_classes(model: MaskRCNN) -> None:
    """One object is found once, whatever its class: NMS does not ask for it."""
    images = pictures(1, *SIZE)
    found = answer(model, "class-agnostic", images)
    boxes = found["boxes"][0][found["labels"][0] >= 0]
    (several,) = reference(model, images, settings("full"))
    assert len(nms(boxes, torch.arange(len(boxes)).flip(0).float(), 0.5)) == len(boxes)
    assert len(nms(several.boxes, several.scores, 0.5)) < len(several)


@pytest.mark.parametrize("part", PARTS)
def test_nan_is_not_an_empty_frame_in_any_part(random_weights: Path, part: str) -> None:
    network, _ = load_weights(random_weights)
    graph = InferenceGraph(network, settings(part))
    with torch.no_grad():
        network.rpn.head.cls_logits.bias[-1] = math.nan
        found = dict(zip(graph.outputs, graph(pictures(1, *SIZE)), strict=True))
    assert torch.isnan(found["scores"]).all()
    assert torch.isfinite(found["boxes"]).all()


def test_a_part_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown part 'masks' of a network; there are: full, boxes"):
        GraphSettings(part="masks")
    assert [part_of(head, masks) for head in ("full", "class-agnostic", "proposals") for masks in (True, False)] == [
        "full",
        "boxes",
        "class-agnostic",
        "class-agnostic-boxes",
        "proposals",
        "proposals",
    ]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [part for part in PARTS if part != "full"])
def test_runtimes_agree_with_torch_about_each_part(random_weights: Path, tmp_path: Path, part: str) -> None:
    import onnx
    import onnxruntime as ort
    import openvino as ov

    from streamseg.detect.heads import head_for
    from streamseg.engine import read_spec
    from streamseg.engine.tensorrt import TENSORRT_RTX, compile_plan
    from streamseg.export.export import FORBIDDEN, export_model

    chosen = GraphSettings(64, 96, proposals=40, detections=10, part=part)
    (path,) = export_model(random_weights, tmp_path, [(64, 96)], chosen, name="tiny")
    assert path.name == f"tiny-64x96-{part}.onnx"
    proto = onnx.load(str(path), load_external_data=False)
    assert not {node.op_type for node in proto.graph.node} & FORBIDDEN
    assert any("mask" in t.name for t in proto.graph.initializer) == ("masks" in outputs_of(part)), (
        "no mask branch is left in it"
    )
    images = pictures(2, 64, 96)
    network, _ = load_weights(random_weights)
    with torch.no_grad():
        expected = InferenceGraph(network, chosen)(images)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    vino = compiled(images.numpy())
    for name, mine, tolerance in zip(outputs_of(part), expected, (0.05, 1e-3, 0, 5e-3), strict=False):
        (other,) = session.run([name], {"images": images.numpy()})
        assert np.abs(other - mine.numpy()).max() <= tolerance
        assert np.abs(np.array(vino[name]) - mine.numpy()).max() <= tolerance
    spec = read_spec(path)
    assert spec.classes == (("person", "car") if part == "boxes" else ("object",))
    assert spec.name == f"tiny-{part}"
    assert getattr(head_for(spec), "gives_masks", True) == ("masks" in outputs_of(part))
    pytest.importorskip("tensorrt_rtx", reason="needs extra `rtx`")
    assert compile_plan(TENSORRT_RTX, spec, batches=(1,), capabilities=["sm_89"]).plan
