"""Addresses of models that run on an inference server: `triton://HOST:8001/MODEL[/VERSION]`, `tritons://` for TLS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamseg.errors import ConfigError
from streamseg.errors.describe import brief

__all__ = ["WIRE_TYPES", "Place", "is_server", "place_of"]

_ADDRESS = re.compile(r"(tritons?)://(\[[0-9a-fA-F:.]+\]|[^/\s@:]+)(?::(\d+))?/([^/\s]+)(?:/(\d+))?/?")


WIRE_TYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""numpy's names of types as KServe's protocol v2 has them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A model on a server."""

    host: str
    """With its port."""
    model: str
    version: str = ""
    """Empty: the one that the server takes."""
    tls: bool = False


def is_server(engine: str) -> bool:
    """Whether a name of an engine is the address of a server."""
    return engine.startswith(("triton://", "tritons://"))


def place_of(address: str) -> Place:
    """Raises ConfigError for an address that is none."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ConfigError(
            f"the engine {brief(address)} is no address of a model; write triton://HOST:8001/MODEL, tritons:// for TLS"
        )
    scheme, host, port, model, version = found.groups()
    return Place(f"{host}:{port or 8001}", model, version or "", scheme == "tritons")
