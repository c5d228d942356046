"""Open an engine: find the plan for this GPU in the store, or build it there, then load it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from streamseg.device.driver import Driver, Gpu, OutOfMemory, find_gpu, no_driver
from streamseg.engine.base import refuse_free_rows
from streamseg.engine.manifest import Key
from streamseg.engine.store import Entry, Store
from streamseg.engine.tensorrt.builder import BuildProgress, Built, batches_for
from streamseg.engine.tensorrt.compiler import compile_plan
from streamseg.engine.tensorrt.library import OLDEST, TENSORRT, TENSORRT_RTX, Library, capability_name
from streamseg.engine.tensorrt.precision import check_plan, plan_types
from streamseg.engine.tensorrt.runtime import TensorRTEngine, load_plan
from streamseg.errors import EngineError, EngineUnavailable, MissingExtra, OutputError
from streamseg.hub.graph_spec import GraphSpec
from streamseg.system.callbacks import Message

__all__ = ["build_entry", "find_entry", "open_tensorrt", "open_tensorrt_rtx", "why_not_tensorrt", "why_not_tensorrt_rtx"]


def why_not(library: Library) -> str | None:
    """Why the library cannot run here, and what to install; None if it can."""
    if (reason := no_driver()) is not None:
        return reason  # to install anything would not help
    try:
        library.load()
        gpu = find_gpu()
    except (EngineError, MissingExtra) as error:
        return str(error)
    if gpu.capability < OLDEST:
        return f"the {gpu.name} ({capability_name(gpu.capability)}) is too old: {library.name} needs sm_75 (Turing) or later"
    return None


def why_not_tensorrt() -> str | None:
    """Why TensorRT cannot run here, or None if it can."""
    return why_not(TENSORRT)


def why_not_tensorrt_rtx() -> str | None:
    """Why TensorRT-RTX cannot run here, or None if it can."""
    return why_not(TENSORRT_RTX)


def build_entry(
    library: Library,
    spec: GraphSpec,
    store: Store,
    *,
    batches: Sequence[int] = (),
    capabilities: Sequence[str] = (),
    gpu: Gpu | None = None,
    on_message: Message | None = None,
    on_progress: BuildProgress | None = None,
) -> Entry:
    """The engine with these properties, built unless the store has it; for `gpu`, or ahead of time for `capabilities`.

    Raises ConfigError, MissingExtra, EngineError (it cannot be compiled), EngineUnavailable (TensorRT needs a GPU to build) or
    OutputError (it cannot be stored).
    """
    key = _key(library, spec, batches_for(spec, batches), capabilities, gpu)
    return store.add(key, partial(_compile, library, spec, key, store, on_progress), on_message)


def _key(library: Library, spec: GraphSpec, batches: tuple[int, ...], capabilities: Sequence[str], gpu: Gpu | None) -> Key:
    tuned = ""
    if not library.ahead_of_time:
        gpu = gpu or find_gpu()
        tuned = gpu.name
    if gpu is not None and not capabilities:
        own = capability_name(gpu.capability)
        # One that the compiler does not know by name may still be served by its default, which is for "8.0 and later".
        capabilities = [own] if not library.ahead_of_time or own in library.targets() else []
    return Key(
        model=spec.name,
        height=spec.height,
        width=spec.width,
        onnx_sha256=spec.sha256,
        precision=spec.precision,
        library=library.name,
        version=library.version(),
        batches=batches,
        capabilities=tuple(sorted(set(capabilities))),
        gpu=tuned,
    )


def _compile(library: Library, spec: GraphSpec, key: Key, store: Store, on_progress: BuildProgress | None) -> Built:
    timings = f"timing-{library.name}-{key.version}-{key.gpu}"
    built = compile_plan(
        library,
        spec,
        batches=key.batches,
        capabilities=key.capabilities if library.ahead_of_time else (),
        timing_cache=store.cache(timings) if key.gpu else b"",
        on_progress=on_progress,
    )
    if built.timing_cache:
        store.keep_cache(timings, built.timing_cache)
    return built


def find_entry(
    library: Library, spec: GraphSpec, store: Store, gpu: Gpu, batch: int, on_message: Message | None = None
) -> Entry | None:
    """The engine of this very graph, library version and GPU that takes `batch` images; says why those near it do not fit.

    The fewest batch sizes win: each costs memory. One that fits but must not be trusted is given too, for the store to refuse.
    """
    fitting, others = [], []
    for entry in store.entries():
        if entry.manifest is None:
            continue
        key = entry.manifest.key
        if (key.model, key.height, key.width, key.library) != (spec.name, spec.height, spec.width, library.name):
            continue
        if (reason := _misfit(key, spec, library, gpu, batch)) is None:
            fitting.append((len(key.batches), entry))
        else:
            others.append(f"the engine {entry.path.name} does not fit: {reason}")
    if fitting:
        return min(fitting, key=lambda pair: (pair[0], pair[1].path.name))[1]
    if on_message is not None:
        for line in others:
            on_message(line)
    return None


def _misfit(key: Key, spec: GraphSpec, library: Library, gpu: Gpu, batch: int) -> str | None:
    if key.onnx_sha256 != spec.sha256:
        return "it is stale: the model file has changed since"
    if key.version != library.version():
        return f"it is stale: built by {key.library} {key.version}, this is {library.version()}"
    if not key.runs_on(gpu.name, gpu.capability):
        return f"built for {key.gpu or ', '.join(key.capabilities)}, this is {gpu.name} ({capability_name(gpu.capability)})"
    if max(key.batches) < (spec.batch or batch):
        return f"built for batches of {', '.join(map(str, key.batches))}, not {batch}"
    return None


def _open(
    library: Library,
    spec: GraphSpec,
    *,
    threads: int = 0,
    in_flight: int = 2,
    batch: int = 1,
    on_message: Message | None = None,
    store: Store | None = None,
) -> TensorRTEngine:
    """Load the stored engine for this GPU, building it first if there is none. `threads` means nothing here.

    Raises EngineUnavailable or MissingExtra (see why_not), ModelError (an engine that must not be trusted) or EngineError.
    """
    if (reason := why_not(library)) is not None:
        raise EngineUnavailable(f"{library.name}: {reason}")
    refuse_free_rows(spec, library.name)
    store, gpu = store or Store(), find_gpu()
    entry = find_entry(library, spec, store, gpu, batch, on_message)
    if entry is not None:
        plan, batches = store.read_plan(entry), entry.manifest.key.batches if entry.manifest else ()
    else:
        plan, batches, entry = _build_now(library, spec, store, gpu, batch, on_message)
    engine = _load_smaller_if_needed(library, spec, plan, batches, in_flight, store, on_message)
    if cache := engine.jit_cache():
        store.keep_cache(_jit_name(library, spec, gpu), cache)
    return engine


def open_tensorrt(spec: GraphSpec, **options: Any) -> TensorRTEngine:
    """Load or build the TensorRT engine of a model: see `_open` for options and errors."""
    return _open(TENSORRT, spec, **options)


def open_tensorrt_rtx(spec: GraphSpec, **options: Any) -> TensorRTEngine:
    """Load or build the TensorRT-RTX engine of a model: see `_open` for options and errors."""
    return _open(TENSORRT_RTX, spec, **options)


def _jit_name(library: Library, spec: GraphSpec, gpu: Gpu) -> str:
    return f"jit-{library.name}-{library.version()}-{gpu.name}-{spec.sha256[:16]}"


def _build_now(
    library: Library, spec: GraphSpec, store: Store, gpu: Gpu, batch: int, on_message: Message | None
) -> tuple[bytes, tuple[int, ...], Entry | None]:
    """(plan, its batch sizes, its entry): a plan that cannot be stored is used from memory, and built again next time."""
    on_message = on_message or (lambda _: None)
    batches = (spec.batch,) if spec.batch else tuple(sorted({1, batch}))
    made: list[Built] = []
    key = _key(library, spec, batches, (), gpu)
    if (there := store.get(key)) is not None:  # find_entry would have given it if it were sound
        store.read_plan(there)
    on_message(f"building the {library.name} engine of {spec.name} for the {gpu.name}, once; this can take minutes")

    def make() -> Built:
        made.append(_compile(library, spec, key, store, None))
        return made[0]

    try:
        entry = store.add(key, make, on_message)
        return store.read_plan(entry), batches, entry
    except OutputError as error:
        on_message(f"{error}. Going on with the engine in memory: it will be built again next time")
        plan = made[0] if made else _compile(library, spec, key, store, None)
        return plan.plan, batches, None


def _load_smaller_if_needed(
    library: Library,
    spec: GraphSpec,
    plan: bytes,
    batches: tuple[int, ...],
    in_flight: int,
    store: Store,
    on_message: Message | None,
) -> TensorRTEngine:
    """Load with all batch sizes; if the GPU has no memory for that, once without the largest."""
    try:
        return _load(library, spec, plan, batches, batches, in_flight, store)
    except OutOfMemory as error:
        advice = f"free GPU memory, or lower batch (now up to {batches[-1]}), in_flight (now {in_flight}) or the input size"
        if len(batches) == 1:
            raise EngineError(f"{error}: {advice}") from error
        if on_message is not None:
            on_message(f"{error}: trying batches of up to {batches[-2]} instead of {batches[-1]}")
    # Not within `except`: the error's traceback would keep the first engine in the GPU's memory.
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # what torch keeps for itself
    try:
        return _load(library, spec, plan, batches, batches[:-1], in_flight, store)
    except OutOfMemory as again:
        raise EngineError(f"{again}, also with batches of up to {batches[-2]}: {advice}") from again


def _load(
    library: Library, spec: GraphSpec, plan: bytes, built: tuple[int, ...], used: tuple[int, ...], in_flight: int, store: Store
) -> TensorRTEngine:
    driver = Driver()
    try:
        loaded = load_plan(library, plan, spec, built, store.cache(_jit_name(library, spec, driver.gpu)))
        _inspect(loaded.trt, loaded.engine, spec)
        engine = TensorRTEngine(loaded, driver, spec, used, in_flight)
        engine.prepare()
    except BaseException:
        driver.close()
        raise
    return engine


def _inspect(trt: Any, engine: Any, spec: GraphSpec) -> None:
    information = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    check_plan(plan_types(information), spec.precision, str(spec.path))
