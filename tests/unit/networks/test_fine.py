"""The fine maps of `lite`'s mask branch: the graph pools them as torchvision does, and older weights go on as they did."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="needs extra `train`")

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from streamseg.errors import ModelError
from streamseg.networks.build import build_network
from streamseg.networks.fine import FINE_SAMPLES, FINE_SIDES, FINE_STRIDES, FineRoIAlign, FineRoIPool, Pyramid, fine_pooler
from streamseg.networks.roi_align import combine_levels, combined_roi_align, layout
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights

HEIGHT, WIDTH = 256, 320


def made_up(generator: torch.Generator) -> Pyramid:
    levels = Pyramid(
        (str(i), torch.randn(2, 6, HEIGHT // s, WIDTH // s, generator=generator)) for i, s in enumerate((4, 8, 16, 32))
    )
    levels.fine = [torch.randn(2, 3, HEIGHT // s, WIDTH // s, generator=generator) * 20 for s in FINE_STRIDES]
    return levels


def boxes_of_all_sizes(generator: torch.Generator) -> Tensor:
    sides = torch.tensor([3.0, 16, 60, 111, 113, 200, 255]).repeat(2, 4)[:, :, None].repeat(1, 1, 2)
    low = torch.rand(2, 28, 2, generator=generator) * (torch.tensor([WIDTH, HEIGHT]) - sides)
    return torch.cat((low, low + sides), 2)


def test_the_graph_pools_fine_maps_as_torchvision_does() -> None:
    generator = torch.Generator().manual_seed(0)
    levels, boxes = made_up(generator), boxes_of_all_sizes(generator)
    coarse, expected = fine_pooler("align", ["0", "1", "2", "3"], 14, 320)(levels, list(boxes), [(HEIGHT, WIDTH)] * 2)
    assert coarse.shape == (56, 6, 14, 14)
    assert expected.shape == (56, 3, 28, 28)
    places, _, _ = layout([(f.shape[2], f.shape[3]) for f in levels.fine], FINE_STRIDES)
    got = combined_roi_align(combine_levels(levels.fine), boxes, places, FINE_SIDES, 28, FINE_SAMPLES)
    assert (got - expected).abs().max() < 5e-3  # of values up to 80; no average evens the rounding of positions out


def test_small_boxes_read_the_finer_map() -> None:
    levels = made_up(torch.Generator().manual_seed(0))
    levels.fine = [torch.full_like(levels.fine[0], 2.0), torch.full_like(levels.fine[1], 4.0)]
    boxes = torch.tensor([[10.0, 10, 120, 120], [10, 10, 130, 130]])
    _, fine = FineRoIAlign(["0", "1", "2", "3"], 14, 2, canonical_scale=320)(levels, [boxes, boxes[:0]], [(HEIGHT, WIDTH)] * 2)
    assert fine.mean(dim=(1, 2, 3)).tolist() == [2.0, 4.0]


def test_roi_pool_keeps_the_fine_maps() -> None:
    model = build_network("lite", 2, roi_pool="pool").eval()
    assert isinstance(model.roi_heads.mask_roi_pool, FineRoIPool)
    with torch.no_grad():
        masks = model.roi_heads.mask_predictor(
            model.roi_heads.mask_head(
                model.roi_heads.mask_roi_pool(
                    model.backbone(torch.zeros(1, 3, 64, 96)), [torch.tensor([[0.0, 0, 40, 60]])], [(64, 96)]
                )
            )
        )
    assert masks.shape == (1, 3, 28, 28)


def written(folder: Path, lacking: tuple[str, ...]) -> Path:
    """Weights of a network whose fine parts do something, without those that are lacking."""
    torch.manual_seed(1)
    model = build_network("lite", 1)
    torch.nn.init.normal_(model.roi_heads.mask_predictor.fuse[1][1].weight)
    save_weights(model, WeightsInfo("lite", ("object",), (1,)), folder / "whole.safetensors")
    state = {name: value for name, value in load_file(folder / "whole.safetensors").items() if not name.startswith(lacking)}
    info = {"streamseg.network": "lite", "streamseg.classes": '["object"]', "streamseg.category_ids": "[1]"}
    save_file(state, folder / "cut.safetensors", info)
    return folder / "cut.safetensors"


def test_weights_from_before_the_fine_parts_answer_as_they_did(tmp_path: Path) -> None:
    lacking = ("backbone.fine.", "roi_heads.mask_head.place", "roi_heads.mask_head.context.", "roi_heads.mask_predictor.fuse.")
    model, _ = load_weights(written(tmp_path, lacking))
    predictor, fine = model.roi_heads.mask_predictor, torch.randn(4, 24, 28, 28)
    coarse = torch.randn(4, 128, 14, 14)
    with torch.no_grad():
        y = torch.relu(predictor.shuffle(predictor.expand(coarse)))
        before = predictor.logits(torch.relu(y + predictor.refine(y)))
        assert torch.equal(predictor((coarse, fine)), before)
        assert torch.equal(predictor((coarse, -fine)), before)
        assert not model.roi_heads.mask_head.place.any()
        assert not model.roi_heads.mask_head.context.weight.any()


def test_weights_that_lack_some_of_them_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"missing: backbone\.fine"):
        load_weights(written(tmp_path, ("backbone.fine.",)))
