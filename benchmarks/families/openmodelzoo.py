"""A Mask R-CNN whose answers are laid out as Open Model Zoo's and Geti's, read by OpenVINO's Model API and by our pipeline.

Run by hand, with torch, torchvision and `openvino-model-api`; the network is `torchvision.py`'s, of random weights:

    python -m benchmarks.families.openmodelzoo FOLDER PHOTO...

Model API rounds boxes to whole pixels before it pastes masks, so that its answers are held against ours as they come from it
(boxes up to half a pixel) and its masks against the same probabilities over the boxes as they are.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import torch
from model_api.adapters import OpenvinoAdapter, create_core
from model_api.models.instance_segmentation import MaskRCNNModel
from torchvision.models.detection import transform

from benchmarks.families.matching import CONF, Found, compare
from benchmarks.families.pictures import read
from benchmarks.families.torchvision import HEIGHT, WIDTH, Export, fitted, network, pasted_exactly

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class Rows(torch.nn.Module):
    """The network with the ends of `open-model-zoo` (BGR codes, [N]) or `geti` (normalised RGB, [1, N])."""

    def __init__(self, net: torch.nn.Module, kind: str) -> None:
        super().__init__()
        self.net, self.geti = net, kind == "geti"

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.geti:
            codes = image[0] * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        else:
            codes = image[0].flip(0)
        with mock.patch.object(transform, "paste_masks_in_image", lambda masks, boxes, shape: masks):
            said = self.net([codes / 255])[0]
        rows = (torch.cat([said["boxes"], said["scores"][:, None]], 1), said["labels"] - 1, said["masks"][:, 0])
        return tuple(each[None] for each in rows) if self.geti else rows


def write(net: torch.nn.Module, kind: str, path: Path) -> None:
    """The file, with Model API's metadata where it is Geti's."""
    axis = int(kind == "geti")
    torch.onnx.export(
        Rows(net, kind).eval(),
        (torch.rand(1, 3, HEIGHT, WIDTH),),
        str(path),
        opset_version=17,
        dynamo=False,
        input_names=["image"],
        output_names=["boxes", "labels", "masks"],
        dynamic_axes={name: {axis: "n"} for name in ("boxes", "labels", "masks")},
    )
    if kind == "geti":
        model = onnx.load(path)
        said = {
            "model_type": "MaskRCNN",
            "labels": " ".join(["otx_empty_lbl", *(f"thing_{i}" for i in range(80))]),
            "mean_values": " ".join(map(str, MEAN)),
            "scale_values": " ".join(map(str, STD)),
            "resize_type": "fit_to_window_letterbox",
            "pad_value": "114",
        }
        onnx.helper.set_model_props(model, {f"model_info {key}": value for key, value in said.items()})
        onnx.save(model, path)


def said_by_model_api(path: Path, kind: str, photos: list[np.ndarray]) -> list[Found]:
    """What Model API finds; labels from 0 again, which it shifts by one."""
    asked = {"confidence_threshold": CONF, "nms_execute": False, "postprocess_semantic_masks": True}
    if kind == "geti":
        asked |= {
            "mean_values": list(MEAN),
            "scale_values": list(STD),
            "resize_type": "fit_to_window_letterbox",
            "pad_value": 114,
        }
    else:
        asked |= {"resize_type": "standard"}
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # OpenVINO's own default is bfloat16, where the CPU has it
    adapter = OpenvinoAdapter(create_core(), str(path), device="CPU", plugin_config=exact)
    model = MaskRCNNModel(adapter, asked, preload=True)
    answers = []
    for photo in photos:
        result = model(photo if kind == "geti" else np.ascontiguousarray(photo[..., ::-1]))
        boxes, masks = np.asarray(result.bboxes, np.float32), np.asarray(result.masks, bool)
        answers.append(
            Found(boxes, np.asarray(result.scores), np.asarray(result.labels) - 1, masks.reshape(-1, *photo.shape[:2]))
        )
    return answers


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    photos = [fitted(read(Path(each))) for each in sys.argv[2:]]
    net = network(Export("v1", num_classes=81), [torch.from_numpy(photo).permute(2, 0, 1).float() / 255 for photo in photos])
    for kind in ("open-model-zoo", "geti"):
        path = folder / f"{kind}.onnx"
        write(net, kind, path)
        theirs = {
            "by Model API": said_by_model_api(path, kind, photos),
            "over the boxes": [exact(net, photo) for photo in photos],
        }
        for engine in ("openvino", "onnxruntime"):
            for how, said in theirs.items():
                print(f"{kind}, {engine}, masks {how}: {compare(path, engine, photos, said)}", flush=True)


def exact(net: torch.nn.Module, photo: np.ndarray) -> Found:
    """The network's own answer, its masks over the boxes as they are."""
    with mock.patch.object(transform, "paste_masks_in_image", pasted_exactly), torch.no_grad():
        said = net([torch.from_numpy(photo).permute(2, 0, 1).float() / 255])[0]
    kept = said["scores"] > CONF
    masks = said["masks"][kept, 0].numpy() > 0.5
    return Found(said["boxes"][kept].numpy(), said["scores"][kept].numpy(), said["labels"][kept].numpy() - 1, masks)


if __name__ == "__main__":
    main()
