"""A small network built as Ultralytics' are, of their operators, compiled by TensorRT-RTX without a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamseg.engine import open_engine
from streamseg.engine.tensorrt import TENSORRT_RTX, compile_plan
from streamseg.engine.tensorrt.precision import summary
from streamseg.hub.foreign import adapted, understand
from streamseg.hub.graph_spec import read_spec

SIDE, CLASSES, EXTRA, BINS = 64, 3, 8, 4
CELLS = {8: 64, 16: 16, 32: 4}
COUNT = sum(CELLS.values())


class Network:
    """Nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes) -> str:
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names[0]

    def const(self, value) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def conv(self, x: str, into: int, out: int, size: int = 3, stride: int = 1, act: bool = True) -> str:
        weights = self._random.standard_normal((out, into, size, size)).astype(np.float32) / (into * size * size) ** 0.5
        pad = size // 2
        y = self.add(
            "Conv", x, self.const(weights), self.const(np.zeros(out, np.float32)), strides=[stride] * 2, pads=[pad] * 4
        )
        return self.add("Mul", y, self.add("Sigmoid", y)) if act else y


def rows(net: Network, levels: list[str]) -> str:
    """[1, 4 + classes + coefficients, N], boxes by distances that are means of a distribution."""
    kinds = {"box": 4 * BINS, "class": CLASSES, "mask": EXTRA}
    parts = {}
    for kind, channels in kinds.items():
        flat = [
            net.add("Reshape", net.conv(x, 16, channels, 1, act=False), net.const(np.array([1, channels, -1]))) for x in levels
        ]
        parts[kind] = net.add("Concat", *flat, axis=2)
    bins = net.add("Reshape", parts["box"], net.const(np.array([1, 4, BINS, COUNT])))
    shares = net.add("Softmax", net.add("Transpose", bins, perm=[0, 2, 1, 3]), axis=1)
    weights = net.const(np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1))
    far = net.add("Reshape", net.add("Conv", shares, weights), net.const(np.array([1, 4, COUNT])))
    near = net.add("Split", far, net.const(np.array([2, 2])), outputs=2, axis=1)
    points = net.const(np.random.default_rng(1).random((1, 2, COUNT), np.float32) * 8)
    low, high = net.add("Sub", points, near), net.add("Add", points, near.replace("_0", "_1"))
    centre = net.add("Div", net.add("Add", low, high), net.const(np.float32(2)))
    stride = net.const(np.repeat(np.array(list(CELLS), np.float32), list(CELLS.values())).reshape(1, 1, -1))
    box = net.add("Mul", net.add("Concat", centre, net.add("Sub", high, low), axis=1), stride)
    return net.add("Concat", box, net.add("Sigmoid", parts["class"]), parts["mask"], axis=1)


def best(net: Network, table: str) -> str:
    """The ten rows with the highest score, as YOLO26 picks them."""
    table = net.add("Transpose", table, perm=[0, 2, 1])
    at = [net.const(np.array([i])) for i in (0, 4, 4 + CLASSES, 4 + CLASSES + EXTRA, 2)]
    box, score, mask = (net.add("Slice", table, at[i], at[i + 1], at[4]) for i in range(3))
    top = net.add(
        "TopK", net.add("ReduceMax", score, net.const(np.array([2])), keepdims=0), net.const(np.array([10])), outputs=2, axis=1
    )
    index = net.add("Unsqueeze", top.replace("_0", "_1"), net.const(np.array([2])))
    picked = []
    for part, width in ((box, 4), (score, CLASSES), (mask, EXTRA)):
        spread = net.add("Expand", index, net.const(np.array([1, 10, width])))
        picked.append(net.add("GatherElements", part, spread, axis=1))
    of = net.add("ReduceMax", picked[1], net.const(np.array([2])), keepdims=1)
    label = net.add("Cast", net.add("ArgMax", picked[1], axis=2, keepdims=1), to=TensorProto.FLOAT)
    return net.add("Concat", picked[0], of, label, picked[2], axis=2)


def network(path: Path, finished: bool) -> Path:
    net = Network()
    x = net.conv(net.conv(net.conv("images", 3, 8, stride=2), 8, 16, stride=2), 16, 16, stride=2)
    halves = net.add("Split", net.conv(x, 16, 16, 1), net.const(np.array([8, 8])), outputs=2, axis=1)
    p3 = net.conv(net.add("Concat", halves, net.conv(halves.replace("_0", "_1"), 8, 8), axis=1), 16, 16, 1)
    p4 = net.conv(p3, 16, 16, stride=2)
    pooled = net.add("MaxPool", net.conv(p4, 16, 16, stride=2), kernel_shape=[5, 5], pads=[2] * 4, strides=[1, 1])
    p5 = net.conv(pooled, 16, 16)
    up = net.add(
        "Resize",
        p5,
        "",
        net.const(np.array([1, 1, 2, 2], np.float32)),
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
    p4 = net.conv(net.add("Concat", up, p4, axis=1), 32, 16, 1)
    weights = net.const(np.random.default_rng(2).standard_normal((16, 16, 2, 2)).astype(np.float32))
    drawn = net.conv(net.add("ConvTranspose", p3, weights, strides=[2, 2], kernel_shape=[2, 2]), 16, EXTRA)
    table = rows(net, [p3, p4, p5])
    outputs = {best(net, table) if finished else table: "output0", drawn: "output1"}
    shapes = {"output0": [1, 10, 6 + EXTRA] if finished else [1, 4 + CLASSES + EXTRA, COUNT], "output1": [1, EXTRA, 16, 16]}
    net.nodes += [helper.make_node("Identity", [ours], [name]) for ours, name in outputs.items()]
    graph = helper.make_graph(
        net.nodes,
        "yolo",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        net.constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.long
@pytest.mark.parametrize("finished", [False, True], ids=["columns", "finished"])
def test_it_compiles_and_cpu_engines_agree_on_it(tmp_path, monkeypatch, finished):
    pytest.importorskip("tensorrt_rtx", reason="needs extra `rtx`")
    pytest.importorskip("onnxruntime", reason="needs extra `onnx`")
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    path = network(tmp_path / "theirs.onnx", finished)
    assert understand(path).description.options["rows"] == ("finished" if finished else "columns")
    built = compile_plan(TENSORRT_RTX, read_spec(adapted(understand(path))), batches=(1,), capabilities=["sm_89"])
    assert built.plan
    counts = summary(built.layers)
    assert sum(counts["CONVOLUTION"].values()) >= 15
    assert ("TOPK" in counts) == finished
    picture = np.random.default_rng(3).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    answers = []
    for engine in ("openvino", "onnxruntime"):
        with open_engine(path, engine=engine) as opened:
            answers.append(opened.submit(picture).result())
    for name in answers[0]:
        np.testing.assert_allclose(answers[0][name], answers[1][name], atol=1e-3)
