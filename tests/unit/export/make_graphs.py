"""A process that writes a random network's graphs in all three precisions: python -m tests.unit.export.make_graphs NETWORK SIZE OUT

Tracing takes most of the time of an export, so fp32 and int8 come out of one: the fp32 graph, too, has batch norm as two factors.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import torch

from streamseg.export.export import facts_of, to_onnx
from streamseg.export.graph import GraphSettings, InferenceGraph
from streamseg.export.half import halve, without_batch_norm
from streamseg.export.onnx_file import drop_cast_pairs, share_weights, write_facts
from streamseg.export.quantize import quantize
from streamseg.networks.build import build_network
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights

INFO = ("person", "car"), (1, 3)


def main(network: str, size: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    height, width = (int(side) for side in size.split("x"))
    settings = GraphSettings(height, width, proposals=100, detections=20)
    folder.mkdir()
    weights = folder / f"{network}.safetensors"
    save_weights(build_network(network, 2), WeightsInfo(network, *INFO), weights)
    model, info = load_weights(weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()

    def write(graph: onnx.ModelProto, precision: str) -> None:
        share_weights(graph, weights)
        write_facts(graph, facts_of(info, settings, network, precision, digest))
        (folder / f"{precision}.onnx").write_bytes(graph.SerializeToString())

    plain = to_onnx(InferenceGraph(without_batch_norm(model), settings), dynamic_batch=True)
    eight_bit = onnx.ModelProto()
    eight_bit.CopyFrom(plain)
    write(plain, "fp32")
    chance = np.random.default_rng(0)
    quantize(eight_bit, list(chance.integers(0, 256, (2, height, width, 3), np.uint8)), excluded=[])
    write(eight_bit, "int8")
    half = to_onnx(InferenceGraph(halve(model), settings), dynamic_batch=True)
    drop_cast_pairs(half)
    write(half, "fp16")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
