"""The graph answers what torchvision's own inference answers.

COCO's weights are 170 MB that a test cannot fetch: their tests run where `streamseg models pull` or torchvision has put them.
Everywhere else random weights that see something stand in for them (`random_networks.py`).
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from pathlib import Path

import torch
from torchvision.models.detection import MaskRCNN, MaskRCNN_ResNet50_FPN_V2_Weights, MaskRCNN_ResNet50_FPN_Weights

from streamseg.errors import ModelError
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.export.nms import iterations_needed
from streamseg.networks.build import build_network
from streamseg.networks.weights import from_torchvision, load_weights
from streamseg.training.start import find_weights
from tests.unit.networks.random_networks import check_parity, pictures, scale_random_weights

SIZES = [(256, 448), (320, 576)]
LARGE = (800, 1344)
NETWORKS = ["lite", "resnet50-fpn", "resnet50-fpn-v2"]


@pytest.fixture(scope="module")
def networks() -> dict[str, MaskRCNN]:
    """The networks made so far, since making one see takes seconds."""
    return {}


def random_network(networks: dict[str, MaskRCNN], name: str, size: tuple[int, int] = (256, 448)) -> MaskRCNN:
    if name not in networks:
        torch.manual_seed(0)
        networks[name] = scale_random_weights(build_network(name, 90), pictures(1, *size))
    return networks[name]


@pytest.mark.parametrize("size", [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.long)])
@pytest.mark.parametrize("name", NETWORKS)
def test_parity_with_torchvision(networks: dict[str, MaskRCNN], name: str, size: tuple[int, int]) -> None:
    settings = GraphSettings(*size, proposals=200, detections=100, candidates=1000)
    (found,) = check_parity(random_network(networks, name), pictures(1, *size), settings)
    assert len(found.labels.unique()) >= 10, "objects of many classes"
    assert found.scores.max() > 0.8
    assert found.scores.min() < 0.6
    assert 0.2 < (found.masks > 0.5).float().mean() < 0.8, "masks with a shape"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_parity_at_the_size_of_the_paper(networks: dict[str, MaskRCNN]) -> None:
    """800×1344, 1000 proposals, 100 detections. Its coarsest level has 13 rows, an odd share of 800 pixels."""
    torch.set_num_threads(2)  # minutes of work on one busy core
    for name, proposals in (("lite", 300), ("resnet50-fpn", 1000), ("resnet50-fpn-v2", 1000)):
        settings = GraphSettings(*LARGE, proposals=proposals, detections=100, candidates=2000, iterations=16)
        check_parity(random_network(networks, name), pictures(1, *LARGE), settings)


def test_parity_without_a_pyramid_and_on_a_small_body(networks: dict[str, MaskRCNN]) -> None:
    size = (128, 192)
    for name, proposals in (("resnet50-c4", 30), ("mobilenetv3-fpn", 100)):
        settings = GraphSettings(*size, proposals=proposals, detections=20, candidates=300)
        check_parity(random_network(networks, name, size), pictures(1, *size), settings, least=20)


def test_parity_of_class_agnostic_masks_in_a_batch() -> None:
    torch.manual_seed(0)
    images = pictures(2, 128, 192)
    model = scale_random_weights(build_network("lite", 6, class_agnostic_masks=True), images)
    found = check_parity(model, images, GraphSettings(128, 192, detections=40, candidates=400))
    assert all(len(picture.labels.unique()) > 2 for picture in found)


def test_both_nms_have_work_to_do(networks: dict[str, MaskRCNN], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the comparisons above would say little about them."""
    from streamseg.export import graph as module

    ranks, original = [], module.fixed_point_nms

    def spy(boxes: torch.Tensor, valid: torch.Tensor, threshold: float, groups: object = None, iterations: int = 0) -> object:
        assert groups is None or isinstance(groups, torch.Tensor)
        ranks.append(iterations_needed(boxes, valid, threshold, groups))
        return original(boxes, valid, threshold, groups)

    monkeypatch.setattr(module, "fixed_point_nms", spy)
    with torch.no_grad():
        InferenceGraph(random_network(networks, "lite"), GraphSettings(256, 448, candidates=1000))(pictures(4, 256, 448))
    assert len(ranks) == 2
    assert min(ranks) >= 2


def coco_network(name: str) -> MaskRCNN | None:
    """The network with torchvision's COCO weights, from where `streamseg models pull` or torchvision has put them."""
    try:
        model, _ = load_weights(find_weights(name))
    except ModelError:
        enum = {"resnet50-fpn": MaskRCNN_ResNet50_FPN_Weights, "resnet50-fpn-v2": MaskRCNN_ResNet50_FPN_V2_Weights}[name]
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(enum.COCO_V1.url).name
        if not file.is_file():
            return None
        model, _ = from_torchvision(torch.load(file, map_location="cpu", weights_only=True), name)
    assert len(model.class_labels) == 80
    model.class_labels = tuple(range(1, 91))  # as torchvision answers, with labels that have no name
    return model


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("size", [*SIZES, LARGE])
@pytest.mark.parametrize("name", ["resnet50-fpn", "resnet50-fpn-v2"])
def test_parity_with_the_weights_of_coco(name: str, size: tuple[int, int]) -> None:
    """Not yet run: where it was written they could not be fetched, and names and arithmetic were checked with random weights."""
    model = coco_network(name)
    if model is None:
        pytest.skip(f"COCO's weights are not here; fetch them with: streamseg models pull {name}")
    settings = GraphSettings(*size, proposals=1000, detections=100, candidates=2000, iterations=16)
    check_parity(model, pictures(1, *size), settings, least=0)
