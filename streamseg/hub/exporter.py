"""Write a model's graphs into a folder: `streamseg export`."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamseg.core.parts import FULL, graph_name
from streamseg.errors import ConfigError, ModelError, OutputError, OutputExists
from streamseg.hub.catalog import find, is_name
from streamseg.hub.download import sha256_of
from streamseg.hub.foreign import OnnxFile
from streamseg.hub.importer import name_for
from streamseg.hub.on_demand import check_size, default_size, settings_for
from streamseg.hub.weights_file import read_header
from streamseg.system.callbacks import Message
from streamseg.system.imports import require_train

if TYPE_CHECKING:
    from streamseg.export.graph import GraphSettings

__all__ = ["calibrated", "export"]

Size = tuple[int, int]


def export(
    model: str,
    out: Path,
    sizes: Sequence[Size] = (),
    *,
    proposals: int | None = None,
    detections: int | None = None,
    part: str = FULL,
    dynamic_batch: bool = True,
    precision: str = "fp32",
    calibrate: Sequence[str] = (),
    network: str | None = None,
    classes: Sequence[str] = (),
    temperature: float = 1.0,
    score_shift: float = 0.0,
    conf: float | None = None,
    overwrite: bool = False,
    on_message: Message | None = None,
) -> list[Path]:
    """Write the graphs of `model` at `sizes` (H, W), and the weights that they share, into the folder `out`; returns their paths.

    `model` is a name of `streamseg models` or a checkpoint's file, of which `network` and `classes` may have to be said as for
    `importer.import_file`. `proposals` and `detections` are the K and D of `export.graph.GraphSettings`; by default those of an
    export on demand. `part`: of the network (core.parts). With `dynamic_batch` a graph takes 1 to 64 pictures at once, otherwise
    one. `precision` is fp32, fp16, or int8, which is calibrated on the pictures of `calibrate`: videos and folders. `temperature`
    and `score_shift` calibrate the scores, in the weights that are written (`networks.calibrate`): `streamseg eval` tells both.
    `conf` is the score from which a run shows its detections, where nobody says another. All files appear when all are made.

    Raises ConfigError (a size, number or precision that cannot be), ModelError (no such model or file, or it cannot be exported),
    MissingExtra (torch), OutputExists, OutputError.
    """
    _refuse_graph(model)  # which no torch could export
    require_train()

    for size in sizes:
        check_size(size)
    if precision not in ("fp32", "fp16", "int8"):
        raise ConfigError(f"--precision is {precision!r}; allowed: fp32, fp16, int8")
    if calibrate and precision != "int8":
        raise ConfigError(f"--calibrate is for --precision int8, not {precision}; leave one of the two out")
    on_message = on_message or (lambda _: None)
    with tempfile.TemporaryDirectory() as scratch:
        name, weights = _weights(model, network, classes, Path(scratch))
        if (temperature, score_shift, conf) != (1, 0, None):
            weights = calibrated(weights, Path(scratch) / f"{name}-calibrated.safetensors", temperature, score_shift, conf)
        kind = read_header(weights).network
        settings = _settings(kind, proposals, detections, part)
        wanted = list(dict.fromkeys(sizes)) or [default_size(kind)]
        graphs = [out / graph_name(name, size, part, precision) for size in wanted]
        if not overwrite:
            _refuse([graph for graph in graphs if graph.exists()])
        on_message(f"exporting {', '.join(graph.name for graph in graphs)}; each takes about half a minute")
        with _placing(out, overwrite) as work:
            from streamseg.export.export import export_model

            export_model(weights, work, wanted, settings, name, dynamic_batch, precision, calibrate, on_message)
    return graphs


def calibrated(weights: Path, target: Path, temperature: float, shift: float, conf: float | None) -> Path:
    """`weights` with calibrated scores and another usual confidence, in the file `target`. Raises ConfigError, ModelError.

    The score from which a graph lets detections through moves with the scores, so that the same ones come out.
    """
    if conf is not None and not 0 < conf < 1:
        raise ConfigError(f"conf is {conf}; allowed: between 0 and 1")
    from streamseg.networks.calibrate import calibrate
    from streamseg.networks.weights import load_weights, save_weights

    network, info = load_weights(weights)
    calibrate(network, temperature, shift)
    least = info.score_threshold
    odds = math.log(least / (1 - least)) / temperature - shift
    changed = replace(info, conf=info.conf if conf is None else conf, score_threshold=round(1 / (1 + math.exp(-odds)), 6))
    save_weights(network, changed, target, half=read_header(weights).half)
    return target


def _refuse(there: Sequence[Path]) -> None:
    if there:
        raise OutputExists(
            f"{', '.join(map(str, there))}: there already; replace with --overwrite, or export into another folder (-o)"
        )


def _refuse_graph(model: str) -> None:
    """Raise ModelError for what is a graph already, and has no weights of which another could be made."""
    path = Path(model)
    theirs = (
        "is another program's graph, which runs as it is (streamseg run SOURCE --model {0}): for another size or precision export "
        "it anew in that program"
    )
    if path.suffix == ".onnx":
        if path.is_file() and not OnnxFile.read(path).ours:
            raise ModelError(f"{path} {theirs.format(path)}")
        raise ModelError(f"{path} is exported already; give the checkpoint or weights file that it was made from")
    if is_name(model) and (found := find(model)).weights is None:
        if found.foreign is not None:
            raise ModelError(f"the model {model!r} {theirs.format(model)}")
        raise ModelError(f"the model {model!r} is a graph without its weights: export the checkpoint that it came from")


def _weights(model: str, network: str | None, classes: Sequence[str], scratch: Path) -> tuple[str, Path]:
    """The name and weights file of a model here, or of a checkpoint, which is converted into `scratch`."""
    path = Path(model)
    if path.suffix not in (".pth", ".pt", ".safetensors") and os.sep not in model:
        if network is not None or classes:
            raise ConfigError(
                f"--network and --classes are for a checkpoint's file; the model {model!r} has its own: leave them out"
            )
        found = find(model)
        assert found.weights is not None  # `_refuse_graph`
        return model, found.weights
    from streamseg.hub.checkpoints import read_checkpoint
    from streamseg.networks.weights import save_weights

    try:
        header = read_header(path)
    except ModelError:
        header = None  # not a weights file of ours
    name = name_for(path)
    if header is not None and not classes:
        return name, path
    converted = scratch / "weights.safetensors"
    save_weights(*read_checkpoint(path, network, classes), converted, half=header is not None and header.half)
    return name, converted


def _settings(network: str, proposals: int | None, detections: int | None, part: str) -> GraphSettings:
    from streamseg.export.graph import GraphSettings

    numbers = settings_for(network)
    numbers |= {key: value for key, value in (("proposals", proposals), ("detections", detections)) if value is not None}
    for key in ("proposals", "detections"):
        if not 1 <= numbers[key] <= 2000:
            raise ConfigError(f"{key} is {numbers[key]}; allowed: 1 to 2000")
    numbers["candidates"] = max(GraphSettings().candidates, numbers.get("candidates", 0), numbers["detections"])
    return GraphSettings(**numbers, part=part)


@contextmanager
def _placing(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder to write in. At the end its files are moved to `out`, the graphs last."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".exporting.", dir=out))
        try:
            yield work
            made = sorted(work.iterdir(), key=lambda path: path.suffix == ".onnx")
            if not overwrite:
                _refuse(
                    [p for p in (out / path.name for path in made) if p.exists() and sha256_of(p) != sha256_of(work / p.name)]
                )
            for path in made:
                path.replace(out / path.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot write into {out}: {error.strerror or error}; export into another folder (-o)") from error
