"""An inference server for tests: KServe's protocol v2 over gRPC as Triton speaks it, with tritonclient's own messages.

It serves a model repository as `streamseg export --triton` writes it: reads config.pbtxt, runs model.onnx with ONNX Runtime.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

_NAMES = {"TYPE_UINT8": "UINT8", "TYPE_FP32": "FP32", "TYPE_INT32": "INT32", "TYPE_FP16": "FP16", "TYPE_INT64": "INT64"}
_KINDS = {"UINT8": np.uint8, "FP32": np.float32, "INT32": np.int32, "FP16": np.float16, "INT64": np.int64}


@dataclass
class Server:
    """What tests see and turn of it."""

    address: str = ""
    """host:port"""
    asked: list[tuple[int, ...]] = field(default_factory=list)
    """Shapes of the pictures of every call."""
    away: int = 0
    """So many calls are answered with UNAVAILABLE first."""
    broken: str = ""
    """Every call fails with this."""
    hold: threading.Event | None = None
    """Calls wait for this."""


class _Service(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, repository: Path, server: Server) -> None:
        self._server, self._models = server, {}
        for config in repository.glob("*/config.pbtxt"):
            read = text_format.Parse(config.read_text(), model_config_pb2.ModelConfig())
            assert read.name == config.parent.name
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._models[read.name] = read, onnxruntime.InferenceSession(str(config.parent / "1" / "model.onnx"), options)

    def ServerReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ServerReadyResponse(ready=True)

    def ModelReady(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelReadyResponse(ready=request.name in self._models)

    def ModelConfig(self, request: Any, context: Any) -> Any:
        return service_pb2.ModelConfigResponse(config=self._models[request.name][0])

    def ModelMetadata(self, request: Any, context: Any) -> Any:
        config, _ = self._models[request.name]
        answer = service_pb2.ModelMetadataResponse(name=config.name, versions=["1"], platform=config.platform)
        for side, tensors in ((answer.inputs, config.input), (answer.outputs, config.output)):
            for tensor in tensors:
                kind = _NAMES[model_config_pb2.DataType.Name(tensor.data_type)]
                side.add(name=tensor.name, datatype=kind, shape=[*([-1] if config.max_batch_size else []), *tensor.dims])
        return answer

    def ModelInfer(self, request: Any, context: Any) -> Any:
        server = self._server
        if server.away:
            server.away -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        if server.broken:
            context.abort(grpc.StatusCode.INTERNAL, server.broken)
        if server.hold is not None:
            server.hold.wait(20)
        config, session = self._models[request.model_name]
        [given] = request.inputs
        images = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(given.shape)
        server.asked.append(images.shape)
        if config.max_batch_size and len(images) > config.max_batch_size:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"batch-size must be <= {config.max_batch_size}")
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version="1")
        names = [output.name for output in request.outputs]
        for name, array in zip(names, session.run(names, {"images": images}), strict=True):
            kind = next(text for text, dtype in _KINDS.items() if array.dtype == dtype)
            answer.outputs.add(name=name, datatype=kind, shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer


@contextlib.contextmanager
def serving(repository: Path) -> Iterator[Server]:
    """The server, on a free port of this machine."""
    told = Server()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Service(repository, told), server)
    told.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield told
    finally:
        server.stop(0).wait(5)
