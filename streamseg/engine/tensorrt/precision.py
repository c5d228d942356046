"""Which type each layer computes in: from the network before it is built, and from the plan once a GPU has loaded it.

Both are compared with the precision that was asked for, so that a graph of the wrong types, or a compiler that chose others, is
found out instead of measured as something that it is not.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from streamseg.errors import EngineError

__all__ = ["Layer", "check_layers", "check_plan", "layers_of", "plan_types", "summary"]

TYPES = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8", "INT32": "int32", "INT64": "int64"}
CONVOLUTIONS = ("CONVOLUTION", "DECONVOLUTION")
MULTIPLY = (*CONVOLUTIONS, "MATRIX_MULTIPLY")
_IN_PLAN = {
    "fp32": r"\bFP32\b|\bFloat\b",
    "fp16": r"\bFP16\b|\bHalf\b",
    "bf16": r"\bBF16\b|\bBFloat16\b",
    "int8": r"\bInt8\b|\bINT8\b",
}


class Layer(NamedTuple):
    """One layer of a network."""

    name: str
    kind: str
    """TensorRT's name, as CONVOLUTION."""
    type: str
    """int8 where it multiplies what comes out of DequantizeLinear, else that of its first output: fp32, fp16, ..."""


def layers_of(network: Any) -> list[Layer]:
    """Every layer of a strongly typed network, whose tensors have the types that they will be computed in.

    TensorRT fuses DequantizeLinear with the convolution that it feeds, whose own type stays that of the scale.
    """
    layers = []
    quantised: set[str] = set()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kind, computes = layer.type.name, _type(layer.get_output(0)) if layer.num_outputs else ""
        if kind == "DEQUANTIZE":
            quantised.add(layer.get_output(0).name)
        inputs = [layer.get_input(i) for i in range(min(2, layer.num_inputs))] if kind in MULTIPLY else []
        if inputs and all(tensor is not None and tensor.name in quantised for tensor in inputs):
            computes = "int8"
        layers.append(Layer(layer.name, kind, computes))
    return layers


def _type(tensor: Any) -> str:
    return "" if tensor is None else TYPES.get(tensor.dtype.name, tensor.dtype.name.lower())


def summary(layers: Iterable[Layer]) -> dict[str, dict[str, int]]:
    """Layers by kind and type, as {"CONVOLUTION": {"fp16": 90}}."""
    counts: dict[str, Counter[str]] = {}
    for layer in layers:
        counts.setdefault(layer.kind, Counter())[layer.type] += 1
    return {kind: dict(sorted(types.items())) for kind, types in sorted(counts.items())}


def check_layers(layers: Iterable[Layer], asked: str, name: str) -> None:
    """Raise EngineError unless every convolution, where the time goes, computes in the precision asked for; for int8, most.

    An int8 graph rightly leaves some layers in float, which would cost too much accuracy.
    """
    if asked not in TYPES.values():  # a foreign graph of several types claims none
        return
    layers = list(layers)
    convolutions = [layer for layer in layers if layer.kind in CONVOLUTIONS]
    if asked == "int8":
        if not any(layer.kind == "DEQUANTIZE" for layer in layers):
            raise EngineError(f"{name} was asked for in int8, but its graph quantises nothing; export an int8 graph")
        eight = sum(layer.type == "int8" for layer in convolutions)
        if 2 * eight < len(convolutions):
            raise EngineError(
                f"{name} was asked for in int8, but only {eight} of {len(convolutions)} convolutions are; export an int8 graph"
            )
        return
    wrong = [layer for layer in convolutions if layer.type != asked]
    quantised = sum(layer.kind == "QUANTIZE" for layer in layers)
    if quantised:
        what = f"{quantised} layers quantise to int8"
    elif wrong:
        what = f"{len(wrong)} of {len(convolutions)} convolutions are not (the first: {wrong[0].name}, {wrong[0].type})"
    else:
        return
    raise EngineError(
        f"{name} was asked for in {asked}, but {what}; precision is that of the graph's types: export it again, "
        "or ask for what it is"
    )


def plan_types(information: str) -> dict[str, int]:
    """How many convolutions of a plan compute in each type, from the engine inspector's JSON; empty where it does not say.

    TensorRT 10 writes {"Layers": [{"LayerType": "CaskConvolution", "Outputs": [{"Format/Datatype": "... FP16 format ..."}]}]}; the
    keys differ in 11 and RTX, so that the type is searched for in all that is said. Weights and input tell it better than the
    output: an int8 convolution may give float, and a conversion may be fused behind one in half precision.
    """
    try:
        layers = json.loads(information).get("Layers") or []
    except (TypeError, ValueError, AttributeError):
        return {}
    counts: Counter[str] = Counter()
    for layer in layers:
        if not isinstance(layer, dict) or "conv" not in str(layer.get("LayerType", "")).lower():
            continue
        told = [layer.get("Weights"), *((layer.get(side) or [{}])[0] for side in ("Inputs", "Outputs"))]
        counts.update([kind for kind in map(_type_in, told) if kind][:1])
    return dict(counts)


def _type_in(said: Any) -> str | None:
    """The type that the inspector states of a tensor or of weights."""
    text = json.dumps({key: value for key, value in said.items() if key != "Name"}) if isinstance(said, dict) else ""
    return next((kind for kind, pattern in _IN_PLAN.items() if re.search(pattern, text)), None)


def check_plan(types: dict[str, int], asked: str, name: str) -> None:
    """Raise EngineError if the plan says which types its convolutions have, and none has the one asked for.

    Some may differ rightly: a conversion that follows a convolution is fused into it, and its output then has the other type.
    """
    if types and asked in TYPES.values() and asked not in types:
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(types.items()))
        raise EngineError(
            f"{name} was built for {asked}, but the plan's convolutions are {found}; build it again, and report this"
        )
