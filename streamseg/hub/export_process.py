"""The process that exports a graph for `hub.on_demand`: a request as JSON from stdin, null or [error, message] to stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from streamseg.errors import StreamsegError


def main() -> None:
    """Export what is asked for, and say how that went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the parent decides
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    request = json.load(sys.stdin)
    outcome: tuple[str, str] | None = None
    try:
        _export(request)
    except StreamsegError as error:
        outcome = type(error).__name__, str(error)
    json.dump(outcome, answers)
    answers.flush()
    os._exit(0)  # past torch's clearing up, which takes seconds


def _export(request: dict[str, object]) -> None:
    from streamseg.export.export import export_model
    from streamseg.export.graph import GraphSettings

    settings = GraphSettings(**request["settings"])  # type: ignore[arg-type]  # checked there
    size: tuple[int, int] = tuple(request["size"])  # type: ignore[assignment,arg-type]
    weights, folder, name = (str(request[key]) for key in ("weights", "folder", "name"))
    export_model(Path(weights), Path(folder), [size], settings, name, precision=str(request["precision"]))
