"""What a weights file (safetensors) says about itself, and whether a file can be a checkpoint at all, read without torch.

The file begins with the length of a JSON header, 8 bytes little-endian; that header names each tensor's type and place, and holds
the metadata (https://github.com/huggingface/safetensors#format). `streamseg.networks.weights` writes ours.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from streamseg.errors import ModelError

__all__ = ["WeightsHeader", "check_begins", "read_header"]

_LONGEST = 100_000_000
"""Bytes; the format's own limit of a header."""
_SAVED = (b"PK\x03\x04", b"\x80")
"""How what torch.save writes begins: a zip file, or (before torch 1.6) a pickle."""


@dataclass(frozen=True, slots=True)
class WeightsHeader:
    """The part of a weights file before its tensors."""

    network: str
    classes: tuple[str, ...]
    half: bool
    """Its convolutions are stored in float16."""


def check_begins(path: Path) -> None:
    """Raise ModelError for a file that is neither a checkpoint of torch.save nor a safetensors file, as its first bytes tell."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            size = int.from_bytes(head, "little")
            if path.suffix != ".safetensors" and head.startswith(_SAVED):
                return
            whole = 2 <= size <= _LONGEST and file.read(1) == b"{"
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if whole:
        return
    if path.suffix == ".safetensors":
        raise ModelError(f"{path} is not a safetensors file")
    raise ModelError(
        f"{path} is not a checkpoint that torch.save wrote, nor a safetensors file" + ("" if head else ": it is empty")
    )


def read_header(path: Path) -> WeightsHeader:
    """Read the header of one of our weights files.

    Raises ModelError if the file is missing, not a safetensors file, cut short, or does not say which network it is of.
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= _LONGEST:
                raise ModelError(f"{path} is not a safetensors file")
            header = json.loads(file.read(size))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            needed = 8 + size + max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
            metadata = header.get("__metadata__", {})
            network, classes = metadata["streamseg.network"], tuple(map(str, json.loads(metadata["streamseg.classes"])))
            half = any(entry["dtype"] == "F16" for entry in tensors.values())
    except OSError as error:
        raise ModelError(f"cannot read the weights {path}: {error.strerror}") from error
    except KeyError as error:
        raise ModelError(f"{path} does not say which network and classes it holds: streamseg models import it first") from error
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError, struct.error) as error:
        raise ModelError(f"{path} is not a safetensors file, or is damaged: {error}") from error
    if path.stat().st_size < needed:
        raise ModelError(f"{path} is cut short: {path.stat().st_size} bytes of {needed}; fetch or import it again")
    return WeightsHeader(str(network), classes, half)
