"""torch on an NVIDIA GPU, in eager mode: a reference for the answers and the speed of other engines. `auto` never chooses it.

It runs no ONNX: it builds the network from the weights file that the model file refers to, as the export did.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.core.parts import FULL
from streamseg.device.driver import find_gpu, no_driver
from streamseg.engine.base import PooledEngine
from streamseg.engine.images import Images
from streamseg.errors import EngineError, MissingExtra, ModelError, StreamsegError
from streamseg.hub.graph_file import parse_graph
from streamseg.hub.graph_spec import GraphSpec
from streamseg.system.callbacks import Message
from streamseg.system.process_settings import ProcessSetting

__all__ = ["inference_graph", "open_torch", "torch_engine", "why_not_torch"]


def why_not_torch() -> str | None:
    """Why it cannot run here, or None if it can. Does not import torch, which takes seconds."""
    if (reason := no_driver()) is not None:
        return reason
    for package in ("torch", "torchvision", "safetensors"):
        if find_spec(package) is None:
            return str(MissingExtra(package, "train"))
    try:
        find_gpu()
    except StreamsegError as error:
        return str(error)
    return None


def _allow_tf32(allowed: bool) -> None:
    import torch

    torch.backends.cudnn.allow_tf32 = allowed


def _allows_tf32() -> bool:
    import torch

    return torch.backends.cudnn.allow_tf32


_TF32 = ProcessSetting(_allows_tf32, _allow_tf32)
"""torch's default lets convolutions round to TF32; a reference must not. torch knows it for the whole process only, and its own
`cudnn.flags` turns cuDNN off unless told otherwise, and restores what another runner is about to need."""


class _Runner:
    """The network on a stream of its own."""

    def __init__(self, torch: Any, graph: Any, device: str, names: Sequence[str]) -> None:
        self._torch, self._graph, self._device, self._names = torch, graph, device, names
        self._stream = torch.cuda.Stream() if device == "cuda" else None

    def __call__(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        return dict(zip(self._names, self._answers(images), strict=True))

    def _answers(self, images: Images) -> list[npt.NDArray[Any]]:
        torch = self._torch
        with _TF32.held(False), torch.inference_mode(), torch.cuda.stream(self._stream):
            answers = self._graph(self._on_device(images))
            if self._stream is None:
                return [answer.numpy() for answer in answers]
            # Page-locked, which torch keeps and uses again: a copy into any other memory goes by way of the driver's own buffer.
            copies = [torch.empty(a.shape, dtype=a.dtype, pin_memory=True).copy_(a, non_blocking=True) for a in answers]
            done = torch.cuda.Event(blocking=True)
            done.record(self._stream)
        done.synchronize()
        return [copy.numpy() for copy in copies]

    def _on_device(self, images: Images) -> Any:
        if isinstance(images, np.ndarray):
            return self._torch.from_numpy(images).to(self._device)
        for image in images:
            if image.ready is not None and self._stream is not None:
                self._stream.wait_event(image.ready)
        return self._torch.stack([image.tensor for image in images])  # the caller keeps them until the batch is done


class _TorchEngine(PooledEngine):
    """Takes batches of any size up to its own, on either side."""

    def _run_part(self, runner: Any, images: Images) -> dict[str, npt.NDArray[Any]]:
        return {name: np.array(array) for name, array in runner(images).items()}


def open_torch(
    spec: GraphSpec,
    *,
    threads: int = 0,
    in_flight: int = 2,
    batch: int = 1,
    on_message: Message | None = None,
    device: str = "cuda",
) -> PooledEngine:
    """Build the network on `device`, in the precision of the graph; `threads` and `on_message` mean nothing here.

    Raises ModelError if the model file refers to no weights file of ours, MissingExtra or EngineError.
    """
    if len(spec.weights) != 1:
        raise ModelError(f"{spec.path} refers to no weights file, which torch needs; use another engine")
    from streamseg.export.graph import GraphSettings  # MissingExtra says what to install
    from streamseg.networks.weights import load_weights

    metadata = parse_graph(spec.path.read_bytes(), str(spec.path)).metadata
    proposals = metadata.get("streamseg.proposals", "")
    if not proposals.isdecimal():
        raise ModelError(
            f"{spec.path}: streamseg.proposals in its metadata is {proposals!r}, expected a number: export it again"
        )
    settings = GraphSettings(
        spec.height,
        spec.width,
        proposals=int(proposals),
        detections=spec.outputs["scores"].shape[1],
        part=metadata.get("streamseg.part", FULL),
    )
    model, _ = load_weights(spec.weights[0])
    return torch_engine(inference_graph(model, settings, spec.precision), spec, in_flight=in_flight, batch=batch, device=device)


def inference_graph(model: Any, settings: Any, precision: str) -> Any:
    """The InferenceGraph of a MaskRCNN, on the CPU, its layers in float16 where that is the precision."""
    from streamseg.export.graph import InferenceGraph
    from streamseg.export.half import halve

    graph = InferenceGraph(model, settings)
    if precision == "fp16":
        graph.model = halve(graph.model)  # not before: to make a graph its pyramid is computed, in float16 slowly on CPUs
    return graph


def torch_engine(graph: Any, spec: GraphSpec, *, in_flight: int = 2, batch: int = 1, device: str = "cuda") -> PooledEngine:
    """An engine of an InferenceGraph, which is moved to `device`. Raises EngineError where torch cannot use the GPU."""
    import torch

    try:
        placed = graph.to(device)
        runners = [_Runner(torch, placed, device, graph.outputs) for _ in range(in_flight)]
        name = torch.cuda.get_device_name() if device == "cuda" else device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA raises AssertionError
        raise EngineError(f"torch {torch.__version__} cannot use the GPU: {error}") from error
    kind = "float16" if spec.precision == "fp16" else "float32"
    return _TorchEngine("torch", f"{name} ({kind}, in flight: {in_flight})", spec, runners, spec.batch or batch)
