"""Runs the real pipeline for a row: decoder, every stage, sinks; only the engine is `KnownEngine`."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from streamseg.config import PipelineConfig, parse_pipeline
from streamseg.pipeline.build import build_pipeline
from tests.conformance.known import KnownEngine
from tests.conformance.row import EFFECTS, Row

__all__ = ["Outcome", "run", "upright"]


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    path: Path
    """The output, or the folder of its stills."""
    warnings: tuple[str, ...]
    frames: int
    """That went through all stages."""


def upright(row: Row) -> tuple[int, int]:
    """Width and height of the picture as a viewer sees it."""
    width, height = row.clip.size
    return (height, width) if row.clip.turn % 180 else (width, height)


def run(row: Row, source: Path, folder: Path) -> Outcome:
    """The output of a row, in `folder`. Raises what the product raises."""
    target = folder / (row.out if "%" in row.out or row.out.endswith("/") else f"out.{row.out}")
    codec, crf = row.encoder
    encode = {"codec": codec} | ({} if crf is None else {"crf": crf})
    sections = {"infer": {"engine": "openvino"}, "decode": {"threads": 1, **row.decode}}
    if not row.smooth:
        sections["smooth"] = {"masks": "off", "edges": False}
    text = yaml.safe_dump(sections) + f"outputs: {{picture: {{composite: {EFFECTS[row.effect]}, encode: {encode}}}}}"
    # Nothing is drawn: then the tracker, which takes half of a row's time, need not follow anything either.
    engine = KnownEngine(*upright(row), blind=row.effect == "none")
    with _given(row, source, folder) as given:
        report = build_pipeline(given, _parsed(text), [str(target)], engine=engine).run()
    warnings = [*report.warnings, *(sentence for output in report.outputs for sentence in output.warnings)]
    return Outcome(target.parent if "%" in row.out else target, tuple(warnings), report.frames_done)


@cache
def _parsed(text: str) -> PipelineConfig:
    return parse_pipeline(text, "row.yaml")


@contextlib.contextmanager
def _given(row: Row, source: Path, folder: Path) -> Iterator[str]:
    if not row.pipe:
        yield str(source)
        return
    fifo = folder / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=_fill, args=(fifo, source), daemon=True)
    writer.start()
    try:
        yield str(fifo)
    finally:
        # If the product never opened it, the writer still waits for somebody to.
        with contextlib.suppress(OSError):
            os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        writer.join(5)


def _fill(fifo: Path, source: Path) -> None:
    with contextlib.suppress(BrokenPipeError), fifo.open("wb") as pipe:
        pipe.write(source.read_bytes())
