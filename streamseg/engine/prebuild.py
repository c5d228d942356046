"""Build the engines of a recipe into the store."""

from __future__ import annotations

import os

from streamseg.core.parts import FULL, WITH_MASKS, part_of
from streamseg.device.driver import Gpu, find_gpu
from streamseg.engine.recipe import Recipe
from streamseg.engine.store import Entry, Store
from streamseg.engine.tensorrt.builder import BuildProgress
from streamseg.engine.tensorrt.library import LIBRARIES, TENSORRT, TENSORRT_RTX, Library
from streamseg.engine.tensorrt.opener import build_entry, why_not
from streamseg.errors import EngineUnavailable, MissingExtra, ModelError
from streamseg.hub.catalog import resolve
from streamseg.hub.graph_spec import GraphSpec, read_spec
from streamseg.hub.without_masks import without_masks
from streamseg.system.callbacks import Message

__all__ = ["build_engines", "graph_of"]


def build_engines(
    recipe: Recipe, store: Store | None = None, *, on_message: Message | None = None, on_progress: BuildProgress | None = None
) -> list[Entry]:
    """The engines of a recipe, in its order, each built unless the store has it.

    Raises ModelError (no graph of that size or precision), ConfigError, MissingExtra, EngineUnavailable (TensorRT needs a GPU to
    build, TensorRT-RTX none), EngineError (it cannot be compiled) or OutputError (it cannot be stored).
    """
    store, on_message = store or Store(), on_message or (lambda _: None)
    library = _library(recipe, on_message)
    gpu = _gpu(library, recipe)
    # All graphs first: a precision that is not there should not be found out after the first engine was built.
    part = part_of(recipe.head, masks=recipe.masks == "auto")
    specs = [
        graph_of(recipe.model, size, precision, part, on_message)
        for size in recipe.sizes or (None,)
        for precision in recipe.precisions or (None,)
    ]
    entries = []
    for spec in specs:
        target = ", ".join(recipe.targets) or (gpu.name if gpu else "any GPU of compute capability 8.0 or later")
        on_message(
            f"{spec.name} {spec.height}x{spec.width} {spec.precision}: {library.name} {library.version()} engine for {target}"
        )
        entries.append(
            build_entry(
                library,
                spec,
                store,
                batches=recipe.batches,
                capabilities=recipe.targets,
                gpu=gpu,
                on_message=on_message,
                on_progress=on_progress,
            )
        )
    return entries


def _library(recipe: Recipe, on_message: Message) -> Library:
    if recipe.engine != "auto":
        library = LIBRARIES[recipe.engine]
        if not library.ahead_of_time and (reason := why_not(library)) is not None:
            raise EngineUnavailable(
                f"{library.name} builds only on the GPU it will run on: {reason}. Use --engine tensorrt-rtx"
            )
        return library
    if recipe.targets:
        return TENSORRT_RTX
    if (reason := why_not(TENSORRT)) is None:
        return TENSORRT
    on_message(f"building with tensorrt-rtx (not tensorrt: {reason})")
    return TENSORRT_RTX


def _gpu(library: Library, recipe: Recipe) -> Gpu | None:
    if recipe.targets:
        return None
    try:
        return find_gpu()
    except (EngineUnavailable, MissingExtra):
        if library.ahead_of_time:
            return None
        raise


def graph_of(
    model: str, size: tuple[int, int] | None, precision: str | None, part: str = FULL, on_message: Message | None = None
) -> GraphSpec:
    """The graph that a run with that size, precision and part of a model takes (`core.parts`).

    Raises ModelError, and what `catalog.resolve` raises.
    """
    spec = _whole(model, size, precision, WITH_MASKS.get(part, part), on_message)
    return without_masks(spec) if part in WITH_MASKS else spec


def _whole(model: str, size: tuple[int, int] | None, precision: str | None, part: str, on_message: Message | None) -> GraphSpec:
    """With masks, where the part has them: NAME-HxW.onnx, or NAME-HxW-fp16.onnx beside it.

    A model by name is exported in a precision that is not there, as `catalog.resolve` does; int8 must be calibrated, so that this
    may fail with the way to do it.
    """
    by_name = not model.endswith(".onnx") and os.sep not in model
    path = resolve(model, size, precision=precision if by_name and precision else "fp32", part=part, on_message=on_message)
    spec = read_spec(path)
    if precision is None or spec.precision == precision:
        return spec
    other = path.with_name(f"{path.stem}-{precision}{path.suffix}")
    if not other.is_file():
        raise ModelError(
            f"{path} is {spec.precision}, and there is no {precision} graph {other.name} beside it: an engine has the types of its "
            f"graph. Export the model: streamseg export MODEL --precision {precision} -o {path.parent}, or leave the precision out"
        )
    found = read_spec(other)
    if found.precision != precision:
        raise ModelError(f"{other} states that it is {found.precision}, not {precision}: export it again")
    return found
