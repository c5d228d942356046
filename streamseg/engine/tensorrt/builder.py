"""Compile an ONNX graph to a plan, with TensorRT or TensorRT-RTX; the latter needs no GPU for it.

One optimisation profile for each batch size, exact (min = opt = max): its kernels are chosen for that very shape. Measured with
TensorRT-RTX and the lite model, a further profile adds 24 MB to a plan of 41 MB.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streamseg.engine.base import refuse_free_rows
from streamseg.engine.tensorrt.library import Library
from streamseg.engine.tensorrt.precision import Layer, check_layers, layers_of
from streamseg.errors import ConfigError, EngineError
from streamseg.hub.graph_spec import GraphSpec

__all__ = ["BuildProgress", "Built", "batches_for", "compile_here", "targets_of"]

BuildProgress = Callable[[str, int, int], None]
"""Told (phase, steps done, steps in all), from any thread."""


@dataclass(frozen=True, slots=True)
class Built:
    """A compiled plan and what is known of it."""

    plan: bytes
    layers: tuple[Layer, ...]
    """Of the network, before layers were fused."""
    log: str
    """What the compiler said."""
    seconds: float
    timing_cache: bytes = b""
    """What was learnt about kernels on this GPU; empty where the library does not time them."""


def batches_for(spec: GraphSpec, batches: Sequence[int]) -> tuple[int, ...]:
    """The batch sizes to compile for, ascending. Raises ConfigError if the graph cannot run them."""
    wanted = tuple(sorted(set(batches))) or (spec.batch or 1,)
    if wanted[0] < 1 or wanted[-1] > 64:
        raise ConfigError(f"batch sizes {', '.join(map(str, wanted))}; allowed: 1 to 64")
    if spec.batch and wanted != (spec.batch,):
        raise ConfigError(
            f"{spec.called} is exported for batches of {spec.batch} only, not {', '.join(map(str, wanted))}; "
            "export it with a dynamic batch, or leave the batch out"
        )
    return wanted


def compile_here(
    library: Library,
    spec: GraphSpec,
    *,
    batches: Sequence[int] = (),
    capabilities: Sequence[str] = (),
    timing_cache: bytes = b"",
    on_progress: BuildProgress | None = None,
) -> Built:
    """Compile in this process: see `compiler.compile_plan`, which everybody else calls. `on_progress` is called by any thread."""
    refuse_free_rows(spec, library.name)
    batches = batches_for(spec, batches)
    targets = targets_of(library, capabilities)
    trt, log = library.load(), library.logger()
    began = time.monotonic()
    try:
        builder = trt.Builder(log)
    except TypeError as error:  # pybind11's for a null: why, stands in the log
        raise EngineError(f"{library.name} {trt.__version__} cannot start: {_said(log)}") from error
    network = _parse(library, builder, spec, log)
    layers = layers_of(network)
    check_layers(layers, spec.precision, str(spec.path))
    config = _configured(library, builder, spec, batches, targets, log)
    # TensorRT-RTX times nothing at build: there the calls do nothing and are deprecated.
    cache = None if library.ahead_of_time else config.create_timing_cache(timing_cache)
    if cache is not None and not config.set_timing_cache(cache, False):  # of another driver, or of a GPU that was changed
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    watch = _monitor(trt, on_progress)
    config.progress_monitor = watch
    plan = builder.build_serialized_network(network, config)
    if watch.stopped is not None:
        raise watch.stopped
    if plan is None:
        raise EngineError(f"{library.name} {trt.__version__} cannot compile {spec.called}: {_said(log)}")
    learnt = b"" if cache is None else bytes(config.get_timing_cache().serialize())
    return Built(bytes(plan), tuple(layers), "\n".join(log.lines) + "\n", time.monotonic() - began, learnt)


def _configured(
    library: Library, builder: Any, spec: GraphSpec, batches: Sequence[int], targets: Sequence[Any], log: Any
) -> Any:
    """The builder's configuration: a profile for each batch size, and what the plan is to run on. Raises EngineError."""
    trt = library.load()
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the plan can say its layers' types
    config.clear_flag(
        trt.BuilderFlag.TF32
    )  # fp32 that keeps 10 bits of a product is not what we state; who wants speed takes fp16
    for batch in batches:
        profile = builder.create_optimization_profile()
        profile.set_shape("images", *[(batch, *spec.size, 3)] * 3)
        if config.add_optimization_profile(profile) < 0:
            raise EngineError(f"{library.name} refused a profile of {batch} images for {spec.called}: {_said(log)}")
    if targets:
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            config.set_compute_capability(target, index)
    if library.ahead_of_time:
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # so that nothing is allocated while it runs
    return config


def targets_of(library: Library, capabilities: Sequence[str]) -> list[Any]:
    """The library's constants for compute capabilities. Raises ConfigError, with those it knows."""
    if capabilities and not library.ahead_of_time:
        raise ConfigError(
            f"{library.name} compiles for the GPU that it runs on, not for {', '.join(capabilities)}; use --engine tensorrt-rtx"
        )
    known = library.targets()
    for name in capabilities:
        if name not in known:
            raise ConfigError(f"{library.name} {library.version()} does not compile for {name!r}; allowed: {', '.join(known)}")
    every = library.load().ComputeCapability.__members__ if capabilities else {}
    return [every[name.replace("_", "").upper()] for name in capabilities]


def _parse(library: Library, builder: Any, spec: GraphSpec, log: Any) -> Any:
    trt = library.load()
    # The flag is what TensorRT 10 needs; later ones, and RTX, know no other kind of network.
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    if spec.plugins:
        library.load_plugins(log)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(spec.path)):  # from its path, beside which external weights lie
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        problems = "; ".join(f"{e.node_operator()} {e.node_name()}: {e.desc()}".strip() for e in errors)
        raise EngineError(f"{trt.__name__} {trt.__version__} cannot read {spec.called}: {problems or _said(log)}")
    return network


def _said(log: Any) -> str:
    return "; ".join(log.errors[-3:]) or "it gave no reason"


def _monitor(trt: Any, on_progress: BuildProgress | None) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Passes progress on, and stops the build if that raises: exceptions cannot pass through the compiler."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stopped: BaseException | None = None
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self._tell(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tell(phase_name, step + 1)
            return self.stopped is None

        def phase_finish(self, phase_name: str) -> None:
            self._tell(phase_name, self._steps.get(phase_name, 0))

        def _tell(self, phase: str, done: int) -> None:
            try:
                if on_progress is not None and self.stopped is None:
                    on_progress(phase, done, self._steps.get(phase, 0))
            except BaseException as error:  # raised again when the compiler has returned
                self.stopped = error

    return Monitor()
