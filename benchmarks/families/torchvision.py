"""torchvision's Mask R-CNN of random weights that does detect, as torch exports it, against our pipeline.

Run by hand, with torch and torchvision, which the extra `train` brings:

    python -m benchmarks.families.torchvision FOLDER PHOTO...

The network gets the picture as our pipeline makes it, at its own size, so that the ways of resizing do not matter. Its masks are
held against two things: torchvision's own, which it pastes into boxes that it widens to whole pixels; and the same probabilities
over the boxes as they are, as Detectron2 pastes them.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torchvision.models import detection
from torchvision.models.detection import transform

from benchmarks.families.matching import CONF, Found, compare
from benchmarks.families.pictures import read, stretched
from benchmarks.families.random_networks import answers

HEIGHT, WIDTH = 320, 480
MAKERS = {"v1": detection.maskrcnn_resnet50_fpn, "v2": detection.maskrcnn_resnet50_fpn_v2}
NAMES = ["images", "boxes", "labels", "scores", "masks"]


@dataclass(frozen=True)
class Export:
    """One way in which people export it."""

    maker: str
    batch: bool = False
    """The picture is [1, 3, H, W] instead of a list of [3, H, W]."""
    named: bool = True
    dynamic: bool = False
    num_classes: int = 91


EXPORTS = {
    "v1": Export("v1"),
    "v1-dynamic": Export("v1", dynamic=True),
    "v1-batch-unnamed": Export("v1", batch=True, named=False),
    "v1-11-labels": Export("v1", num_classes=11),
    "v2": Export("v2"),
}


def network(export: Export, pictures: list[torch.Tensor]) -> torch.nn.Module:
    """A network of random weights whose boxes, scores and masks are spread as those of a trained one."""
    torch.manual_seed(3)
    net: torch.nn.Module = MAKERS[export.maker](
        weights=None,
        weights_backbone=None,
        num_classes=export.num_classes,
        min_size=224,
        max_size=336,
        box_detections_per_img=30,
        rpn_post_nms_top_n_test=150,
    )
    net.eval()
    heads = net.roi_heads
    with torch.no_grad():
        if export.maker == "v1":  # its norms are frozen: tame what each block of the backbone adds
            for name, weight in net.backbone.named_parameters():
                if "bn3.weight" in name:
                    weight.mul_(0.2)
            for name, buffer in net.backbone.named_buffers():
                if name.endswith("bn3.weight"):
                    buffer.mul_(0.2)
        spread(net, heads.box_predictor.cls_score, pictures, 2.0)
        spread(net, heads.box_predictor.bbox_pred, pictures, 1.0)
        spread(net, heads.mask_predictor.mask_fcn_logits, pictures, 1.0)
        # Trained masks are smooth; a blur takes the place of training.
        heads.mask_predictor.add_module("blur", torch.nn.AvgPool2d(9, 1, 4, count_include_pad=False))
        heads.mask_predictor.mask_fcn_logits.weight.mul_(60)
        heads.mask_predictor.mask_fcn_logits.bias.mul_(60)
    return net


def spread(net: torch.nn.Module, layer: torch.nn.Module, pictures: list[torch.Tensor], wanted: float) -> None:
    """Scale a layer so that what it gives has a deviation of `wanted` from its mean, which is taken off."""
    net.roi_heads.score_thresh, before = 0.0, net.roi_heads.score_thresh
    given = answers(layer, partial(net, pictures[:2]))
    net.roi_heads.score_thresh = before
    factor = wanted / given.std((0, 2)).mean()
    layer.bias.copy_((layer.bias - given.mean((0, 2))) * factor)
    layer.weight.mul_(factor)


def expected(net: torch.nn.Module, picture: torch.Tensor) -> Found:
    """What torchvision says of a picture."""
    with torch.no_grad():
        said = net([picture])[0]
    kept = said["scores"] > CONF
    masks = said["masks"][kept, 0].numpy() > 0.5
    return Found(said["boxes"][kept].numpy(), said["scores"][kept].numpy(), said["labels"][kept].numpy() - 1, masks)


def pasted_exactly(masks: torch.Tensor, boxes: torch.Tensor, shape: tuple[int, int], padding: int = 1) -> torch.Tensor:
    """In place of torchvision's `paste_masks_in_image`: [N, 1, M, M] sampled at pixel centres, each grid over its box."""
    ys, xs = torch.arange(shape[0]) + 0.5, torch.arange(shape[1]) + 0.5
    x0, y0, x1, y1 = (boxes[:, i, None] for i in range(4))
    across, down = (xs - x0) / (x1 - x0) * 2 - 1, (ys - y0) / (y1 - y0) * 2 - 1
    grid = torch.stack([across[:, None, :].expand(-1, shape[0], -1), down[:, :, None].expand(-1, -1, shape[1])], 3)
    return torch.nn.functional.grid_sample(masks, grid, align_corners=False)


def write(net: torch.nn.Module, export: Export, picture: torch.Tensor, path: Path) -> None:
    """Export as torch's documentation shows: the exporter that traces; the other (dynamo) cannot follow torchvision's NMS."""
    dynamic = {name: {0: "n"} for name in NAMES[1:]} | {"images": {1: "height", 2: "width"}}
    torch.onnx.export(
        net,
        (picture[None] if export.batch else [picture],),
        str(path),
        opset_version=17,
        dynamo=False,
        input_names=NAMES[:1] if export.named else None,
        output_names=NAMES[1:] if export.named else None,
        dynamic_axes=dynamic if export.dynamic else None,
    )


def fitted(photo: np.ndarray) -> np.ndarray:
    """The photo at the network's own size."""
    return stretched(photo, HEIGHT, WIDTH)


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    photos = [fitted(read(Path(each))) for each in sys.argv[2:]]
    tensors = [torch.from_numpy(photo).permute(2, 0, 1).float() / 255 for photo in photos]
    for name, export in EXPORTS.items():
        if (folder / f"{name}.onnx").exists():
            continue  # seen before
        net = network(export, tensors)
        path = folder / f"{name}.onnx"
        write(net, export, tensors[0], path)
        theirs = {"pasted by torchvision": [expected(net, tensor) for tensor in tensors]}
        with mock.patch.object(transform, "paste_masks_in_image", pasted_exactly):
            theirs["over the boxes"] = [expected(net, tensor) for tensor in tensors]
        for engine in ("openvino", "onnxruntime"):
            for how, said in theirs.items():
                size = (HEIGHT, WIDTH) if export.dynamic else None
                print(f"{name}, {engine}, masks {how}: {compare(path, engine, photos, said, size=size)}", flush=True)


if __name__ == "__main__":
    main()
