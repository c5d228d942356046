"""Graphs that are exported when they are first needed, and kept in the cache.

    CACHE/graphs/resnet50-fpn-v2-3f0c.../resnet50-fpn-v2.safetensors    linked to the user's weights where that is possible
                                         resnet50-fpn-v2-800x1344.onnx

The folder's name says what its graphs depend on beside their size: the weights, the graph's settings, the exporter. A graph appears
whole or not at all; of two processes that need it one makes it. The exporter runs in a process of its own: torch takes more than a
gigabyte and a team of threads that a pipeline has better use for.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamseg.core.parts import FULL, graph_name
from streamseg.errors import ConfigError, ModelError, OutputError, StreamsegError
from streamseg.hub.download import sha256_of
from streamseg.hub.weights_file import read_header
from streamseg.system.callbacks import Message
from streamseg.system.folders import cache_root, elsewhere, locked, make_folder
from streamseg.system.imports import require_train

__all__ = ["SIZES", "check_size", "default_size", "export_once", "exported", "link", "settings_for"]

Size = tuple[int, int]

SIZES: dict[str, Size] = {"lite": (320, 576), "mobilenetv3-fpn": (320, 576)}
"""(H, W) at which a network runs where none is asked for."""
_LARGE: Size = (800, 1344)
"""torchvision's COCO weights were trained at 800 pixels for the shorter side, at most 1333 for the longer."""

LARGEST = 4096 * 4096
"""Most pixels of a network's input: one with 100 million did not finish exporting within a minute."""

_SMALL_SETTINGS = {"proposals": 100, "detections": 30}
_LARGE_SETTINGS = {"proposals": 300, "detections": 100, "candidates": 300}

_ERRORS: dict[str, type[StreamsegError]] = {"ConfigError": ConfigError, "OutputError": OutputError}
"""What the exporter may raise; all else is a model's error."""

_CHILD = "import sys; sys.path[:] = {path!r}; from streamseg.hub.export_process import main; main()"
"""Finds modules where we do, and runs no code of the caller's main module."""


def default_size(network: str) -> Size:
    """(H, W) at which a network runs where none is asked for."""
    return SIZES.get(network, _LARGE)


def settings_for(network: str) -> dict[str, int]:
    """Fixed numbers of an exported graph, as `export.graph.GraphSettings` names them."""
    return dict(_SMALL_SETTINGS if network in SIZES else _LARGE_SETTINGS)


def check_size(size: Size) -> None:
    """Raise ConfigError, with sizes nearby, for one that no network can take, or that no memory would hold."""
    if size[0] * size[1] > LARGEST:
        raise ConfigError(
            f"the size {size[0]}x{size[1]} is too large: its input would have {size[0] * size[1] / 1e6:.0f} million pixels; "
            f"allowed: {LARGEST / 1e6:.0f} million, as 4096x4096; pictures of any size are fitted into it"
        )
    if any(side % 32 or side < 64 for side in size):
        below, above = (tuple(max(64, (side + more) // 32 * 32) for side in size) for more in (0, 31))
        near = " or ".join(dict.fromkeys(f"{h}x{w}" for h, w in (below, above)))
        raise ConfigError(
            f"the size {size[0]}x{size[1]} is not possible: both sides must be multiples of 32, from 64 on; take {near}"
        )


def exported(name: str, weights: Path) -> dict[Size, Path]:
    """The graphs of these weights that are in the cache, by size. Raises ModelError if the weights cannot be read."""
    folder = _folder(name, weights, read_header(weights).network)
    found = {}
    for path in folder.glob("*.onnx"):
        match = re.fullmatch(re.escape(name) + r"-(\d+)x(\d+)\.onnx", path.name)
        if match:
            found[int(match[1]), int(match[2])] = path
    return found


def export_once(
    name: str, weights: Path, size: Size, precision: str = "fp32", on_message: Message | None = None, part: str = FULL
) -> Path:
    """The graph of `weights` at `size`, from the cache, or exported into it now; `on_message` is told what takes long.

    `part` is what of the network it computes (core.parts).

    Raises ConfigError (a size that is not possible), MissingExtra (torch), ModelError (weights that cannot be exported) or
    OutputError (the cache cannot be written).
    """
    check_size(size)
    network = read_header(weights).network
    folder = _folder(name, weights, network)
    graph = folder / graph_name(name, size, part, precision)
    if graph.is_file():
        return graph
    require_train()

    on_message = on_message or (lambda _: None)
    with locked(folder.parent, f"{graph.stem}.lock", f"another process is exporting {graph.name}; waiting for it", on_message):
        if graph.is_file():
            return graph
        for leftover in folder.parent.glob(f".exporting.{graph.stem}.*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        on_message(f"exporting {graph.name}, once; this takes about half a minute")
        work = folder.parent / f".exporting.{graph.stem}.{os.getpid()}"
        try:
            make_folder(work)
            link(weights, work / f"{name}.safetensors")
            _export_in_child(
                {"weights": f"{work / name}.safetensors", "folder": str(work), "name": name, "size": size}
                | {"settings": settings_for(network) | {"part": part}, "precision": precision}
            )
            make_folder(folder)
            for file in work.glob("*.safetensors"):  # equal to those that may be there, which engines may have open
                file.replace(folder / file.name)
            (work / graph.name).replace(graph)
        except OSError as error:
            raise OutputError(f"cannot keep the graph {graph}: {error.strerror}; {elsewhere(graph)}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return graph


def _folder(name: str, weights: Path, network: str) -> Path:
    facts = {"weights": sha256_of(weights), "settings": settings_for(network), "exporter": _exporter()}
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return cache_root() / "graphs" / f"{name}-{key[:16]}"


@functools.cache
def _exporter() -> str:
    """A digest of the exporter's source, so that a changed exporter makes new graphs; a version number would be forgotten."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(path for room in ("export", "networks") for path in (package / room).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def link(source: Path, target: Path) -> None:
    """Link the weights, which take hundreds of megabytes, where the file system and its rights allow that; else copy them."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _export_in_child(request: Mapping[str, Any]) -> None:
    command = [sys.executable, "-c", _CHILD.format(path=sys.path)]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said) as child,
    ):
        try:
            answer, _ = child.communicate(json.dumps(request).encode())
            outcome = json.loads(answer)
        except ValueError as error:
            said.seek(0)
            last = said.read()[-800:].decode("utf-8", "replace").strip()
            raise ModelError(f"the exporter {_end_of(child.returncode)} while it exported {request['name']}: {last}") from error
        finally:
            child.kill()  # on Ctrl-C it would work on
    if outcome is not None:
        kind, message = outcome
        raise _ERRORS.get(kind, ModelError)(message)


def _end_of(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = " (too little memory? a ResNet-50 takes 2 GB)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"
