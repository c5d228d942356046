"""Which layers int8 hurts most: each is quantised alone, and the noise that it adds to the network's answers is measured.

The noise of a layer by itself says little: a layer before a batch norm that multiplies by 75 adds more of it to the answers than
all others together. Layers are left in float32, worst first, as long as the worst of those that are left makes a large share of
all noise; independent noises add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from streamseg.export.quantizer import UInt8Array, insert, layers, part_of, session

__all__ = ["noise_of", "outliers", "sensitive_layers"]

SHARE = 0.3
"""Share of the remaining noise from which a layer is left in float32."""

MOST = 0.1
"""Share of all layers that may be left in float32."""

_PICTURES = 4


def sensitive_layers(model: onnx.ModelProto, ranges: Mapping[str, float], pictures: Sequence[UInt8Array]) -> list[str]:
    """Names of the weights of the layers to leave in float32, worst first, of a graph whose affine layers are folded."""
    few = pictures[:: max(1, len(pictures) // _PICTURES)][:_PICTURES]
    noise: dict[str, float] = {}
    for part, outputs in _parts(model).items():
        mine = [weight for weight in layers(model) if _part_of(weight) == part]
        if outputs and mine:
            noise |= noise_of(model, ranges, few, mine, outputs)
    return outliers(noise)


def outliers(noise: Mapping[str, float]) -> list[str]:
    """Names, worst first, of those that make more than `SHARE` of the noise of all that are not worse; few of them."""
    found: list[str] = []
    left = sorted(noise, key=lambda name: noise[name], reverse=True)
    for name in left[: int(MOST * len(left))]:
        if noise[name] <= SHARE * sum(noise[other] for other in left[len(found) :]):
            break
        found.append(name)
    return found


def noise_of(
    model: onnx.ModelProto,
    ranges: Mapping[str, float],
    pictures: Sequence[UInt8Array],
    weights: Sequence[str],
    outputs: Sequence[str],
) -> dict[str, float]:
    """For each weight: the power of the noise in `outputs`, over that of the outputs, when its layers alone are quantised."""
    model = part_of(model, outputs)
    expected = _run(model, pictures, outputs)
    answer = {}
    for weight in weights:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        insert(changed, ranges, [weight])
        answer[weight] = _noise(expected, _run(changed, pictures, outputs))
    return answer


def _run(model: onnx.ModelProto, pictures: Sequence[UInt8Array], outputs: Sequence[str]) -> list[list[npt.NDArray[np.float32]]]:
    runner = session(model, outputs)
    return [runner.run(list(outputs), {"images": picture[None]}) for picture in pictures]


def _noise(expected: list[list[npt.NDArray[np.float32]]], found: list[list[npt.NDArray[np.float32]]]) -> float:
    ratios = []
    for wanted, got in zip(zip(*expected, strict=True), zip(*found, strict=True), strict=True):
        signal = sum(float(np.square(a, dtype=np.float64).sum()) for a in wanted)
        error = sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b in zip(wanted, got, strict=True))
        ratios.append(error / max(signal, 1e-12))
    return float(np.mean(ratios))


def _part_of(weight: str) -> str:
    if "roi_heads.box" in weight:
        return "roi_heads.box"
    return "roi_heads.mask" if "roi_heads.mask" in weight or "backbone.fine" in weight else "rpn"


def _parts(model: onnx.ModelProto) -> dict[str, list[str]]:
    """What each part of the network answers. The RoIs of a head are those of the float network: what comes before it is float."""
    found: dict[str, list[str]] = {"rpn": [], "roi_heads.box": [], "roi_heads.mask": ["masks"]}
    for weight, nodes in layers(model).items():
        if "rpn.head.cls_logits" in weight or "rpn.head.bbox_pred" in weight:
            found["rpn"] += [node.output[0] for node in nodes]
        elif "roi_heads.box_predictor" in weight:
            found["roi_heads.box"] += [node.output[0] for node in nodes]
    return found
