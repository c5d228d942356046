"""The bare network in KServe's Open Inference Protocol v2 (HTTP, with its extension for binary tensors): `images` in, the graph's
outputs out, as Triton would give them for the same graph.

https://github.com/kserve/open-inference-protocol and Triton's extension "binary tensor data".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.core.served import WIRE_TYPES
from streamseg.engine import GraphSpec, Outputs
from streamseg.serve.uploads import Refused
from streamseg.system.version import installed_version

__all__ = ["HEADER", "Asked", "answer", "asked_of", "model_metadata", "server_metadata"]

HEADER = "inference-header-content-length"
MOST = 64
"""Pictures of one request."""


class Asked:
    """A request, read and checked."""

    def __init__(self, images: npt.NDArray[np.uint8], outputs: Mapping[str, bool], identity: str | None) -> None:
        self.images = images
        """uint8 [B, H, W, 3] RGB."""
        self.outputs = outputs
        """Which, and whether in binary."""
        self.identity = identity


def server_metadata() -> dict[str, Any]:
    """`GET /v2`."""
    return {"name": "streamseg", "version": installed_version(), "extensions": ["binary_tensor_data"]}


def model_metadata(spec: GraphSpec) -> dict[str, Any]:
    """`GET /v2/models/NAME`."""
    images = {"name": "images", "datatype": "UINT8", "shape": [-1, spec.height, spec.width, 3]}
    outputs = [
        {"name": name, "datatype": WIRE_TYPES[info.dtype], "shape": [-1, *(length or -1 for length in info.shape[1:])]}
        for name, info in spec.outputs.items()
    ]
    return {"name": spec.name, "versions": ["1"], "platform": "streamseg", "inputs": [images], "outputs": outputs}


def asked_of(body: bytes, header: str | None, spec: GraphSpec) -> Asked:
    """Read a request; `header`: the length of its JSON, where tensors follow that. Raises Refused."""
    cut = len(body)
    if header is not None:
        if not header.isdecimal() or int(header) > len(body):
            raise Refused(400, f"{HEADER} is {header!r}; it is the length of the JSON at the body's beginning")
        cut = int(header)
    try:
        data = json.loads(body[:cut])
        inputs = data["inputs"]
        [given] = [each for each in inputs if each["name"] == "images"] if isinstance(inputs, list) else []
        shape, datatype = [int(length) for length in given["shape"]], given["datatype"]
        images = _images(given, shape, body[cut:], spec)
        outputs = _outputs(data, spec)
    except Refused:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise Refused(400, f"this is no request of the protocol: {type(error).__name__}: {str(error)[:200]}") from error
    if datatype != "UINT8":
        raise Refused(400, f"images are {datatype}; they must be UINT8, RGB")
    return Asked(images, outputs, data.get("id"))


def _images(given: Mapping[str, Any], shape: list[int], binary: bytes, spec: GraphSpec) -> npt.NDArray[np.uint8]:
    if len(shape) != 4 or shape[1:] != [spec.height, spec.width, 3] or not 0 < shape[0] <= MOST:
        raise Refused(400, f"images have the shape {shape}; the model takes [1 to {MOST}, {spec.height}, {spec.width}, 3]")
    size = given.get("parameters", {}).get("binary_data_size")
    count = int(np.prod(shape))
    if size is not None:
        if size != count or len(binary) != count:
            raise Refused(400, f"images of this shape are {count} bytes; {size} were announced, and {len(binary)} came")
        return np.frombuffer(binary, np.uint8).reshape(shape)
    values = np.asarray(given["data"])
    if values.size != count or values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise Refused(400, f"data must hold {count} whole numbers from 0 to 255, and holds {values.size}")
    return values.astype(np.uint8).reshape(shape)


def _outputs(data: Mapping[str, Any], spec: GraphSpec) -> dict[str, bool]:
    usual = bool(data.get("parameters", {}).get("binary_data_output", False))
    wanted = data.get("outputs")
    if not wanted:
        return dict.fromkeys(spec.outputs, usual)
    found = {str(each["name"]): bool(each.get("parameters", {}).get("binary_data", usual)) for each in wanted}
    if unknown := [name for name in found if name not in spec.outputs]:
        raise Refused(400, f"the model gives no {unknown[0]!r}; it gives {', '.join(spec.outputs)}")
    return found


def answer(asked: Asked, outputs: Outputs, spec: GraphSpec) -> tuple[bytes, dict[str, str]]:
    """The body, and its headers."""
    told, tail = [], []
    for name, binary in asked.outputs.items():
        array = np.ascontiguousarray(outputs[name])
        one: dict[str, Any] = {"name": name, "datatype": WIRE_TYPES[array.dtype.name], "shape": list(array.shape)}
        if binary:
            tail.append(array.tobytes())
            one["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            one["data"] = array.ravel().tolist()
        told.append(one)
    data: dict[str, Any] = {"model_name": spec.name, "model_version": "1", "outputs": told}
    if asked.identity is not None:
        data["id"] = asked.identity
    head = json.dumps(data).encode()
    if not tail:
        return head, {"content-type": "application/json"}
    return head + b"".join(tail), {"content-type": "application/octet-stream", HEADER: str(len(head))}
