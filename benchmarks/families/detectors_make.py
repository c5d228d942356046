"""Detectors of boxes alone with random weights that do detect, and what their own packages say that they see.

Run by hand, in an environment of its own with `ultralytics` and `yolov5` (AGPL: they are asked for answers, and are no part of
streamseg) and torchvision; `detectors.py` compares:

    python benchmarks/families/detectors_make.py FOLDER PHOTO...

Writes FOLDER/VARIANT.onnx and FOLDER/VARIANT.npz: the boxes, scores and labels for each photo, scaled to the input's size before.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

SHARE = 0.002
"""Of all anchors so many score above 0.25."""
ULTRALYTICS: dict[str, tuple[str, dict[str, Any]]] = {
    "v8": ("yolov8n.yaml", {}),
    "v8-one-class": ("yolov8n.yaml", {"nc": 1, "imgsz": 320}),
    "v8-wide": ("yolov8n.yaml", {"imgsz": (384, 640)}),
    "11": ("yolo11n.yaml", {"dynamic": True}),
    "11-nms": ("yolo11n.yaml", {"nms": True}),
    "12": ("yolo12n.yaml", {}),
    "26": ("yolo26n.yaml", {}),
    "26-one2many": ("yolo26n.yaml", {"end2end": False}),
    "v5u": ("yolov5n.yaml", {}),
}
TORCHVISION = {"ssd300": 300, "ssdlite320": 320, "retinanet": 320}


def fitted(path: Path, height: int, width: int) -> np.ndarray:
    """A photo stretched to uint8 [height, width, 3] BGR: what a model of that input gets as it is."""
    return cv2.resize(cv2.imread(str(path)), (width, height), interpolation=cv2.INTER_AREA)


def tensor(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255


def calibrate(net: torch.nn.Module, pictures: torch.Tensor) -> None:
    """Give the batch norms the statistics of these pictures, so that activations vary as those of a trained network do."""
    net.eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
            module.train()
    with torch.no_grad():
        net(pictures)
    net.eval()


def answer(net: torch.nn.Module, layer: torch.nn.Module, pictures: Any) -> torch.Tensor:
    got: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, given, answer: got.append(answer.detach()))
    with torch.no_grad():
        net(pictures)
    hook.remove()
    return torch.cat([each.flatten(2) for each in got], 2)


def spread(net: torch.nn.Module, layer: torch.nn.Conv2d, pictures: Any, wanted: float) -> torch.Tensor:
    """Scale `layer` so that its answers vary by `wanted` round 0; what they are then [B, C, cells]."""
    layer.bias.data[:] = 0
    given = answer(net, layer, pictures)
    scale = wanted / float(given.std(dim=(0, 2)).mean())
    layer.weight.data *= scale
    return given * scale


def bias_for(tops: torch.Tensor, logit: float = -1.1) -> float:
    """What to add so that `SHARE` of `tops` is above the logit, which is that of 0.25 unless told."""
    return logit - float(torch.quantile(tops.flatten()[:4_000_000], 1 - SHARE))


def tune_ultralytics(net: torch.nn.Module, pictures: torch.Tensor) -> None:
    """The heads of a network: boxes of many sizes, and a few confident anchors."""
    head = net.model[-1]
    branches = [(head.cv2, head.cv3)]
    if getattr(head, "one2one_cv2", None) is not None:
        branches.append((head.one2one_cv2, head.one2one_cv3))
    for boxes, classes in branches:
        for level in range(len(boxes)):
            given = spread(net, boxes[level][-1], pictures, 1.2)
            if given.shape[1] == 4:  # distances themselves
                boxes[level][-1].bias.data[:] = 3 + torch.rand(4)
            else:
                boxes[level][-1].bias.data[:] = -given.mean(dim=(0, 2))
            given = spread(net, classes[level][-1], pictures, 0.7)
            classes[level][-1].bias.data[:] = bias_for(given.amax(1))


def ultralytics(name: str, config: str, options: dict[str, Any], folder: Path, photos: list[Path]) -> None:
    from ultralytics import YOLO
    from ultralytics.nn.tasks import DetectionModel

    options, classes = dict(options), options.get("nc", 80)
    options.pop("nc", None)
    torch.manual_seed(len(name))
    yolo = YOLO(config)
    if classes != 80:
        arguments = yolo.model.args
        yolo.model = DetectionModel(config, nc=classes, verbose=False)
        yolo.model.args, yolo.model.names = arguments, {i: f"thing {i}" for i in range(classes)}
        yolo.model.task = yolo.task
    size = options.setdefault("imgsz", 640)
    height, width = size if isinstance(size, tuple) else (size, size)
    given = [fitted(photo, height, width) for photo in photos]
    calibrate(yolo.model, tensor(given[:6]))
    tune_ultralytics(yolo.model, tensor(given[:6]))
    yolo.model.pt_path = str(folder / f"{name}.pt")
    target = folder / f"{name}.onnx"
    shutil.move(yolo.export(format="onnx", **options), target)
    runner = YOLO(str(target), task="detect")
    saved = {}
    for photo, picture in zip(photos, given, strict=True):
        [found] = runner.predict([picture], imgsz=(height, width), conf=0.25, rect=False, verbose=False)
        saved |= {f"{photo.stem}/boxes": found.boxes.xyxy.numpy(), f"{photo.stem}/scores": found.boxes.conf.numpy()}
        saved[f"{photo.stem}/labels"] = found.boxes.cls.numpy()
    np.savez_compressed(folder / f"{name}.npz", size=np.array([height, width]), **saved)


def torchvision(name: str, side: int, folder: Path, photos: list[Path]) -> None:
    from torchvision.models import detection

    torch.manual_seed(len(name))
    makers = {"ssd300": detection.ssd300_vgg16, "ssdlite320": detection.ssdlite320_mobilenet_v3_large}
    maker = makers.get(name, detection.retinanet_resnet50_fpn)
    more = {} if name in makers else {"min_size": side, "max_size": side}
    net = maker(weights=None, weights_backbone=None, num_classes=91, **more).eval()
    given = [fitted(photo, side, side) for photo in photos]
    pictures = list(tensor(given))
    calibrate(net, pictures[:6])
    classification = net.head.classification_head
    layers = [classification.cls_logits] if hasattr(classification, "cls_logits") else list(classification.module_list)
    for layer in layers:
        last = layer if isinstance(layer, torch.nn.Conv2d) else layer[-1]
        found = spread(net, last, pictures[:6], 1.0)
        if isinstance(layers[0], torch.nn.Conv2d) and len(layers) == 1:
            last.bias.data[:] = bias_for(found)  # sigmoids
        else:  # softmax: the background's logits are high, so that few cells show anything
            logits = found.unflatten(1, (-1, 91))
            rest = logits[:, :, 1:].exp().sum(2)
            gap = (logits[:, :, 1:].amax(2).exp() / 0.3 - rest).clamp(min=1e-9).log() - logits[:, :, 0]
            last.bias.data.view(-1, 91)[:, 0] = float(torch.quantile(gap.flatten(), 1 - SHARE))
    target = folder / f"{name}.onnx"
    names = ["boxes", "scores", "labels"]
    torch.onnx.export(
        net,
        (pictures[:1],),
        str(target),
        input_names=["image"],
        output_names=names,
        dynamic_axes=None if name.startswith("ssd") else {"image": {1: "height", 2: "width"}},
        opset_version=17,
        dynamo=False,
    )
    saved = {}
    with torch.no_grad():
        for photo, picture in zip(photos, pictures, strict=True):
            [found] = net([picture])
            sure = found["scores"] >= 0.25
            saved |= {f"{photo.stem}/{key}": found[key][sure].numpy() for key in names}
    np.savez_compressed(folder / f"{name}.npz", size=np.array([side, side]), offset=np.array(1), **saved)


def main() -> None:
    folder, photos = Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]]
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    made = {path.stem for path in folder.glob("*.npz")}
    for name, side in TORCHVISION.items():
        if name not in made:
            torchvision(name, side, folder, photos)
    for name, (config, options) in ULTRALYTICS.items():
        if name not in made:
            ultralytics(name, config, options, folder, photos)


if __name__ == "__main__":
    main()
