"""Networks of Ultralytics' packages with random weights that do detect, and what these packages say that they see.

Run by hand, in an environment of its own with `ultralytics` and `yolov5` (AGPL: they are asked for answers, and are no part of
streamseg); `yolo.py` compares:

    python -m benchmarks.families.yolo_make FOLDER [VARIANT...] PHOTO...

Writes FOLDER/VARIANT.onnx and FOLDER/VARIANT.npz: for each photo, as `square` (letterboxed already) and as `photo` (as it is), the
boxes, scores and labels, and the masks at the input's and the photo's size, one bit a pixel.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from benchmarks.families.pictures import letterboxed, read_bgr
from benchmarks.families.random_networks import bias_for, calibrate, spread, tensor

SHARE = 0.005
"""Of all anchors so many score above 0.25."""
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "v8": ("yolov8n-seg.yaml", {}),
    "v8-wide": ("yolov8n-seg.yaml", {"imgsz": (384, 640)}),
    "v8-one-class": ("yolov8n-seg.yaml", {"nc": 1, "imgsz": 320}),
    "v9": ("yolov9c-seg.yaml", {"imgsz": 320}),
    "11": ("yolo11n-seg.yaml", {}),
    "11-stripped": ("yolo11n-seg.yaml", {"strip": True}),
    "11-dynamic": ("yolo11n-seg.yaml", {"dynamic": True}),
    "11-half": ("yolo11n-seg.yaml", {"half": True}),
    "11-batch": ("yolo11n-seg.yaml", {"batch": 2}),
    "11-nms": ("yolo11n-seg.yaml", {"nms": True}),
    "11-nms-stripped": ("yolo11n-seg.yaml", {"nms": True, "strip": True}),
    "12": ("yolo12n-seg.yaml", {}),
    "26": ("yolo26n-seg.yaml", {"nms": False}),
    "26-stripped": ("yolo26n-seg.yaml", {"nms": False, "strip": True}),
    "26-one2many": ("yolo26n-seg.yaml", {}),
    "v5": ("yolov5n-seg.yaml", {}),
    "v5-wide": ("yolov5n-seg.yaml", {"imgsz": (384, 640)}),
    "v5-one-class": ("yolov5n-seg.yaml", {"nc": 1, "imgsz": 320}),
}


def smooth(head: torch.nn.Module) -> None:
    """Prototypes without noise: those of a network with random weights are of single cells, of a trained one of whole things."""
    pools = [torch.nn.AvgPool2d(7, 1, 3, count_include_pad=False) for _ in range(2)]
    head.proto.cv3 = torch.nn.Sequential(head.proto.cv3, *pools)


def tune(net: torch.nn.Module, pictures: torch.Tensor) -> None:
    """The heads of a network of `ultralytics`: boxes of many sizes, a few confident anchors, masks that are no noise."""
    head, forward = net.model[-1], partial(net, pictures)
    branches = [(head.cv2, head.cv3, head.cv4)]
    if getattr(head, "one2one_cv2", None) is not None:
        branches.append((head.one2one_cv2, head.one2one_cv3, head.one2one_cv4))
    for boxes, classes, coefficients in branches:
        for level in range(len(boxes)):
            answer = spread(boxes[level][-1], forward, 1.2)
            if answer.shape[1] == 4:  # distances themselves
                boxes[level][-1].bias.data[:] = 3 + torch.rand(4)
            else:
                boxes[level][-1].bias.data[:] = -answer.mean(dim=(0, 2))
            answer = spread(classes[level][-1], forward, 0.7)
            classes[level][-1].bias.data[:] = bias_for(answer.amax(1), SHARE)
            spread(coefficients[level][-1], forward, 3.0)


def tune_v5(net: torch.nn.Module, pictures: torch.Tensor) -> None:
    """The same for `yolov5`: one layer a level gives 3 x (box, objectness, classes, coefficients)."""
    head, forward = net.model[-1], partial(net, pictures)
    for layer in head.m:
        rows = spread(layer, forward, 1.0).unflatten(1, (head.na, head.no))
        bias = layer.bias.data.view(head.na, head.no)
        bias[:, 4] = bias_for(rows[:, :, 4], SHARE, 0.0)
        bias[:, 5 : 5 + head.nc] = 0.5
        weight = layer.weight.data.view(head.na, head.no, -1)
        weight[:, 2:4] *= 0.3  # w = (2 sigmoid)^2 anchors: no slivers
        weight[:, 5 + head.nc :] *= 3


def finish(path: Path, folder: Path, name: str, strip: bool) -> Path:
    target = folder / f"{name}.onnx"
    shutil.move(path, target)
    if strip:
        model = onnx.load(target)
        del model.metadata_props[:]
        onnx.save(model, target)
    return target


def answers_of(result: Any) -> dict[str, np.ndarray]:
    boxes = result.boxes
    masks = np.zeros((0, 1, 1), bool) if result.masks is None else result.masks.data.cpu().numpy() > 0.5
    return {
        "boxes": boxes.xyxy.cpu().numpy().astype(np.float32),
        "scores": boxes.conf.cpu().numpy().astype(np.float32),
        "labels": boxes.cls.cpu().numpy().astype(np.int64),
        "masks": np.packbits(masks, axis=-1),
        "shape": np.array(masks.shape),
    }


def ultralytics(name: str, config: str, options: dict[str, Any], folder: Path, photos: list[Path]) -> None:
    from ultralytics import YOLO
    from ultralytics.nn.tasks import SegmentationModel

    options = dict(options)
    classes, strip = options.pop("nc", 80), options.pop("strip", False)
    torch.manual_seed(len(name))
    yolo = YOLO(config)
    if classes != 80:
        arguments = yolo.model.args
        yolo.model = SegmentationModel(config, nc=classes, verbose=False)
        yolo.model.args, yolo.model.task = arguments, "segment"
        yolo.model.names = {i: f"thing {i}" for i in range(classes)}
    size = options.get("imgsz", 640)
    height, width = size if isinstance(size, tuple) else (size, size)
    pictures = tensor([letterboxed(read_bgr(photo), height, width) for photo in photos[:6]])
    smooth(yolo.model.model[-1])
    calibrate(yolo.model, partial(yolo.model, pictures))
    tune(yolo.model, pictures)
    options.setdefault("imgsz", size)
    yolo.model.pt_path = str(folder / f"{name}.pt")
    half = options.pop("half", False)
    path = Path(yolo.export(format="onnx", **options, **({"half": True} if half and torch.cuda.is_available() else {})))
    target = finish(path, folder, name, False)
    if half and not torch.cuda.is_available():
        halve(target)
    runner = YOLO(str(target), task="segment")
    saved = {}
    step = options.get("batch", 1)
    for kind in ("square", "photo"):
        given = [read_bgr(photo) for photo in photos]
        if kind == "square":
            given = [letterboxed(photo, height, width) for photo in given]
        for first in range(0, len(given) - step + 1, step):
            found = runner.predict(
                given[first : first + step],
                imgsz=(height, width),
                conf=0.25,
                retina_masks=kind == "photo",
                rect=False,
                verbose=False,
            )
            for i, result in enumerate(found, first):
                saved |= {f"{kind}/{photos[i].stem}/{key}": value for key, value in answers_of(result).items()}
    np.savez_compressed(folder / f"{name}.npz", **saved)
    if strip:
        finish(target, folder, name, True)


def halve(path: Path) -> None:
    """All weights and activations float16, inputs and outputs too, as an export on a GPU has them."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(path), keep_io_types=False)
    onnx.save(model, path)


def main() -> None:
    torch.set_num_threads(1)
    folder, photos = Path(sys.argv[1]), [Path(p) for p in sys.argv[2:] if "." in p]
    names = [p for p in sys.argv[2:] if "." not in p] or list(VARIANTS)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        config, options = VARIANTS[name]
        (yolov5 if name.startswith("v5") else ultralytics)(name, config, options, folder, photos)
        print(name, "made", flush=True)


def yolov5(name: str, config: str, options: dict[str, Any], folder: Path, photos: list[Path]) -> None:
    """The older package: its network, its export's arguments, its non-maximum suppression and its masks."""
    import yolov5 as package
    from yolov5.models.yolo import SegmentationModel
    from yolov5.utils.general import non_max_suppression, scale_boxes
    from yolov5.utils.segment.general import process_mask, process_mask_native

    torch.manual_seed(len(name))
    size, classes = options.get("imgsz", 640), options.get("nc", 80)
    height, width = size if isinstance(size, tuple) else (size, size)
    net = SegmentationModel(str(Path(package.__file__).parent / "models" / "segment" / config), nc=classes)
    pictures = tensor([letterboxed(read_bgr(photo), height, width) for photo in photos[:6]])
    smooth(net.model[-1])
    calibrate(net, partial(net, pictures))
    tune_v5(net, pictures)
    net.model[-1].export = True
    path = folder / f"{name}.onnx"
    names = ["output0", "output1"]
    torch.onnx.export(
        net, (pictures[:1],), str(path), input_names=["images"], output_names=names, opset_version=12, dynamo=False
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"stride": "32", "names": str({i: f"thing {i}" for i in range(classes)})})
    onnx.save(model, path)
    saved = {}
    for photo in photos:
        original = read_bgr(photo)
        picture = tensor([letterboxed(original, height, width)])
        with torch.no_grad():
            rows, prototypes = net(picture)[:2]
        found = non_max_suppression(rows, 0.25, 0.45, max_det=1000, nm=32)[0]
        if not len(found):
            continue
        masks = process_mask(prototypes[0], found[:, 6:], found[:, :4], (height, width), upsample=True)
        for kind in ("square", "photo"):
            boxes = found[:, :4].clone()
            if kind == "square":
                boxes = boxes.clamp(min=0).minimum(torch.tensor([width, height] * 2))  # as its predictor clips them
            else:
                gain = min(height / original.shape[0], width / original.shape[1])
                pads = [
                    (side - round(own * gain)) // 2 for side, own in zip((width, height), original.shape[1::-1], strict=True)
                ]
                boxes = scale_boxes((height, width), boxes, original.shape, ((gain, gain), pads))
                masks = process_mask_native(prototypes[0], found[:, 6:], boxes, original.shape[:2])
            each = {"boxes": boxes.numpy(), "scores": found[:, 4].numpy(), "labels": found[:, 5].numpy().astype(np.int64)}
            each |= {"masks": np.packbits(masks.numpy() > 0.5, axis=-1), "shape": np.array(masks.shape)}
            saved |= {f"{kind}/{photo.stem}/{key}": value for key, value in each.items()}
    np.savez_compressed(folder / f"{name}.npz", **saved)


if __name__ == "__main__":
    main()
