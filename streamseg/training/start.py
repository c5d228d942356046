"""The network that a run begins with, fitted to the data's classes: at random, with a body from ImageNet, or fine-tuned weights."""

from __future__ import annotations

from pathlib import Path

from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError, ModelError
from streamseg.networks.weights import WeightsInfo, adapt, build_for, load_weights
from streamseg.system import resources
from streamseg.system.folders import models_root

__all__ = ["begin", "find_weights", "info_of"]

SUFFIX = ".safetensors"


def find_weights(start: str) -> Path:
    """The weights file of a model that streamseg brings or that was pulled or imported, or the file of that path.

    Raises ModelError, with what there is.
    """
    if start.endswith(SUFFIX) or "/" in start:
        path = Path(start)
        path = path / f"model{SUFFIX}" if path.is_dir() else path
        if not path.is_file():
            raise ModelError(f"there is no weights file {path}; give a {SUFFIX} file, or a name of `streamseg models`")
        return path
    places = {
        path.stem: path for path in resources.shipped_folder("engines").glob(f"*/*{SUFFIX}") if path.stem == path.parent.name
    }
    for folder in sorted(models_root().glob("*/")):
        files = sorted(folder.glob(f"*{SUFFIX}"))
        if len(files) == 1:
            places.setdefault(folder.name, files[0])
    if start not in places:
        known = ", ".join(sorted(places)) or "none"
        raise ModelError(f"unknown model {start!r}; weights are here of: {known}. Or give the path of a {SUFFIX} file")
    return places[start]


def info_of(start: str) -> WeightsInfo:
    """Which network and classes such weights are of. Raises ModelError."""
    return load_weights(find_weights(start))[1]


def begin(info: WeightsInfo, start: str | None, pretrained: bool) -> tuple[MaskRCNN, list[str]]:
    """The network of `info` in training mode, and sentences on what it was made from.

    Raises ModelError where the weights are missing or damaged, ConfigError where they are of another network.
    """
    if start is None:
        source = "ImageNet weights of the body" if pretrained else "random weights"
        return build_for(info, pretrained), [f"{info.network}: starts from {source}"]
    path = find_weights(start)
    model, found = load_weights(path)
    if found.network != info.network:
        raise ConfigError(
            f"{path} holds a {found.network}, not a {info.network}: give --network {found.network}, or start from other weights"
        )
    if found.roi_pool != info.roi_pool:
        raise ConfigError(f"{path} was trained with --roi-pool {found.roi_pool}; go on with that, not {info.roi_pool}")
    said = [f"{info.network}: fine-tunes {path}"]
    if (found.classes, found.class_labels) == (info.classes, info.class_labels):
        if found.class_agnostic_masks != info.class_agnostic_masks:
            said.append("the last layer of the mask branch starts anew: masks were for each class, or the reverse")
        elif found == info:
            return model.train(), said
        return adapt(model, found, info), said
    kept = [name for name in info.classes if name in found.classes]
    new = [name for name in info.classes if name not in found.classes]
    dropped = [name for name in found.classes if name not in info.classes]
    parts = [("taken over", kept), ("new", new), ("dropped", dropped)]
    listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)
    said.append(f"the last layers are made for the data's classes ({listed})")
    return adapt(model, found, info), said
