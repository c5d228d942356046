"""Recipes: which engines of a model to build. A short YAML file, read and answered like a pipeline file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from streamseg.config.load import parse_yaml, read_yaml, validate
from streamseg.config.section import Section
from streamseg.config.values import Size
from streamseg.system.resources import shipped_folder

__all__ = ["Recipe", "load_recipe", "parse_recipe", "recipe_names"]


def _split(value: Any) -> Any:
    """`1,4,8`, as the command line writes it, or one value, as a list."""
    if value is None:
        return ()
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, (list, tuple)) else [value]


def _capability(value: str) -> str:
    from streamseg.engine.tensorrt.library import parse_capability

    parse_capability(value)
    return value


class Recipe(Section):
    """What to build: one engine for each size and precision."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    model: str
    """A shipped model's name, or the path of an .onnx file."""
    engine: Literal["auto", "tensorrt", "tensorrt-rtx"] = "auto"
    head: Literal["full", "class-agnostic", "proposals"] = "full"
    """How much of a Mask R-CNN to compile (docs/parts.md)."""
    masks: Literal["auto", "none"] = "auto"
    """`none`: without the mask branch, for runs with `--masks none`."""
    sizes: Annotated[tuple[Size, ...], BeforeValidator(_split)] = ()
    """(H, W) of the input; none: the model's default."""
    precisions: Annotated[tuple[Literal["fp32", "fp16", "int8"], ...], BeforeValidator(_split)] = ()
    """Of the graphs to take; none: the precision that the model's graph has."""
    batches: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], BeforeValidator(_split)] = ()
    """Images that one run takes, each compiled for; none: the graph's own number, or 1."""
    targets: Annotated[tuple[Annotated[str, AfterValidator(_capability)], ...], BeforeValidator(_split)] = Field(
        (), alias="for"
    )
    """Compute capabilities to build for with no GPU, as sm_86."""


def recipe_names() -> list[str]:
    """Names of the recipes that streamseg brings."""
    return sorted(path.stem for path in shipped_folder("engines").glob("*.yaml"))


def load_recipe(name: str, changes: dict[str, Any] | None = None) -> Recipe:
    """The recipe of that shipped name or .yaml file, or one for that model alone; `changes` go on top. Raises ConfigError."""
    changes = {field: value for field, value in (changes or {}).items() if value is not None}
    if name.endswith((".yaml", ".yml")):
        recipe = parse_recipe(read_yaml(Path(name), "recipe"), name)
    elif name in recipe_names():
        path = shipped_folder("engines") / f"{name}.yaml"
        recipe = parse_recipe(read_yaml(path, "recipe"), str(path))
    else:
        recipe = Recipe.model_validate({"model": name})
    return validate(Recipe, recipe.model_dump(by_alias=True) | changes, "options", None)


def parse_recipe(text: str, name: str) -> Recipe:
    """The recipe that `text` describes; `name` stands in the messages. Raises ConfigError."""
    data, tree = parse_yaml(text, name, Recipe)
    return validate(Recipe, data, name, tree)
