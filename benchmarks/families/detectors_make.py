"""Detectors of boxes alone with random weights that do detect, and what their own packages say that they see.

Run by hand, in an environment of its own with `ultralytics` and `yolov5` (AGPL: they are asked for answers, and are no part of
streamseg) and torchvision; `detectors.py` compares:

    python -m benchmarks.families.detectors_make FOLDER PHOTO...

Writes FOLDER/VARIANT.onnx and FOLDER/VARIANT.npz: the boxes, scores and labels for each photo, scaled to the input's size before.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.families.pictures import read_bgr, stretched
from benchmarks.families.random_networks import bias_for, calibrate, spread, tensor

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


def tune_ultralytics(net: torch.nn.Module, pictures: torch.Tensor) -> None:
    """The heads of a network: boxes of many sizes, and a few confident anchors."""
    head, forward = net.model[-1], partial(net, pictures)
    branches = [(head.cv2, head.cv3)]
    if getattr(head, "one2one_cv2", None) is not None:
        branches.append((head.one2one_cv2, head.one2one_cv3))
    for boxes, classes in branches:
        for level in range(len(boxes)):
            given = spread(boxes[level][-1], forward, 1.2)
            if given.shape[1] == 4:  # distances themselves
                boxes[level][-1].bias.data[:] = 3 + torch.rand(4)
            else:
                boxes[level][-1].bias.data[:] = -given.mean(dim=(0, 2))
            given = spread(classes[level][-1], forward, 0.7)
            classes[level][-1].bias.data[:] = bias_for(given.amax(1), SHARE)


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
    given = [stretched(read_bgr(photo), height, width) for photo in photos]
    calibrate(yolo.model, partial(yolo.model, tensor(given[:6])))
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
    pictures = list(tensor([stretched(read_bgr(photo), side, side) for photo in photos]))
    forward = partial(net, pictures[:6])
    calibrate(net, forward)
    classification = net.head.classification_head
    layers = [classification.cls_logits] if hasattr(classification, "cls_logits") else list(classification.module_list)
    for layer in layers:
        last = layer if isinstance(layer, torch.nn.Conv2d) else layer[-1]
        found = spread(last, forward, 1.0)
        if isinstance(layers[0], torch.nn.Conv2d) and len(layers) == 1:
            last.bias.data[:] = bias_for(found, SHARE)  # sigmoids
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
