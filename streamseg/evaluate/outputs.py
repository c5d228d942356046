"""The files that an evaluation writes: which may be written, and the JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from streamseg.errors import OutputError, OutputExists, OutputIsInput
from streamseg.evaluate.dataset import locate
from streamseg.evaluate.evaluation import Evaluation
from streamseg.system.output_files import check_file, replace_atomically

__all__ = ["check_outputs", "write_json"]

_RESULTS = (".json", ".html", ".htm")
"""Kinds of file that an evaluation writes, and so may replace: `--json video.mp4` is a slip."""


def check_outputs(
    outputs: Iterable[str | os.PathLike[str]], data: str | os.PathLike[str], others: Sequence[str | os.PathLike[str]] = ()
) -> None:
    """Refuse, before the work begins, outputs that cannot be written or would replace what is read.

    That is the annotation file of `data`, `others` (a model file, a folder of pictures) and what is in these. An older result is
    replaced, a file of another kind is not. Raises SourceNotFound, OutputIsInput, OutputExists or OutputError.
    """
    annotations = locate(Path(data))
    read = [annotations, annotations.parent / "images", *map(Path, others)]
    for output in map(Path, outputs):
        check_file(output, annotations, overwrite=True)
        place = output.resolve()
        for path in read:
            if output.exists() and path.exists() and place.is_relative_to(path.resolve()):
                raise OutputIsInput(f"{output}: this is read by the evaluation; it is never written onto. Choose another name.")
        if output.is_file() and output.suffix.lower() not in _RESULTS:
            raise OutputExists(
                f"{output}: already exists, and is no earlier result ({', '.join(_RESULTS)}); choose another name, or remove it"
            )


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write `Evaluation.to_json`. Replaces what is there. Raises OutputError."""
    try:
        replace_atomically(path, (json.dumps(evaluation.to_json(), indent=2) + "\n").encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot write the results: {error.strerror or error}") from error
