"""What `streamseg tune` found for this machine, kept for the runs that come.

It stands in tuned.json in the folder of `folders.config_root`, by a key made of everything that it depends on: the model's graph,
the size, the engine that was asked for, the processor, its cores, and the versions of streamseg and of the engines. Where one of
these has changed the key is another, and nothing is found.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamseg.errors import OutputError
from streamseg.hub.graph_spec import GraphSpec
from streamseg.system.callbacks import Message
from streamseg.system.cores import core_count
from streamseg.system.cpu import cpu_name
from streamseg.system.folders import config_root, make_folder
from streamseg.system.output_files import replace_atomically
from streamseg.system.version import installed_version

__all__ = ["Choice", "file_of_choices", "forget", "keep", "kept", "key_of", "threads_in_words"]

_ENGINES = ("openvino", "onnxruntime", "tensorrt", "tensorrt-rtx", "torch")


@dataclass(frozen=True, slots=True)
class Choice:
    """Options of the engine that change what a run costs, and next to nothing of what it finds."""

    precision: str
    in_flight: int
    threads: int
    batch: int

    def __str__(self) -> str:
        threads = threads_in_words(self.threads)
        return f"precision {self.precision}, requests: {self.in_flight}, threads: {threads}, batch: {self.batch}"


def threads_in_words(threads: int) -> str:
    """The number of threads; of 0 what it stands for."""
    return str(threads or f"{core_count()} (as many as cores)")


def file_of_choices() -> Path:
    """Where they are kept."""
    return config_root() / "tuned.json"


def key_of(spec: GraphSpec, engine: str) -> str:
    """What a choice holds for; `spec` is the model's fp32 graph, `engine` what was asked for."""
    facts = [
        spec.sha256,
        spec.size,
        engine,
        cpu_name(),
        core_count(),
        installed_version(),
        [_version(name) for name in _ENGINES],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def kept(key: str, on_message: Message | None = None) -> tuple[Choice, bool, str] | None:
    """The choice kept for `key`, whether runs shall use it, and the day it was found; None where there is none.

    A file that cannot be read is left aside, which `on_message` is told.
    """
    try:
        if (entry := _read().get(key)) is None:
            return None
        choice = Choice(**{name: type(value)(entry["choice"][name]) for name, value in asdict(Choice("", 0, 0, 0)).items()})
        return choice, entry["apply"] is True, str(entry["day"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        if on_message is not None:
            why = f"{error.strerror}" if isinstance(error, OSError) else "it is not as `streamseg tune` writes it"
            on_message(f"{file_of_choices()} cannot be read ({why}): the run is as usual; delete the file, or tune again")
        return None


def keep(key: str, choice: Choice, day: str, *, apply: bool, about: Mapping[str, Any]) -> Path:
    """Keep `choice`; `about` is for people who read the file. Raises OutputError."""
    return _write(_readable() | {key: {"choice": asdict(choice), "apply": apply, "day": day, **about}})


def forget(key: str) -> None:
    """Keep nothing for `key` any more. Raises OutputError."""
    if key in (entries := _readable()):
        _write({each: entry for each, entry in entries.items() if each != key})


def _write(entries: Mapping[str, Any]) -> Path:
    path = file_of_choices()
    make_folder(path.parent)
    try:
        replace_atomically(path, (json.dumps(entries, indent=1) + os.linesep).encode())
    except OSError as error:
        raise OutputError(f"cannot keep the choice in {path}: {error.strerror or error}; or set STREAMSEG_CONFIG") from error
    return path


def _read() -> dict[str, Any]:
    """All that is kept. Raises OSError or ValueError for a file that cannot be read."""
    path = file_of_choices()
    entries = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if not isinstance(entries, dict):
        raise ValueError("no dict")  # noqa: TRY004 - of the file, not of an argument
    return entries


def _readable() -> dict[str, Any]:
    """What of it is worth keeping."""
    try:
        return _read()
    except (OSError, ValueError):
        return {}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
