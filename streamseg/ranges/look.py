"""look: what the network says of the frames of a range. It needs nothing of other ranges."""

from __future__ import annotations

import uuid
from pathlib import Path

from streamseg.core.result import Result
from streamseg.engine import Engine
from streamseg.pipeline.context import Context
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.stages import Step, make, steps
from streamseg.ranges.order import FilmOrder, Made
from streamseg.ranges.sources import stretch_of
from streamseg.record import RecordWriter
from streamseg.runtime import Branch, Runtime
from streamseg.system.callbacks import Message
from streamseg.system.output_files import sha256_of

__all__ = ["LOOKS", "look"]

LOOKS = ("preprocess", "infer", "postprocess")
"""The stages that look, in order."""


def look(order: FilmOrder, k: int, engine: Engine, on_message: Message | None = None) -> Made:
    """Look at range `k`. Raises StreamsegError."""
    source = stretch_of(order, *order.frames(k))
    info = source.open()
    keeper = _Keeper(order.folder / order.answers(k), order, str(info.time_base))
    try:
        context = Context(order.config, engine.spec, engine, frame_bytes=0, say=on_message)
        trunk = make(_looking(steps(extra_steps(order.config))), "trunk", context)
        runtime = Runtime(
            source, trunk.stages, [Branch("answers", [("answers", keeper)])], capacity=max(2, order.config.infer.batch)
        )
        runtime.run()
        return Made([(order.answers(k), keeper.finish())], source.warnings)
    finally:
        source.close()
        keeper.discard()


def _looking(chosen: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(step for step in chosen if step.name in LOOKS)


class _Keeper:
    """Where answers go."""

    def __init__(self, path: Path, order: FilmOrder, time_base: str) -> None:
        self._path, self._part = path, path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        head = {"classes": list(order.spec.classes), "time_base": time_base, "engine": f"{order.engine} {order.precision}"}
        self._writer: RecordWriter | None = RecordWriter(self._part, head)

    def __call__(self, result: Result) -> None:
        assert self._writer is not None
        self._writer.write(result)

    def finish(self) -> str:
        writer, self._writer = self._writer, None
        assert writer is not None
        writer.close(complete=False)
        self._part.replace(self._path)
        return sha256_of(self._path)

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.discard()
