"""The sidecar `film.streamseg.json`: edits as JSON, which a person or a program may write (edits.schema.json says how)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from streamseg.config.load import validate
from streamseg.config.section import Section
from streamseg.config.values import Seconds
from streamseg.errors import ConfigError, OutputError
from streamseg.errors.describe import brief, did_you_mean, path_of, short
from streamseg.system.output_files import replace_atomically

__all__ = ["ENDING", "SCHEMA", "FileContents", "read", "write"]

ENDING = ".streamseg.json"
SCHEMA = "streamseg.edits/1"
_KEYS = ("schema", "source", "found", "names", "classes", "merge", "split", "forbid", "selections")
_MAX_BYTES = 16 << 20


class _Split(Section):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    track: int
    at: Seconds
    into: int


class FileContents(Section):
    """What stands in it."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    source: dict[str, Any] | None = None
    found: str | None = None
    names: dict[str, str] = Field(default_factory=dict)
    classes: dict[str, str] = Field(default_factory=dict)
    merge: list[list[int]] = Field(default_factory=list)
    split: list[_Split] = Field(default_factory=list)
    forbid: list[int] = Field(default_factory=list)
    selections: dict[str, str] = Field(default_factory=dict)


def read(path: str | PathLike[str]) -> tuple[str, FileContents, dict[str, Any]]:
    """Name, contents and the keys that are not understood, of a file. Raises ConfigError, which names it and every problem.

    A key that looks like a mistyped one is a problem; others are kept.
    """
    name = path_of(path, "edits")
    data = _load(Path(name))
    if (schema := data.get("schema")) != SCHEMA:
        why = "is not said" if schema is None else f"is {brief(schema)}"
        raise ConfigError(f"{name}: schema {why}; this streamseg reads {SCHEMA!r}")
    others = {key: value for key, value in data.items() if key not in _KEYS}
    for key in others:
        if hint := did_you_mean(key, _KEYS):
            raise ConfigError(f"{name}: {key}: unknown key{hint} (allowed: {', '.join(_KEYS)})")
    return name, validate(FileContents, {key: value for key, value in data.items() if key in _KEYS[1:]}, name, None), others


def write(path: str | PathLike[str], data: Mapping[str, Any]) -> None:
    """Write `data` behind the schema; the file is whole at every moment. Raises OutputError."""
    target = Path(path_of(path, "edits"))
    text = json.dumps({"schema": SCHEMA, **data}, indent=2, ensure_ascii=False) + "\n"
    try:
        replace_atomically(target, text.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error


def _load(path: Path) -> Mapping[str, Any]:
    if "\0" in str(path):
        raise ConfigError(f"{brief(str(path))} is no name of a file of edits")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than 16 MiB: it holds no edits")
        data = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_once)
    except OSError as error:
        raise ConfigError(f"cannot read the edits {short(str(path))}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file in UTF-8") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid JSON: lists within each other") from error
    except _Twice as error:
        raise ConfigError(f"{path}: the key {str(error)!r} is given twice") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys ({', '.join(_KEYS)}), found {brief(data)}")
    return data


class _Twice(ValueError):
    """A key that would silently lose one of its values."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found
