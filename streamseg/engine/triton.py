"""A model that runs on an inference server: `triton://host:8001/lite`, over gRPC, in KServe's protocol v2 as Triton speaks it.

What the answers mean is read from the same model here; the server must take and give what that says, which is seen before the first
picture. A server that is away for a moment is asked again; one that does not answer in time is an error.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamseg.core.served import WIRE_TYPES, Place, place_of
from streamseg.engine.base import PooledEngine
from streamseg.errors import EngineError, MissingExtra
from streamseg.errors.extras import how_to_install
from streamseg.hub.graph_file import TensorInfo
from streamseg.hub.graph_spec import GraphSpec
from streamseg.system.callbacks import Message

if TYPE_CHECKING:
    from tritonclient.grpc import InferenceServerClient

__all__ = ["open_triton", "why_not_triton"]

TIMEOUT = 30.0
"""Seconds for which an answer is awaited."""
_AGAIN = (0.2, 1.0, 3.0)
"""Seconds after which a server that is not there is asked again."""


def why_not_triton() -> str | None:
    """Why no server can be asked from here; None: it can."""
    try:
        import tritonclient.grpc  # noqa: F401
    except ImportError as error:
        return f"tritonclient cannot be imported ({error}); run: {how_to_install('triton')}"
    return None


def open_triton(
    address: str, spec: GraphSpec, *, in_flight: int = 2, batch: int = 1, on_message: Message | None = None
) -> PooledEngine:
    """Connect, and see that the server's model takes and gives what `spec` says. Raises EngineError, MissingExtra, ConfigError."""
    try:
        from tritonclient import grpc
    except ImportError as error:
        raise MissingExtra("tritonclient", "triton") from error
    place = place_of(address)
    client = grpc.InferenceServerClient(place.host, ssl=place.tls)
    try:
        most = _check(client, place, spec, on_message)
    except BaseException:
        client.close()
        raise
    asked = [grpc.InferRequestedOutput(name) for name in spec.outputs]

    def run(images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        given = grpc.InferInput("images", list(images.shape), "UINT8")
        given.set_data_from_numpy(images)
        answer = _ask(lambda: client.infer(place.model, [given], place.version, outputs=asked, client_timeout=TIMEOUT), place)
        return {name: _array(answer.as_numpy(name), name) for name in spec.outputs}

    device = f"{place.host} (model {place.model}{f', version {place.version}' if place.version else ''})"
    together = max(1, min(spec.batch or batch, most or batch))
    return _Served("triton", device, spec, [run] * in_flight, together, client)


class _Served(PooledEngine):
    def __init__(
        self, name: str, device: str, spec: GraphSpec, runners: list[Any], batch: int, client: InferenceServerClient
    ) -> None:
        super().__init__(name, device, spec, runners, batch)
        self._client = client

    def close(self) -> None:
        """See Engine.close."""
        super().close()
        self._client.close()


def _array(found: npt.NDArray[Any] | None, name: str) -> npt.NDArray[Any]:
    if found is None:
        raise EngineError(f"the server gave no {name}")
    return found


def _ask(call: Any, place: Place) -> Any:
    """What the server answers; a moment of absence is waited for. Raises EngineError."""
    from tritonclient.utils import InferenceServerException

    for pause in (*_AGAIN, None):
        try:
            return call()
        except InferenceServerException as error:
            if pause is None or "UNAVAILABLE" not in str(error.status()):
                raise EngineError(f"{place.host}: {place.model}: {error.message() or error}") from error
            time.sleep(pause)
    raise AssertionError  # the last turn returns or raises


def _check(client: InferenceServerClient, place: Place, spec: GraphSpec, on_message: Message | None) -> int:
    """Pictures that the server takes at once, 0: as many as are sent. Raises EngineError where it runs another model."""
    if not _ask(lambda: client.is_server_ready(client_timeout=TIMEOUT), place):
        raise EngineError(f"{place.host}: the server is there, but not ready")
    if not _ask(lambda: client.is_model_ready(place.model, place.version, client_timeout=TIMEOUT), place):
        raise EngineError(
            f"{place.host}: it has no model {place.model!r} that is ready; `streamseg export {spec.name} --triton MODELS/` writes "
            "one for it"
        )
    told = _ask(lambda: client.get_model_metadata(place.model, place.version, as_json=True, client_timeout=TIMEOUT), place)
    config = _ask(lambda: client.get_model_config(place.model, place.version, as_json=True, client_timeout=TIMEOUT), place)[
        "config"
    ]
    most = int(config.get("max_batch_size", 0))
    images = TensorInfo("uint8", (spec.batch, *spec.size, 3))
    _compare(told.get("inputs", []), {"images": images}, place, spec)
    _compare(told.get("outputs", []), spec.outputs, place, spec)
    _compare_told(config.get("parameters", {}), place, spec, on_message)
    return most


def _compare(found: list[dict[str, Any]], wanted: Any, place: Place, spec: GraphSpec) -> None:
    there = {each["name"]: each for each in found}
    for name, info in wanted.items():
        each = there.get(name)
        lengths = [int(length) for length in (each or {}).get("shape", [])]
        same = each is not None and each.get("datatype") == WIRE_TYPES[info.dtype] and len(lengths) == len(info.shape)
        fits = same and all(have in (-1, want) or want == 0 for have, want in zip(lengths[1:], info.shape[1:], strict=True))
        if not fits:
            shown = (
                ", ".join(f"{e['name']} {e.get('datatype')} {[int(n) for n in e.get('shape', [])]}" for e in found) or "nothing"
            )
            raise EngineError(
                f"{place.host}: its model {place.model} has {shown}, and {spec.called} has {name}: {info}: they are not the same; "
                "choose with --model and --size what the server runs, or export it anew"
            )


def _compare_told(parameters: dict[str, Any], place: Place, spec: GraphSpec, on_message: Message | None) -> None:
    """What the repository says of the graph, where we wrote it."""
    told = {key: value.get("string_value", "") for key, value in parameters.items() if isinstance(value, dict)}
    classes = told.get("streamseg.classes")
    if classes is not None and json.loads(classes) != list(spec.classes):
        raise EngineError(f"{place.host}: its model {place.model} knows other classes than {spec.called}; export it anew")
    sha = told.get("streamseg.sha256")
    if sha is not None and sha != spec.sha256 and on_message is not None:
        on_message(
            f"engine: {place.host} runs another graph of {spec.name} ({told.get('streamseg.precision', 'unknown')}, sha256 "
            f"{sha[:12]}…) than the one here ({spec.precision}, {spec.sha256[:12]}…): answers may differ a little"
        )
