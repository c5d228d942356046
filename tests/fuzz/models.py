"""Campaign over model files: ONNX graphs and the headers of weights files, damaged; what passes our checks is run.

What our reading lets through goes to the engine, as in a run: native code must not meet what it cannot bear.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from streamseg.engine.openvino import open_openvino
from streamseg.errors import EngineError
from streamseg.hub.graph_spec import read_spec
from streamseg.hub.weights_file import read_header
from tests import graphs
from tests.fuzz.damage import NUMBERS, damaged

WEIGHTS = {"__metadata__": {"streamseg.network": "lite", "streamseg.classes": '["person", "car"]'}, "a": {"dtype": "F16",
    "shape": [2, 3], "data_offsets": [0, 12]}}  # fmt: skip
VALUES = (
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    "",
    "x",
    [],
    {},
    [1],
    ["a", "a"],
    {"data_offsets": [0]},
    "[]",
    "[1]",
    "null",
    "1" * 5000,
    "é",
)


@dataclass
class Case:
    """A file."""

    data: bytes
    suffix: str


class Models:
    """See the module."""

    name, count = "models", 5000

    def prepare(self, folder: Path) -> None:
        """Sound graphs, one of them with its constants in a file of their own."""
        paths = [
            graphs.constant_model(folder / "a.onnx"),
            graphs.rectangle_model(folder / "b.onnx", batch=None),
            graphs.constant_model(folder / "c.onnx"),
        ]
        self.weights = graphs.move_weights(paths[2]).read_bytes()
        self.graphs = [path.read_bytes() for path in paths]
        self.run(Case(self.graphs[0], ".onnx"), folder)
        unreadable = folder / "unreadable.onnx"
        unreadable.write_bytes(b"no graph")
        with contextlib.suppress(EngineError):  # it asks all that OpenVINO reads models with, and loads them for that
            open_openvino(replace(read_spec(paths[0]), path=unreadable))

    def make(self, rng: random.Random) -> Case:
        """A damaged graph, or a damaged weights file."""
        if rng.random() < 0.25:
            return Case(self._weights(rng), ".safetensors")
        data = rng.choice(self.graphs)
        if rng.random() < 0.5:
            return Case(_field(data, rng), ".onnx")
        return Case(damaged(data, rng, self.graphs), ".onnx")

    def _weights(self, rng: random.Random) -> bytes:
        header = json.loads(json.dumps(WEIGHTS))
        place = rng.choice((header, header["__metadata__"], header["a"], header["a"]["data_offsets"]))
        place[rng.choice(list(place) if isinstance(place, dict) else range(len(place)))] = rng.choice(VALUES)
        text = json.dumps(header).encode()
        size = rng.choice((len(text),) * 6 + NUMBERS) % 2**64
        data = size.to_bytes(8, "little") + text + bytes(12)
        return damaged(data, rng) if rng.random() < 0.5 else data

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / f"input{case.suffix}"
        path.write_bytes(case.data)
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Check it; run it if it passes."""
        path = self.save(case, folder)
        if case.suffix == ".safetensors":
            read_header(path)
            return "weights"
        (folder / "weights.bin").write_bytes(self.weights)
        spec = read_spec(path)
        if (
            max(spec.size) > 4096
            or sum(math.prod(info.shape[1:]) for info in spec.outputs.values()) > 10_000_000
            or spec.batch > 16
        ):
            return "large"
        with open_openvino(spec, threads=1, in_flight=1, batch=1, on_message=None) as engine:
            engine.submit(np.zeros((1, *spec.size, 3), np.uint8)).result()
        return "run"


def _field(data: bytes, rng: random.Random) -> bytes:
    """One number, length or text of the protobuf message, at any depth, changed, with the lengths around it made to fit."""
    fields = _walk(data)
    if not fields:
        return data
    at = rng.randrange(len(fields))
    key, wire, content = fields[at]
    if wire == 0:
        content = _varint(rng.choice((*NUMBERS, 2**64 - 1, rng.getrandbits(63))))
    elif wire == 2 and rng.random() < 0.8 and len(content) > 2 and _walk(content):
        content = _field(content, rng)
    else:
        content = damaged(content, rng)[:100_000] if content and rng.random() < 0.7 else b""
    chosen = rng.random()
    fields[at] = (key if chosen < 0.9 else _varint(rng.getrandbits(8)), wire, content)
    if chosen < 0.05:
        fields.insert(at, fields[at])
    elif chosen < 0.1:
        del fields[at]
    return b"".join(k + (_varint(len(c)) if w == 2 else b"") + c for k, w, c in fields)


def _walk(data: bytes) -> list[tuple[bytes, int, bytes]]:
    """(key, wire type, content) of a message's fields; nothing if it is none."""
    fields, at = [], 0
    while at < len(data):
        key, start = _number(data, at)
        wire = key & 7
        if start < 0 or wire not in (0, 1, 2, 5) or key >> 3 == 0 or key >> 3 > 40:
            return []
        if wire == 0:
            _, end = _number(data, start)
            begin = start
        elif wire == 2:
            size, begin = _number(data, start)
            end = begin + size if begin >= 0 else -1
        else:
            begin, end = start, start + (8 if wire == 1 else 4)
        if begin < 0 or end < 0 or end > len(data):
            return []
        fields.append((data[at:start], wire, data[begin:end]))
        at = end
    return fields


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at
    return 0, -1


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
