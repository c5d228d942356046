"""Weights of our networks on disk: safetensors, named and counted; and torchvision's checkpoints as our networks.

The file holds the network's whole state (convolutions and linear layers as float16 unless asked otherwise, batch norm as
float32) and, as metadata, the network's name, its options and its classes. It loads back into `build_network` for
fine-tuning, and the exported graphs refer to the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models.detection import MaskRCNN, MaskRCNN_ResNet50_FPN_Weights

from streamseg.errors import ConfigError, ModelError
from streamseg.networks.build import build_network
from streamseg.networks.design import RoIPooling
from streamseg.networks.resnet import with_eps

__all__ = ["WeightsInfo", "adapt", "build_for", "from_torchvision", "is_half", "load_weights", "save_weights"]


@dataclass(frozen=True, slots=True)
class WeightsInfo:
    """What a model is: its network, its classes in order, and the network's options."""

    network: str
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    class_agnostic_masks: bool = False
    roi_pool: RoIPooling = "align"
    labels: tuple[int, ...] = ()
    """The network's label of each class, where it has labels that are no class of ours; empty: class i is label i + 1."""
    conf: float = 0.5
    """Score from which its detections are worth showing."""
    score_threshold: float = 0.05
    """Score from which its graph lets detections through."""

    def __post_init__(self) -> None:
        if not self.classes or len(self.category_ids) != len(self.classes):
            raise ConfigError(
                f"{len(self.classes)} classes with {len(self.category_ids)} category ids; allowed: 1 or more, as many"
            )
        if self.labels and (len(set(self.labels)) != len(self.classes) or min(self.labels) < 1):
            raise ConfigError(
                f"labels {self.labels} of {len(self.classes)} classes; allowed: one from 1 on for each, none twice"
            )

    @property
    def class_labels(self) -> tuple[int, ...]:
        """The network's label of each class; 0 is background."""
        return self.labels or tuple(range(1, len(self.classes) + 1))


def build_for(info: WeightsInfo, pretrained: bool = False) -> MaskRCNN:
    """The network that `info` describes, in training mode; errors as those of `build_network`."""
    model = build_network(
        info.network,
        max(info.class_labels),
        pretrained,
        class_agnostic_masks=info.class_agnostic_masks,
        roi_pool=info.roi_pool,
    )
    model.class_labels = info.class_labels
    model.roi_heads.score_thresh = info.score_threshold
    return model


def is_half(name: str, tensor: Tensor) -> bool:
    """Whether this tensor is stored as float16: weights of two or more dimensions and their like."""
    return tensor.is_floating_point() and tensor.dim() >= 2


def save_weights(model: MaskRCNN, info: WeightsInfo, path: Path, half: bool = True) -> None:
    """Write the model's state, whole or not at all; `half`: weights as float16, else everything exactly.

    Raises ModelError when a value is not finite, or too large for float16.
    """
    state = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        dtype = torch.float16 if half and is_half(name, tensor) else tensor.dtype
        state[name] = tensor.detach().to("cpu", dtype).contiguous()
        if not bool(torch.isfinite(state[name]).all()):
            raise ModelError(f"{name} has values that are not finite{' in float16; store it in float32' if half else ''}")
    metadata = {
        "streamseg.network": info.network,
        "streamseg.classes": json.dumps(info.classes),
        "streamseg.category_ids": json.dumps(info.category_ids),
    }
    names = ("class_agnostic_masks", "roi_pool", "labels", "conf", "score_threshold")
    options = {name: getattr(info, name) for name in names}
    plain = WeightsInfo(info.network, info.classes, info.category_ids)
    chosen = {key: value for key, value in options.items() if value != getattr(plain, key)}
    if chosen:
        metadata["streamseg.options"] = json.dumps(chosen)
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata)
    partial.replace(path)


def _info(metadata: Mapping[str, str]) -> WeightsInfo:
    options = json.loads(metadata.get("streamseg.options", "{}"))
    if "labels" in options:
        options["labels"] = tuple(options["labels"])
    return WeightsInfo(
        metadata["streamseg.network"],
        tuple(json.loads(metadata["streamseg.classes"])),
        tuple(json.loads(metadata["streamseg.category_ids"])),
        **options,
    )


def load_weights(path: Path) -> tuple[MaskRCNN, WeightsInfo]:
    """The network of a weights file, float32, in evaluation mode.

    Raises ModelError when the file is missing, not ours, or does not fit its network.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a weights file: {error}") from error
    try:
        info = _info(metadata)
        model = build_for(info)
    except (KeyError, ValueError, TypeError) as error:  # ConfigError is a ValueError
        raise ModelError(f"{path} does not say which network and classes it holds: {error}") from error
    _fit(model, state, f"{path} does not fit {info.network}")
    return model.eval(), info


SINCE = (
    "backbone.fine.",
    "roi_heads.mask_head.place",
    "roi_heads.mask_head.context.",
    "roi_heads.mask_predictor.fuse.",
)
"""Parts that `lite` did not have at first; in older weights they are missing, and then do nothing, as before training."""


def _fit(model: MaskRCNN, state: Mapping[str, Tensor], problem: str) -> None:
    """Load `state`, which may lack batch norm's counters; raises ModelError naming what differs.

    torchvision's modules know the names that they had before release 0.13, which its COCO_V1 file of 2019 has.
    """
    own = model.state_dict()
    common = own.keys() & state.keys()
    other = [
        f"{name} is {list(state[name].shape)}, not {list(own[name].shape)}"
        for name in own
        if name in common and state[name].shape != own[name].shape
    ]
    missing: list[str] = []
    unexpected: list[str] = []
    if not other:
        try:
            missing, unexpected = model.load_state_dict(dict(state), strict=False)
        except RuntimeError as error:  # a tensor under an old name has another shape
            raise ModelError(f"{problem}: {error}") from error
    if missing == [name for name in own if name.startswith(SINCE) and not name.endswith("num_batches_tracked")]:
        missing = []
    parts = {"missing": missing, "unexpected": unexpected, "of another shape": other}
    lists = {what: [name for name in names if not name.endswith("num_batches_tracked")] for what, names in parts.items()}
    if any(lists.values()):
        raise ModelError(f"{problem}: " + "; ".join(f"{what}: {', '.join(n[:3])}" for what, n in lists.items() if n))


def from_torchvision(
    state: Mapping[str, Any],
    network: str,
    classes: Sequence[str] = (),
    category_ids: Sequence[int] = (),
    norm_eps: float | None = None,
) -> tuple[MaskRCNN, WeightsInfo]:
    """A state dict of torchvision's maskrcnn_resnet50_fpn or ..._v2 as our network, in evaluation mode.

    With 91 labels and no `classes` it is taken to be COCO's: the model offers the 80 that have a name, and answers what
    torchvision answers, its ten nameless labels left out. Other checkpoints need the names of their labels from 1 on;
    `category_ids` are 1, 2, ... where not given. `norm_eps`: the epsilon of its frozen batch norm; torchvision's COCO_V1
    weights have 0, everything else 1e-5. Only `resnet50-fpn` has frozen batch norm.

    Raises ModelError when the state does not fit the network, ConfigError when the names do not fit the state.
    """
    key = "roi_heads.box_predictor.cls_score.weight"
    if not isinstance(state.get(key), Tensor):
        raise ModelError(f"this is no state dict of torchvision's Mask R-CNN: it has no {key}")
    count = len(state[key])
    coco = count == len(COCO_LABELS) and not classes
    if coco:
        labels = tuple(i for i, name in enumerate(COCO_LABELS) if name not in NAMELESS)
        info = WeightsInfo(network, tuple(COCO_LABELS[i] for i in labels), labels, labels=labels)
    elif len(classes) != count - 1:
        raise ConfigError(f"the checkpoint has {count - 1} classes besides background, but {len(classes)} names were given")
    else:
        info = WeightsInfo(network, tuple(classes), tuple(category_ids) or tuple(range(1, count)))
    model = build_for(info)
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if network == "resnet50-fpn":
        eps = norm_eps if norm_eps is not None else (0.0 if coco else 1e-5)
        tensors = with_eps(tensors, eps) if eps else tensors
    _fit(model, tensors, f"the checkpoint does not fit {network}")
    return model.eval(), info


NAMELESS = ("__background__", "N/A")
COCO_LABELS: tuple[str, ...] = tuple(MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
"""Label names of torchvision's weights: 0 is background, the others are COCO's category ids, of which ten were never used."""


def adapt(model: MaskRCNN, info: WeightsInfo, wanted: WeightsInfo) -> MaskRCNN:
    """`model` as a network for the classes and mask option of `wanted`, to be fine-tuned, in training mode.

    Everything is taken over; in the last layers the rows of background and of classes with the same name, the other rows are
    new. Raises ConfigError when the networks differ.
    """
    if info.network != wanted.network:
        raise ConfigError(f"weights of {info.network} cannot start {wanted.network}")
    result = build_for(wanted)
    own, given = result.state_dict(), model.state_dict()
    pairs = [(0, 0)] + [
        (new, info.class_labels[info.classes.index(name)])
        for name, new in zip(wanted.classes, wanted.class_labels, strict=True)
        if name in info.classes
    ]
    new, old = (torch.tensor(rows) for rows in zip(*pairs, strict=True))
    for name, tensor in given.items():
        labels = _labels_of(name, info)
        if labels is None or (wanted.class_agnostic_masks and info.class_agnostic_masks and ".mask_" in name):
            own[name] = tensor.clone()
        elif not (".mask_" in name and wanted.class_agnostic_masks != info.class_agnostic_masks):
            rows = own[name].reshape(max(wanted.class_labels) + 1, -1)
            rows[new] = tensor.reshape(labels, -1)[old]
            own[name] = rows.reshape(own[name].shape)
    result.load_state_dict(own)
    result.roi_heads.score_thresh = model.roi_heads.score_thresh
    return result.train()


LABEL_LAYERS = (
    "roi_heads.box_predictor.cls_score.",
    "roi_heads.box_predictor.bbox_pred.",
    "roi_heads.mask_predictor.mask_fcn_logits.",
    "roi_heads.mask_predictor.logits.",
)
"""The layers that have rows for each label."""


def _labels_of(name: str, info: WeightsInfo) -> int | None:
    """How many labels this tensor has rows for; None where it has none."""
    return max(info.class_labels) + 1 if name.startswith(LABEL_LAYERS) else None
