"""The networks of benchmarks/gpu.py: how long they take on the GPU at best, in torch, and in each engine."""

from __future__ import annotations

import copy
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from streamseg.detect.heads.mask_rcnn import declared
from streamseg.engine import read_spec
from streamseg.engine.base import PooledEngine
from streamseg.engine.images import DeviceImage
from streamseg.engine.torchcuda import inference_graph, torch_engine
from streamseg.export.export import export_model
from streamseg.export.graph import MASK_SIDE, GraphSettings
from streamseg.hub import catalog
from streamseg.hub.graph_spec import GraphSpec
from streamseg.hub.on_demand import settings_for
from streamseg.networks.build import build_network
from streamseg.networks.weights import WeightsInfo, load_weights, save_weights
from streamseg.system.folders import models_root

COCO_CLASSES = 80


@dataclass(slots=True)
class Network:
    """A network at one input size."""

    name: str
    model: Any
    """torchvision MaskRCNN, float32, on the CPU."""
    info: WeightsInfo
    settings: GraphSettings
    weights: str
    """Where they are from: speed does not depend on it, answers do."""
    graphs: dict[str, Any] = field(default_factory=dict)
    """By precision; to make one takes seconds."""

    @property
    def size(self) -> tuple[int, int]:
        return self.settings.height, self.settings.width

    @property
    def key(self) -> str:
        return f"{self.name} {self.settings.height}x{self.settings.width}"

    def graph(self, precision: str) -> Any:
        if precision not in self.graphs:
            self.graphs[precision] = inference_graph(self.model, self.settings, precision)
        return copy.deepcopy(self.graphs[precision])  # who moves it to a device moves a copy

    def spec(self, precision: str) -> GraphSpec:
        """What an exported graph would say of itself; torch needs no more of it."""
        return GraphSpec(
            self.name,
            *self.size,
            batch=0,
            outputs=declared(self.settings.detections, MASK_SIDE),
            classes=tuple(self.info.classes),
            category_ids=self.info.category_ids,
            precision=precision,
            score_threshold=self.info.score_threshold,
            conf=self.info.conf,
            path=Path(f"{self.name}.onnx"),
            sha256="",
        )


def load(name: str, size: tuple[int, int]) -> Network:
    """The shipped network, the user's (`streamseg models pull`), or one with random weights."""
    settings = GraphSettings(*size, **settings_for(name))
    if name == "lite":
        model, info = load_weights(read_spec(catalog.resolve("lite")).weights[0])
        return Network(name, model, info, settings, "shipped")
    found = sorted((models_root() / name).glob("*.safetensors"))
    if found:
        model, info = load_weights(found[0])
        return Network(name, model, info, settings, "pulled")
    torch.manual_seed(0)
    model = build_network(name, COCO_CLASSES).eval()
    for module in model.modules():
        if hasattr(module, "bn3"):  # a residual branch; at full strength random ones grow beyond float16
            module.bn3.weight.data.fill_(0.2)
    info = WeightsInfo(name, tuple(f"class {i}" for i in range(COCO_CLASSES)), tuple(range(1, COCO_CLASSES + 1)))
    return Network(name, model, info, settings, "random")


def export(network: Network, precision: str, folder: Path) -> Path:
    """The network as the ONNX graph that TensorRT compiles."""
    height, width = network.size
    made = folder / f"{network.name}-{height}x{width}{'' if precision == 'fp32' else f'-{precision}'}.onnx"
    if made.exists():
        return made
    weights = folder / f"{network.name}-weights.safetensors"
    if not weights.exists():
        save_weights(network.model, network.info, weights, half=True)
    return export_model(weights, folder, [network.size], network.settings, network.name, True, precision)[0]


# --- the floor ------------------------------------------------------------------------------------------------------------------


class _Work(TorchDispatchMode):
    """Counts what the convolutions and matrix products of a network must do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[tuple[float, float]] = []
        """(floating-point operations, bytes read and written in float16) of each."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            samples = sum(t.numel() for t in tree_leaves((args, out)) if isinstance(t, torch.Tensor))
            self.layers.append((float(count(*args, **(kwargs or {}), out_val=out)), 2.0 * samples))
        return out


@dataclass(frozen=True, slots=True)
class Floor:
    """The least time a batch can take."""

    gflops: float
    gigabytes: float
    ms: float
    """The larger of all operations at the GPU's best and all bytes at its best; layers overlapping perfectly."""
    layered_ms: float
    """Layer after layer, each bound by operations or by bytes."""


def floor(network: Network, batch: int, tflops: float, bandwidth: float) -> Floor:
    """`tflops` and `bandwidth` (GB/s) as measured here. Counted without computing, on torch's meta device."""
    graph = network.graph("fp32").to("meta")
    work = _Work()
    with torch.no_grad(), work:  # inference mode would show conv2d, of which the registry does not know
        graph(torch.zeros(batch, *network.size, 3, dtype=torch.uint8, device="meta"))
    flops, moved = (sum(layer[k] for layer in work.layers) for k in (0, 1))
    per_flop, per_byte = 1e3 / (tflops * 1e12), 1e3 / (bandwidth * 1e9)
    layered = sum(max(f * per_flop, b * per_byte) for f, b in work.layers)
    return Floor(flops / 1e9, moved / 1e9, max(flops * per_flop, moved * per_byte), layered)


def peaks(device: str) -> tuple[float, float]:
    """(TFLOP/s of a float16 matrix product, GB/s of a copy, read and written), the best of several."""
    gpu = device == "cuda"
    side, size = (8192, 1 << 30) if gpu else (128, 1 << 20)
    kind = torch.float16 if gpu else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    source, target = (torch.randint(0, 255, (size,), dtype=torch.uint8, device=device) for _ in range(2))
    product = min(times(lambda: torch.mm(a, b), device, 10))
    copied = min(times(lambda: target.copy_(source), device, 10))
    return 2 * side**3 / product / 1e9, 2 * size / copied / 1e6


def times(work: Callable[[], Any], device: str, count: int, *, ahead: bool = False) -> list[float]:
    """Milliseconds of each of `count` runs, by the GPU's own clock (by the host's on the CPU).

    ahead: the GPU waits until the host has launched all, so that the host's time is not measured.
    """
    for _ in range(min(5, count)):
        work()
    if device != "cuda":
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            work()
            taken.append(1e3 * (time.perf_counter() - began))
        return taken
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(count)]
    for begin, end in events:
        if ahead:
            torch.cuda._sleep(5_000_000)  # some three milliseconds
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) for begin, end in events]


# --- torch ----------------------------------------------------------------------------------------------------------------------


def pictures(network: Network, batch: int, device: str) -> torch.Tensor:
    """Fresh noise: zeros run faster than any video."""
    return torch.randint(0, 256, (batch, *network.size, 3), dtype=torch.uint8, device=device)


def torch_ms(network: Network, batch: int, device: str, precision: str, *, compiled: bool = False, count: int = 30) -> float:
    """Median milliseconds of a batch in torch: eagerly, or compiled with CUDA graphs."""
    graph: Any = network.graph(precision).to(device)
    if compiled:
        graph = torch.compile(graph, mode="reduce-overhead", fullgraph=False)
    images = pictures(network, batch, device)
    with torch.inference_mode():
        return statistics.median(times(lambda: graph(images), device, count))


# --- engines ----------------------------------------------------------------------------------------------------------------------


def reference(network: Network, precision: str, batch: int, device: str) -> PooledEngine:
    """The torch engine, as `--engine torch` runs it."""
    spec = network.spec(precision)
    return torch_engine(network.graph(precision), spec, batch=batch, device=device)


@dataclass(frozen=True, slots=True)
class Pace:
    """How an engine runs batches that lie on the GPU."""

    ms: float
    """From one answer to the next, batches always waiting: median."""
    latency_ms: float
    """From handing over to the answer, alone: median."""
    fps: float


def pace(engine: PooledEngine, images: torch.Tensor, seconds: float, least: int = 10) -> Pace:
    """Keep the engine busy for so long, and `least` batches, of device pictures; detections come back to the host."""
    batch: Sequence[DeviceImage] = [DeviceImage(image) for image in images]
    for _ in range(min(3, least)):
        engine.submit(batch).result()
    alone = []
    for _ in range(least):
        began = time.perf_counter()
        engine.submit(batch).result()
        alone.append(1e3 * (time.perf_counter() - began))
    waiting: deque[Future[Any]] = deque()
    done: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(done) < least:
        waiting.append(engine.submit(batch))  # blocks while as many as it keeps in flight are under way
        while waiting and waiting[0].done():
            waiting.popleft().result()
            done.append(time.perf_counter())
    while waiting:
        waiting.popleft().result()
        done.append(time.perf_counter())
    total = done[-1] - began
    return Pace(1e3 * total / len(done), statistics.median(alone), len(done) * len(batch) / total)


def agreement(engine: PooledEngine, reference_: PooledEngine, images: Any) -> dict[str, float]:
    """How far an engine's answers are from the reference's on these pictures, where the reference sees what a tracker would use."""
    a, b = engine.submit(images).result(), reference_.submit(images).result()
    sure = b["scores"] > 0.2 * reference_.spec.conf
    same = sure & (a["labels"] == b["labels"])
    return {
        "sure": int(sure.sum()),
        "same_row_and_label": float(same.sum() / max(1, sure.sum())),
        "score": float(abs(a["scores"] - b["scores"])[same].max(initial=0)),
        "box_px": float(abs(a["boxes"] - b["boxes"])[same].max(initial=0)),
        "mask": float(abs(a["masks"] - b["masks"])[same].mean()) if same.any() else 0.0,
    }
