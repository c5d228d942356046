"""Chooses the engine that runs a model, from a table of candidates, best first, and says which one and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any, Protocol

from streamseg.core.parts import FULL, WITH_MASKS
from streamseg.core.served import is_server, place_of
from streamseg.device.driver import no_driver
from streamseg.engine.base import Engine, PooledEngine
from streamseg.engine.onnxruntime import open_onnxruntime, why_not_onnxruntime
from streamseg.engine.openvino import faster_precisions, open_openvino, why_not_openvino
from streamseg.engine.precision import Taken, automatic
from streamseg.engine.tensorrt.opener import open_tensorrt, open_tensorrt_rtx, why_not_tensorrt, why_not_tensorrt_rtx
from streamseg.engine.torchcuda import open_torch, why_not_torch
from streamseg.engine.triton import open_triton, why_not_triton
from streamseg.errors import ConfigError, EngineError, EngineUnavailable, ModelError
from streamseg.hub.catalog import is_name
from streamseg.hub.graph_spec import GraphSpec, read_spec
from streamseg.hub.without_masks import without_masks
from streamseg.system.callbacks import Message
from streamseg.system.registry import ENGINES, Reference

__all__ = ["CANDIDATES", "Candidate", "builtin", "computes_on_gpu", "open_engine", "why_not"]


class Opener(Protocol):
    """Compiles a model."""

    def __call__(
        self, spec: GraphSpec, *, threads: int, in_flight: int, batch: int, on_message: Message | None
    ) -> PooledEngine:
        """`on_message` is told what takes long. Raises EngineError."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine that might run here. An installed package's (entry point `streamseg.engines`) is taken where it is named only."""

    name: str
    why_not: Callable[[], str | None]
    """Why it cannot run on this machine, and what to install; None if it can."""
    open: Opener
    gpu: bool = False
    """It computes on an NVIDIA GPU."""
    auto: bool = True
    """"auto" may take it."""
    faster: Callable[[], tuple[str, ...]] = tuple
    """The precisions that it computes faster than float32 on this machine, fastest first: what precision "auto" may take."""


CANDIDATES: tuple[Candidate, ...] = (
    Candidate("tensorrt", why_not_tensorrt, open_tensorrt, gpu=True),
    Candidate("tensorrt-rtx", why_not_tensorrt_rtx, open_tensorrt_rtx, gpu=True),
    Candidate("openvino", why_not_openvino, open_openvino, faster=faster_precisions),
    Candidate("onnxruntime", why_not_onnxruntime, open_onnxruntime),  # int8 graphs are slower than float32 ones in it
    Candidate("torch", why_not_torch, open_torch, gpu=True, auto=False),
)
"""Best first: the order in which "auto" looks."""

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


def builtin() -> dict[str, Candidate]:
    """Streamseg's own engines, by name."""
    return {candidate.name: candidate for candidate in CANDIDATES}


def why_not(thing: Any) -> str | None:
    """What keeps `thing` from being an engine that can be chosen; None: nothing does."""
    return None if isinstance(thing, Candidate) else "it is not a streamseg.engine.Candidate"


def open_engine(
    model: str | PathLike[str],
    *,
    engine: str = "auto",
    size: tuple[int, int] | None = None,
    threads: int = 0,
    in_flight: int = 2,
    batch: int = 1,
    require_gpu: bool = False,
    precision: str = "auto",
    family: str | None = None,
    part: str = FULL,
    check: Callable[[GraphSpec], None] | None = None,
    on_message: Message | None = None,
) -> Engine:
    """Compile a model and run it once.

    `model` is a name of `streamseg models` or a path of an .onnx file; `size` its input (H, W) where several are shipped. `threads`
    are the CPU threads of all requests together (0: one a core), `in_flight` the batches computed at once, `batch` the images that
    will be submitted together. "auto" takes the first candidate that runs here and tells `on_message` why the better ones were not
    taken; a name means that engine or an error. `precision` "fp32", "fp16" and "int8" take the model's graph of that kind, whose
    types every engine follows (CPUs compute fp16 in float32); "bf16" lets OpenVINO compute the fp32 graph in bfloat16, on a CPU
    that can; "auto" takes the fastest here that costs next to nothing, see `precision.automatic`, and a file as it is. `family`
    says what another program's .onnx file is, where that is not found out; `part`: see `hub.catalog.resolve`. `check` is shown the
    model's description before an engine is loaded, and raises if it is not what it needs.

    With `require_gpu` "auto" takes none that computes elsewhere. A TensorRT engine is
    built when it is first needed, which can take minutes; `on_message` is told.

    Raises ModelError (the file), ConfigError (a bad option), EngineUnavailable (the engine cannot run here) or EngineError (it does
    not run this model).
    """
    _check(engine, precision, require_gpu, threads=(threads, 0), in_flight=(in_flight, 1), batch=(batch, 1))
    spec = _spec(model, size, precision, family, WITH_MASKS.get(part, part), on_message)
    if check is not None:
        check(spec)
    refused: list[str] = []
    for candidate in _candidates(engine, precision, require_gpu):
        reason = candidate.why_not() or _lacks(candidate.name, spec)
        if reason is None:
            taken = Taken(spec)
            if precision == "auto" and is_name(model):
                taken = automatic(spec, candidate.faster())
            if part in WITH_MASKS:
                taken = replace(taken, spec=without_masks(taken.spec))
            try:
                opened = _warm(_in(candidate, taken), taken.spec, threads, in_flight, batch, on_message)
            except EngineError as error:
                if engine != "auto":
                    raise
                reason = str(error)
            else:
                _say_chosen(on_message, opened, refused)
                if on_message is not None and taken.why:
                    on_message(taken.why)
                return opened
        refused.append(f"{candidate.name}: {reason}")
    raise EngineUnavailable(_why_none(engine, require_gpu, spec, refused))


def _warm(
    candidate: Candidate, spec: GraphSpec, threads: int, in_flight: int, batch: int, on_message: Message | None
) -> PooledEngine:
    """The candidate's engine, which has run once. Raises EngineError."""
    opened = candidate.open(spec, threads=threads, in_flight=in_flight, batch=batch, on_message=on_message)
    try:
        opened.warm_up()
    except EngineError:
        opened.close()  # the next candidate may need its memory
        raise
    return opened


def _why_none(engine: str, require_gpu: bool, spec: GraphSpec, refused: list[str]) -> str:
    why = "; ".join(refused)
    if engine != "auto":
        return f"the engine {why}. Use --engine auto for one that runs here"
    if require_gpu:
        return (
            f"a GPU is required, but no engine can use one here: {why}. Mend that (`streamseg doctor` shows it), or let the "
            "network run on the CPU: without --require-gpu"
        )
    return f"no engine can run {spec.called} here: {why}"


def _lacks(engine: str, spec: GraphSpec) -> str | None:
    """Which operators of the graph an engine of streamseg's own has not, or None."""
    if not spec.plugins or engine == "tensorrt" or all(engine != candidate.name for candidate in CANDIDATES):
        return None
    return (
        f"it has no operator {', '.join(spec.plugins)}, which {spec.file_name} needs: TensorRT's plug-ins, for the engine tensorrt "
        "on an NVIDIA GPU; export the model without them for others"
    )


def _check(engine: str, precision: str, require_gpu: bool, **numbers: tuple[int, int]) -> None:
    """Raise ConfigError for a bad option; `numbers` are (value, least allowed)."""
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    for name, (number, least) in numbers.items():
        if number < least:
            raise ConfigError(f"{name} is {number}; allowed: {least} or more")
    if not _known(engine):
        raise ConfigError(f"unknown engine {engine!r}; known: {', '.join(('auto', *ENGINES.names()))}")
    named = _named(engine)
    if require_gpu and not any(candidate.gpu for candidate in named):
        raise ConfigError(f"a GPU is required, but the engine {engine} runs on the CPU; leave one of the two out")
    if precision == "bf16" and (require_gpu or engine not in ("auto", "openvino")):
        other = "a GPU" if require_gpu else f"the engine {engine}"
        raise ConfigError(f"bf16 is a precision of openvino on a CPU, not of {other}; use fp16, or --engine openvino")


def _spec(
    model: str | PathLike[str],
    size: tuple[int, int] | None,
    precision: str,
    family: str | None,
    part: str,
    on_message: Message | None,
) -> GraphSpec:
    """The model's graph of that precision and part."""
    from streamseg.hub.catalog import resolve

    stated = "fp32" if precision == "bf16" else precision
    of = "fp32" if stated == "auto" else stated
    spec = read_spec(resolve(model, size, precision=of, family=family, part=part, on_message=on_message))
    if stated not in ("auto", spec.precision):
        raise ModelError(
            f"{spec.called} is {spec.precision}, not {stated}: leave the precision out, or give a graph that is {stated}"
        )
    return spec


def _candidates(engine: str, precision: str, require_gpu: bool) -> list[Candidate]:
    """Those to try, best first."""
    if precision == "bf16":
        return [_bf16(c) for c in CANDIDATES if c.name == "openvino"]
    return [c for c in _named(engine) if c.gpu or not require_gpu]


def _in(candidate: Candidate, taken: Taken) -> Candidate:
    return _bf16(candidate) if taken.bf16 else candidate


def _bf16(candidate: Candidate) -> Candidate:
    return replace(candidate, open=partial(open_openvino, bf16=True))


def _known(engine: str) -> bool:
    return engine == "auto" or isinstance(engine, Reference) or is_server(engine) or engine in ENGINES


def _named(engine: str) -> list[Candidate]:
    """Those that a name means, best first. Raises ConfigError for a name that there is not."""
    if is_server(engine):
        return [_server(engine)]
    return [c for c in CANDIDATES if c.auto] if engine == "auto" else [ENGINES.pick(engine)]


def _server(address: str) -> Candidate:
    """A model on an inference server. Raises ConfigError for an address that is none."""
    place_of(address)
    return Candidate(address, why_not_triton, partial(_open_server, address), auto=False)


def _open_server(
    address: str, spec: GraphSpec, *, threads: int, in_flight: int, batch: int, on_message: Message | None
) -> PooledEngine:
    return open_triton(address, spec, in_flight=in_flight, batch=batch, on_message=on_message)


def computes_on_gpu(engine: str) -> bool:
    """Whether what `open_engine` would take computes on an NVIDIA GPU, as far as can be told without opening it."""
    if not _known(engine):
        return False  # what an engine of the caller's own calls itself
    return next((candidate.gpu for candidate in _named(engine) if candidate.why_not() is None), False)


def _say_chosen(on_message: Message | None, opened: PooledEngine, refused: list[str]) -> None:
    if on_message is not None:
        absent = no_driver()  # on most machines: said once, not of each library
        others = [r for r in refused if absent is None or not r.endswith(f": {absent}")]
        reasons = [*([absent] if absent is not None and len(others) < len(refused) else []), *(f"not {r}" for r in others)]
        on_message(f"engine: {opened}" + (f" ({'; '.join(reasons)})" if reasons else ""))
