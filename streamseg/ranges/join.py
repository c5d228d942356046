"""join: the outputs, put together of what all ranges have made. Nothing is decoded, drawn or encoded.

The film's packets are read once more, for its sound and text; videos get theirs from the parts, result formats and the results
file what was found.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from streamseg.composite import Rendered
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.decode import Decoder, SourceInfo
from streamseg.decode.address import as_source
from streamseg.encode import Sink
from streamseg.engine import GraphSpec
from streamseg.errors import OutputError, ResultsError, scrub
from streamseg.events import EventDetector
from streamseg.jobs.progress import finished
from streamseg.pipeline import opening
from streamseg.pipeline.camera import camera_report
from streamseg.pipeline.context import Context
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.outputs import Target, plan
from streamseg.pipeline.private import outlines_told
from streamseg.pipeline.report import OutputReport, RunReport, Tally
from streamseg.pipeline.results import keeping
from streamseg.pipeline.stages import steps
from streamseg.pipeline.where import road_untold
from streamseg.pixels.picture import AnyPicture
from streamseg.ranges.draw import Head, videos
from streamseg.ranges.find import NOTED
from streamseg.ranges.found import frame_told, read_found
from streamseg.ranges.kept import Kept
from streamseg.ranges.order import FilmOrder, Made
from streamseg.ranges.state import thaw
from streamseg.record import RecordWriter
from streamseg.runtime import Branch, Runtime
from streamseg.system.callbacks import Message
from streamseg.system.output_files import sha256_of

__all__ = ["join"]


def join(order: FilmOrder, on_message: Message | None = None, *, overwrite: bool = False) -> Made:
    """Put the outputs together. Needs all other tasks. Raises StreamsegError."""
    began, told = time.monotonic(), list[str]()
    origin = as_source(order.source)
    targets = plan(order.config.outputs, order.outputs, origin)
    book = finished(order.folder)
    _check(order, targets, book)
    with contextlib.ExitStack() as undo:
        first = undo.enter_context(Head(order))
        pictures = {target.name: first.rendered(target).picture for target in videos(targets)}
        decoder = Decoder(order.source, **opening.decoder_options(order.config))
        undo.callback(decoder.close)
        info = decoder.open()
        progress = Kept(order, book)
        sinks: list[tuple[Target, Sink]] = []
        for target in targets:
            sink = opening.make_sink(target, decoder, info, origin, overwrite, False, None, progress, order.config)
            sink.warnings += filter(None, (outlines_told(order.config, target), road_untold(order.config, target)))
            sink.open()
            undo.callback(sink.abort)
            sinks.append((target, sink))
        writer = _results_file(order, origin, info, targets, told.append)
        if writer is not None:
            undo.callback(writer.discard)
        source, tally = _Joined(order, decoder, first.frame.picture, writer), Tally()
        branches = [
            Branch(t.name, [(f"composite {t.name}", _Shown(pictures.get(t.name))), (f"encode {t.name}", sink)])
            for t, sink in sinks
        ]
        Runtime(source, [("tally", tally)], branches).run()
        if writer is not None:
            writer.close(complete=True)
    report = _report(order, info, tally, sinks, writer, time.monotonic() - began, decoder.warnings)
    return Made((), told, report)


def _check(order: FilmOrder, targets: Sequence[Target], book: dict[str, str]) -> None:
    """Raise OutputError where something that was made is missing, or is not as it was written."""
    ranges = range(len(order))
    needed = [order.found(k) for k in ranges] + [order.state(ranges[-1])]
    needed += [order.record(k) for k in ranges if order.config.results.keep != "off"]
    needed += [f"{target.name}/{number:06d}.packets" for target in videos(targets) for k in ranges for number in order.parts(k)]
    for name in needed:
        try:
            sound = name in book and sha256_of(order.folder / name) == book[name]
        except OSError:
            sound = False
        if not sound:
            raise OutputError(f"{order.folder / name}: this part of the film is missing, or has changed")


def _results_file(
    order: FilmOrder, origin: object, info: SourceInfo, targets: Sequence[Target], say: Message
) -> RecordWriter | None:
    config, own = order.config, extra_steps(order.config)
    kept = keeping(config, origin, info, targets, steps(own), (), overwrite=True, say=say)
    if kept is None:
        return None
    if kept.read is not None:
        kept.read.close()
        return None
    model: Any = _Model(order.spec, order.engine, order.precision)
    return kept.begin(config, model, info, not Context(config, order.spec).boxes_alone, say)


@dataclass(frozen=True, slots=True)
class _Model:
    """What a results file says of the engine."""

    spec: GraphSpec
    name: str
    precision: str


class _Joined:
    """The results of the whole film, in step with the packets of its sound and text, as a source."""

    def __init__(self, order: FilmOrder, decoder: Decoder, picture: AnyPicture, writer: RecordWriter | None) -> None:
        self._order, self._decoder, self._picture, self._writer = order, decoder, picture, writer

    def frames(self) -> Iterator[Result]:
        yield from self._decoder.undecoded(self._results())

    def _results(self) -> Iterator[Result]:
        order, number = self._order, 0
        noted = self._noted() if self._writer is not None else None
        for k in range(len(order)):
            path = order.folder / order.found(k)
            for index, result in read_found(path, 0, None, self._frame):
                if index != number:
                    raise ResultsError(f"{path}: frame {number} is missing")
                number += 1
                if noted is not None and self._writer is not None:
                    entry = next(noted, None)
                    if entry is None or entry[0] != index:
                        raise ResultsError(f"{order.folder}: frame {index} of the results file is missing")
                    self._writer.put(*entry)
                yield result
        if number != order.total:
            raise ResultsError(f"{order.folder}: {order.total - number} frames are missing at the end")

    def _frame(self, told: tuple[Any, ...]) -> Frame:
        return frame_told(told, self._picture)

    def _noted(self) -> Iterator[tuple[int, int, bytes]]:
        """The frames of the results file."""
        for k in range(len(self._order)):
            path = self._order.folder / self._order.record(k)
            try:
                with path.open("rb", buffering=1 << 20) as file:
                    while front := file.read(NOTED.size):
                        index, pts, size = NOTED.unpack(front.ljust(NOTED.size))
                        data = file.read(size)
                        if len(data) != size:
                            raise ResultsError(f"{path}: ends amid a frame")
                        yield index, pts, data
            except OSError as error:
                raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error

    def stop(self) -> None:
        self._decoder.stop()

    def close(self) -> None:
        self._decoder.close()


class _Shown:
    """A picture of the output's kind for each result; what is shown is in the parts."""

    def __init__(self, picture: AnyPicture | None) -> None:
        self._picture = picture

    def __call__(self, result: Result) -> Rendered:
        return Rendered(result, result.frame.picture if self._picture is None else self._picture)


def _report(
    order: FilmOrder,
    info: SourceInfo,
    tally: Tally,
    sinks: Sequence[tuple[Target, Sink]],
    writer: RecordWriter | None,
    seconds: float,
    said: Sequence[str],
) -> RunReport:
    last = (order.folder / order.state(len(order) - 1)).read_bytes().partition(b"\n")[2]
    behind = thaw(last, lambda told: None, "the last range")  # type: ignore[arg-type,return-value]
    events = next(stage for _, stage in behind if isinstance(stage, EventDetector))
    results = {} if writer is None else {"path": str(writer.path), "read": False, "frames": len(writer), "bytes": writer.size}
    return RunReport(
        source=info.name,
        engine=f"{order.engine} {order.precision}".strip(),
        model=order.spec.name,
        seconds=seconds,
        frames_in=tally.frames,
        frames_done=tally.frames,
        dropped=0,
        instances=tally.instances,
        objects=dict(events.counts.total),
        events={key: value for key, value in events.summary().items() if key != "total"},
        latency_ms={},
        stages={},
        outputs=tuple(
            OutputReport(target.name, sink.name, tally.frames, 0, tuple(map(scrub, sink.warnings))) for target, sink in sinks
        ),
        warnings=tuple(map(scrub, said)),
        interrupted=False,
        precision=order.precision,
        detected=tally.detected,
        results=results,
        camera=camera_report(None),
    )
