"""The Mask R-CNN network: its parts, weights, training and export. Needs extra `train`.

    backbones  EfficientNet-Lite0 and the feature pyramid
    networks   build(name, num_classes): the networks by name
    partial    losses for images that are labelled only in part
    coco       read COCO-format annotations, bad ones named and counted
    augment    training samples: scale jitter, colour, copy-paste
    teacher    pseudo-labels from a box detector
    train      the training loop and its checkpoints
    weights    the safetensors file
    nms, atlas, graph   the inference graph and its two parts that replace missing ops
    export     ONNX files that share one weights file

Nothing here is imported by the light base. Importing it without the extra raises MissingExtra.
"""

from importlib.util import find_spec

from streamseg.errors import MissingExtra

for _name in ("torch", "torchvision", "pycocotools", "safetensors", "onnx", "onnxscript"):
    if find_spec(_name) is None:
        raise MissingExtra(_name, "train")
