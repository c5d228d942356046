"""Checkpoints of others, and of our trainer, as networks of ours.

A checkpoint is a state dict of torchvision's Mask R-CNN (alone, or as "model" or "state_dict" of a training's checkpoint), our
trainer's checkpoint.pt, or one of our weights files. Which network it is of is told from its tensors' names and shapes.
"""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError, ModelError
from streamseg.errors.describe import counted
from streamseg.networks.build import NETWORKS, build_network
from streamseg.networks.weights import WeightsInfo, build_for, from_torchvision, load_weights

__all__ = ["Misfit", "modern_names", "network_of", "read_checkpoint"]

State = dict[str, Tensor]

_SHOWN = 5
_SCORES = "roi_heads.box_predictor.cls_score.weight"
_MASKS = ("roi_heads.mask_predictor.mask_fcn_logits.weight", "roi_heads.mask_predictor.logits.weight")


@dataclass(frozen=True, slots=True)
class Misfit:
    """How a checkpoint differs from a network."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[str, ...]
    """Tensors of another shape, with both shapes."""

    def __len__(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.shapes)

    def __str__(self) -> str:
        parts = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.shapes}
        return "; ".join(
            f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
            for what, names in parts.items()
            if names
        )


def read_checkpoint(
    path: Path,
    network: str | None = None,
    classes: Sequence[str] = (),
    norm_eps: float | None = None,
) -> tuple[MaskRCNN, WeightsInfo]:
    """The network in a checkpoint file, in evaluation mode, and what it is.

    `network` is told from the tensors where it is not given. `classes` are the names of its labels from 1 on, where neither the
    file says them nor its 91 labels are COCO's. `norm_eps`: see `weights.from_torchvision`. No code of the file is run.

    Raises ModelError (not a checkpoint, code in it, no network fits: the names that differ) or ConfigError (an unknown network, or
    classes that are missing or do not fit).
    """
    if network is not None and network not in NETWORKS:
        raise ConfigError(f"unknown network {network!r}; there are: {', '.join(sorted(NETWORKS))}")
    if twice := [name for name in dict.fromkeys(classes) if classes.count(name) > 1]:
        raise ConfigError(f"--classes names {', '.join(map(repr, twice))} twice; each class needs a name of its own")
    if norm_eps is not None and not 0 <= norm_eps <= 1:
        raise ConfigError(f"--norm-eps is {norm_eps}; allowed: 0 to 1, usual: 0 or 1e-5")
    if _is_safetensors(path):
        state, ours = _read_tensors(path)
        if ours:
            model, info = load_weights(path)
            return model, _named(info, network, classes, path)
    else:
        content = _load(path)
        state = _unwrap(content, path)
        beside = path.with_name("model.safetensors")
        if "average" in content and beside.is_file():  # our trainer's: the file beside it says what both are
            info = _named(load_weights(beside)[1], network, classes, path)
            return _filled(info, state, path), info
    state = modern_names(state)
    found, count = network_of(state, path, network), _labels(state) - 1
    agnostic = _mask_rows(state) != count + 1
    if not classes and (count != 90 or agnostic):
        raise ConfigError(f"{path} does not say the names of its {counted(count, 'class')}; give them: --classes a,b,...")
    if not agnostic:
        return from_torchvision(state, found, tuple(classes), norm_eps=norm_eps)
    info = WeightsInfo(found, tuple(classes), tuple(range(1, len(classes) + 1)), class_agnostic_masks=True)
    if len(classes) != count:
        raise ConfigError(f"{path} has {counted(count, 'class')}, but {counted(len(classes), 'name')} given")
    return _filled(info, state, path), info


def modern_names(state: Mapping[str, Tensor]) -> State:
    """The state under the names of torchvision since 0.13; those before, COCO_V1's among them, were without inner modules.

    torchvision renames them too when it loads them, but only into its own classes.
    """
    rules = (
        (r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)", r"\1.0.\2"),
        (r"(rpn\.head\.conv)\.(weight|bias)", r"\1.0.0.\2"),
    )
    result = {}
    for name, tensor in state.items():
        new = re.sub(r"^module\.", "", name)  # of DistributedDataParallel and of averaged models
        for old, renamed in rules:
            new = re.sub(f"^{old}$", renamed, new)
        match = re.fullmatch(r"roi_heads\.mask_head\.mask_fcn(\d+)\.(weight|bias)", new)
        result[f"roi_heads.mask_head.{int(match[1]) - 1}.0.{match[2]}" if match else new] = tensor
    result.pop("n_averaged", None)
    return result


def network_of(state: Mapping[str, Tensor], path: Path, wanted: str | None = None) -> str:
    """The name of the network whose tensors these are, out of all or just `wanted`.

    Raises ModelError, which names what differs from the nearest, if none fits.
    """
    for key in (_SCORES, *([] if any(name in state for name in _MASKS) else _MASKS[:1])):
        if key not in state:
            raise ModelError(f"{path} holds no Mask R-CNN: it has no {key}, but {_some(list(state))}")
    misfits: dict[str, Misfit] = {}
    for name in [wanted] if wanted else NETWORKS:
        misfits[name] = _misfit(state, name)
        if not len(misfits[name]):
            return name
    nearest = min(misfits, key=lambda name: len(misfits[name]))
    raise ModelError(f"{path} does not fit {'' if wanted else 'any network; the nearest is '}{nearest}: {misfits[nearest]}")


def _misfit(state: Mapping[str, Tensor], network: str) -> Misfit:
    with torch.device("meta"):  # shapes, but no memory
        model = build_network(network, _labels(state) - 1, class_agnostic_masks=_mask_rows(state) != _labels(state))
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    given = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    return Misfit(
        tuple(name for name in own if name not in given),
        tuple(name for name in given if name not in own),
        tuple(
            f"{name} is {list(given[name].shape)}, not {list(tensor.shape)}"
            for name, tensor in own.items()
            if name in given and given[name].shape != tensor.shape
        ),
    )


def _labels(state: Mapping[str, Tensor]) -> int:
    return len(state[_SCORES])


def _mask_rows(state: Mapping[str, Tensor]) -> int:
    return next(len(state[name]) for name in _MASKS if name in state)


def _is_safetensors(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    return path.suffix == ".safetensors" or (head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000)


def _read_tensors(path: Path) -> tuple[State, bool]:
    """The tensors of a safetensors file, and whether it is a weights file of ours."""
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, "streamseg.network" in (file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a safetensors file, or is damaged: {error}") from error


def _load(path: Path) -> Mapping[str, Any]:
    """What torch.save wrote, as far as it is tensors and plain values. Raises ModelError."""
    try:
        # torchvision's own training script saves its options in a Namespace, which holds values and does nothing.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch is unsure of; what it cannot read it raises
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found is None:
            raise ModelError(f"{path} is not a checkpoint that torch.save wrote, or is damaged") from error
        raise ModelError(
            f"{path} asks to run code ({found[1]}), which is never done: only tensors and plain values are read. Save it as "
            "torch.save(model.state_dict(), FILE), or as safetensors, where you trust it"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a checkpoint that torch.save wrote, or is damaged ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise ModelError(f"{path} holds a {type(content).__name__}, not a state dict of tensors by name")
    return content


def _unwrap(content: Mapping[str, Any], path: Path) -> State:
    """The state dict within a checkpoint: the average of weights where there is one, else the weights."""
    for key in ("average", "model_ema", "model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise ModelError(f"{path} holds no tensors by name, but {_some(list(map(str, content)))}")
    return state


def _named(info: WeightsInfo, network: str | None, classes: Sequence[str], path: Path) -> WeightsInfo:
    """`info` with the names that were given instead of its own."""
    if network not in (None, info.network):
        raise ConfigError(f"{path} says that it is of {info.network}, not {network}: leave the network out")
    if not classes:
        return info
    if len(classes) != len(info.classes):
        has, given = counted(len(info.classes), "class"), counted(len(classes), "name")
        raise ConfigError(f"{path} has {has} ({', '.join(info.classes)}), but {given} given")
    return replace(info, classes=tuple(classes))


def _filled(info: WeightsInfo, state: State, path: Path) -> MaskRCNN:
    """The network of `info` with these tensors, in evaluation mode."""
    misfit = _misfit(state, info.network)
    if len(misfit):
        raise ModelError(f"{path} does not fit {info.network}: {misfit}")
    model = build_for(info)
    model.load_state_dict(state, strict=False)  # but for batch norm's counters, which nothing reads
    return model.eval()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") if names else "nothing"
