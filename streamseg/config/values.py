"""Values of a pipeline file as people write them: times, sizes, lists of names, bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BeforeValidator, Field, PlainValidator
from pydantic.fields import FieldInfo

from streamseg.core.seconds import parse_seconds
from streamseg.core.sizes import read_size
from streamseg.errors.describe import brief
from streamseg.select import Selection

__all__ = [
    "AutoSeconds",
    "Fraction01",
    "InputSize",
    "Names",
    "Positive",
    "Seconds",
    "Size",
    "is_number",
    "parse_areas",
    "parse_bytes",
    "parse_deinterlace",
    "parse_edges",
    "parse_edits",
    "parse_every",
    "parse_input_size",
    "parse_keep",
    "parse_names",
    "parse_never",
    "parse_off",
    "parse_seconds",
    "parse_selection",
    "parse_size",
    "parse_trip",
    "parse_turn",
]

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"


def is_number(field: FieldInfo) -> bool:
    """Whether a field takes a plain number (or none, or `auto`): no truth value, and no words that are read here."""

    def plain(kind: Any, marks: Iterable[Any]) -> bool:
        if any(isinstance(mark, BeforeValidator | PlainValidator) and mark.func is not parse_auto for mark in marks):
            return False
        inner = get_args(kind)
        if hasattr(kind, "__metadata__"):
            return plain(inner[0], kind.__metadata__)
        return kind in (int, float) or (bool(inner) and all(each is type(None) or plain(each, ()) for each in inner))

    return plain(field.annotation, field.metadata)


def parse_size(value: Any) -> Any:
    """`320x576` (HEIGHTxWIDTH) as (320, 576), `auto` as None; ValueError for anything else."""
    if value is None or (isinstance(value, str) and value == "auto"):
        return None
    if isinstance(value, tuple | list) and len(value) == 2:
        return value
    try:
        return read_size(value)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def parse_input_size(value: Any) -> Any:
    """As `parse_size`; `largest` and `smallest` stay what they are."""
    if isinstance(value, str) and value in ("largest", "smallest"):
        return value
    try:
        return parse_size(value)
    except ValueError as error:
        raise ValueError(f"{error}, largest or smallest") from None


def parse_names(value: Any) -> Any:
    """`person,car`, one name or a list of them as a tuple; `all` as None. ValueError for anything else."""
    if value is None or (isinstance(value, str) and value == "all"):
        return None
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, Mapping) else (value,)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{brief(value)} is not a list of names; write them as a list, or as 'person,car'")
    return names


def parse_keep(value: Any) -> str:
    """`off`, `auto`, or the path of a results file as text. ValueError for anything else, such as a film's name."""
    if value is None or value is False or value is True:  # YAML's own off and on
        return "auto" if value else "off"
    text = str(value) if isinstance(value, str | os.PathLike) else ""
    if text in ("off", "auto") or os.path.splitext(text)[1].lower() == ".streamseg":
        return text
    raise ValueError(f"{brief(value)} is not allowed; write auto, off, or the name of a results file, as film.streamseg")


def parse_turn(value: Any) -> Any:
    """Degrees, also as text, and counter-clockwise where they are below 0. The schema refuses what is no quarter turn."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,4}", value.strip()):
        value = int(value)
    return value % 360 if isinstance(value, int) and not isinstance(value, bool) else value


def parse_trip(value: Any) -> Any:
    """`on` means the camera that looks ahead."""
    if value is None or isinstance(value, bool) or value == "on":
        return "front" if value else "off"
    return value


def parse_edits(value: Any) -> str:
    """`off`, `auto`, or the path of a sidecar as text. ValueError for anything else."""
    if value is None or value is False or value is True:  # YAML's own off and on
        return "auto" if value else "off"
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if isinstance(text, str) and text.strip():
        return text
    raise ValueError(f"{brief(value)} is not allowed; write auto, off, or the name of a file, as film.streamseg.json")


def parse_selection(value: Any) -> str:
    """A selection, or a list of such, as text. Raises ConfigError, which shows the place of a mistake."""
    if isinstance(value, list | tuple):
        return ", ".join(map(parse_selection, value))
    Selection.parse(value)
    return str(value)


def parse_every(value: Any) -> int | Literal["auto"]:
    """A number of frames, or `auto`. ValueError for anything else."""
    if isinstance(value, str) and value == "auto":
        return "auto"
    if isinstance(value, str | Integral) and not isinstance(value, bool) and re.fullmatch(r"[1-9]\d?|100", str(value)):
        return int(value)
    raise ValueError(f"{brief(value)} is not a number of frames from 1 to 100, nor auto")


def parse_auto(value: Any) -> Any:
    """`auto` as None."""
    return None if isinstance(value, str) and value == "auto" else value


def parse_off(value: Any) -> Any:
    """`off`, which YAML reads as false, is no time at all."""
    return 0.0 if value is False or (isinstance(value, str) and value == "off") else value


def parse_areas(value: Any) -> Any:
    """Areas by name, as they are or as YAML text; one without a name is called `ignore`. ValueError for text that is none."""
    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            value = None
        if not isinstance(value, list | dict):
            raise ValueError(  # noqa: TRY004 - pydantic tells ValueErrors alone
                "an area needs points, as 'tree: [[0, 0], [0.3, 0], [0.3, 0.4]]'"
            )
    return {"ignore": value} if isinstance(value, list) else value


def parse_never(value: Any) -> Any:
    """`off`, which YAML reads as false, is no limit."""
    return None if value is False or (isinstance(value, str) and value == "off") else value


def parse_deinterlace(value: Any) -> Any:
    """YAML reads `off` as false, and `on` as true."""
    return {False: "off", True: "frame"}[value] if isinstance(value, bool) else value


def parse_edges(value: Any) -> bool | Literal["matte"]:
    """Whether outlines follow the picture, and whether as mattes. ValueError for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value == "matte":
        return "matte"
    raise ValueError(f"{brief(value)} is not true, false or matte")


_BYTES = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(value: Any) -> Any:
    """`2GB`, `500MB`, `1.5GiB`, a number of bytes, or `off`."""
    if value is False or value == "off":
        return 0
    text = str(value) if isinstance(value, str | Real) else ""
    match = re.fullmatch(rf"({_NUMBER})\s*([kmgt]?i?)b?", text.strip().lower())
    if isinstance(value, bool) or match is None or match[2] not in _BYTES:
        raise ValueError(f"{brief(value)} is not a size; write 2GB, 500MB, a number of bytes, or off")
    return round(float(match[1]) * _BYTES[match[2]])


Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, BeforeValidator(parse_seconds), Field(gt=0, allow_inf_nan=False)]
Size = Annotated[tuple[int, int] | None, BeforeValidator(parse_size)]
InputSize = Annotated[tuple[int, int] | Literal["largest", "smallest"] | None, BeforeValidator(parse_input_size)]
Names = Annotated[tuple[str, ...] | None, BeforeValidator(parse_names)]
Fraction01 = Annotated[float, Field(ge=0, le=1)]
AutoFraction = Annotated[Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(parse_auto)]
AutoSeconds = Annotated[Annotated[float, BeforeValidator(parse_seconds), Field(ge=0)] | None, BeforeValidator(parse_auto)]
