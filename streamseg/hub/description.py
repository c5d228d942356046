"""What must be known of somebody else's ONNX file to run it, and is not all said in it: its family, its input, its classes.

A head finds it out (`detect.heads`: `recognise`); the sidecar, a YAML file beside the model (model.yaml for model.onnx), says it in
the user's words. What stands in the sidecar counts; what does not is found out. `hub.adapt` makes a graph of ours of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, field_validator, model_validator

from streamseg.config.section import Section
from streamseg.config.values import AutoFraction, Size
from streamseg.errors.describe import counted
from streamseg.pixels.letterbox import FitMode

__all__ = ["Description", "Evidence", "HeadOption", "InputDescription", "Recognised", "Value", "in_yaml", "sidecar_text"]

Value = bool | int | float | str | list[float] | list[str]
_Code = Annotated[float, Field(allow_inf_nan=False)]
_Width = Annotated[float, Field(allow_inf_nan=False, gt=0)]


class Evidence(IntEnum):
    """What a file was recognised by: of several families the one with the better evidence is taken."""

    SHAPES = 1
    """Ranks, types and lengths of axes."""
    NAMES = 2
    """Names of inputs and outputs that one kind of exporter gives."""
    METADATA = 3
    """The exporter says what it is."""


class InputDescription(Section):
    """input: how the model wants its picture. Its type (float32, float16, uint8) is the file's."""

    name: str
    """Of the input in the file."""
    size: Size = None
    """HEIGHTxWIDTH; `auto`: the file's own, or, where the file has none, what --size says."""
    multiple: Annotated[int, Field(ge=1, le=1024)] = 1
    """Both sides must be multiples of it, in a file of no fixed size."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[_Code, _Code, _Code] = (0.0, 0.0, 0.0)
    """In codes of 0 to 255, in the order of the model's channels: the model gets (code - mean) / std."""
    std: tuple[_Width, _Width, _Width] = (1.0, 1.0, 1.0)
    fit: FitMode = "letterbox"
    """How a frame is brought to the size: in the middle of it, in its corner, or stretched."""
    padding: Annotated[int, Field(ge=0, le=255)] = 114
    """Code of what is not covered."""


def _strings(value: Any) -> Any:
    """YAML reads a class that is called 7 as a number."""
    return [str(name) if type(name) in (int, float) else name for name in value] if isinstance(value, list) else value


class Description(Section):
    """A model file of any family, described."""

    family: Annotated[str, Field(min_length=1)]
    """Name of the head that reads it, as `yolo-seg`."""
    input: InputDescription
    outputs: dict[str, str]
    """What the family calls an output → what the file calls it; any tensor in it will do, so that what comes after is left out."""
    batch_axis: bool = True
    """Whether the outputs begin with an axis of the batch, as [1, N, 4]; false: [N, 4]."""
    classes: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_strings)]
    """Names, in the order of the labels."""
    category_ids: tuple[int, ...] = ()
    """Numbers of the classes in COCO, or in the data that the model will be measured on; none: 1, 2, 3, ..."""
    conf: AutoFraction = None
    """Score from which detections are worth showing; `auto`: 0.5."""
    options: dict[str, Value] = Field(default_factory=dict)
    """What the family's head needs besides."""

    @field_validator("outputs")
    @classmethod
    def _some(cls, value: dict[str, str]) -> dict[str, str]:
        if not value:
            raise ValueError("at least one output is needed, as `output0: output0`")
        return value

    @model_validator(mode="after")
    def _sound_classes(self) -> Description:
        if not self.classes:
            raise ValueError("classes: a model without classes finds nothing; at least one name is needed")
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ValueError(f"classes: {', '.join(twice[:5])} is given twice; every class needs a name of its own")
        if self.category_ids and len(self.category_ids) != len(self.classes):
            numbers, classes = counted(len(self.category_ids), "number"), counted(len(self.classes), "class")
            raise ValueError(f"category_ids: {numbers} for {classes}; one each is needed")
        return self


@dataclass(frozen=True, slots=True)
class HeadOption:
    """What one of the `options` that a family's head takes may be."""

    usual: Value | None
    """Where nothing is said; None: it depends on the graph."""
    allowed: str
    """For people: "0 to 1"."""
    sound: Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a head makes of a file that it recognises."""

    description: Description
    evidence: Evidence
    reasons: Mapping[str, str]
    """Why, by the key in the sidecar ("family", "input.size", "outputs", "options.nms"): "its metadata says task: segment"; what is
    only usual begins with "assumed: "."""
    labels_told: bool = True
    """False: the file does not tell how many labels there are, so that other names may be as many as they like."""


_HEADER = "# How streamseg reads {name}. Change what is wrong; what you take out is found out anew. Keys: docs/models.md\n"
_WORD = re.compile(r"[A-Za-z_][\w-]*")


def sidecar_text(description: Description, reasons: Mapping[str, str], name: str) -> str:
    """The sidecar of the file `name`: every value with its reason as a comment."""
    lines = [_HEADER.format(name=re.sub(r"\s+", " ", name))]

    def put(key: str, value: Any, place: str, indent: str = "") -> None:
        reason = reasons.get(place, "")
        comment = f"  # {' '.join(reason.split())}" if reason else ""
        if isinstance(value, Mapping):
            lines.append(f"{indent}{in_yaml(key)}:{comment}" if value else f"{indent}{in_yaml(key)}: {{}}{comment}")
            for inner, each in value.items():
                put(inner, each, f"{place}.{inner}", f"{indent}  ")
        else:
            lines.append(f"{indent}{in_yaml(key)}: {in_yaml(value)}{comment}")

    for key, value in description.model_dump().items():
        if key == "input":
            size = value["size"]
            value |= {"size": "auto" if size is None else f"{size[0]}x{size[1]}"}
        if value or key not in ("category_ids", "conf"):
            put(key, value, key)
    return "\n".join(lines) + "\n"


def in_yaml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, str) and _WORD.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=1 << 30, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
