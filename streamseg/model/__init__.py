"""The Mask R-CNN network: its parts, weights, training and export. Needs extra `train`.

    networks   build(name, num_classes): the networks by name (design, heads, lite, mobilenet, resnet, c4, backbones)
    partial    losses for images that are labelled only in part
    weights    the safetensors file
    coco       read COCO-format data for training, bad ones named and counted (faults, pictures)
    augment    training samples: scale jitter, colour, copy-paste; dataset: which comes when
    train      the trainer (settings, start, freeze, precision, checkpoint, journal, screen)
    validate   AP while training (examine: when, and what is written; sheet: predictions beside truth)
    teacher    pseudo-labels from a box detector
    nms, atlas, graph   the inference graph and its two parts that replace missing ops
    export     ONNX files that share one weights file

Nothing here is imported by the light base. Importing it without the extra raises MissingExtra.
"""

from importlib.util import find_spec

from streamseg.errors import MissingExtra

for _name in ("torch", "torchvision", "pycocotools", "safetensors", "onnx", "onnxscript"):
    if find_spec(_name) is None:
        raise MissingExtra(_name, "train")
