"""Models that others trained and that can be fetched: `streamseg models pull NAME`."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streamseg.errors import ModelError, OutputError
from streamseg.hub.download import Patience, download
from streamseg.hub.importer import import_file
from streamseg.system import resources
from streamseg.system.callbacks import Message, Progress
from streamseg.system.folders import cache_root, elsewhere, locked, models_root
from streamseg.system.imports import require_train

__all__ = ["BASE_URL", "BODIES", "PRETRAINED", "Pretrained", "pull"]


BASE_URL = "https://download.pytorch.org/models/"
"""Where torchvision's weights are; $STREAMSEG_MODELS_URL names another place with files of these names."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A published checkpoint."""

    file: str
    """Its name ends in the first 8 digits of its sha256, as torch.hub checks them."""
    megabytes: int
    classes: int = 0
    box_ap: float = 0.0
    """Percent on COCO val2017, as its authors state; so is `mask_ap`."""
    mask_ap: float = 0.0
    licence: str = "torchvision's (code: BSD-3-Clause), trained on COCO"

    @property
    def digest(self) -> str:
        """The beginning of the file's sha256."""
        match = re.search(r"-([0-9a-f]{8,64})\.", self.file)
        assert match is not None
        return match[1]


PRETRAINED: dict[str, Pretrained] = {
    "resnet50-fpn": Pretrained("maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", 178, 80, 37.9, 34.6),
    "resnet50-fpn-v2": Pretrained("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", 186, 80, 47.4, 41.8),
}
"""By name, which is also its network's: COCO_V1 of torchvision's MaskRCNN_ResNet50_FPN_Weights and ..._FPN_V2_Weights."""

BODIES: dict[str, Pretrained] = {
    "imagenet-resnet50": Pretrained("resnet50-0676ba61.pth", 103),
    "imagenet-mobilenet_v3_large": Pretrained("mobilenet_v3_large-8738ca79.pth", 22),
}
"""torchvision's IMAGENET1K_V1 weights by body, from which trainings start (`networks.design.IMAGENET_FILES`); not models."""

UNPUBLISHED = ("mobilenetv3-fpn", "resnet50-c4")


@dataclass(frozen=True, slots=True)
class _How:
    """The options of a download."""

    url: str
    force: bool
    on_progress: Progress | None
    on_message: Message
    patience: Patience | None


def pull(
    name: str,
    *,
    url: str = "",
    force: bool = False,
    on_progress: Progress | None = None,
    on_message: Message | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetch a published checkpoint and make it a model of the user's; returns its weights file.

    `url` is another address of the file, or of a folder that has it; default: $STREAMSEG_MODELS_URL, else `BASE_URL`. The file
    must have the hash that its name begins, and, once it was fetched, the same hash for ever. With `force` what is here is
    fetched and made again. ImageNet weights of a network's body (`BODIES`) are put where trainings look for them.

    Raises ModelError (unknown name, what `download` says), MissingExtra (torch, before anything is fetched), OutputError.
    """
    if name in UNPUBLISHED:
        raise ModelError(f"nobody published weights of {name} for COCO: train it (streamseg train), or import yours")
    known = PRETRAINED | BODIES
    if name not in known and (resources.shipped_folder("engines") / name).is_dir():
        raise ModelError(f"{name!r} comes with streamseg and need not be fetched: streamseg run SOURCE --model {name}")
    if name not in known:
        raise ModelError(f"{name!r} cannot be fetched; there are: {', '.join(known)}")
    require_train()  # before 180 MB are fetched in vain
    wanted, how = known[name], _How(url, force, on_progress, on_message or (lambda _: None), patience)
    target = models_root() / (f"imagenet/{wanted.file}" if name in BODIES else f"{name}/{name}.safetensors")
    with locked(models_root(), f"{name}.pull", f"another process is fetching {name}; waiting for it", on_message):
        if target.is_file() and not force:
            how.on_message(f"{name} is here already: {target}; to fetch it again: --force")
        elif name in BODIES:
            _fetch(wanted, target, how)
        else:
            file = cache_root() / "downloads" / wanted.file
            found = _fetch(wanted, file, how)
            notes = {"origin": f"torchvision, {wanted.file}", "licence": wanted.licence, "source_sha256": found}
            import_file(file, name=name, network=name, overwrite=True, notes=notes)
            file.unlink(missing_ok=True)
    return target


def _fetch(wanted: Pretrained, file: Path, how: _How) -> str:
    """Download, with the hash it must have; returns it."""
    address = _address(how.url or os.environ.get("STREAMSEG_MODELS_URL", "") or BASE_URL, wanted.file)
    known = _known(wanted.file)
    how.on_message(f"fetching {address} ({wanted.megabytes} MB)")
    found = download(
        address,
        file,
        sha256=known or wanted.digest,
        force=how.force,
        on_progress=how.on_progress,
        on_message=how.on_message,
        patience=how.patience,
    )
    if not known:
        _remember(wanted.file, found)
    return found


def _address(url: str, file: str) -> str:
    return url if url.endswith(".pth") else f"{url.rstrip('/')}/{file}"


def _records() -> Path:
    return models_root() / "fetched.json"


def _known(file: str) -> str:
    """The sha256 that this file had when it was first fetched; empty: it never was."""
    try:
        records = json.loads(_records().read_text("utf-8"))
        return str(records.get(file, {}).get("sha256", ""))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"cannot read {_records()}, which says what was fetched: {error}; repair or remove it") from error


def _remember(file: str, sha256: str) -> None:
    path = _records()
    with locked(models_root(), "fetched", "another process is writing fetched.json; waiting for it"):
        try:
            records = json.loads(path.read_text("utf-8")) if path.is_file() else {}
            records[file] = {"sha256": sha256, "first": datetime.now(UTC).isoformat(timespec="seconds")}
            partial = path.with_name(f"{path.name}.{os.getpid()}")
            partial.write_text(json.dumps(records, indent=2))
            partial.replace(path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}; {elsewhere(path)}") from error
