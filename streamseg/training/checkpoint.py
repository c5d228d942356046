"""The checkpoint of a run: one file with all that the run needs to go on as if it had not stopped. It is whole or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torchvision.models.detection import MaskRCNN

from streamseg.errors import ConfigError, ModelError, OutputError, OutputExists
from streamseg.networks.weights import WeightsInfo, save_weights
from streamseg.system.output_files import make_folder

__all__ = ["FILE", "check_folder", "check_same", "read_checkpoint", "write_checkpoint", "write_weights"]

FILE = "checkpoint.pt"
FORMAT = 1


def check_folder(out: Path, resume: bool) -> bool:
    """Make a run's folder, and say whether it holds a checkpoint to go on from.

    Raises OutputExists where it does and that was not asked for, OutputError where the folder cannot be made.
    """
    make_folder(out)
    exists = (out / FILE).is_file()
    if exists and not resume:
        raise OutputExists(f"{out} holds a run: go on with it by --resume, or give --out another folder")
    return exists


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint, in one step, once the new one is safe on the disk.

    Raises OutputError when it cannot be written, as on a full disk; the one before it is then still there.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch's archive writer raises RuntimeError where the disk is full
        with contextlib.suppress(OSError):
            part.unlink()
        why = error.strerror if isinstance(error, OSError) else None
        raise OutputError(f"{path}: the checkpoint could not be written: {why or 'the disk may be full'}") from error


def write_weights(path: Path, model: MaskRCNN, info: WeightsInfo) -> None:
    """Write a weights file, as float16 where the values allow it. Raises OutputError where it cannot be written."""
    try:
        try:
            save_weights(model, info, path)
        except ModelError:  # a value is too large for float16
            save_weights(model, info, path, half=False)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            path.with_suffix(".partial").unlink()
        why = error.strerror if isinstance(error, OSError) else None
        raise OutputError(f"{path}: the weights could not be written: {why or error}") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote. Raises ModelError for a file that is damaged or something else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises its own, pickle's, zipfile's and plain RuntimeErrors for a broken file
        raise ModelError(f"{path} is not a checkpoint ({type(error).__name__}): remove it, and start the run anew") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ModelError(f"{path} is not a checkpoint of this version: start the run anew, with --start its model.safetensors")
    return state


def check_same(saved: dict[str, Any], now: dict[str, Any], must: tuple[str, ...]) -> list[str]:
    """What differs between the settings of a checkpoint and those of the run that goes on from it, a sentence each.

    Raises ConfigError for those of `must`, with which the weights would not fit.
    """
    before, after = _flat(saved), _flat(now)
    said = {name: f"{name} was {before.get(name)}, is now {after[name]}" for name in after if before.get(name) != after[name]}
    wrong = [sentence for name, sentence in said.items() if name in must]
    if wrong:
        raise ConfigError(f"the checkpoint is of another run: {'; '.join(wrong)}. Give --out another folder to start anew")
    return list(said.values())


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings in groups as one flat table: `augmentation.flip` is the setting `flip` of the group `augmentation`."""
    answer: dict[str, Any] = {}
    for name, value in settings.items():
        answer |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return answer
